//! The local registry at `<data>/registry`, and its errors as ours.

use tenon_registry::{Error, Registry};

use crate::error::Failure;
use crate::exit::Exit;
use crate::shell::Shell;

/// Opens the registry, creating its folder.
///
/// # Errors
/// When the data folder is unknown or cannot be written.
pub(crate) fn open(shell: &Shell) -> Result<Registry, Failure> {
    let root = shell.data()?.join("registry");
    Registry::open(root).map_err(|error| {
        failure(error).with_hint("choose a folder you can write to with --data or TENON_DATA")
    })
}

/// An error of the registry with its exit code and, where the message has none, a hint.
pub(crate) fn failure(error: Error) -> Failure {
    let exit = match &error {
        Error::NotFound { .. } => Some(Exit::NotFound),
        Error::Conflict { .. } => Some(Exit::Conflict),
        Error::InvalidName { .. } | Error::InvalidReference { .. } => Some(Exit::Usage),
        _ => None,
    };
    let hint = match &error {
        Error::NotFound { .. } => Some("see what there is: `tenon plugin ls`"),
        Error::Conflict { .. } => {
            Some("a version is written once: raise `version` in the plugin's Cargo.toml")
        }
        _ => None,
    };
    let mut failure = Failure::from(error);
    if let Some(exit) = exit {
        failure = failure.with_exit(exit);
    }
    if let Some(hint) = hint {
        failure = failure.with_hint(hint);
    }
    failure
}
