//! The plans: everything relational, as SQL for the host.
//!
//! [`steps`] has what they share; each plan is in a file of its own. A parameter of *role* (`labels`, `model`, `previous`)
//! is the position of that input; all other inputs are tables of records.

mod explain;
mod golden;
mod incremental;
mod matches;
mod questions;
mod roles;
mod steps;
mod table;

pub(super) use explain::ExplainMatch;
pub(super) use golden::GoldenRecords;
pub(super) use incremental::FindIncrementalMatches;
pub(super) use matches::FindMatches;
pub(super) use questions::FindQuestions;

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
