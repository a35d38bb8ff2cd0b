//! [`Note`]: a record that goes along with somebody else's change.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::key::Key;
use crate::transaction::{MAX_ACTOR_BYTES, Transaction};
use crate::tree::Tree;

/// A record that is written with every change made on one behalf, in the change's transaction: what an audit log says
/// of it. Whoever commits calls [`Note::add`] before and [`Note::set_written`] after.
#[derive(Debug)]
pub struct Note {
    tree: Tree,
    key: Key,
    schema: u16,
    payload: Vec<u8>,
    actor: String,
    written: AtomicBool,
}

impl Note {
    /// A note among the tenant's records. Its key must be no key of whose changes it goes along with.
    #[must_use]
    pub const fn new(tree: Tree, key: Key, schema: u16, payload: Vec<u8>) -> Self {
        Self {
            tree,
            key,
            schema,
            payload,
            actor: String::new(),
            written: AtomicBool::new(false),
        }
    }

    /// Says on whose behalf the change happens, for the journal, which keeps the first [`MAX_ACTOR_BYTES`].
    #[must_use]
    pub fn by(mut self, actor: &str) -> Self {
        let end = actor.floor_char_boundary(MAX_ACTOR_BYTES);
        actor[..end].clone_into(&mut self.actor);
        self
    }

    /// Whether a change happened, and the note with it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// Adds the note to a transaction.
    #[must_use]
    pub fn add(&self, transaction: Transaction) -> Transaction {
        let (key, payload) = (self.key.clone(), self.payload.clone());
        transaction
            .by(self.actor.as_str())
            .put(self.tree, key, self.schema, payload)
    }

    /// Says that a transaction with the note happened.
    pub fn set_written(&self) {
        self.written.store(true, Ordering::Release);
    }
}
