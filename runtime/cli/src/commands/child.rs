//! Processes that the server starts of this very program, one for each piece of work over what tenants keep in files: how
//! they are started, and what they take from themselves before they read anything.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Explain, Failure};

/// This very program, also when its file was replaced by an upgrade while it runs: a process of another
/// build speaks otherwise and makes code that this one does not load.
///
/// # Errors
/// The program does not find itself.
pub(super) fn this_program() -> Result<PathBuf, Failure> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_path_buf());
    }
    std::env::current_exe().what(|| "cannot find the program itself, which it starts for its work")
}

/// A command of the program without an environment, in a folder that is nobody's, spoken to through pipes. What does not
/// fit into memory it keeps in `scratch`.
pub(super) fn command(program: &Path, name: &str, scratch: &Path) -> Command {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new(program);
    command
        .arg(name)
        .env_clear()
        .env("TMPDIR", scratch)
        .current_dir("/")
        // Ctrl-C is for the server, which ends its workers itself.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Lowers a limit of this process, for good: a process may lower its limits and not raise them.
///
/// # Errors
/// The system refuses.
pub(super) fn lower(resource: Resource, to: u64) -> rustix::io::Result<()> {
    let hard = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Some(to.min(hard));
    setrlimit(
        resource,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    )
}
