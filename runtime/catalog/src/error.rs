//! [`Error`]: few kinds, each telling the caller what to do; values are in the message.

use std::fmt;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a catalog operation failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was named does not exist.
    #[error("{kind} {name} does not exist")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// Its full name.
        name: String,
    },

    /// What was to be created exists.
    #[error("{kind} {name} already exists")]
    AlreadyExists {
        /// What was to be created.
        kind: Kind,
        /// Its full name.
        name: String,
    },

    /// Someone else changed it first. Read again and decide again.
    #[error("{kind} {name} was changed by someone else: {reason}")]
    Conflict {
        /// What was to be changed.
        kind: Kind,
        /// Its full name.
        name: String,
        /// What was expected and what was found.
        reason: String,
    },

    /// The request breaks a rule, which the reason names with the value.
    #[error("{reason}")]
    InvalidInput {
        /// Which rule.
        reason: String,
    },

    /// What is stored does not allow it; the reason names the value.
    #[error("{reason}")]
    InvalidState {
        /// What stands in the way.
        reason: String,
    },

    /// What the caller made a condition does not hold.
    #[error("{reason}")]
    ConditionFailed {
        /// Which condition, and what was found.
        reason: String,
    },

    /// There are as many as there can be; the reason names the limit.
    #[error("{reason}")]
    LimitExceeded {
        /// Which limit, and what there is.
        reason: String,
    },

    /// The store refused.
    #[error(transparent)]
    Store(#[from] tenon_store::Error),
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A database.
    Database,
    /// A table, named `database.table`.
    Table,
    /// A version of a table, named `database.table version n`.
    TableVersion,
    /// A partition, named `database.table [values]`.
    Partition,
    /// An index over partitions, named `database.table index`.
    PartitionIndex,
    /// Statistics of a column, named `database.table [values] column`.
    ColumnStatistics,
    /// A run that finds out statistics, named by its id.
    StatisticsRun,
    /// What such runs of a table are to do, named `database.table`.
    StatisticsSettings,
    /// A user-defined function, named `database.function`.
    Function,
    /// A catalog inside the account's.
    Catalog,
    /// A connection.
    Connection,
    /// The policy of a catalog.
    ResourcePolicy,
    /// The encryption settings of a catalog.
    EncryptionSettings,
    /// A security configuration.
    SecurityConfiguration,
    /// Tags of something.
    Tags,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::Table => "table",
            Self::TableVersion => "table version",
            Self::Partition => "partition",
            Self::PartitionIndex => "partition index",
            Self::ColumnStatistics => "statistics of column",
            Self::StatisticsRun => "column statistics task run",
            Self::StatisticsSettings => "column statistics task settings of table",
            Self::Function => "function",
            Self::Catalog => "catalog",
            Self::Connection => "connection",
            Self::ResourcePolicy => "resource policy",
            Self::EncryptionSettings => "encryption settings",
            Self::SecurityConfiguration => "security configuration",
            Self::Tags => "tags of",
        })
    }
}

impl Error {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidInput {
            reason: reason.into(),
        }
    }

    pub(crate) fn not_found(kind: Kind, name: impl Into<String>) -> Self {
        Self::NotFound {
            kind,
            name: name.into(),
        }
    }

    /// Whether a precondition of a transaction failed.
    pub(crate) const fn is_store_conflict(&self) -> bool {
        matches!(self, Self::Store(tenon_store::Error::Conflict { .. }))
    }
}
