//! The one thread that writes.
//!
//! It takes the transactions that wait, checks each against the store and those before it in the group, writes
//! the survivors to the journal with one sync, applies them to the engine with the state last, and
//! answers. Nothing is answered before the group is in the journal, not even a refusal: the change that caused
//! it might still be lost.
//!
//! After the first failure of the journal or the engine it answers everything with [`Error::Stopped`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::clock::unix_millis;
use crate::digest::Digest;
use crate::engine::{Engine, Op};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::journal::record::Stamp;
use crate::state::{Ledger, Position, Shared};
use crate::transaction::{Change, Commit, Transaction};
use crate::value::{self, Head, Place};

/// Bytes of payload in one group; a larger transaction makes a group of its own.
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// A transaction and where its outcome goes.
pub(crate) struct Command {
    pub(crate) transaction: Transaction,
    pub(crate) answer: SyncSender<Result<Commit>>,
}

pub(crate) struct Writer<E> {
    pub(crate) shared: Arc<Shared<E>>,
    pub(crate) journal: Journal,
    pub(crate) commands: Receiver<Command>,
    pub(crate) group_limit: usize,
    /// Bytes of journal after which the keeper is woken for a checkpoint.
    pub(crate) checkpoint_journal_bytes: u64,
    pub(crate) wake_keeper: SyncSender<()>,
}

impl<E: Engine> Writer<E> {
    /// Works until every sender of commands is gone.
    pub(crate) fn run(mut self) {
        while let Ok(first) = self.commands.recv() {
            let group = self.gather(first);
            self.process(group);
        }
    }

    fn gather(&self, first: Command) -> Vec<Command> {
        let mut bytes = first.transaction.payload_bytes();
        let mut group = vec![first];
        while group.len() < self.group_limit && bytes < GROUP_BYTES {
            let Ok(next) = self.commands.try_recv() else {
                break;
            };
            bytes += next.transaction.payload_bytes();
            group.push(next);
        }
        group
    }

    fn process(&mut self, group: Vec<Command>) {
        let outcomes = match self.shared.stopped.get() {
            Some(reason) => group.iter().map(|_| Err(stopped(reason))).collect(),
            None => self.write(&group),
        };
        for (command, outcome) in group.into_iter().zip(outcomes) {
            // A caller that no longer waits has nothing to be told.
            let _ = command.answer.send(outcome);
        }
    }

    fn write(&mut self, group: &[Command]) -> Vec<Result<Commit>> {
        let shared = Arc::clone(&self.shared);
        let before = shared.position();
        let mut plan = Plan::new(&shared.engine, before);
        let outcomes: Vec<_> = group
            .iter()
            .map(|command| shared.watch(plan.add(&command.transaction)))
            .collect();
        if plan.records.is_empty() {
            return outcomes;
        }
        match self.perform(before, plan) {
            Ok(()) => outcomes,
            Err(error) => {
                let reason = error.to_string();
                tracing::error!(reason, "the store stops accepting writes");
                // Damage that was found meanwhile is the better reason.
                let _ = shared.stopped.set(reason.clone());
                group.iter().map(|_| Err(stopped(&reason))).collect()
            }
        }
    }

    /// Journal first, then the engine.
    fn perform(&mut self, before: Position, plan: Plan<'_, E>) -> Result<()> {
        let Plan {
            ops,
            records,
            mut ledger,
            ..
        } = plan;
        let unix_millis = unix_millis(&*self.shared.clock);
        let mut deltas: Vec<Digest> = Vec::with_capacity(ops.len());
        let mut after = before;
        let mut entries = Vec::with_capacity(records.len());
        for record in &records {
            let first = deltas.len();
            for op in &ops[first..record.ops_end] {
                deltas.push(ledger.add(op)?);
            }
            after = Position {
                seq: record.seq,
                digest: ledger.digest,
            };
            let stamp = Stamp {
                seq: record.seq,
                durable: before.seq,
                unix_millis,
                digest: ledger.digest,
                tenant: record.tenant,
                actor: record.actor.clone(),
            };
            entries.push((stamp, &ops[first..record.ops_end]));
        }
        let written = self.journal.append(&entries)?;
        let total = written
            + self
                .shared
                .journal_bytes
                .fetch_add(written, Ordering::AcqRel);
        self.shared.apply(ops, &deltas, after)?;
        if total >= self.checkpoint_journal_bytes {
            // Full: it was woken before and has not got to it.
            let _ = self.wake_keeper.try_send(());
        }
        Ok(())
    }
}

fn stopped(reason: &str) -> Error {
    Error::Stopped {
        reason: reason.to_owned(),
    }
}

/// A transaction of the group that will happen.
struct Planned {
    seq: u64,
    tenant: u32,
    actor: String,
    /// Where its operations end in the group's.
    ops_end: usize,
}

/// Decides what a group of transactions does, without doing it.
struct Plan<'a, E> {
    engine: &'a E,
    /// Records as the transactions accepted so far leave them.
    heads: HashMap<Place, Option<Head>>,
    /// Learns from what is read for `heads`, so that nothing is read twice.
    ledger: Ledger<'a, E>,
    ops: Vec<Op>,
    records: Vec<Planned>,
    last_seq: u64,
}

impl<'a, E: Engine> Plan<'a, E> {
    fn new(engine: &'a E, before: Position) -> Self {
        Self {
            engine,
            heads: HashMap::new(),
            ledger: Ledger::new(engine, before.digest),
            ops: Vec::new(),
            records: Vec::new(),
            last_seq: before.seq,
        }
    }

    /// Accepts a transaction completely or not at all.
    fn add(&mut self, transaction: &Transaction) -> Result<Commit> {
        for (tree, key, expected) in &transaction.preconditions {
            let place = Place {
                tree: *tree,
                stored_key: key.stored(transaction.tenant),
            };
            let found = self.head(&place)?.map(|head| head.version);
            if !expected.accepts(found) {
                return Err(Error::Conflict {
                    tree: *tree,
                    key: key.clone(),
                    expected: *expected,
                    found,
                });
            }
        }
        if transaction.is_empty() {
            return Ok(Commit {
                seq: self.last_seq,
                versions: Vec::new(),
            });
        }
        // Everything that can fail is read before the first change is noted.
        let mut changes = Vec::with_capacity(transaction.changes.len());
        for (tree, key, change) in &transaction.changes {
            let place = Place {
                tree: *tree,
                stored_key: key.stored(transaction.tenant),
            };
            let old = self.head(&place)?;
            changes.push((place, old, change));
        }
        self.last_seq += 1;
        let versions = changes
            .into_iter()
            .filter_map(|(place, old, change)| self.change(place, old, change));
        let versions = versions.collect();
        self.records.push(Planned {
            seq: self.last_seq,
            tenant: transaction.tenant.number(),
            actor: transaction.actor.clone(),
            ops_end: self.ops.len(),
        });
        Ok(Commit {
            seq: self.last_seq,
            versions,
        })
    }

    fn change(&mut self, place: Place, old: Option<Head>, change: &Change) -> Option<u64> {
        let head = match change {
            Change::Delete => {
                value::delete(&mut self.ops, &place, old);
                None
            }
            Change::Put { schema, payload } => {
                // A new record starts at its sequence number, which exceeds every version the key ever had:
                // deleting and creating again never repeats a version.
                let version = old.map_or(self.last_seq, |head| head.version + 1);
                let envelope = Envelope {
                    schema: *schema,
                    flags: 0,
                    version,
                    seq: self.last_seq,
                };
                Some(value::put(&mut self.ops, &place, envelope, payload, old))
            }
        };
        self.heads.insert(place, head);
        head.map(|head| head.version)
    }

    fn head(&mut self, place: &Place) -> Result<Option<Head>> {
        if let Some(head) = self.heads.get(place) {
            return Ok(*head);
        }
        let value = self.engine.get(place.space(), &place.stored_key)?;
        self.ledger
            .found(place.space(), &place.stored_key, value.as_deref());
        let head = value.map(|value| value::head(place, &value)).transpose()?;
        self.heads.insert(place.clone(), head);
        Ok(head)
    }
}
