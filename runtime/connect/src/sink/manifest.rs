//! `_tenon_files`: which files of a folder were written here, one name a line.
//!
//! Hidden from readers by its underscore, as Hive's and Spark's markers are. Its content is not
//! trusted: a line that is not one of our own part names is ignored, so it cannot make us remove others.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::sink::folder::Folder;

const NAME: &str = "_tenon_files";

/// The names we wrote; none without a manifest.
pub(super) fn read(folder: &Folder) -> Result<BTreeSet<String>> {
    let text = folder.read(NAME)?.unwrap_or_default();
    let names = text.lines().filter(|name| is_part_name(name));
    Ok(names.map(str::to_owned).collect())
}

/// Replaces the manifest, durably.
pub(super) fn write(folder: &Folder, names: &BTreeSet<String>) -> Result<()> {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    folder.replace(NAME, &text)
}

fn is_part_name(name: &str) -> bool {
    name.starts_with("part-") && !name.contains(['/', '\\'])
}
