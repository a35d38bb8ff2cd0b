//! [`Spool`]: what can be read only once, kept whole on disk: standard input, and what a server does not give in ranges.
//!
//! The file has no name, so it goes with the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};

/// A file without a name. Cheap to clone; each reader has its own position.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    file: Arc<File>,
    size: u64,
}

impl Spool {
    /// Writes the chunks down, `limit` bytes at most. Blocks.
    ///
    /// # Errors
    /// The error of a chunk as it came, [`Error::Io`] if the disk is full, [`Error::Unsupported`] beyond the limit.
    pub(crate) fn of(
        name: &str,
        limit: u64,
        chunks: impl Iterator<Item = Result<Bytes>>,
    ) -> Result<Self> {
        let failed = |e| Error::io("keep on disk", name, e);
        let mut file = tempfile::tempfile().map_err(failed)?;
        let mut size = 0;
        for chunk in chunks {
            let chunk = chunk?;
            size += chunk.len() as u64;
            if size > limit {
                return Err(Error::Unsupported(format!(
                    "{name}: more than {limit} bytes, which is the most that is kept on disk of what can be read only once; \
                     copy it to a folder or a bucket first"
                )));
            }
            file.write_all(&chunk).map_err(failed)?;
        }
        let file = Arc::new(file);
        Ok(Self { file, size })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn open(&self) -> SpoolInput {
        SpoolInput {
            spool: self.clone(),
            position: 0,
        }
    }
}

/// The chunks of a blocking reader.
pub(crate) fn chunks_of(name: &str, mut reader: impl Read) -> impl Iterator<Item = Result<Bytes>> {
    const CHUNK_BYTES: usize = 256 << 10;
    let name = name.to_owned();
    std::iter::from_fn(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        match reader.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some(Ok(chunk.into()))
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Some(Ok(Bytes::new())),
            Err(e) => Some(Err(Error::io("read", &name, e))),
        }
    })
}

/// A reader of a spool.
pub(crate) struct SpoolInput {
    spool: Spool,
    position: u64,
}

impl Read for SpoolInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.spool.file.read_at(buffer, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for SpoolInput {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let target = match position {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.spool.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_once_can_be_read_again_from_anywhere() {
        let text = b"0123456789".repeat(100_000);
        let spool = Spool::of("-", 1 << 20, chunks_of("-", text.as_slice())).unwrap();
        assert_eq!(spool.size(), 1_000_000);
        for start in [0, 999_995] {
            let mut input = spool.open();
            input.seek(SeekFrom::Start(start)).unwrap();
            let mut read = Vec::new();
            input.read_to_end(&mut read).unwrap();
            assert!(read == text[start as usize..]);
        }
        let error = Spool::of("-", 10, chunks_of("-", text.as_slice())).unwrap_err();
        assert!(error.to_string().starts_with("-: more than 10 bytes"));
    }
}
