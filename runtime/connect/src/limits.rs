//! [`ReadLimits`]: what a file may ask of its reader.
//!
//! A file is written by anybody. Each limit is finite by default, far above what honest files need, and
//! an error that names the limit says what was asked: [`Error::Limit`].

use crate::error::{Error, Result};

/// What a file may ask of its reader, per file that is opened.
///
/// | field | guards against |
/// |---|---|
/// | `decompressed_bytes`, `ratio` | decompression bombs |
/// | `columns`, `nesting_depth` | schemas that are larger than their data |
/// | `value_bytes`, `record_bytes` | a quote, bracket or tag that is never closed |
/// | `memory_bytes` | formats that cannot be read a piece at a time |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes that come out of a compressed stream, at most. Default: 256 GiB.
    pub decompressed_bytes: u64,
    /// Bytes that come out for each byte that goes in, at most; looked at once 64 MiB came out, so that
    /// small files may be as regular as they like. Default: 250. Text seldom reaches 50.
    pub ratio: u64,
    /// Columns of a table, those inside of others counted. Default: 10 000.
    pub columns: u64,
    /// Structs, lists and elements inside of each other. Default: 64.
    pub nesting_depth: u64,
    /// Bytes of one value. Default: 16 MiB.
    pub value_bytes: u64,
    /// Bytes of one line, or of one record where records are no lines. Default: 16 MiB.
    pub record_bytes: u64,
    /// Bytes in memory for what must be held whole: a compressed block, a batch of Arrow's own format, a
    /// sheet, a file that needs seeking but is compressed. Default: 1 GiB. Multiply by the partitions that
    /// are read at once.
    pub memory_bytes: u64,
}

/// Before this much came out, no ratio is suspicious.
const RATIO_FROM_BYTES: u64 = 64 << 20;

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            decompressed_bytes: 256 << 30,
            ratio: 250,
            columns: 10_000,
            nesting_depth: 64,
            value_bytes: 16 << 20,
            record_bytes: 16 << 20,
            memory_bytes: 1 << 30,
        }
    }
}

impl ReadLimits {
    /// Whether `produced` bytes may have come out of `consumed` ones so far.
    pub(crate) fn check_decompression(
        &self,
        file: &str,
        consumed: u64,
        produced: u64,
    ) -> Result<()> {
        if produced > self.decompressed_bytes {
            return Err(exceeded(
                file,
                "decompressed_bytes",
                self.decompressed_bytes,
                format!("{produced} bytes came out of {consumed} compressed ones so far"),
            ));
        }
        if produced > RATIO_FROM_BYTES && produced / consumed.max(1) > self.ratio {
            return Err(exceeded(
                file,
                "ratio",
                self.ratio,
                format!("{produced} bytes came out of {consumed} compressed ones so far"),
            ));
        }
        Ok(())
    }

    pub(crate) fn check_memory(&self, file: &str, what: &str, bytes: u64) -> Result<()> {
        check(file, "memory_bytes", self.memory_bytes, bytes, || {
            format!("{what} needs {bytes} bytes in memory")
        })
    }

    pub(crate) fn check_columns(&self, file: &str, columns: u64) -> Result<()> {
        check(file, "columns", self.columns, columns, || {
            format!("it has at least {columns} columns, nested ones counted")
        })
    }

    pub(crate) fn check_depth(&self, file: &str, depth: u64) -> Result<()> {
        check(file, "nesting_depth", self.nesting_depth, depth, || {
            format!("it is nested {depth} levels deep or more")
        })
    }

    pub(crate) fn check_value(&self, place: &str, bytes: u64) -> Result<()> {
        check(place, "value_bytes", self.value_bytes, bytes, || {
            format!("a value has {bytes} bytes or more")
        })
    }

    pub(crate) fn check_record(&self, place: &str, what: &str, bytes: u64) -> Result<()> {
        check(place, "record_bytes", self.record_bytes, bytes, || {
            format!("{what} has {bytes} bytes or more")
        })
    }
}

fn check(
    place: &str,
    limit: &'static str,
    value: u64,
    asked: u64,
    text: impl FnOnce() -> String,
) -> Result<()> {
    if asked <= value {
        return Ok(());
    }
    Err(exceeded(place, limit, value, text()))
}

fn exceeded(file: &str, limit: &'static str, value: u64, asked: String) -> Error {
    Error::Limit {
        file: file.to_owned(),
        limit,
        value,
        asked,
    }
}
