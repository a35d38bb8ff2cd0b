//! [`Change`]: what the journal says happened, for an audit log. It reaches back as far as the journal is kept:
//! to the second newest checkpoint.

use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::record::Entry;
use crate::journal::{self, reader};
use crate::key::{Key, Tenant};
use crate::state::Shared;
use crate::tree::{Space, Tree};

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

/// The transactions of a tenant after `after_seq` that are durable and still in the journal, oldest first, at
/// most `limit`.
pub(crate) fn changes<E: Engine>(
    shared: &Shared<E>,
    tenant: Tenant,
    after_seq: u64,
    limit: usize,
) -> Result<Vec<Change>> {
    let last_seq = shared.position().seq;
    if after_seq >= last_seq {
        return Ok(Vec::new());
    }
    // No file is removed meanwhile.
    let _upkeep = shared.upkeep.lock();
    let folder = shared.dir.join(journal::FOLDER);
    let segments = journal::segments(&*shared.disk, &folder)?;
    let first = segments.first().map_or(1, |(seq, _)| *seq);
    let mut changes = Vec::new();
    let outcome = reader::read(
        &*shared.disk,
        &folder,
        first.max(after_seq + 1),
        &mut |entry| {
            let wanted = entry.stamp.tenant == tenant.number() && entry.stamp.seq <= last_seq;
            if wanted && changes.len() < limit {
                changes.push(change(entry));
            }
            Ok(())
        },
    );
    match outcome {
        // A group that is just being written.
        Err(Error::DamagedJournal { record, .. }) if record > last_seq => {}
        outcome => drop(outcome?),
    }
    Ok(changes)
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
