//! What a job writes: that no two outputs are in one place, and what a run without the catalog's store can do of it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Job, Node, SchemaChangePolicy, UpdateBehavior};
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

    /// The table that it writes to or registers, in small letters as the catalog has it.
    fn table(&self) -> Option<String> {
        let (database, table) = match self {
            Self::CatalogTarget(n) | Self::S3CatalogTarget(n) => (&n.database, &n.table),
            other => {
                let policy = other.registration()?;
                (policy.database.as_ref()?, policy.table.as_ref()?)
            }
        };
        Some(format!("{database}.{table}").to_lowercase())
    }

    fn has_partition_keys(&self) -> bool {
        match self {
            Self::S3GlueParquetTarget(n) => !n.partition_keys.is_empty(),
            Self::S3DirectTarget(n) => !n.partition_keys.is_empty(),
            _ => false,
        }
    }

    /// What of it needs the store or the secrets of the catalog.
    fn needs_catalog(&self) -> Option<&'static str> {
        let exclusions = self.file_members().map_or(&[][..], |m| m.exclusions);
        let is_whole = |text: &String| {
            text.contains("://") || text.trim_start_matches(['[', '"', ' ']).starts_with('/')
        };
        if exclusions.iter().any(is_whole) {
            return Some(
                "Exclusions: a run of the server knows paths below its folder alone; begin with a name or with **",
            );
        }
        if matches!(self, Self::CatalogTarget(_) | Self::S3CatalogTarget(_)) {
            return Some(
                "a run of the server cannot write to a table of the catalog yet; write files and have them registered by \
                 SchemaChangePolicy, or run the job with `tenon run`",
            );
        }
        let policy = self.registration()?;
        if policy.update_behavior == Some(UpdateBehavior::Log) {
            return Some(
                "SchemaChangePolicy: a run of the server cannot leave the definition of a table as it is yet; leave \
                 UpdateBehavior or the table out",
            );
        }
        if policy
            .database
            .as_ref()
            .is_some_and(|name| name.contains('.'))
        {
            return Some("SchemaChangePolicy: Database has a dot in its name");
        }
        self.has_partition_keys().then_some(
            "a run of the server cannot register partitions yet; leave PartitionKeys or the table out, or run the job \
             with `tenon run`",
        )
    }
}

impl Job {
    /// Whether a run can do it that has neither the catalog's store nor its secrets: it is given the tables that it
    /// reads, and says which tables it made.
    ///
    /// # Errors
    /// [`Error::Node`] of the first node for which that is not enough.
    pub fn check_detached(&self) -> Result<()> {
        let mut nodes = self.nodes.values();
        let found = nodes.find_map(|node| Some((node.name(), node.needs_catalog()?)));
        found.map_or(Ok(()), |(name, why)| Err(Error::node(name, why)))
    }

    /// Refuses two outputs in one place: neither would be whole.
    pub(super) fn check_outputs(&self) -> Result<()> {
        let (mut places, mut tables) = (BTreeMap::new(), BTreeMap::new());
        for node in self.nodes.values() {
            let place = node.writes_to().map(|path| plain(&self.path(path)));
            if let Some(other) = place.and_then(|place| places.insert(place, node.name())) {
                return Err(twice(node, "the place", other));
            }
            if let Some(other) = node
                .table()
                .and_then(|table| tables.insert(table, node.name()))
            {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: &str, target: &str) -> String {
        let toml = format!(
            "name = 'j'\n[nodes.a.S3CsvSource]\nName = 'a'\nPaths = ['in']\n{source}\n{target}\nName = 'b'\nInputs = ['a']\n"
        );
        let job = Job::from_toml(&toml).unwrap();
        job.check_detached()
            .map_or_else(|e| e.to_string(), |()| "nothing".to_owned())
    }

    #[test]
    fn what_a_run_of_the_server_cannot_do_is_named() {
        let plain = "[nodes.b.S3DirectTarget]\nPath = 'out'\nFormat = 'csv'";
        let registered = |policy: &str| {
            format!(
                "{plain}\nSchemaChangePolicy = {{ EnableUpdateCatalog = true, Table = 't', {policy} }}"
            )
        };
        let table = "[nodes.b.CatalogTarget]\nDatabase = 'd'\nTable = 't'";
        let keys = format!("{}\nPartitionKeys = [['x']]", registered("Database = 'd'"));
        let keys_alone = format!("{plain}\nPartitionKeys = [['x']]");
        for (source, target, said) in [
            ("", plain, "nothing"),
            ("", &registered("Database = 'd'"), "nothing"),
            ("", &keys_alone, "nothing"),
            ("Exclusions = ['**.tmp']", plain, "nothing"),
            ("Exclusions = ['/in/x']", plain, "Exclusions"),
            ("Exclusions = ['[\"/in/x\"]']", plain, "Exclusions"),
            ("Exclusions = ['s3://b/x']", plain, "Exclusions"),
            ("Connection = 'c'", plain, "nothing"),
            ("", table, "cannot write to a table"),
            ("", &keys, "cannot register partitions"),
            ("", &registered("Database = 'd.e'"), "a dot in its name"),
            (
                "",
                &registered("Database = 'd', UpdateBehavior = 'LOG'"),
                "leave the definition",
            ),
        ] {
            let text = refused(source, target);
            assert!(text.contains(said), "{source} {target}: {text}");
        }
    }
}
