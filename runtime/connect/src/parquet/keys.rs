//! [`ParquetKeys`]: what encrypted files are read and written with.
//!
//! [Modular encryption](https://github.com/apache/parquet-format/blob/master/Encryption.md), with keys that
//! are given outright. Keys that a key management service wraps must be unwrapped by the caller.

use std::fmt;
use std::sync::Arc;

use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;

use crate::error::{Error, Result};

/// An AES key of 16, 24 or 32 bytes. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ParquetKey(Vec<u8>);

impl ParquetKey {
    /// # Errors
    /// [`Error::Unsupported`] for another length, without the key.
    pub fn new(key: impl Into<Vec<u8>>) -> Result<Self> {
        let key = key.into();
        match key.len() {
            16 | 24 | 32 => Ok(Self(key)),
            length => Err(Error::Unsupported(format!(
                "a key of {length} bytes: parquet's encryption needs 16, 24 or 32"
            ))),
        }
    }
}

impl fmt::Debug for ParquetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParquetKey(..)")
    }
}

/// The keys of encrypted files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetKeys {
    /// Of the footer, and of every column without a key of its own.
    pub footer: ParquetKey,
    /// Of single columns, by their paths with dots. Default: none. When writing, columns that are not named
    /// stay in clear text as soon as one is.
    pub columns: Vec<(String, ParquetKey)>,
    /// What the writer mixed in so that files cannot be exchanged; needed for reading only if it was not
    /// stored in the file. Default: none.
    pub aad_prefix: Option<Vec<u8>>,
}

impl ParquetKeys {
    /// One key for everything.
    pub fn uniform(footer: ParquetKey) -> Self {
        Self {
            footer,
            columns: Vec::new(),
            aad_prefix: None,
        }
    }

    pub(super) fn decryption(&self) -> Result<Arc<FileDecryptionProperties>> {
        let mut builder = FileDecryptionProperties::builder(self.footer.0.clone());
        for (column, key) in &self.columns {
            builder = builder.with_column_key(column, key.0.clone());
        }
        if let Some(prefix) = &self.aad_prefix {
            builder = builder.with_aad_prefix(prefix.clone());
        }
        builder.build().map_err(|e| Error::Query(e.into()))
    }

    pub(super) fn encryption(&self) -> Result<Arc<FileEncryptionProperties>> {
        let mut builder = FileEncryptionProperties::builder(self.footer.0.clone());
        for (column, key) in &self.columns {
            builder = builder.with_column_key(column, key.0.clone());
        }
        if let Some(prefix) = &self.aad_prefix {
            builder = builder
                .with_aad_prefix(prefix.clone())
                .with_aad_prefix_storage(true);
        }
        builder.build().map_err(|e| Error::Query(e.into()))
    }
}
