//! Why the host refused or stopped a guest.

use thiserror::Error;

/// Result of the host.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Few kinds, each telling the caller what to do; the message carries the detail.
#[derive(Debug, Error)]
pub enum Error {
    /// The bytes are not a plugin that this host can load. Do not retry.
    #[error("not a plugin: {0}")]
    NotAPlugin(String),

    /// The component has no such function, or one of another world.
    #[error("{0}")]
    NoSuchFunction(String),

    /// The function refused its configuration: the user's to mend.
    #[error("configuration refused: {0}")]
    Config(String),

    /// The function cannot work on inputs of this shape.
    #[error("unsupported input: {0}")]
    Unsupported(String),

    /// The plugin reported a problem with the data.
    #[error("{message} [{code}{}]", row.map(|r| format!(", row {r} of the batch")).unwrap_or_default())]
    User {
        /// A stable word, chosen by the plugin.
        code: String,
        /// The plugin's own words.
        message: String,
        /// Row of the batch, counted from 0.
        row: Option<u64>,
    },

    /// The plugin crashed: a panic, an out-of-bounds access, an exhausted stack.
    #[error("the plugin crashed: {0}")]
    Trap(String),

    /// A limit stopped the guest, or its compilation.
    #[error("limit {limit} reached: allowed {allowed}, asked for {asked}")]
    Limit {
        /// The field of [`crate::Limits`]; with `compile_` in front, of [`crate::CompileLimits`].
        limit: &'static str,
        /// Its value, with unit.
        allowed: String,
        /// What the guest wanted, with unit.
        asked: String,
    },

    /// The compiler crashed on the component, for another reason than a limit. Do not retry.
    #[error("the compiler failed on this plugin: {0}")]
    Compiler(String),

    /// The guest answered something that the contract forbids. Nothing of it was used.
    #[error("the plugin broke the contract: {0}")]
    Contract(String),

    /// The run was cancelled while the guest was running.
    #[error("cancelled")]
    Cancelled,

    /// The host's own machinery failed.
    #[error("{0}")]
    Host(String),
}

impl Error {
    pub(crate) fn contract(message: impl Into<String>) -> Self {
        Self::Contract(message.into())
    }

    /// What the user can do about it, when there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Limit {
                limit: "memory_bytes",
                ..
            } => Some(
                "give the plugin smaller batches, or raise memory_bytes if the operator allows it",
            ),
            Self::Limit {
                limit: "call_time", ..
            } => {
                Some("the plugin may loop for ever on this input; try it with `tenon plugin test`")
            }
            Self::Limit { limit, .. } if limit.starts_with("compile_") => Some(
                "honest plugins are far below this limit; the operator may raise it if you trust this one",
            ),
            Self::Compiler(_) => Some(
                "this is a defect of the compiler that this component brings out: report it with the component",
            ),
            Self::Trap(_) | Self::Contract(_) => Some(
                "this is a defect of the plugin: report it to its author, or use another version",
            ),
            _ => None,
        }
    }
}
