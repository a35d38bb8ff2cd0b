//! The command line as clap sees it: [`Cli`], the options every command shares, and the list of commands.
//!
//! Precedence is clap's: a flag beats its environment variable beats the default.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ColorChoice, Parser, Subcommand, ValueEnum};

use crate::commands::{
    account, audit, catalog, compile_worker, completions, doctor, find_matches, job, key, run,
    run_worker, serve, sql, store, token,
};
use crate::exit::Exit;
use crate::plugin;

/// Open, self-hosted data integration: jobs over Apache Arrow, transforms in a sandbox.
///
/// Results go to standard output; messages, progress and errors go to standard error.
#[derive(Debug, Parser)]
#[command(name = "tenon", version, after_help = Exit::table(), arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a job from a file.
    Run(run::Args),
    /// Find records that mean the same thing, in one file or across two.
    Match(Box<find_matches::Args>),
    /// Run a query over the catalog.
    Sql(sql::Args),
    /// List and show tables.
    Catalog(catalog::Args),
    /// Serve the catalog to clients of AWS Glue.
    Serve(serve::Args),
    /// Start, list and stop runs of jobs of a server.
    Job(job::Args),
    /// Create accounts and say how much they may use.
    Account(account::Args),
    /// Create and end access keys, with which requests are signed.
    Key(key::Args),
    /// Create and end bearer tokens for the REST interface.
    Token(token::Args),
    /// Show who changed what.
    Audit(audit::Args),
    /// Verify and repair the files under the catalog.
    Store(store::Args),
    /// Write the catalog and its accounts into one file.
    ///
    /// Their secrets are sealed with the file master.key of the data folder, which is not in it: keep a copy apart.
    Backup(store::BackupArgs),
    /// Make a catalog of a backup, in a data folder that has none.
    Restore(store::RestoreArgs),
    /// Make, build and install plugins.
    Plugin(plugin::Args),
    /// Check that this machine has what tenon needs.
    Doctor(doctor::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Compile a component from standard input: what the sandbox starts for itself.
    #[command(hide = true)]
    CompileWorker(compile_worker::Args),
    /// Find out statistics of one table: what the server starts for itself.
    #[command(hide = true)]
    AnalyzeWorker,
    /// Run one job for a server: what it starts for itself.
    #[command(hide = true)]
    RunWorker(run_worker::Args),
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How results are printed; also when standard output is not a terminal.
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,

    /// Say nothing but results and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: what is being run and why.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// No colour; also when NO_COLOR is set or the output is not a terminal.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,

    /// Folder of the catalog and the plugins [default: tenon in the user's data folder].
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "TENON_DATA",
        hide_env_values = true
    )]
    pub(crate) data: Option<PathBuf>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns for people.
    Table,
    /// One JSON document: an array for a list, an object for one thing.
    Json,
}

/// The words of the command line, for the two options that matter before it is understood.
pub(crate) struct Words {
    /// All of them, the program's name first.
    pub(crate) all: Vec<OsString>,
}

impl Words {
    /// As the process got them.
    pub(crate) fn from_env() -> Self {
        Self {
            all: std::env::args_os().collect(),
        }
    }

    /// Whether errors in the command line itself should be JSON.
    pub(crate) fn wants_json(&self) -> bool {
        let is_json = |pair: &[OsString]| pair[0] == "--output" && pair[1] == "json";
        self.all.windows(2).any(is_json) || self.all.iter().any(|word| word == "--output=json")
    }

    /// What clap may do with its own help and errors; it looks at NO_COLOR and the terminal itself.
    pub(crate) fn color(&self) -> ColorChoice {
        if self.all.iter().any(|word| word == "--no-color") {
            ColorChoice::Never
        } else {
            ColorChoice::Auto
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn words(all: &[&str]) -> Words {
        Words {
            all: all.iter().map(OsString::from).collect(),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn json_is_seen_in_a_line_that_does_not_parse() {
        assert!(words(&["tenon", "nonsense", "--output", "json"]).wants_json());
        assert!(words(&["tenon", "--output=json", "nonsense"]).wants_json());
        assert!(!words(&["tenon", "--output", "table"]).wants_json());
        assert!(!words(&["tenon"]).wants_json());
    }
}
