//! `tenon compile-worker`: the process that compiles one component. The sandbox starts it, see `setup::host`;
//! people never do, so it is not in the help.

use tenon_host::{Compiler, compile_worker};

use super::child;
use crate::error::Failure;

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
        program: child::this_program()?,
        args: vec![NAME.into()],
    })
}
