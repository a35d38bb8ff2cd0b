//! Calling the `source` world.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use wasmtime::component::ResourceAny;

use crate::bindings::exports::tenon::plugin::source as wire;
use crate::bindings::tenon::plugin::types::Determinism;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::guest::{Guest, Idle, LogLine, clip, guest_error};
use crate::limits::Limits;
use crate::map::Bytes;
use crate::plugin::{Plugin, link_error};
use crate::rebuild::Receiver;
use crate::schema::from_wire;

/// Most pieces of one source.
const MAX_SPLITS: usize = 100_000;
/// Most bytes of a piece's name.
const MAX_SPLIT_NAME_BYTES: usize = 1_024;
/// Most bytes that a piece's reader is given to find it.
const MAX_PAYLOAD_BYTES: usize = 64 << 10;

/// What a `source` function reads; the guest's answer to `bind`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBinding {
    /// The function's name.
    pub function: String,
    /// Its configuration, a JSON object.
    pub config: String,
    /// All columns that there are.
    pub output: SchemaRef,
    /// Whether reading twice gives the same rows.
    pub deterministic: bool,
}

impl SourceBinding {
    /// The schema of a reading of these columns.
    ///
    /// # Errors
    /// There is no such column.
    pub fn schema_of(&self, columns: &[usize]) -> Result<SchemaRef> {
        let schema = self.output.project(columns);
        schema
            .map(Arc::new)
            .map_err(|e| Error::Host(format!("no such columns of a source: {e}")))
    }
}

/// A piece of a source that can be read alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Unique within the source.
    pub name: String,
    /// What its reader needs to find it.
    pub payload: Vec<u8>,
    /// How many rows it may have.
    pub rows: Option<u64>,
}

impl Plugin {
    /// Asks a `source` function what it reads.
    ///
    /// # Errors
    /// The function does not exist, refuses, crashes, or answers nonsense.
    pub async fn bind_source(
        &self,
        function: &str,
        config: &str,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<SourceBinding> {
        let (mut guest, source) = self.start_source(limits, budget).await?;
        let answer = guest
            .call(async |store| source.call_bind(store, function, config).await)
            .await?;
        let answer = answer.map_err(|e| guest_error(e, limits))?;
        Ok(SourceBinding {
            function: function.to_owned(),
            config: config.to_owned(),
            output: from_wire(&answer.output, limits.columns)?,
            deterministic: matches!(answer.determinism, Determinism::Deterministic),
        })
    }

    /// The pieces of a run that reads these columns of [`SourceBinding::output`], and at most `limit` rows.
    ///
    /// # Errors
    /// What the guest reports, what stopped it, or a piece that breaks the contract.
    pub async fn splits(
        &self,
        binding: &SourceBinding,
        columns: &[usize],
        limit: Option<u64>,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<Vec<Split>> {
        let columns = positions(columns)?;
        let (mut guest, source) = self.start_source(limits, budget).await?;
        let answer = guest
            .call(async |store| {
                source
                    .call_splits(store, &binding.function, &binding.config, &columns, limit)
                    .await
            })
            .await?;
        checked(answer.map_err(|e| guest_error(e, limits))?)
    }

    /// Starts an instance that reads pieces, one after the other.
    ///
    /// # Errors
    /// No room for it, or the guest crashes.
    pub async fn open_source(
        &self,
        binding: &SourceBinding,
        columns: &[usize],
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<SourceInstance> {
        let (guest, source) = self.start_source(limits, budget).await?;
        Ok(SourceInstance {
            guest,
            source,
            receiver: Receiver::new(binding.schema_of(columns)?),
            columns: positions(columns)?,
            binding: binding.clone(),
            reader: None,
            bytes: Bytes::default(),
            idle: Idle::default(),
        })
    }

    async fn start_source(
        &self,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<(Guest, wire::Guest)> {
        let export = self.source_export()?;
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let source = export
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        Ok((guest, source))
    }
}

/// A running `source`.
pub struct SourceInstance {
    guest: Guest,
    source: wire::Guest,
    receiver: Receiver,
    columns: Vec<u32>,
    binding: SourceBinding,
    /// Of the piece in hand.
    reader: Option<ResourceAny>,
    bytes: Bytes,
    idle: Idle,
}

impl std::fmt::Debug for SourceInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceInstance")
            .field("function", &self.binding.function)
            .finish_non_exhaustive()
    }
}

impl SourceInstance {
    /// Begins with a piece; what was left of the one before is not read.
    ///
    /// # Errors
    /// What the guest reports, or what stopped it.
    pub async fn open(&mut self, split: &Split) -> Result<()> {
        self.close().await?;
        let (source, binding, columns) = (&self.source, &self.binding, &self.columns);
        let answer = self
            .guest
            .call(async |store| {
                let (function, config) = (&binding.function, &binding.config);
                source
                    .reader()
                    .call_open(store, function, config, columns, &split.payload)
                    .await
            })
            .await?;
        self.bytes.sent += split.payload.len();
        self.reader = Some(answer.map_err(|e| guest_error(e, self.guest.limits()))?);
        Ok(())
    }

    /// The next rows of the piece in hand, perhaps none; `None` when it has no more.
    ///
    /// # Errors
    /// What the guest reports, what stopped it, or a batch that breaks the contract.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(reader) = self.reader else {
            return Ok(None);
        };
        let source = &self.source;
        let answer = self
            .guest
            .call(async |store| source.reader().call_next(store, reader).await)
            .await?;
        let Some(batch) = answer.map_err(|e| guest_error(e, self.guest.limits()))? else {
            self.close().await?;
            return Ok(None);
        };
        self.idle.step(batch.rows as usize, true)?;
        self.bytes.received += batch.buffers.iter().map(Vec::len).sum::<usize>();
        self.receiver.batch(batch).map(Some)
    }

    /// Lets the guest free what its reader holds, so that many pieces do not add up.
    async fn close(&mut self) -> Result<()> {
        match self.reader.take() {
            Some(reader) => {
                self.guest
                    .call(async |store| reader.resource_drop_async(store).await)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Bytes that crossed so far.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// High-water mark of its linear memory, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.guest.memory_bytes()
    }

    /// Fuel that its calls used so far; 0 where time is the meter.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.guest.fuel()
    }

    /// Lines that it logged since the last time.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.guest.take_log()
    }
}

fn positions(columns: &[usize]) -> Result<Vec<u32>> {
    let positions = columns.iter().map(|&column| u32::try_from(column));
    positions
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| Error::Host(format!("no such column of a source: {e}")))
}

fn checked(splits: Vec<wire::Split>) -> Result<Vec<Split>> {
    if splits.len() > MAX_SPLITS {
        return Err(Error::contract(format!(
            "it has {} splits; {MAX_SPLITS} are allowed",
            splits.len()
        )));
    }
    let mut names = HashSet::with_capacity(splits.len());
    for split in &splits {
        let shown = || clip(&split.name, 80);
        if split.name.is_empty() || split.name.len() > MAX_SPLIT_NAME_BYTES {
            return Err(Error::contract(format!(
                "it names a split {:?}, of {} bytes; 1 to {MAX_SPLIT_NAME_BYTES} are allowed",
                shown(),
                split.name.len()
            )));
        }
        if split.payload.len() > MAX_PAYLOAD_BYTES {
            return Err(Error::contract(format!(
                "its split {:?} has a payload of {} bytes; {MAX_PAYLOAD_BYTES} are allowed",
                shown(),
                split.payload.len()
            )));
        }
        if !names.insert(split.name.as_str()) {
            return Err(Error::contract(format!(
                "it names two splits {:?}",
                shown()
            )));
        }
    }
    let split = |split: wire::Split| Split {
        name: split.name,
        payload: split.payload,
        rows: split.rows,
    };
    Ok(splits.into_iter().map(split).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(splits: &[(&str, usize)]) -> Result<usize, String> {
        let split = |(name, bytes): &(&str, usize)| wire::Split {
            name: (*name).to_owned(),
            payload: vec![0; *bytes],
            rows: None,
        };
        let splits = checked(splits.iter().map(split).collect());
        splits.map(|s| s.len()).map_err(|e| e.to_string())
    }

    #[test]
    fn pieces_keep_the_contract() {
        assert_eq!(said(&[("a", 0), ("b", MAX_PAYLOAD_BYTES)]), Ok(2));
        let refused = |splits: &[(&str, usize)], words: &str| {
            let said = said(splits).unwrap_err();
            assert!(said.contains(words), "{said}");
        };
        refused(&[("", 0)], "of 0 bytes; 1 to 1024 are allowed");
        refused(&[(&"n".repeat(1_025), 0)], "of 1025 bytes");
        refused(&[("a", 0), ("a", 1)], "it names two splits \"a\"");
        refused(&[("a", MAX_PAYLOAD_BYTES + 1)], "a payload of 65537 bytes");
        let many: Vec<String> = (0..=MAX_SPLITS).map(|n| n.to_string()).collect();
        let many: Vec<(&str, usize)> = many.iter().map(|name| (name.as_str(), 0)).collect();
        refused(&many, "it has 100001 splits");
    }
}
