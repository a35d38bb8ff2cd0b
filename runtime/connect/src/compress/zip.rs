//! Zip archives: [`expand`] makes a file of each member, [`Member::read`] reads one.
//!
//! The directory is read by the `zip` crate; a member is then read from its own opening of the archive,
//! so that members are partitions like other files. Length and checksum are compared at the end.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use crate::compress::{Codec, Counted, Limited, Source};
use crate::error::{Error, Result};
use crate::limits::ReadLimits;
use crate::locate::{SourceFile, is_hidden};

const MAX_MEMBERS: usize = 10_000;

/// A file inside an archive.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    name: String,
    start: u64,
    compressed_bytes: u64,
    bytes: u64,
    crc: u32,
    is_deflated: bool,
}

impl Member {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The content, from `archive`, an opening of the archive of its own.
    pub(super) fn read(
        &self,
        mut archive: impl Read + Seek + Send + 'static,
        name: &str,
        limits: &ReadLimits,
    ) -> Result<Box<dyn Read + Send>> {
        archive
            .seek(SeekFrom::Start(self.start))
            .map_err(|e| Error::io("read", name, e))?;
        let source = Arc::new(Source::default());
        let input = Counted {
            input: archive.take(self.compressed_bytes),
            source: Arc::clone(&source),
        };
        let stream: Box<dyn Read + Send> = if self.is_deflated {
            Box::new(flate2::read::DeflateDecoder::new(input))
        } else {
            Box::new(input)
        };
        Ok(Box::new(Limited {
            stream: Box::new(Checked {
                stream,
                crc: flate2::Crc::new(),
                read: 0,
                bytes: self.bytes,
                expected: self.crc,
            }),
            source,
            produced: 0,
            codec: Codec::Zip.name(),
            file: name.to_owned(),
            limits: limits.clone(),
        }))
    }
}

/// Compares length and checksum with the directory's.
struct Checked<R> {
    stream: R,
    crc: flate2::Crc,
    read: u64,
    bytes: u64,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.crc.update(&buffer[..read]);
        self.read += read as u64;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        if self.read < self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.read != self.bytes || self.crc.sum() != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its length or checksum is not what the archive says",
            ));
        }
        Ok(0)
    }
}

/// `files` with each `.zip` replaced by its members; their order is the archive's.
///
/// Blocks: opens the archives.
pub(crate) fn expand(files: Vec<SourceFile>) -> Result<Vec<SourceFile>> {
    let mut expanded = Vec::with_capacity(files.len());
    for file in files {
        if Codec::from_suffix(&file.path) != Some(Codec::Zip) {
            expanded.push(file);
            continue;
        }
        let mut archive = file.open()?;
        for member in members(&mut archive, &file.name())? {
            let mut inside = file.clone();
            inside.member = Some(Arc::new(member));
            expanded.push(inside);
        }
    }
    Ok(expanded)
}

/// The files in an archive, hidden ones left out as in folders.
pub(super) fn members(archive: &mut (impl Read + Seek), name: &str) -> Result<Vec<Member>> {
    let corrupt = |error: zip::result::ZipError| Error::Corrupt {
        file: name.to_owned(),
        message: error.to_string(),
    };
    let mut archive = ZipArchive::new(archive).map_err(corrupt)?;
    if archive.len() > MAX_MEMBERS {
        return Err(Error::Unsupported(format!(
            "{name}: an archive of {} files, more than {MAX_MEMBERS}; unpack it",
            archive.len()
        )));
    }
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(corrupt)?;
        let path = file.name().map_err(corrupt)?.into_owned();
        if file.is_dir() || path.split(['/', '\\']).any(|part| is_hidden(part.as_ref())) {
            continue;
        }
        let is_deflated = match file.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => {
                return Err(Error::Unsupported(format!(
                    "{name}/{path}: packed with {other}; pack it with deflate, or unpack it"
                )));
            }
        };
        if file.encrypted() {
            return Err(Error::Unsupported(format!(
                "{name}/{path}: encrypted; unpack it"
            )));
        }
        let start = file.data_start().ok_or_else(|| Error::Corrupt {
            file: name.to_owned(),
            message: format!("the archive does not say where {path} begins"),
        })?;
        members.push(Member {
            start,
            compressed_bytes: file.compressed_size(),
            bytes: file.size(),
            crc: file.crc32(),
            is_deflated,
            name: path,
        });
    }
    if members.is_empty() {
        return Err(Error::NotFound(format!(
            "{name}: the archive holds no data files; names that begin with `.` or `_` do not count"
        )));
    }
    Ok(members)
}
