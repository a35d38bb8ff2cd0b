//! What a job writes: that no two outputs are in one place, and which tables of the catalog they are.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Job, Node, SchemaChangePolicy};
use crate::error::{Error, Result};

impl Node {
    /// Where its files go: those of a target, the bad rows of a source, or a sample.
    fn writes_to(&self) -> Option<&String> {
        match self {
            Self::S3GlueParquetTarget(n) => Some(&n.path),
            Self::S3DirectTarget(n) => Some(&n.path),
            Self::Spigot(n) => Some(&n.path),
            other => other.quarantine(),
        }
    }

    /// How its files are registered as a table, where they are.
    fn registration(&self) -> Option<&SchemaChangePolicy> {
        let policy = match self {
            Self::S3GlueParquetTarget(n) => n.schema_change_policy.as_ref(),
            Self::S3DirectTarget(n) => n.schema_change_policy.as_ref(),
            _ => None,
        };
        policy.filter(|policy| policy.enable_update_catalog)
    }

    /// The database and the table that it writes to or registers.
    #[must_use]
    pub fn written_table(&self) -> Option<(&str, &str)> {
        match self {
            Self::CatalogTarget(n) | Self::S3CatalogTarget(n) => Some((&n.database, &n.table)),
            other => {
                let policy = other.registration()?;
                Some((policy.database.as_deref()?, policy.table.as_deref()?))
            }
        }
    }

    /// Patterns of files that it does not read, each one or a JSON list of several.
    pub fn exclusions_mut(&mut self) -> &mut [String] {
        match self {
            Self::S3CsvSource(n) => &mut n.exclusions,
            Self::S3JsonSource(n) => &mut n.exclusions,
            Self::S3ParquetSource(n) => &mut n.exclusions,
            Self::S3ExcelSource(n) => &mut n.exclusions,
            Self::S3DirectSource(n) => &mut n.exclusions,
            _ => &mut [],
        }
    }
}

impl Job {
    /// Refuses two outputs in one place: neither would be whole.
    pub(super) fn check_outputs(&self) -> Result<()> {
        let (mut places, mut tables) = (BTreeMap::new(), BTreeMap::new());
        for node in self.nodes.values() {
            let place = node.writes_to().map(|path| plain(&self.path(path)));
            if let Some(other) = place.and_then(|place| places.insert(place, node.name())) {
                return Err(twice(node, "the place", other));
            }
            // In small letters, as the catalog has them.
            let table = node.written_table();
            let table =
                table.map(|(database, name)| (database.to_lowercase(), name.to_lowercase()));
            if let Some(other) = table.and_then(|table| tables.insert(table, node.name())) {
                return Err(twice(node, "the table", other));
            }
        }
        Ok(())
    }
}

/// The path without `.` in it and at its ends.
fn plain(path: &Path) -> PathBuf {
    let parts = path.components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

fn twice(node: &Node, what: &str, other: &str) -> Error {
    let why = format!("it writes to {what} that node {other:?} writes to; give each its own");
    Error::node(node.name(), why)
}
