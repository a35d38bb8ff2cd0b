//! The one binary. It turns words into calls on the rooms and their answers into tables or JSON.
//!
//! | module | what |
//! |---|---|
//! | `args` | the words: global options and the list of commands |
//! | `shell` | where output goes: data to stdout, talk to stderr, colour, quiet, verbose |
//! | `report` | rows that print as a table or as JSON |
//! | `progress` | a spinner or a row counter, only on a terminal and only after a second |
//! | `error`, `exit` | what went wrong, why, what to do; and the exit code that says it to scripts |
//! | `folders` | where data and caches live |
//! | `process` | other programs, with a time limit |
//! | `remote` | a running server, asked over HTTP |
//! | `commands` | one file per command |
//! | `plugin` | one file per `tenon plugin` verb, and the road from a crate to a component |
//!
//! **Adding a command**: a file in `commands/` with an `Args` struct and
//! `run(&Shell, Args) -> Result<(), Failure>`, one line in [`args::Command`], one in [`dispatch`].
//!
//! **Chosen: a failure carries its exit code and its hint** from the place that knows them, instead of a
//! table that guesses them from error types at the end. **Chosen: a command fills one [`report::Report`]**;
//! it never asks which output was chosen.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "a test that fails should say so at once"
    )
)]

mod args;
mod commands;
mod error;
mod exit;
mod folders;
mod plugin;
mod process;
mod progress;
mod remote;
mod report;
mod shell;
mod waterfall;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use args::{Cli, Command, Words};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use error::Failure;
use exit::Exit;
use shell::Shell;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|bug| shell::last_words(&bug.to_string())));
    let outcome = panic::catch_unwind(AssertUnwindSafe(start));
    outcome.unwrap_or(Exit::Failed).into()
}

fn start() -> Exit {
    let words = Words::from_env();
    match parse(&words) {
        Ok(cli) => {
            let shell = Shell::new(&cli.global);
            finish(&shell, dispatch(&shell, cli.command))
        }
        Err(refusal) => refuse(&words, &refusal),
    }
}

fn parse(words: &Words) -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(words.color());
    let matches = command.try_get_matches_from_mut(&words.all)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn dispatch(shell: &Shell, command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => commands::run::run(shell, &args),
        Command::Match(args) => commands::find_matches::run(shell, &args),
        Command::Sql(args) => commands::sql::run(shell, &args),
        Command::Catalog(args) => commands::catalog::run(shell, &args),
        Command::Job(args) => commands::job::run(shell, &args),
        Command::Serve(args) => commands::serve::run(shell, &args),
        Command::Account(args) => commands::account::run(shell, &args),
        Command::Key(args) => commands::key::run(shell, &args),
        Command::Token(args) => commands::token::run(shell, &args),
        Command::Audit(args) => commands::audit::run(shell, &args),
        Command::Store(args) => commands::store::run(shell, &args),
        Command::Backup(args) => commands::store::backup(shell, &args),
        Command::Restore(args) => commands::store::restore(shell, &args),
        Command::Plugin(args) => plugin::run(shell, args),
        Command::Doctor(args) => commands::doctor::run(shell, &args),
        Command::Completions(args) => commands::completions::run(shell, &args),
        Command::AnalyzeWorker => commands::analyze_worker::run(),
        Command::CompileWorker(args) => commands::compile_worker::run(&args),
        Command::RunWorker(args) => commands::run_worker::run(shell, &args),
    }
}

fn finish(shell: &Shell, outcome: Result<(), Failure>) -> Exit {
    match outcome {
        Ok(()) => Exit::Done,
        Err(failure) if failure.is_closed_output() => Exit::Done,
        Err(failure) => {
            shell.fail(&failure);
            failure.exit()
        }
    }
}

/// What clap says instead of a parsed command line: help and version are data, the rest is a usage error.
fn refuse(words: &Words, refusal: &clap::Error) -> Exit {
    match refusal.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that left early (`tenon --help | head -1`) has what it wanted.
            let _ = refusal.print();
            Exit::Done
        }
        _ if words.wants_json() => {
            shell::fail_as_json(&Failure::usage(refusal));
            Exit::Usage
        }
        _ => {
            let _ = refusal.print();
            Exit::Usage
        }
    }
}
