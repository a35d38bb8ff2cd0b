//! `tenon plugin`: from a crate to an installed component. One file per verb.
//!
//! ```text
//! package      cargo metadata: name, version, description         \
//! toolchain    a way to compile for the wasm target                |  build
//!   rust         the compiler in use                               |
//!   debian       Debian's packages, where rustup cannot download   |
//! guest        cargo: package -> core module                       |
//! component    wit-component: core module -> component             |
//! manifest     what the plugin says about itself, embedded         /
//! registry     <data>/registry                                       install, ls, show
//! ```

mod build;
mod component;
mod debian;
mod guest;
mod install;
mod ls;
mod manifest;
mod new;
mod package;
mod registry;
pub(crate) mod rust;
mod show;
mod test;
pub(crate) mod toolchain;

use clap::Subcommand;

pub(crate) use registry::open as open_registry;

use crate::error::Failure;
use crate::shell::Shell;

/// Arguments of `tenon plugin`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a crate with a working plugin, a unit test and sample rows.
    New(new::Args),
    /// Compile a plugin crate into one component file.
    Build(build::Args),
    /// Run a plugin in the sandbox on its sample rows.
    Test(test::Args),
    /// Put a component, or what a crate builds, into the registry.
    Install(install::Args),
    /// List installed plugins.
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Show what an installed plugin says about itself.
    #[command(visible_alias = "info")]
    Show(show::Args),
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::New(args) => new::run(shell, &args),
        Verb::Build(args) => build::run(shell, &args),
        Verb::Test(args) => test::run(shell, &args),
        Verb::Install(args) => install::run(shell, &args),
        Verb::Ls(args) => ls::run(shell, &args),
        Verb::Show(args) => show::run(shell, &args),
    }
}
