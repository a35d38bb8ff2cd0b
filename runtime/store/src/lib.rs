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
//!                                               3 append the group to the journal, fdatasync once
//!                                               4 apply it to the engine, the state with its digest last
//!                                               5 answer everyone
//! callers ── get, scan ────────────> engine (no queue; one call sees no half of a transaction)
//!                                    keeper thread: verifies, writes checkpoints
//!
//! <dir>/LOCK                         held while open; who holds it owns the directory
//! <dir>/STATE                        format, and how the store was left: running in which boot, or clean
//! <dir>/journal/<first seq>.log      the truth: every transaction as the operations it came to
//! <dir>/checkpoint/<seq>             everything stored, sorted, with a sha256; the newest three
//! <dir>/sled/                        the engine: an index of the above that can be thrown away
//! <dir>/sled.bad.<time>/             an engine that was found damaged and rebuilt; the last one
//! ```
//!
//! | module | what |
//! |---|---|
//! | `store` | the [`Store`] trait, [`SledStore`], reading |
//! | `writer` | the one thread that writes |
//! | `journal` | its files, writing them, telling a torn end from damage |
//! | `checkpoint`, `keeper` | checkpoints; the thread that writes them and verifies, [`Status`] |
//! | `recovery`, `marker` | opening after a shutdown, a kill, a power cut, damage |
//! | `state`, `digest` | what the threads share; the fingerprint of everything stored |
//! | `maintenance`, `backup`, `history` | [`verify`], [`repair`], [`migrate`]; [`backup()`], [`restore`], [`check_backup`]; [`log`] |
//! | `transaction` | [`Transaction`], [`Expected`] |
//! | `key`, `tree` | [`Tenant`], [`Key`] and its order, [`Tree`] |
//! | `envelope`, `value` | what is around a payload; payloads that need several entries |
//! | `engine` | what the writer needs from a database; sled, and redb in tests |
//! | `clock`, `disk`, `folder`, `config` | [`Clock`], [`Disk`], the lock, [`StoreConfig`] |
//!
//! # Chosen and refused
//!
//! **One writer.** Preconditions over several keys, sequence numbers and group commit are trivial with one
//! thread, and sled's optimistic retries never happen. Several writers would buy nothing: the disk is the limit.
//!
//! **The journal is the truth, the engine an index.** sled 0.34's `flush()` calls `sync_file_range` on Linux,
//! which neither writes metadata nor empties the drive's cache; after a power cut sled loses acknowledged
//! writes, panics while opening, or, rarely, opens with other records than were written. So each group is
//! synced in our journal first, sled is synced with checkpoints only, and whatever is wrong with it, it is
//! rebuilt. Syncing sled's own files after each group was refused: slower, and it leaves the panics.
//!
//! **A failed sync is final.** A second one may report success although the data is gone: the store then refuses
//! writes until the process is restarted, and opening writes the last group again.
//!
//! **A digest of everything.** A database can be readable and wrong. The sum of a hash of every entry is kept
//! with each group, stored in every record of the journal, and compared: before serving after a power cut,
//! beside the work after a kill or a clean close, and with every checkpoint, so that no checkpoint is made of
//! damage and no journal removed for it.
//!
//! **A boot of the machine tells a kill from a power cut.** What a killed process wrote is in the system's
//! memory; waiting for a million records to be verified would buy nothing there.
//!
//! **Damage in the journal is refused, not skipped.** Acknowledged transactions may lie there. A torn end is
//! told from damage by what each record vouches for and by sectors that still hold zeros; giving up records is
//! a person's decision ([`repair`]).
//!
//! **Checkpoints scan beside the writer.** They hold entries of several moments; replaying the journal from
//! where the scan began makes them one state. Stopping the writer, or keeping old versions for a snapshot, was
//! refused: operations are absolute, so replay is enough. A checkpoint is put off while the journal has grown
//! by less than a sixteenth of the last one: a large store is not rewritten for a few changes.
//!
//! **At most 4 KiB in an entry.** sled moves pages above 128 KiB to files it never syncs; a leaf has up to 17
//! entries, so entries and keys are bounded to stay below. Larger payloads are cut into chunks in a tree of
//! their own, in the same transaction, unseen by callers.
//!
//! **Every value has our checksum**, covering the place it belongs to as well, whatever the engine checks.
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

pub use backup::{BackupReport, backup, check_backup, restore};
pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{StoreConfig, VerifyOnOpen};
pub use disk::{Disk, DiskFile, SystemDisk};
pub use error::{Error, Result};
pub use history::{Change, Log, Touched, log};
pub use keeper::{Status, Verified};
pub use key::{BadKey, Key, KeyReader, MAX_KEY_BYTES, Tenant};
pub use maintenance::{CheckpointReport, Report, migrate, repair, verify};
pub use store::{Page, Record, SledStore, Store};
pub use transaction::{Commit, Expected, MAX_ACTOR_BYTES, Transaction};
pub use tree::Tree;
pub use value::MAX_PAYLOAD_BYTES;
