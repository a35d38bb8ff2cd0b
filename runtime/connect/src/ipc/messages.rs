//! Messages whose lengths are true: [`Footer`] of a file, [`Messages`] of a stream.
//!
//! [The format](https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format):
//!
//! ```text
//! message: FF FF FF FF, bytes of the header (u32), header (flatbuffer), body
//! file:    "ARROW1", 2 bytes, a stream, footer (flatbuffer), bytes of the footer (i32), "ARROW1"
//! ```

use std::io::{Read, SeekFrom};
use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::{Block, Endianness, Message, MessageHeader, MetadataVersion};

use crate::compress::ReadSeek;
use crate::error::{Error, Result};
use crate::limits::ReadLimits;

pub(super) const MAGIC: &[u8; 6] = b"ARROW1";
const TRAILER_BYTES: u64 = 10;
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// What ends a stream.
pub(super) const END: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
/// Rows of one batch: what offsets can count.
const MAX_ROWS: i64 = i32::MAX as i64;

/// What the footer of a file says.
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) schema: SchemaRef,
    pub(super) version: MetadataVersion,
    pub(super) dictionaries: Vec<Block>,
    pub(super) batches: Vec<Block>,
}

impl Footer {
    /// Reads the footer; all blocks lie inside the file.
    pub(super) fn read(input: &mut dyn ReadSeek, name: &str, limits: &ReadLimits) -> Result<Self> {
        let corrupt = |message: &str| corrupt(name, message.to_owned());
        let io = |e| Error::io("read", name, e);
        let size = input.seek(SeekFrom::End(0)).map_err(io)?;
        if size < TRAILER_BYTES + MAGIC.len() as u64 {
            return Err(corrupt("it is too short for a footer"));
        }
        let trailer = read_at(input, size - TRAILER_BYTES, TRAILER_BYTES).map_err(io)?;
        let (length, magic) = trailer.split_at(4);
        if magic != MAGIC {
            return Err(corrupt("its end is missing"));
        }
        let length = i32::from_le_bytes(length.try_into().unwrap_or_default());
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if length > size - TRAILER_BYTES - MAGIC.len() as u64 {
            return Err(corrupt("its footer is longer than the file"));
        }
        limits.check_memory(name, "the footer", length)?;
        let footer = read_at(input, size - TRAILER_BYTES - length, length).map_err(io)?;
        let footer = arrow_ipc::root_as_footer(&footer)
            .map_err(|e| corrupt(&format!("its footer is not one: {e}")))?;
        let schema = footer
            .schema()
            .ok_or_else(|| corrupt("its footer has no schema"))?;
        check_order(schema, name)?;
        let check = |block: &Block| check_block(*block, size, name, limits);
        let dictionaries = footer.dictionaries();
        let batches = footer.recordBatches();
        Ok(Self {
            dictionaries: dictionaries
                .iter()
                .flatten()
                .map(check)
                .collect::<Result<_>>()?,
            batches: batches.iter().flatten().map(check).collect::<Result<_>>()?,
            schema: Arc::new(fb_to_schema(schema)),
            version: footer.version(),
        })
    }
}

fn check_order(schema: arrow_ipc::Schema<'_>, name: &str) -> Result<()> {
    if schema.endianness() == Endianness::Little {
        return Ok(());
    }
    Err(Error::Unsupported(format!(
        "{name}: its numbers are big-endian; write it on a little-endian machine"
    )))
}

fn check_block(block: Block, size: u64, name: &str, limits: &ReadLimits) -> Result<Block> {
    let end = u64::try_from(block.offset())
        .ok()
        .zip(u64::try_from(block.metaDataLength()).ok())
        .zip(u64::try_from(block.bodyLength()).ok())
        .and_then(|((offset, header), body)| offset.checked_add(header)?.checked_add(body));
    match end {
        Some(end) if end <= size => {
            limits.check_memory(name, "a batch", block.bodyLength() as u64)?;
            Ok(block)
        }
        _ => Err(corrupt(name, "a batch lies outside of it".into())),
    }
}

/// The message of a block, header and body.
pub(super) fn read_block(
    input: &mut dyn ReadSeek,
    block: &Block,
    name: &str,
    limits: &ReadLimits,
) -> Result<Buffer> {
    let header = block.metaDataLength() as u64;
    let length = header + block.bodyLength() as u64;
    let bytes =
        read_at(input, block.offset() as u64, length).map_err(|e| Error::io("read", name, e))?;
    if bytes.len() as u64 != length {
        return Err(corrupt(name, "it ends inside a batch".into()));
    }
    let (header, body) = bytes.split_at(header as usize);
    let skipped = if header.starts_with(&CONTINUATION) {
        8
    } else {
        4
    };
    let message = header
        .get(skipped..)
        .and_then(|header| arrow_ipc::root_as_message(header).ok())
        .ok_or_else(|| corrupt(name, "a batch has no header".into()))?;
    check_message(&message, body, name, limits)?;
    Ok(Buffer::from_vec(bytes))
}

fn read_at(input: &mut dyn ReadSeek, start: u64, length: u64) -> std::io::Result<Vec<u8>> {
    input.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The messages of a stream, one after the other.
pub(super) struct Messages {
    input: Box<dyn Read + Send>,
    name: String,
    limits: ReadLimits,
}

impl Messages {
    pub(super) fn new(input: Box<dyn Read + Send>, name: String, limits: &ReadLimits) -> Self {
        Self {
            input,
            name,
            limits: limits.clone(),
        }
    }

    /// The bytes of the next message; None at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<Buffer>> {
        let mut bytes = self.take(4)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut size = bytes.clone();
        if bytes == CONTINUATION {
            size = self.take(4)?;
            bytes.extend_from_slice(&size);
        }
        let size: [u8; 4] = size.try_into().map_err(|_| self.cut_off())?;
        let size = u64::from(u32::from_le_bytes(size));
        if size == 0 {
            return Ok(None);
        }
        self.limits
            .check_record(&self.name, "the header of a message", size)?;
        let header = self.take_all(size)?;
        let message = arrow_ipc::root_as_message(&header).map_err(|e| {
            corrupt(
                &self.name,
                format!("the header of a message is not one: {e}"),
            )
        })?;
        let length = u64::try_from(message.bodyLength())
            .map_err(|_| corrupt(&self.name, "a message of negative length".into()))?;
        self.limits.check_memory(&self.name, "a batch", length)?;
        let body = self.take_all(length)?;
        check_message(&message, &body, &self.name, &self.limits)?;
        if let Some(schema) = message.header_as_schema() {
            check_order(schema, &self.name)?;
        }
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&body);
        Ok(Some(Buffer::from_vec(bytes)))
    }

    fn take_all(&mut self, length: u64) -> Result<Vec<u8>> {
        let bytes = self.take(length)?;
        if (bytes.len() as u64) < length {
            return Err(self.cut_off());
        }
        Ok(bytes)
    }

    /// Grows with what is there, whatever the length says.
    fn take(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.input
            .by_ref()
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", &self.name, e))?;
        Ok(bytes)
    }

    fn cut_off(&self) -> Error {
        corrupt(&self.name, "the stream ends inside a message".into())
    }
}

/// Whether a message's buffers lie in its body, and unpack to what the limits allow.
fn check_message(
    message: &Message<'_>,
    body: &[u8],
    name: &str,
    limits: &ReadLimits,
) -> Result<()> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            message.header_as_dictionary_batch().and_then(|d| d.data())
        }
        _ => return Ok(()),
    };
    let Some(batch) = batch else {
        return Err(corrupt(name, "a message without its batch".into()));
    };
    let is_length = |length: i64| (0..=MAX_ROWS).contains(&length);
    let nodes = batch.nodes().into_iter().flatten();
    if !is_length(batch.length())
        || nodes
            .clone()
            .any(|node| !is_length(node.length()) || node.null_count() < 0)
    {
        return Err(corrupt(
            name,
            "a batch with an impossible number of rows".into(),
        ));
    }
    let buffers = batch.buffers().into_iter().flatten();
    let views = batch.variadicBufferCounts().into_iter().flatten();
    let view_buffers: i64 = views.clone().fold(0, i64::saturating_add);
    if views.clone().any(|count| count < 0) || view_buffers > buffers.clone().count() as i64 {
        return Err(corrupt(
            name,
            "a batch with more buffers than it has".into(),
        ));
    }
    let mut unpacked = 0_u64;
    for buffer in buffers {
        let bytes = usize::try_from(buffer.offset())
            .ok()
            .zip(usize::try_from(buffer.length()).ok())
            .and_then(|(start, length)| body.get(start..start.checked_add(length)?))
            .ok_or_else(|| corrupt(name, "a buffer lies outside of its batch".into()))?;
        if batch.compression().is_some() && !bytes.is_empty() {
            let size = bytes
                .first_chunk::<8>()
                .map(|size| i64::from_le_bytes(*size));
            unpacked = match size {
                Some(-1) => unpacked,
                Some(size @ 0..) => unpacked.saturating_add(size as u64),
                _ => return Err(corrupt(name, "a compressed buffer without its size".into())),
            };
        }
    }
    limits.check_memory(name, "an unpacked batch", unpacked)?;
    limits.check_decompression(name, body.len() as u64, unpacked)
}

fn corrupt(name: &str, message: String) -> Error {
    Error::Corrupt {
        file: name.to_owned(),
        message,
    }
}
