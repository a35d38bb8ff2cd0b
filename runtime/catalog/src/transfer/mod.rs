//! Export and import of a catalog as one file.
//!
//! ```text
//! {"Format": "tenon-catalog", "Version": 2, "Account": ...}
//! {"DefaultCatalog": {...}}
//! {"EncryptionSettings": {...}}  {"ResourcePolicy": {...}}  {"SecurityConfiguration": {...}}...  {"Connection": {...}}...
//! {"Database": {...}}
//!   {"Function": {...}}...
//!   {"Table": {...}}  {"TableVersion": {...}}...  {"PartitionIndexes": {...}}  {"ColumnStatistics": {...}}
//!     {"Partition": {...}}...  {"ColumnStatistics": {"Values": [...], ...}}...
//! {"Catalog": {...}}             a nested catalog; what follows lies in it, the same lines again
//! {"Sha256": of every byte before this line, "Objects": as written}
//! ```
//!
//! A line `{"Tags": {...}}` before an object has its tags. One JSON object in a line, in Glue's own words, so that the
//! file outlives any stored layout. An import reads the file twice: first the checksum, the counts and the order
//! of the lines must hold, then objects are created. A table comes with its tags, old versions, definitions of
//! indexes and statistics in one transaction; partitions come in batches. What exists is left as it is, so an import
//! that was interrupted can be run again.
//!
//! **Secrets of connections are left out.** They are sealed for this server, this tenant and this connection, so they would
//! be of no use elsewhere; a connection that was imported needs them given again.
//!
//! An export is no snapshot: what is written meanwhile may be in it or not, each object as a whole. Partition
//! indexes that failed or are being deleted are not in it.
//!
//! | module | what |
//! |---|---|
//! | `object` | what a line can hold |
//! | `file` | header, footer, checking a file |
//! | `export` | a catalog becomes lines |
//! | `import`, `create` | lines become objects; each kind's transaction |

mod create;
mod export;
mod file;
mod import;
mod object;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use crate::catalog::TenantCatalog;
use crate::error::Error;

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file is not whole, or not one of this format. Nothing was imported.
    #[error("the file cannot be imported: line {line}: {reason}")]
    Damaged {
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// The file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] Error),
}

/// Objects by kind.
pub type Counts = BTreeMap<String, u64>;

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Objects that were created.
    pub created: Counts,
    /// Objects that were there and were left as they are.
    pub existing: Counts,
    /// Objects that could not be created.
    pub failed: Counts,
    /// The first of those, each with its reason.
    pub reasons: Vec<String>,
}

impl TenantCatalog {
    /// Writes everything in this catalog but the secrets of connections; the default catalog with all nested ones.
    /// Returns how many objects of each kind there were.
    ///
    /// # Errors
    /// [`TransferError::Io`], [`TransferError::Catalog`].
    pub fn export(&self, writer: &mut dyn Write) -> Result<Counts, TransferError> {
        export::export(self, writer)
    }

    /// Creates what a file of [`TenantCatalog::export`] holds, after it was found whole. What is there already
    /// is left as it is.
    ///
    /// # Errors
    /// [`TransferError::Damaged`] and nothing was done; [`TransferError::Io`], and [`TransferError::Catalog`] when
    /// the store fails. What one object's definition has against it is in the report.
    pub fn import(&self, reader: &mut (impl Read + Seek)) -> Result<ImportReport, TransferError> {
        let start = reader.stream_position()?;
        file::verify(reader, self.is_default())?;
        reader.seek(io::SeekFrom::Start(start))?;
        import::import(self, reader)
    }
}
