//! `tenon plugin new`: a crate with a working plugin, a unit test and sample rows.
//!
//! The files are in `templates/`, a folder for each world; `{{name}}` and `{{sdk}}` are filled in. The crate stands
//! alone (it has a `[workspace]` of its own), so that it builds wherever it is put.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use tenon_registry::PluginName;

use super::{package, registry};
use crate::error::{Explain, Failure};
use crate::exit::Exit;
use crate::report::{Report, cell};
use crate::shell::Shell;

/// Arguments of `tenon plugin new`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's name: a-z, 0-9 and -, beginning with a letter.
    name: String,

    /// What its function does.
    #[arg(long, value_name = "WORLD", default_value = "map")]
    world: World,

    /// Folder to make [default: the name].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// A checkout's sdk/rust to build against instead of the published version; found by itself inside a checkout.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// What the function of a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum World {
    /// Rows to new columns.
    Map,
    /// Rows to any rows, with state.
    Stream,
    /// The rows of a group to one.
    Aggregate,
    /// Arguments to rows, in SQL's FROM.
    TableFunction,
    /// Queries that the host runs.
    Plan,
    /// Rows from outside.
    Source,
}

/// Where a file goes, and its text.
type Template = (&'static str, &'static str);

/// The files of a world's folder: those that every world has, and those of its test.
macro_rules! templates {
    ($folder:literal, $($tests:literal),+) => {
        &[
            template!($folder, "Cargo.toml", "Cargo.toml.template"),
            template!($folder, "src/lib.rs", "src/lib.rs.template"),
            $(template!($folder, $tests, $tests),)+
            template!($folder, "tests/expected.ndjson", "tests/expected.ndjson"),
        ]
    };
}

macro_rules! template {
    ($folder:literal, $file:literal, $template:literal) => {
        (
            $file,
            include_str!(concat!("../../templates/", $folder, "/", $template)),
        )
    };
}

impl World {
    fn files(self) -> &'static [Template] {
        match self {
            Self::Map => templates!("map", "tests/rows.ndjson"),
            Self::Stream => templates!("stream", "tests/rows.ndjson"),
            // Their functions are called in SQL.
            Self::Aggregate => templates!("aggregate", "tests/rows.ndjson", "tests/query.sql"),
            Self::TableFunction => {
                templates!("table-function", "tests/rows.ndjson", "tests/query.sql")
            }
            Self::Plan => templates!("plan", "tests/rows.ndjson"),
            // It has no input.
            Self::Source => templates!("source", "tests/config.json"),
        }
    }
}

/// Makes the crate and says what to do next.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    check_name(&args.name)?;
    let dir = args
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.name));
    check_free(&dir)?;
    let sdk = sdk_dependency(args.sdk.as_deref(), &dir)?;
    let mut report = Report::list(&["file"]);
    for (file, template) in args.world.files() {
        let path = dir.join(file);
        let text = template
            .replace("{{name}}", &args.name)
            .replace("{{sdk}}", &sdk);
        let shown = path.display().to_string();
        put(&path, &text).what({
            let shown = shown.clone();
            move || format!("cannot write {shown}")
        })?;
        report.row([cell(shown)]);
    }
    shell.print(&report)?;
    let dir = dir.display();
    shell.say(&format!(
        "next: `cargo test --manifest-path {dir}/Cargo.toml`, then `tenon plugin build {dir}`"
    ));
    Ok(())
}

/// The name is both a plugin's and a crate's, and both have rules.
fn check_name(name: &str) -> Result<(), Failure> {
    PluginName::new(package::plugin_name(name)).map_err(registry::failure)?;
    let first_is_letter = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !first_is_letter || RESERVED.contains(&name) {
        return Err(Failure::new(format!("{name:?} cannot be the name of a crate"))
            .with_exit(Exit::Usage)
            .with_hint("begin with a letter and choose a word that Rust does not use, such as clean-phone"));
    }
    Ok(())
}

/// Names that cargo or the template would trip over.
const RESERVED: [&str; 12] = [
    "test",
    "core",
    "std",
    "alloc",
    "proc-macro",
    "fn",
    "mod",
    "type",
    "match",
    "self",
    "tenon",
    "tenon-sdk",
];

fn check_free(dir: &Path) -> Result<(), Failure> {
    let is_free = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !dir.exists(),
    };
    if is_free {
        return Ok(());
    }
    Err(Failure::new(format!("{} exists already", dir.display()))
        .with_exit(Exit::Conflict)
        .with_hint("choose another folder with --dir"))
}

/// What stands right of `tenon-sdk =`.
fn sdk_dependency(given: Option<&Path>, dir: &Path) -> Result<String, Failure> {
    let here = env::current_dir().what(|| "cannot tell the current folder")?;
    let target = here.join(dir);
    let sdk = match given {
        Some(sdk) => Some(check_sdk(sdk)?),
        None => checkout_sdk(&here).or_else(|| checkout_sdk(&target)),
    };
    Ok(match sdk {
        Some(sdk) => format!("{{ path = {:?} }}", relative(&resolve(&target), &sdk)),
        None => format!("{:?}", env!("CARGO_PKG_VERSION")),
    })
}

fn check_sdk(sdk: &Path) -> Result<PathBuf, Failure> {
    let shown = sdk.display().to_string();
    if is_sdk(sdk) {
        return sdk
            .canonicalize()
            .what(move || format!("cannot open {shown}"));
    }
    Err(Failure::new(format!("{shown} is not the tenon-sdk crate"))
        .with_exit(Exit::NotFound)
        .with_hint("give the folder sdk/rust of a checkout"))
}

/// The SDK of the checkout that `dir` is in.
fn checkout_sdk(dir: &Path) -> Option<PathBuf> {
    let candidates = dir.ancestors().map(|folder| folder.join("sdk/rust"));
    candidates
        .into_iter()
        .find(|sdk| is_sdk(sdk))?
        .canonicalize()
        .ok()
}

fn is_sdk(dir: &Path) -> bool {
    let manifest = fs::read_to_string(dir.join("Cargo.toml"));
    manifest.is_ok_and(|text| {
        text.lines()
            .any(|line| line.trim() == "name = \"tenon-sdk\"")
    })
}

/// `path` with the part that exists resolved, so that it compares with resolved paths.
fn resolve(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (existing.canonicalize(), path.strip_prefix(existing)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

/// How to get from folder `from` to `to`; both absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let from: Vec<Component<'_>> = from
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    let to: Vec<Component<'_>> = to.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let ups = from[shared..].iter().map(|_| Component::ParentDir);
    ups.chain(to[shared..].iter().copied()).collect()
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_go_up_and_down() {
        let from = |from, to| relative(Path::new(from), Path::new(to));
        assert_eq!(
            from("/w/plugins/x", "/w/sdk/rust"),
            Path::new("../../sdk/rust")
        );
        assert_eq!(from("/a", "/w/sdk"), Path::new("../w/sdk"));
    }

    #[test]
    fn names_must_suit_plugins_and_crates() {
        for good in ["shout", "clean-phone", "tenon-trim", "a1"] {
            check_name(good).unwrap();
        }
        for bad in ["", "Shout", "clean_phone", "1st", "-x", "test", "../x"] {
            assert_eq!(check_name(bad).unwrap_err().exit(), Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn a_folder_with_content_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        check_free(dir.path()).unwrap();
        check_free(&dir.path().join("new")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(check_free(dir.path()).unwrap_err().exit(), Exit::Conflict);
    }

    #[test]
    fn templates_are_filled_in() {
        for world in <World as clap::ValueEnum>::value_variants() {
            for (file, template) in world.files() {
                let text = template
                    .replace("{{name}}", "x")
                    .replace("{{sdk}}", "\"1\"");
                assert!(!text.contains("{{"), "{world:?} {file}");
            }
        }
    }

    #[test]
    fn the_sdk_of_a_checkout_is_found_from_within() {
        let root = tempfile::tempdir().unwrap();
        let sdk = root.path().join("sdk/rust");
        fs::create_dir_all(&sdk).unwrap();
        fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"tenon-sdk\"\n").unwrap();
        let inside = root.path().join("plugins/new-one");
        assert_eq!(checkout_sdk(&inside), Some(sdk.canonicalize().unwrap()));
        assert_eq!(checkout_sdk(Path::new("/")), None);
    }
}
