//! [`HadoopBlocks`]: what Hadoop's codec writes into `.snappy` files.
//!
//! ```text
//! block:  bytes when unpacked (u32, big-endian), then chunks until that many came out
//! chunk:  compressed bytes (u32, big-endian), one raw snappy buffer
//! ```

use std::io::{self, Read};

/// Far above the 256 KiB that writers use; bounds what a length may allocate.
const MAX_CHUNK_BYTES: usize = 64 << 20;

pub(super) struct HadoopBlocks<R> {
    input: R,
    /// Bytes of the current block that are still to come out.
    left: u64,
    chunk: Vec<u8>,
    position: usize,
}

impl<R: Read> HadoopBlocks<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            chunk: Vec::new(),
            position: 0,
        }
    }

    /// Unpacks the next chunk; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        while self.left == 0 {
            let Some(length) = self.length(true)? else {
                return Ok(false);
            };
            self.left = u64::from(length);
        }
        let Some(length) = self.length(false)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let compressed = self.take(length as usize)?;
        let unpacked = snap::raw::decompress_len(&compressed).map_err(invalid)?;
        if unpacked as u64 > self.left || unpacked > MAX_CHUNK_BYTES {
            return Err(invalid(format!(
                "a chunk of {unpacked} bytes in a block with {} left",
                self.left
            )));
        }
        self.chunk = snap::raw::Decoder::new()
            .decompress_vec(&compressed)
            .map_err(invalid)?;
        if self.chunk.is_empty() {
            return Err(invalid("an empty chunk"));
        }
        self.left -= self.chunk.len() as u64;
        self.position = 0;
        Ok(true)
    }

    fn length(&mut self, may_end: bool) -> io::Result<Option<u32>> {
        let mut bytes = [0; 4];
        let mut read = 0;
        while read < bytes.len() {
            match self.input.read(&mut bytes[read..]) {
                Ok(0) if read == 0 && may_end => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => read += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Some(u32::from_be_bytes(bytes)))
    }

    /// Grows with what is there, whatever the length says.
    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > MAX_CHUNK_BYTES {
            return Err(invalid(format!("a chunk of {length} compressed bytes")));
        }
        let mut bytes = Vec::new();
        self.input
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

impl<R: Read> Read for HadoopBlocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.chunk.len() && !self.fill()? {
            return Ok(0);
        }
        let rest = &self.chunk[self.position..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length;
        Ok(length)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
