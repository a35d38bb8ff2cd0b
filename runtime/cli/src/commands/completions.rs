//! `tenon completions`: a script that teaches a shell our words.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell as Dialect;

use crate::args::Cli;
use crate::error::Failure;
use crate::shell::Shell;

/// Arguments of `tenon completions`.
///
/// For bash: tenon completions bash > ~/.local/share/bash-completion/completions/tenon
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell.
    shell: Supported,
}

/// Shells that are tested.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let dialect = match args.shell {
        Supported::Bash => Dialect::Bash,
        Supported::Zsh => Dialect::Zsh,
        Supported::Fish => Dialect::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(dialect, &mut Cli::command(), "tenon", &mut script);
    shell.print_text(&String::from_utf8_lossy(&script))
}
