//! [`Analyst`]: who finds out statistics. The server decides who may ask, when, and what is kept; reading data is for
//! others, so this room knows no engine.

use async_trait::async_trait;
use tenon_catalog::{ColumnStatistics, Partition, Table, Timestamp};

/// What is to be found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Whose table it is.
    pub account: String,
    /// The table, as it was when the run began.
    pub table: Table,
    /// All of its partitions, without their columns; none of a table without partition keys.
    pub partitions: Vec<Partition>,
    /// Of these columns; of all that have statistics when it is empty.
    pub columns: Vec<String>,
    /// Of this part of the rows, in percent: above 0, at most 100.
    pub sample_percent: f64,
    /// When they count as found out.
    pub analyzed_time: Timestamp,
}

/// Why there are no statistics, in a sentence for whoever asked: it names what of the table, and nothing of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalysisError(pub String);

impl std::fmt::Display for AnalysisError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AnalysisError {}

/// Finds out statistics of tables.
#[async_trait]
pub trait Analyst: Send + Sync {
    /// Whether an account may have its table read where it lies. Asked when a run is to be made and again when it begins;
    /// must not block.
    ///
    /// # Errors
    /// It may not.
    fn admit(&self, account: &str, table: &Table) -> Result<(), AnalysisError>;

    /// Finds out. Called once for each run, several at a time. It is cancelled by dropping the future, after which it must
    /// leave nothing running; a panic is a failure.
    ///
    /// # Errors
    /// Data is missing, cannot be read, or is of no kind that can be.
    async fn analyze(&self, analysis: Analysis) -> Result<Vec<ColumnStatistics>, AnalysisError>;
}
