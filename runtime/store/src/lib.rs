//! Typed, versioned records behind one writer.
//!
//! A [`Store`] holds records in a few named [`Tree`]s. A record is found by [`Tenant`], tree and [`Key`]; it
//! carries a payload, the schema version of that payload and an object version for optimistic locking.
//! A [`Transaction`] is a list of preconditions and a list of changes, and happens completely or not at all.
//!
//! ```text
//! callers ── commit(Transaction) ──> queue ──> writer thread
//!                                               1 take all that wait, at most a group
//!                                               2 check preconditions, assign sequence numbers
//!                                               3 apply the group to the engine, atomically
//!                                               4 make it durable: flush, then fsync ourselves
//!                                               5 answer everyone
//! callers ── get, scan ────────────> engine (no queue; one call sees no half of a transaction)
//! ```
//!
//! | module | what |
//! |---|---|
//! | `store` | the [`Store`] trait, [`SledStore`], reading |
//! | `writer` | the one thread that writes |
//! | `transaction` | [`Transaction`], [`Expected`] |
//! | `key`, `tree` | [`Tenant`], [`Key`] and its order, [`Tree`] |
//! | `envelope`, `value` | what is around a payload; payloads that need several entries |
//! | `engine` | what the writer needs from a database; sled, and redb in tests |
//! | `clock`, `disk`, `config` | [`Clock`], [`Disk`], [`StoreConfig`] |
//!
//! # Chosen and refused
//!
//! **One writer.** Preconditions over several keys, sequence numbers and group commit are trivial with one
//! thread, and sled's optimistic retries never happen. Several writers would buy nothing: the disk is the limit.
//!
//! **Durable means fsync.** sled 0.34's `flush()` calls `sync_file_range` on Linux, which neither writes
//! metadata nor empties the drive's cache, and it loses acknowledged writes in a power cut. After each flush we
//! sync sled's files ourselves. A sync that failed is final, because a second one may report success although
//! the data is gone: the store then refuses writes until the process is restarted.
//!
//! **At most 4 KiB in an entry.** sled moves pages above 128 KiB to files it never syncs; a leaf has up to 17
//! entries, so entries and keys are bounded to stay below. Larger payloads are cut into chunks in a tree of
//! their own, in the same transaction, unseen by callers.
//!
//! **Every value has our checksum**, covering the place it belongs to as well, whatever the engine checks.
//!
//! **A read may be ahead of the disk.** It sees transactions as soon as they are applied, which is before they
//! are durable and acknowledged. What a power cut then takes back was acknowledged to nobody.
//!
//! # Not here yet
//!
//! The journal that makes the engine rebuildable goes between steps 2 and 3: the writer then holds the complete
//! list of operations of the group and has touched nothing. With it come checkpoints, the state digest and the
//! rebuild of a database that was found damaged; until then damage is reported, never repaired.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails should say so at once"
    )
)]

mod backup;
mod checkpoint;
mod clock;
mod config;
mod digest;
mod disk;
mod engine;
mod envelope;
mod error;
mod folder;
mod history;
mod journal;
mod keeper;
mod key;
mod maintenance;
mod marker;
mod recovery;
mod state;
mod store;
mod transaction;
mod tree;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub use backup::{BackupReport, backup, restore};
pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{StoreConfig, VerifyOnOpen};
pub use disk::{Disk, DiskFile, SystemDisk};
pub use error::{Error, Result};
pub use history::{Change, Touched};
pub use keeper::{Status, Verified};
pub use key::{BadKey, Key, KeyReader, MAX_KEY_BYTES, Tenant};
pub use maintenance::{CheckpointReport, Report, migrate, repair, verify};
pub use store::{Page, Record, SledStore, Store};
pub use transaction::{Commit, Expected, Transaction};
pub use tree::Tree;
pub use value::MAX_PAYLOAD_BYTES;
