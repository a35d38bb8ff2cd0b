//! `tenon compile-worker`: the process that compiles one component. The sandbox starts it, see `setup::host`;
//! people never do, so it is not in the help.

use std::path::{Path, PathBuf};

use tenon_host::{Compiler, compile_worker};

use crate::error::{Explain, Failure};

/// How the command is called.
const NAME: &str = "compile-worker";

/// Arguments of `tenon compile-worker`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The sandbox's order to itself.
    order: Vec<String>,
}

/// Compiles standard input to standard output.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    Ok(compile_worker(&args.order)?)
}

/// The compiler that is this command of this program.
///
/// # Errors
/// The program does not find itself.
pub(crate) fn compiler() -> Result<Compiler, Failure> {
    Ok(Compiler::Child {
        program: this_program()?,
        args: vec![NAME.into()],
    })
}

/// This very program, also when its file was replaced by an upgrade while it runs: a compiler of another
/// build makes code that this one does not load.
pub(crate) fn this_program() -> Result<PathBuf, Failure> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_path_buf());
    }
    std::env::current_exe().what(|| "cannot find the program itself, which it starts for its work")
}
