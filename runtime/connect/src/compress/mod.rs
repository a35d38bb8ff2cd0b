//! Compressed files: [`SourceFile::read`] gives the bytes inside, [`Encoder`] writes them.
//!
//! ```text
//! people.csv.gz ─ content says gzip ─▶ decoder ─▶ Limited ─▶ bytes of people.csv
//! many.zip ─ expand ─▶ many.zip/a.csv, many.zip/b.csv: a file for each member
//! ```
//!
//! What the first bytes say is believed before what the name says: a `.csv` that holds gzip is unpacked,
//! a `.gz` that holds text is read as it is. Only Hadoop's snappy has no mark of its own, so there the
//! name decides. A stream that ends before its end is an error, never a short table, where its encoding
//! has an end that can be missed (all but snappy's frames between two frames).

mod lz4;
mod snappy;
mod write;
mod zip;

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::limits::ReadLimits;
use crate::locate::SourceFile;

pub(crate) use self::write::Encoder;
pub use self::write::TextCompression;
pub(crate) use self::zip::{Member, expand};

/// Enough to tell every encoding.
const MARK_BYTES: u64 = 16;
const LONGEST_MARK_BYTES: usize = 10;
/// What liblzma may use for its dictionary; the largest preset needs 65 MiB.
const XZ_MEMORY_BYTES: u64 = 256 << 20;

/// How a whole file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Gzip,
    Bzip2,
    Zstd,
    Xz,
    Lz4,
    /// The framing format of snappy's own project.
    Snappy,
    /// What Hadoop and Spark write into `.snappy` files.
    HadoopSnappy,
    Zip,
}

/// The suffixes of compressed files.
const SUFFIXES: &[(&str, Codec)] = &[
    ("gz", Codec::Gzip),
    ("bz2", Codec::Bzip2),
    ("zst", Codec::Zstd),
    ("xz", Codec::Xz),
    ("lz4", Codec::Lz4),
    ("sz", Codec::Snappy),
    ("snappy", Codec::HadoopSnappy),
    ("zip", Codec::Zip),
];

impl Codec {
    fn from_suffix(path: &Path) -> Option<Self> {
        let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
        let known = SUFFIXES.iter().find(|(known, _)| *known == suffix);
        known.map(|(_, codec)| *codec)
    }

    fn from_content(start: &[u8]) -> Option<Self> {
        const BZIP2_BLOCK: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
        const BZIP2_END: &[u8] = &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90];
        let is_bzip2 = start.starts_with(b"BZh")
            && start
                .get(4..10)
                .is_some_and(|mark| mark == BZIP2_BLOCK || mark == BZIP2_END);
        let is_skippable =
            start.len() >= 4 && start[0] & 0xF0 == 0x50 && start[1..4] == *b"\x2A\x4D\x18";
        if start.starts_with(&[0x1F, 0x8B, 8]) {
            Some(Codec::Gzip)
        } else if is_bzip2 {
            Some(Codec::Bzip2)
        } else if start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) || is_skippable {
            Some(Codec::Zstd)
        } else if start.starts_with(b"\xFD7zXZ\0") {
            Some(Codec::Xz)
        } else if start.starts_with(&[0x04, 0x22, 0x4D, 0x18]) {
            Some(Codec::Lz4)
        } else if start.starts_with(b"\xFF\x06\0\0sNaPpY") {
            Some(Codec::Snappy)
        } else if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            Some(Codec::Zip)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Bzip2 => "bzip2",
            Codec::Zstd => "zstd",
            Codec::Xz => "xz",
            Codec::Lz4 => "lz4",
            Codec::Snappy | Codec::HadoopSnappy => "snappy",
            Codec::Zip => "zip",
        }
    }
}

/// `people.csv` for `people.csv.gz`; the path itself if its name says nothing of compression.
pub(crate) fn uncompressed_name(path: &Path) -> PathBuf {
    match Codec::from_suffix(path) {
        Some(_) => path.with_extension(""),
        None => path.to_path_buf(),
    }
}

/// What can be read at any place.
pub(crate) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

impl SourceFile {
    /// The path that tells the format: inside an archive, that of the member.
    pub(crate) fn content_path(&self) -> PathBuf {
        match &self.member {
            Some(member) => self.path.join(member.name()),
            None => self.path.clone(),
        }
    }

    /// Whether the name says that the content is compressed; then the file cannot be split.
    pub(crate) fn is_compressed(&self) -> bool {
        self.member.is_some() || Codec::from_suffix(&self.path).is_some()
    }

    /// The content from its first byte on, unpacked if it is compressed. Blocks.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened, [`Error::Unsupported`] for what is compressed twice. The
    /// reader's errors carry an [`Error`]: [`Error::Corrupt`] for a damaged or cut stream and
    /// [`Error::Limit`]; [`Error::io`] takes it out.
    pub(crate) fn read(&self, limits: &ReadLimits) -> Result<Box<dyn Read + Send>> {
        self.content(limits).map(|(input, _)| input)
    }

    /// As [`Self::read`], and whether these are the bytes of the file as it lies there.
    pub(crate) fn content(&self, limits: &ReadLimits) -> Result<(Box<dyn Read + Send>, bool)> {
        if self.member.is_none() {
            let mut input = self.open()?;
            let start = peek(&mut input).map_err(|e| Error::io("read", &self.path, e))?;
            if self.codec(&start).is_none() {
                return Ok((Box::new(input), true));
            }
        }
        Ok((self.unpacked(limits)?, false))
    }

    fn unpacked(&self, limits: &ReadLimits) -> Result<Box<dyn Read + Send>> {
        let mut input = self.open()?;
        let name = self.name();
        if let Some(member) = &self.member {
            return once(member.read(input, &name, limits)?, &name);
        }
        let start = peek(&mut input).map_err(|e| Error::io("read", &self.path, e))?;
        match self.codec(&start) {
            None => Ok(Box::new(input)),
            Some(Codec::Zip) => {
                let members = zip::members(&mut input, &name)?;
                let [member] = members.as_slice() else {
                    return Err(Error::Unsupported(format!(
                        "{name}: an archive of {} files; name it .zip to read them as a table, or unpack it",
                        members.len()
                    )));
                };
                once(member.read(input, &name, limits)?, &name)
            }
            Some(codec) => once(decoded(codec, input, &name, limits)?, &name),
        }
    }

    /// The content for a format that must seek: the file itself, or a compressed one unpacked in memory.
    ///
    /// `is_archive` says that the format itself is a zip archive. Blocks.
    ///
    /// # Errors
    /// As [`Self::read`], and [`Error::Limit`] for what is larger than `memory_bytes` when unpacked.
    pub(crate) fn seekable(
        &self,
        limits: &ReadLimits,
        is_archive: bool,
    ) -> Result<Box<dyn ReadSeek>> {
        if self.member.is_none() {
            let mut input = self.open()?;
            let start = peek(&mut input).map_err(|e| Error::io("read", &self.path, e))?;
            let codec = self.codec(&start);
            if codec.is_none() || (is_archive && codec == Some(Codec::Zip)) {
                return Ok(Box::new(input));
            }
        }
        let name = self.name();
        let mut bytes = Vec::new();
        let input = match &self.member {
            Some(member) => member.read(self.open()?, &name, limits)?,
            None => self.read(limits)?,
        };
        input
            .take(limits.memory_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", &name, e))?;
        limits.check_memory(&name, "the unpacked file", bytes.len() as u64)?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn codec(&self, start: &[u8]) -> Option<Codec> {
        let is_short = (1..LONGEST_MARK_BYTES).contains(&start.len());
        let by_name = Codec::from_suffix(&self.path).filter(|codec| {
            // Hadoop's snappy has no mark; and what is too short to show one may have been cut inside it.
            is_short || (*codec == Codec::HadoopSnappy && !start.is_empty())
        });
        Codec::from_content(start).or(by_name)
    }
}

/// The first bytes; the next read starts at the first one again.
fn peek(input: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    input.by_ref().take(MARK_BYTES).read_to_end(&mut start)?;
    input.seek(SeekFrom::Start(0))?;
    Ok(start)
}

/// Refuses content that is compressed again.
fn once(mut input: Box<dyn Read + Send>, name: &str) -> Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    input
        .by_ref()
        .take(MARK_BYTES)
        .read_to_end(&mut start)
        .map_err(|e| Error::io("read", name, e))?;
    match Codec::from_content(&start) {
        None => Ok(Box::new(Cursor::new(start).chain(input))),
        Some(codec) => Err(Error::Unsupported(format!(
            "{name}: what is inside is compressed again, with {}; unpack it once",
            codec.name()
        ))),
    }
}

/// The bytes inside a stream, below the limits.
fn decoded(
    codec: Codec,
    input: impl Read + Send + 'static,
    name: &str,
    limits: &ReadLimits,
) -> Result<Box<dyn Read + Send>> {
    let source = Arc::new(Source::default());
    let input = Counted {
        input,
        source: Arc::clone(&source),
    };
    let stream: Box<dyn Read + Send> = match codec {
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
        Codec::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(input)),
        Codec::Zstd => Box::new(zstd::Decoder::new(input).map_err(|e| Error::io("read", name, e))?),
        Codec::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY_BYTES,
                liblzma::stream::CONCATENATED,
            )
            .map_err(|e| Error::io("read", name, e.into()))?;
            Box::new(liblzma::read::XzDecoder::new_stream(input, stream))
        }
        Codec::Lz4 => Box::new(lz4::Frames::new(input)),
        Codec::Snappy => Box::new(snap::read::FrameDecoder::new(input)),
        Codec::HadoopSnappy => Box::new(snappy::HadoopBlocks::new(input)),
        Codec::Zip => {
            return Err(Error::Unsupported(format!(
                "{name}: an archive inside of another; unpack it once"
            )));
        }
    };
    Ok(Box::new(Limited {
        stream,
        source,
        produced: 0,
        codec: codec.name(),
        file: name.to_owned(),
        limits: limits.clone(),
    }))
}

/// What happened to the compressed input.
#[derive(Debug, Default)]
struct Source {
    consumed: AtomicU64,
    /// The input itself failed: its error is not the decoder's.
    has_failed: AtomicBool,
}

struct Counted<R> {
    input: R,
    source: Arc<Source>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer);
        match &read {
            Ok(read) => {
                self.source
                    .consumed
                    .fetch_add(*read as u64, Ordering::Relaxed);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.source.has_failed.store(true, Ordering::Relaxed),
        }
        read
    }
}

/// Decompressed bytes, as many as the limits allow; its errors carry an [`Error`].
struct Limited {
    stream: Box<dyn Read + Send>,
    source: Arc<Source>,
    produced: u64,
    codec: &'static str,
    file: String,
    limits: ReadLimits,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.stream.read(buffer) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) if self.source.has_failed.load(Ordering::Relaxed) => return Err(e),
            Err(e) => return Err(io::Error::other(self.corrupt(&e))),
        };
        self.produced += read as u64;
        self.limits
            .check_decompression(
                &self.file,
                self.source.consumed.load(Ordering::Relaxed),
                self.produced,
            )
            .map_err(io::Error::other)?;
        Ok(read)
    }
}

impl Limited {
    fn corrupt(&self, error: &io::Error) -> Error {
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!(
                "the {} stream ends in its middle, after {} unpacked bytes",
                self.codec, self.produced
            ),
            _ => format!(
                "the {} stream cannot be unpacked after {} bytes: {error}",
                self.codec, self.produced
            ),
        };
        Error::Corrupt {
            file: self.file.clone(),
            message,
        }
    }
}

#[cfg(test)]
mod tests;
