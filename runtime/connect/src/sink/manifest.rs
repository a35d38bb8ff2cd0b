//! `_tenon_files`: which files of a folder were written here, one name a line.
//!
//! Hidden from readers by its underscore, as Hive's and Spark's markers are. Its content is not
//! trusted: a line that is not one of our own part names is ignored, so it cannot make us remove others.

use std::collections::BTreeSet;
use std::path::Path;

use cap_std::fs::Dir;

use crate::error::{Error, Result};
use crate::sink::staged::sync_dir;

const NAME: &str = "_tenon_files";
const NEW_NAME: &str = "._tenon_files.new";

/// The names we wrote; none without a manifest.
pub(super) fn read(dir: &Dir, folder: &Path) -> Result<BTreeSet<String>> {
    match dir.read_to_string(NAME) {
        Ok(text) => Ok(text
            .lines()
            .filter(|name| is_part_name(name))
            .map(str::to_owned)
            .collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(e) => Err(Error::io("read", folder.join(NAME), e)),
    }
}

/// Replaces the manifest, durably.
pub(super) fn write(dir: &Dir, folder: &Path, names: &BTreeSet<String>) -> Result<()> {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    let replace = || {
        let mut file = dir.create(NEW_NAME)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()?;
        dir.rename(NEW_NAME, dir, NAME)
    };
    replace().map_err(|e| {
        let _ = dir.remove_file(NEW_NAME);
        Error::io("write", folder.join(NAME), e)
    })?;
    sync_dir(dir, folder)
}

fn is_part_name(name: &str) -> bool {
    name.starts_with("part-") && !name.contains(['/', '\\'])
}
