//! `tenon match`: the matcher straight from the command line, one file per verb.
//!
//! ```text
//! find     FILE [FILE2]      every record with its group          ─┐
//! add      NEW --to MATCHED  new records into groups that are there │  graph: sources ─ a function of the
//! label    FILE              a person answers, pair by pair         ├─ plugin ─ targets, run as any job
//! sets     FILE              the same questions as Glue's file      │
//! explain  FILE A B          why a pair matches, or does not        │
//! golden   MATCHED           one record for each group             ─┘
//! ```
//!
//! Chosen: each verb builds the graph that a job would have and runs it, so that what is tried here runs unchanged as a
//! job. Chosen: a model is a Parquet file of one binary column, thus a source and a target like any other.

mod add;
mod explain;
mod files;
mod find;
mod golden;
mod graph;
mod label;
mod quality;
mod rules;
mod sets;

use std::fmt::Display;

use crate::commands::setup::{Resources, RunLimits};
use crate::error::Failure;
use crate::exit::Exit;
use crate::shell::Shell;

/// Arguments of `tenon match`: those of finding, or a verb with its own.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    find: Option<find::Find>,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    resources: Resources,
}

/// What else can be done than finding.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Match new records with those that were matched before; their groups keep their ids.
    Add(add::Args),
    /// Answer which pairs are the same, one after the other, and see how good the matcher is.
    Label(label::Args),
    /// Write sets of records to label, in the form of Glue.
    Sets(sets::Args),
    /// Show why two records match, or do not.
    Explain(explain::Args),
    /// Make one record of each group.
    Golden(golden::Args),
}

/// Matches.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    match (&args.verb, &args.find) {
        (Some(Verb::Add(args)), _) => add::run(shell, args),
        (Some(Verb::Label(args)), _) => label::run(shell, args),
        (Some(Verb::Sets(args)), _) => sets::run(shell, args),
        (Some(Verb::Explain(args)), _) => explain::run(shell, args),
        (Some(Verb::Golden(args)), _) => golden::run(shell, args),
        (None, Some(find)) => find::run(shell, find, &args.limits, &args.resources),
        (None, None) => {
            Err(usage("nothing to match").with_hint("name a file: `tenon match FILE --id COLUMN`"))
        }
    }
}

/// What the caller wrote cannot be done.
fn usage(what: impl Display) -> Failure {
    Failure::new(what.to_string()).with_exit(Exit::Usage)
}

/// A number from 0 to 1, for clap.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a number from 0 to 1, such as 0.8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_between_nothing_and_all() {
        assert_eq!(
            (share("0"), share("1"), share("0.25")),
            (Ok(0.0), Ok(1.0), Ok(0.25))
        );
        assert!(
            ["-0.1", "1.01", "NaN", "much"]
                .iter()
                .all(|text| share(text).is_err())
        );
    }
}
