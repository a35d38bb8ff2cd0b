//! The virtual environment of real clients from PyPI, for every test binary that runs some. It lies below cargo's target
//! folder, named by the hash of `requirements.txt`, so it is made once for each set of versions.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The environment's Python, made once for all tests of this process; `clients` is a folder with a `requirements.txt`.
/// `None` where pip cannot install them.
pub(crate) fn python(clients: &Path) -> Option<PathBuf> {
    static PYTHONS: Mutex<BTreeMap<PathBuf, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
    let mut pythons = PYTHONS.lock().unwrap_or_else(PoisonError::into_inner);
    let made = pythons.entry(clients.to_owned());
    made.or_insert_with(|| install(clients)).clone()
}

/// Makes the environment unless it is there. A mark in the folder says that everything was installed, also when a test was
/// killed half-way.
fn install(clients: &Path) -> Option<PathBuf> {
    let requirements = clients.join("requirements.txt");
    let mut hasher = DefaultHasher::new();
    fs::read(&requirements).ok()?.hash(&mut hasher);
    let name = format!("clients-{:016x}", hasher.finish());
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (python, mark) = (
        environment.join("bin/python"),
        environment.join("installed"),
    );
    if !mark.exists() {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&environment);
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "-r"])
            .arg(&requirements);
        if !(runs(&mut venv) && runs(&mut pip)) {
            return None;
        }
        fs::write(&mark, "").ok()?;
    }
    Some(python)
}

fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
