//! [`Input`] and [`Output`]: the bytes of one file, wherever it is.
//!
//! This is the seam between places and formats. A format reads `Read + Seek` and writes `Write`; whether the bytes are
//! on a disk or behind a network is the place's business. All calls block: use them where blocking is allowed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::remote::traffic::Counters;
use crate::remote::upload::Upload;

/// What an [`Input`] reads from.
trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// The bytes of a file that is read. Opened as often as it is read: each has its own position.
///
/// Not buffered for small reads: read it in chunks of 64 KiB and more.
pub(crate) struct Input {
    source: Box<dyn Source>,
    /// Where what is read counts, if it is not counted below.
    counters: Option<Arc<Counters>>,
}

impl Input {
    pub(crate) fn new(source: impl Read + Seek + Send + 'static) -> Self {
        Self {
            source: Box::new(source),
            counters: None,
        }
    }

    /// The same, where `counters` count what is read.
    pub(crate) fn counted(self, counters: &Arc<Counters>) -> Self {
        Self {
            counters: Some(Arc::clone(counters)),
            ..self
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        if let Some(counters) = &self.counters {
            counters.read(read);
        }
        Ok(read)
    }
}

impl Seek for Input {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.source.seek(position)
    }
}

/// The bytes of a file that is written. A writer gives it back when it is done; the sink completes and commits it.
#[derive(Debug)]
pub(crate) struct Output(Destination);

/// Where an [`Output`] goes.
#[derive(Debug)]
pub(crate) enum Destination {
    File(File),
    Upload(Upload),
}

impl Output {
    pub(crate) fn into_destination(self) -> Destination {
        self.0
    }
}

impl From<File> for Output {
    fn from(file: File) -> Self {
        Self(Destination::File(file))
    }
}

impl From<Upload> for Output {
    fn from(upload: Upload) -> Self {
        Self(Destination::Upload(upload))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Destination::File(file) => file.write(bytes),
            Destination::Upload(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Destination::File(file) => file.flush(),
            Destination::Upload(upload) => upload.flush(),
        }
    }
}
