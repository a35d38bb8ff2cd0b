//! [`CheckedFile`]: an ORC file that gives only ranges that exist and chunks that may be unpacked.
//!
//! ```text
//! stripes, metadata, footer, postscript, bytes of the postscript (1)
//! chunk: bytes * 2 + (1 if it is not compressed), little-endian (3), then its bytes
//! ```
//!
//! The decoder unpacks a chunk whole, whatever comes out. No chunk of an honest file unpacks to more than
//! the block size in the postscript, so that is what it may.
//! [The format](https://orc.apache.org/specification/ORCv1/).

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use orc_rust::reader::ChunkReader;

use crate::compress::ReadSeek;
use crate::error::{Error, Result};
use crate::limits::ReadLimits;

const DEFAULT_BLOCK_BYTES: u64 = 256 << 10;
/// The format's own bound: a chunk's length has 23 bits.
const MAX_BLOCK_BYTES: u64 = 8 << 20;
/// What deflate makes of a byte, at most.
const MAX_DEFLATE_RATIO: u64 = 1032;
/// What LZO makes of a byte, at most.
const MAX_LZO_RATIO: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Codec {
    None,
    Zlib,
    Snappy,
    Lzo,
    Lz4,
    Zstd,
}

/// What the end of a file says of the rest.
#[derive(Clone, Copy, Debug)]
struct Tail {
    codec: Codec,
    block_bytes: u64,
    /// Where metadata and footer begin and end.
    start: u64,
    end: u64,
}

/// See the module.
pub(super) struct CheckedFile {
    input: Mutex<Box<dyn ReadSeek>>,
    name: String,
    size: u64,
    tail: Tail,
    limits: ReadLimits,
    /// Set once the tail is read: from then on every range is a sequence of chunks.
    has_chunks: Arc<AtomicBool>,
}

impl CheckedFile {
    /// Reads and checks the tail.
    pub(super) fn open(
        mut input: Box<dyn ReadSeek>,
        name: String,
        limits: &ReadLimits,
    ) -> Result<Self> {
        let io = |e| Error::io("read", &name, e);
        let size = input.seek(SeekFrom::End(0)).map_err(io)?;
        let tail = tail(input.as_mut(), size)
            .map_err(io)?
            .map_err(|message| corrupt(&name, message))?;
        limits.check_memory(&name, "the footer", tail.end - tail.start)?;
        let file = Self {
            size,
            tail,
            limits: limits.clone(),
            has_chunks: Arc::default(),
            input: Mutex::new(input),
            name,
        };
        let footer = file
            .range(tail.start, tail.end - tail.start)
            .map_err(|e| Error::io("read", &file.name, e))?;
        // Metadata and footer follow each other, each a sequence of chunks.
        file.check_chunks(&footer)?;
        Ok(file)
    }

    /// Set it when the decoder has read the tail.
    pub(super) fn has_chunks(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_chunks)
    }

    fn range(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        let end = start.checked_add(length);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::Error::other(corrupt(
                &self.name,
                format!(
                    "bytes {start} and {length} more are outside of its {}",
                    self.size
                ),
            )));
        }
        self.limits
            .check_memory(&self.name, "a part of a stripe", length)
            .map_err(io::Error::other)?;
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        input.as_mut().take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    fn check_chunks(&self, bytes: &[u8]) -> Result<()> {
        if self.tail.codec == Codec::None {
            return Ok(());
        }
        let mut rest = bytes;
        while let Some((header, after)) = rest.split_first_chunk::<3>() {
            let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
            let (length, is_original) = ((header >> 1) as usize, header & 1 == 1);
            let Some((chunk, after)) = after.split_at_checked(length) else {
                return Err(corrupt(&self.name, "it ends inside a chunk".into()));
            };
            if length as u64 > self.tail.block_bytes {
                return Err(self.too_large(length as u64));
            }
            if !is_original {
                self.check_chunk(chunk)?;
            }
            rest = after;
        }
        match rest {
            [] => Ok(()),
            _ => Err(corrupt(
                &self.name,
                "it ends inside the header of a chunk".into(),
            )),
        }
    }

    fn check_chunk(&self, chunk: &[u8]) -> Result<()> {
        let length = chunk.len() as u64;
        let unpacked = match self.tail.codec {
            Codec::Snappy => snap::raw::decompress_len(chunk)
                .map(|length| length as u64)
                .map_err(|e| corrupt(&self.name, format!("a chunk cannot be unpacked: {e}")))?,
            Codec::Zlib if length * MAX_DEFLATE_RATIO > self.limits.memory_bytes => {
                self.count(flate2::bufread::DeflateDecoder::new(chunk))?
            }
            Codec::Zstd => {
                let decoder = zstd::Decoder::with_buffer(chunk)
                    .map_err(|e| corrupt(&self.name, format!("a chunk cannot be unpacked: {e}")))?;
                self.count(decoder)?
            }
            Codec::Lzo => {
                return self.limits.check_memory(
                    &self.name,
                    "an unpacked chunk",
                    length * MAX_LZO_RATIO,
                );
            }
            // Bounded as it is, or by the block size that the decoder is given.
            Codec::None | Codec::Zlib | Codec::Lz4 => return Ok(()),
        };
        if unpacked > self.tail.block_bytes {
            return Err(self.too_large(unpacked));
        }
        Ok(())
    }

    /// How much comes out, as far as it matters.
    fn count(&self, decoder: impl Read) -> Result<u64> {
        io::copy(
            &mut decoder.take(self.tail.block_bytes + 1),
            &mut io::sink(),
        )
        .map_err(|e| corrupt(&self.name, format!("a chunk cannot be unpacked: {e}")))
    }

    fn too_large(&self, bytes: u64) -> Error {
        corrupt(
            &self.name,
            format!(
                "a chunk has {bytes} bytes or more, where the file says that none has over {}",
                self.tail.block_bytes
            ),
        )
    }
}

impl ChunkReader for CheckedFile {
    type T = io::Empty;

    fn len(&self) -> u64 {
        self.size
    }

    fn get_read(&self, _: u64) -> io::Result<Self::T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn get_bytes(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let bytes = self.range(start, length)?;
        if self.has_chunks.load(Ordering::Relaxed) {
            self.check_chunks(&bytes).map_err(io::Error::other)?;
        }
        Ok(bytes.into())
    }
}

/// The tail, or what is wrong with it.
fn tail(input: &mut dyn ReadSeek, size: u64) -> io::Result<Result<Tail, String>> {
    const LONGEST: u64 = 256;
    let length = size.min(LONGEST);
    input.seek(SeekFrom::Start(size - length))?;
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    Ok(parse_tail(&bytes, size))
}

fn parse_tail(bytes: &[u8], size: u64) -> Result<Tail, String> {
    let Some((length, before)) = bytes.split_last() else {
        return Err("it is empty".into());
    };
    let length = usize::from(*length);
    let postscript = before
        .len()
        .checked_sub(length)
        .and_then(|start| before.get(start..))
        .ok_or("it is shorter than its postscript")?;
    let postscript = Postscript::parse(postscript).ok_or("its postscript is not one")?;
    if !postscript.has_magic {
        return Err("its postscript does not say ORC".into());
    }
    let codec = match postscript.codec {
        0 => Codec::None,
        1 => Codec::Zlib,
        2 => Codec::Snappy,
        3 => Codec::Lzo,
        4 => Codec::Lz4,
        5 => Codec::Zstd,
        other => return Err(format!("its compression {other} is not known")),
    };
    if codec != Codec::None && postscript.block_bytes > MAX_BLOCK_BYTES {
        return Err(format!(
            "it says that chunks have up to {} bytes; the format allows {MAX_BLOCK_BYTES}",
            postscript.block_bytes
        ));
    }
    let end = size - 1 - length as u64;
    let start = end
        .checked_sub(postscript.footer_bytes)
        .and_then(|start| start.checked_sub(postscript.metadata_bytes))
        .ok_or("its footer is longer than the file")?;
    Ok(Tail {
        codec,
        block_bytes: postscript.block_bytes,
        start,
        end,
    })
}

struct Postscript {
    footer_bytes: u64,
    codec: u64,
    block_bytes: u64,
    metadata_bytes: u64,
    has_magic: bool,
}

impl Postscript {
    /// The few fields that matter, of a protocol buffers message.
    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut postscript = Self {
            footer_bytes: 0,
            codec: 0,
            block_bytes: DEFAULT_BLOCK_BYTES,
            metadata_bytes: 0,
            has_magic: false,
        };
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            match key & 7 {
                0 => {
                    let value = varint(&mut bytes)?;
                    match key >> 3 {
                        1 => postscript.footer_bytes = value,
                        2 => postscript.codec = value,
                        3 => postscript.block_bytes = value,
                        5 => postscript.metadata_bytes = value,
                        _ => {}
                    }
                }
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let (value, rest) = bytes.split_at_checked(length)?;
                    postscript.has_magic |= key >> 3 == 8000 && value == b"ORC";
                    bytes = rest;
                }
                1 => bytes = bytes.get(8..)?,
                5 => bytes = bytes.get(4..)?,
                _ => return None,
            }
        }
        Some(postscript)
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for index in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn corrupt(name: &str, message: String) -> Error {
    Error::Corrupt {
        file: name.to_owned(),
        message,
    }
}
