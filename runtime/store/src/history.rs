//! [`log`]: what the journal says happened, transaction by transaction, for whoever must decide up to where to
//! [`crate::repair`] a store. It reaches back as far as the journal is kept: to the second newest checkpoint.

use std::path::Path;

use serde::Serialize;

use crate::disk::SystemDisk;
use crate::error::{Error, Result};
use crate::journal::record::Entry;
use crate::journal::{self, reader};
use crate::key::{Key, Tenant};
use crate::maintenance::lock_existing;
use crate::tree::{Space, Tree};

/// Some transactions of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// The transactions, oldest first.
    pub changes: Vec<Change>,
    /// Why the journal cannot be read further, a sentence.
    pub problem: Option<String>,
}

/// A transaction as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of all transactions.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970.
    pub unix_millis: u64,
    /// Whose records it changed.
    pub tenant: Tenant,
    /// On whose behalf, as given to [`crate::Transaction::by`].
    pub actor: String,
    /// The records it touched.
    pub records: Vec<(Tree, Key, Touched)>,
}

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touched {
    /// It was written.
    Put,
    /// It was removed.
    Deleted,
}

/// The transactions of all tenants after `after_seq` that are in the journal, at most `limit`. Works on a directory
/// nobody has open and changes nothing there.
///
/// # Errors
/// [`Error::Locked`], [`Error::Io`]. Damage is no error: what comes before it is there, and [`Log::problem`] says
/// where it is.
pub fn log(dir: &Path, after_seq: u64, limit: usize) -> Result<Log> {
    let _lock = lock_existing(dir)?;
    let folder = dir.join(journal::FOLDER);
    let segments = journal::segments(&SystemDisk, &folder)?;
    let first = segments.first().map_or(1, |(seq, _)| *seq);
    let mut log = Log::default();
    let outcome = reader::read(&SystemDisk, &folder, first, &mut |entry| {
        if entry.stamp.seq > after_seq && log.changes.len() < limit {
            log.changes.push(change(entry));
        }
        Ok(())
    });
    match outcome {
        Err(error @ Error::DamagedJournal { .. }) => log.problem = Some(error.to_string()),
        outcome => drop(outcome?),
    }
    Ok(log)
}

fn change(entry: Entry) -> Change {
    let records = entry.ops.into_iter().filter_map(|op| {
        let touched = match op.value {
            Some(_) => Touched::Put,
            None => Touched::Deleted,
        };
        match op.space {
            Space::Records(tree) => Some((tree, Key::of_stored(&op.key), touched)),
            Space::Chunks | Space::Meta => None,
        }
    });
    Change {
        records: records.collect(),
        seq: entry.stamp.seq,
        unix_millis: entry.stamp.unix_millis,
        tenant: Tenant::new(entry.stamp.tenant),
        actor: entry.stamp.actor,
    }
}
