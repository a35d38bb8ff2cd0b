//! An engine that stores with redb, for tests: the second implementation that keeps the trait honest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::config::StoreConfig;
use crate::disk::Disk;
use crate::engine::{Engine, Op, Visit};
use crate::error::{Error, Result};
use crate::folder::create_folder;
use crate::tree::Space;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(crate) struct RedbEngine {
    path: PathBuf,
    db: Database,
}

impl Engine for RedbEngine {
    const FOLDER: &'static str = "redb";

    fn open(dir: &Path, _config: &StoreConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        let folder = dir.join(Self::FOLDER);
        create_folder(&folder, &*disk)?;
        let path = folder.join("db");
        let db = Database::create(&path).map_err(|error| failed(&path, error))?;
        let engine = Self { path, db };
        engine.try_do(|| {
            let write = engine.db.begin_write()?;
            for space in Space::all() {
                write.open_table(table(space))?;
            }
            Ok(write.commit()?)
        })?;
        Ok(engine)
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.try_do(|| {
            let table = self.db.begin_read()?.open_table(table(space))?;
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    fn range(
        &self,
        space: Space,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if until.is_some_and(|until| until <= from) {
            return Ok(());
        }
        let mut entries = self.try_do(|| {
            let table = self.db.begin_read()?.open_table(table(space))?;
            Ok(match until {
                Some(until) => table.range(from..until)?,
                None => table.range(from..)?,
            })
        })?;
        while let Some((key, value)) = self.try_do(|| Ok(entries.next().transpose()?))? {
            if !visit(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, ops: &[Op]) -> Result<()> {
        self.try_do(|| {
            let write = self.db.begin_write()?;
            for op in ops {
                let mut table = write.open_table(table(op.space))?;
                match &op.value {
                    Some(value) => table.insert(op.key.as_slice(), value.as_slice())?,
                    None => table.remove(op.key.as_slice())?,
                };
            }
            Ok(write.commit()?)
        })
    }

    /// redb's commit is durable.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

impl RedbEngine {
    fn try_do<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T> {
        work().map_err(|error| failed(&self.path, error))
    }
}

fn table(space: Space) -> Table {
    TableDefinition::new(space.name())
}

fn failed(path: &Path, error: impl Into<redb::Error>) -> Error {
    Error::Io {
        action: "use",
        path: path.to_owned(),
        reason: error.into().to_string(),
    }
}
