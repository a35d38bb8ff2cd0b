//! `tenon completions`: a script that teaches a shell our words.

use clap::{Command, CommandFactory, ValueEnum};
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
    shell.print_text(&script(dialect))
}

fn script(dialect: Dialect) -> String {
    let mut script = Vec::new();
    clap_complete::generate(dialect, &mut shown(), "tenon", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command line without what its help hides; clap's generators would complete that too.
fn shown() -> Command {
    let all = Cli::command();
    let commands = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    Command::new("tenon")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(commands.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_commands_are_not_completed() {
        for dialect in [Dialect::Bash, Dialect::Zsh, Dialect::Fish] {
            let script = script(dialect);
            assert!(script.contains("plugin"), "commands are");
            assert!(script.contains("verbose"), "global options are");
            assert!(!script.contains("compile-worker"), "{dialect}");
        }
    }
}
