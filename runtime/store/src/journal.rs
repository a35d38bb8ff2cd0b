//! [`Journal`]: the truth of the store. Every group of transactions is written and synced here before anything
//! else happens with it; the engine can be rebuilt from it.
//!
//! ```text
//! journal/00000000000000000001.log     named after its first sequence number
//!
//! 0       8        12          20     24       32
//! | magic | format | first seq | prev | length | crc32c | zeros to 64 | record | record | ... zeros
//! ```
//!
//! A segment is filled with zeros to its full length and synced before it gets its name, so that appending
//! changes no metadata and one `fdatasync` is enough; a file shorter than its header says was cut. `prev` is
//! the checksum of the record before the segment, the beginning of the chain (see [`record`]).

pub(crate) mod reader;
pub(crate) mod record;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, publish};
use crate::engine::Op;
use crate::envelope::fixed;
use crate::error::{Error, Result};
use crate::journal::reader::End;
use crate::journal::record::Stamp;

pub(crate) const FOLDER: &str = "journal";

const MAGIC: [u8; 8] = *b"TENONJNL";
const FORMAT: u32 = 1;
/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 64;
const HEADER_CRC_AT: usize = 32;
/// Written at once when a segment is filled with zeros.
const FILL_BYTES: usize = 1024 * 1024;

/// The journal, open for appending.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segment_bytes: u64,
    /// Reused for each group.
    buffer: Vec<u8>,
    /// Checksum of the last record.
    crc: u32,
    current: Current,
}

/// The segment that is written to.
struct Current {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Where the next record goes.
    offset: u64,
    length: u64,
}

impl Journal {
    /// Goes on where reading ended: what is torn there is overwritten with zeros, and what may only be in
    /// memory is written once more, because a sync that failed earlier is not repeated for it.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        folder: &Path,
        segment_bytes: u64,
        end: End,
    ) -> Result<Self> {
        let current = match end.tail {
            None => create_segment(&*disk, folder, segment_bytes, end.next_seq, end.crc)?,
            Some(tail) => {
                let path = &tail.path;
                let failed = |action| move |error| Error::io(action, path, &error);
                let file = disk.open(path).map_err(failed("open"))?;
                if !tail.rewrite.is_empty() {
                    file.write_at(tail.rewrite_at, &tail.rewrite)
                        .map_err(failed("write"))?;
                    file.sync().map_err(failed("sync"))?;
                }
                Current {
                    file,
                    offset: tail.offset,
                    length: tail.length,
                    path: tail.path.clone(),
                }
            }
        };
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            segment_bytes,
            buffer: Vec::new(),
            crc: end.crc,
            current,
        })
    }

    /// Writes one group and returns when it is durable, with the bytes written. After an error the journal
    /// must not be used any more: what it holds is known only after reading it again.
    pub(crate) fn append(&mut self, group: &[(Stamp, &[Op])]) -> Result<u64> {
        let Some((first, _)) = group.first() else {
            return Ok(0);
        };
        self.buffer.clear();
        let mut crc = self.crc;
        for (stamp, ops) in group {
            crc = record::encode(&mut self.buffer, crc, stamp, ops);
        }
        let size = self.buffer.len() as u64;
        if self.current.offset + size > self.current.length {
            let length = self.segment_bytes.max(size + HEADER_BYTES as u64);
            let (disk, folder) = (&*self.disk, &self.folder);
            self.current = create_segment(disk, folder, length, first.seq, self.crc)?;
        }
        let Current {
            file, path, offset, ..
        } = &mut self.current;
        file.write_at(*offset, &self.buffer)
            .map_err(|error| Error::io("write", path, &error))?;
        file.sync()
            .map_err(|error| Error::io("sync", path, &error))?;
        *offset += size;
        self.crc = crc;
        Ok(size)
    }
}

fn create_segment(
    disk: &dyn Disk,
    folder: &Path,
    length: u64,
    first_seq: u64,
    prev: u32,
) -> Result<Current> {
    let path = segment_path(folder, first_seq);
    let create = || {
        let temporary = path.with_extension("tmp");
        let file = disk.create(&temporary)?;
        let zeros = vec![0; FILL_BYTES.min(length as usize)];
        let mut filled = 0;
        while filled < length {
            let size = zeros.len().min((length - filled) as usize);
            file.write_at(filled, &zeros[..size])?;
            filled += size as u64;
        }
        file.write_at(0, &header(first_seq, prev, length))?;
        file.sync()?;
        publish(disk, &temporary, &path)?;
        Ok(file)
    };
    let file = create().map_err(|error| Error::io("create", &path, &error))?;
    Ok(Current {
        file,
        offset: HEADER_BYTES as u64,
        length,
        path,
    })
}

fn header(first_seq: u64, prev: u32, length: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(FORMAT.to_be_bytes());
    header.extend(first_seq.to_be_bytes());
    header.extend(prev.to_be_bytes());
    header.extend(length.to_be_bytes());
    header.extend(crc32c::crc32c(&header).to_be_bytes());
    header.resize(HEADER_BYTES, 0);
    header
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) first_seq: u64,
    pub(crate) prev: u32,
    pub(crate) length: u64,
}

pub(crate) fn parse_header(bytes: &[u8]) -> Result<Header, String> {
    let header = bytes.get(..HEADER_BYTES).ok_or("its header is cut off")?;
    let (fields, rest) = header.split_at(HEADER_CRC_AT);
    if fields[..8] != MAGIC || crc32c::crc32c(fields) != u32::from_be_bytes(fixed(&rest[..4])) {
        return Err("its header is damaged".to_owned());
    }
    let format = u32::from_be_bytes(fixed(&fields[8..12]));
    if format > FORMAT {
        return Err(format!(
            "it has format {format}, written by a newer version of tenon"
        ));
    }
    Ok(Header {
        first_seq: u64::from_be_bytes(fixed(&fields[12..20])),
        prev: u32::from_be_bytes(fixed(&fields[20..24])),
        length: u64::from_be_bytes(fixed(&fields[24..])),
    })
}

fn segment_path(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(format!("{first_seq:020}.log"))
}

/// First sequence numbers and files of all segments, in order.
pub(crate) fn segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let names = disk
        .list(folder)
        .map_err(|error| Error::io("list", folder, &error))?;
    let mut segments: Vec<_> = names
        .iter()
        .filter_map(|name| segment_seq(name))
        .map(|seq| (seq, segment_path(folder, seq)))
        .collect();
    segments.sort_unstable();
    Ok(segments)
}

/// The first sequence number in the name of a segment.
pub(crate) fn segment_seq(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of every released layout are kept; each must still be read.
    #[test]
    fn the_golden_header_is_what_is_written_and_is_read() {
        let bytes = header(0x0102_0304, 0x0506_0708, 16 * 1024 * 1024);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../test-data/segment-v1.hex").trim());
        let expected = Header {
            first_seq: 0x0102_0304,
            prev: 0x0506_0708,
            length: 16 * 1024 * 1024,
        };
        assert_eq!(parse_header(&bytes), Ok(expected));
        for bit in 0..36 * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_header(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn only_names_of_segments_are_segments() {
        assert_eq!(segment_seq("00000000000000000042.log"), Some(42));
        for name in [
            "42.log",
            "00000000000000000042.tmp",
            "0000000000000000004x.log",
            "",
        ] {
            assert_eq!(segment_seq(name), None, "{name}");
        }
    }
}
