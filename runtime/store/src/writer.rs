//! The one thread that writes.
//!
//! It takes the transactions that wait, checks each against the store and those before it in the group, and
//! applies the survivors as one atomic set of operations. Nothing is answered before that set is durable,
//! not even a refusal: the change that caused it might still be lost.
//!
//! After the first failure of the engine or the disk it answers everything with [`Error::Stopped`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use parking_lot::RwLock;

use crate::engine::{Engine, Op};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::transaction::{Change, Commit, Transaction};
use crate::value::{self, Head, Place};

/// Name of the sequence number in the meta space.
pub(crate) const LAST_SEQ: &str = "last-seq";

/// Bytes of payload in one group; a larger transaction makes a group of its own.
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// A transaction and where its outcome goes.
pub(crate) struct Command {
    pub(crate) transaction: Transaction,
    pub(crate) answer: SyncSender<Result<Commit>>,
}

pub(crate) struct Writer<E> {
    pub(crate) engine: Arc<E>,
    /// Held for writing while operations are applied, so that no read sees half of a transaction.
    pub(crate) view: Arc<RwLock<()>>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) group_limit: usize,
    pub(crate) last_seq: u64,
    /// Why nothing is written any more.
    pub(crate) stopped: Option<String>,
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
        let outcomes = match &self.stopped {
            Some(reason) => group.iter().map(|_| Err(stopped(reason))).collect(),
            None => self.write(&group),
        };
        for (command, outcome) in group.into_iter().zip(outcomes) {
            // A caller that no longer waits has nothing to be told.
            let _ = command.answer.send(outcome);
        }
    }

    fn write(&mut self, group: &[Command]) -> Vec<Result<Commit>> {
        let mut plan = Plan::new(&*self.engine, self.last_seq);
        let outcomes: Vec<_> = group
            .iter()
            .map(|command| plan.add(&command.transaction))
            .collect();
        let (ops, last_seq) = plan.finish();
        if ops.is_empty() {
            return outcomes;
        }
        // The journal's place: everything is decided, nothing is touched.
        match self.apply(&ops) {
            Ok(()) => {
                self.last_seq = last_seq;
                outcomes
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::error!(reason, "the store stops accepting writes");
                self.stopped = Some(reason.clone());
                group.iter().map(|_| Err(stopped(&reason))).collect()
            }
        }
    }

    fn apply(&self, ops: &[Op]) -> Result<()> {
        let view = self.view.write();
        self.engine.apply(ops)?;
        drop(view);
        self.engine.sync()
    }
}

fn stopped(reason: &str) -> Error {
    Error::Stopped {
        reason: reason.to_owned(),
    }
}

/// Decides what a group of transactions does, without doing it.
struct Plan<'a, E> {
    engine: &'a E,
    /// Records as the transactions accepted so far leave them.
    heads: HashMap<Place, Option<Head>>,
    ops: Vec<Op>,
    last_seq: u64,
}

impl<'a, E: Engine> Plan<'a, E> {
    fn new(engine: &'a E, last_seq: u64) -> Self {
        Self {
            engine,
            heads: HashMap::new(),
            ops: Vec::new(),
            last_seq,
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
        let head = value::read_head(self.engine, place)?;
        self.heads.insert(place.clone(), head);
        Ok(head)
    }

    fn finish(mut self) -> (Vec<Op>, u64) {
        if !self.ops.is_empty() {
            self.ops
                .push(value::put_meta(LAST_SEQ, self.last_seq, self.last_seq));
        }
        (self.ops, self.last_seq)
    }
}
