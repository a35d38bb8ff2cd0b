//! Reading the journal back, and telling a torn end from damage.
//!
//! The last group may have been on its way when the power went: any part of it may be missing, and it was
//! acknowledged to nobody. Everything before it was synced. So the first record that cannot be read is either
//! the torn end, which is cut, or damage, which is refused because acknowledged records lie there. It is damage
//!
//! - when another segment follows: that one was begun after this one was synced;
//! - when a later valid record vouches for it by its `durable` number;
//! - when the file is shorter than its header says;
//! - when its bytes cannot come from a tear: a disk writes whole sectors, so a torn record has a sector that
//!   still holds the zeros that were there before.
//!
//! What else proves that records existed (the engine's state, the marker of a clean shutdown) is compared with
//! the end by the caller.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::journal::record::{self, ALIGNMENT, Entry, HEAD_BYTES};
use crate::journal::{HEADER_BYTES, parse_header, segments};

/// The least a disk writes at once, in bytes.
const SECTOR_BYTES: usize = 512;

/// How much of a segment is read at once: it stays in the processor's cache.
const PIECE_BYTES: usize = 256 << 10;

/// Where the journal ends.
#[derive(Debug)]
pub(crate) struct End {
    /// Sequence number of the next record.
    pub(crate) next_seq: u64,
    /// Checksum of the last record.
    pub(crate) crc: u32,
    /// Bytes of the records visited.
    pub(crate) bytes: u64,
    /// `None` when a new segment is needed.
    pub(crate) tail: Option<Tail>,
}

/// The end of the last segment.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// What must be written before new records: records nothing vouches for, and zeros over what is torn.
    pub(crate) rewrite: Vec<u8>,
    pub(crate) rewrite_at: u64,
}

/// Called for each record in order.
pub(crate) type Visit<'a> = dyn FnMut(Entry) -> Result<()> + 'a;

/// Visits all records from `from_seq` on.
///
/// # Errors
/// [`Error::DamagedJournal`] naming the first record that is missing or damaged, [`Error::Io`], and what
/// `visit` returns.
pub(crate) fn read(
    disk: &dyn Disk,
    folder: &Path,
    from_seq: u64,
    visit: &mut Visit<'_>,
) -> Result<End> {
    read_until(disk, folder, from_seq, u64::MAX, visit)
}

/// As [`read`], up to record `last_seq`, which must be durable: what comes after it is not looked at, so it may be
/// just being written. The end's `tail` is then the place after that record, with nothing to write.
pub(crate) fn read_until(
    disk: &dyn Disk,
    folder: &Path,
    from_seq: u64,
    last_seq: u64,
    visit: &mut Visit<'_>,
) -> Result<End> {
    let all = segments(disk, folder)?;
    let Some(first) = all.iter().rposition(|(seq, _)| *seq <= from_seq) else {
        let reason = match all.first() {
            Some((seq, _)) => format!("the journal begins with record {seq}"),
            None => "the journal has no files".to_owned(),
        };
        return Err(damaged(folder, from_seq, reason));
    };
    let mut reading = Reading {
        from_seq,
        last_seq,
        next_seq: all[first].0,
        crc: None,
        bytes: 0,
        visit,
    };
    let mut tail = None;
    for (index, (seq, path)) in all.iter().enumerate().skip(first) {
        tail = Some(reading.segment(disk, *seq, path, index + 1 == all.len())?);
        if reading.is_over() {
            break;
        }
    }
    Ok(End {
        next_seq: reading.next_seq,
        crc: reading.crc.unwrap_or(0),
        bytes: reading.bytes,
        tail,
    })
}

struct Reading<'a, 'b> {
    from_seq: u64,
    last_seq: u64,
    next_seq: u64,
    /// `None` before the first segment, which begins the chain.
    crc: Option<u32>,
    bytes: u64,
    visit: &'a mut Visit<'b>,
}

impl Reading<'_, '_> {
    fn segment(&mut self, disk: &dyn Disk, seq: u64, path: &Path, is_last: bool) -> Result<Tail> {
        let failed = |error| Error::io("read", path, &error);
        let file = disk.open(path).map_err(failed)?;
        let segment = Segment::read(&*file).map_err(failed)?;
        let bytes = &segment.bytes;
        let header = parse_header(bytes).map_err(|reason| damaged(path, seq, reason))?;
        if seq != self.next_seq || header.first_seq != seq {
            let reason = format!("this file begins with record {}", header.first_seq);
            return Err(damaged(path, self.next_seq, reason));
        }
        if self.crc.is_some_and(|crc| crc != header.prev) {
            let reason = "this file does not continue the one before it";
            return Err(damaged(path, seq, reason));
        }
        self.crc = Some(header.prev);
        let mut position = HEADER_BYTES;
        // Records nothing vouches for yet, by number and place.
        let mut open = VecDeque::new();
        let problem = loop {
            if self.is_over() {
                return Ok(Tail {
                    path: path.to_owned(),
                    offset: position as u64,
                    length: header.length,
                    rewrite: Vec::new(),
                    rewrite_at: position as u64,
                });
            }
            match self.record(bytes, position) {
                Ok((entry, size)) => {
                    let durable = entry.stamp.durable;
                    open.push_back((entry.stamp.seq, position));
                    while open.front().is_some_and(|(seq, _)| *seq <= durable) {
                        open.pop_front();
                    }
                    position += size;
                    self.next_seq += 1;
                    if entry.stamp.seq >= self.from_seq {
                        self.bytes += size as u64;
                        (self.visit)(entry)?;
                    }
                }
                Err(reason) => break reason,
            }
        };
        self.check_end(path, &segment, position, header.length, problem, is_last)?;
        let rewrite_at = open.front().map_or(position, |(_, position)| *position);
        let until = segment.used.max(position).max(rewrite_at);
        let mut rewrite = bytes[rewrite_at..until].to_vec();
        rewrite[position - rewrite_at..].fill(0);
        Ok(Tail {
            path: path.to_owned(),
            offset: position as u64,
            length: header.length,
            rewrite,
            rewrite_at: rewrite_at as u64,
        })
    }

    /// Whether everything wanted was read.
    fn is_over(&self) -> bool {
        self.next_seq > self.last_seq
    }

    /// The record at `position`, if it is the next one.
    fn record(&mut self, bytes: &[u8], position: usize) -> Result<(Entry, usize), &'static str> {
        let found = record::decode(bytes.get(position..).unwrap_or_default())?;
        if Some(found.prev) != self.crc || found.entry.stamp.seq != self.next_seq {
            return Err("it does not continue the record before it");
        }
        self.crc = Some(found.crc);
        Ok((found.entry, found.size))
    }

    /// Whether what cannot be read at `position` may be a torn end.
    fn check_end(
        &self,
        path: &Path,
        segment: &Segment,
        position: usize,
        length: u64,
        problem: &str,
        is_last: bool,
    ) -> Result<()> {
        let seq = self.next_seq;
        let has = segment.bytes.len();
        if (has as u64) < length {
            let reason = format!("its file has {has} of {length} bytes");
            return Err(damaged(path, seq, reason));
        }
        if !is_last {
            // A full segment ends anywhere; whether it is complete, the next one's header says.
            return Ok(());
        }
        if let Some(witness) = witness(segment, position, seq) {
            let reason = format!("{problem}, and record {witness} was written after it was safe");
            return Err(damaged(path, seq, reason));
        }
        if !can_be_torn(segment, position) {
            return Err(damaged(path, seq, problem));
        }
        Ok(())
    }
}

/// The content of a segment's file.
struct Segment {
    bytes: Vec<u8>,
    /// Where the zeros at its end begin.
    used: usize,
}

impl Segment {
    /// Reads a file piece by piece. Most of a segment is zeros that were never written over: memory that holds them is
    /// never touched, so that what is used is what costs.
    fn read(file: &dyn DiskFile) -> io::Result<Self> {
        let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
        let mut segment = Self {
            bytes: vec![0; length],
            used: 0,
        };
        let mut piece = vec![0; PIECE_BYTES.min(length)];
        let mut start = 0;
        while start < length {
            let wanted = PIECE_BYTES.min(length - start);
            let read = file.read_at(start as u64, &mut piece[..wanted])?;
            if read == 0 {
                segment.bytes.truncate(start);
                break;
            }
            let used = last_used(&piece[..read]);
            segment.bytes[start..start + used].copy_from_slice(&piece[..used]);
            if used > 0 {
                segment.used = start + used;
            }
            start += read;
        }
        Ok(segment)
    }
}

/// A later record that was written when `seq` was on disk.
fn witness(segment: &Segment, position: usize, seq: u64) -> Option<u64> {
    let Segment { bytes, used } = segment;
    (position..*used)
        .step_by(ALIGNMENT)
        .filter(|start| bytes[*start..].starts_with(&record::MAGIC))
        .filter_map(|start| record::decode(&bytes[start..]).ok())
        .map(|found| found.entry.stamp)
        .find(|stamp| stamp.durable >= seq && stamp.seq > seq)
        .map(|stamp| stamp.seq)
}

/// Whether a sector of the record at `position` is as it was before it was written.
fn can_be_torn(segment: &Segment, position: usize) -> bool {
    let Segment { bytes, used } = segment;
    let claimed = bytes.get(position + 4..position + 8).map_or(0, |length| {
        u32::from_be_bytes(crate::envelope::fixed(length)) as usize
    });
    let end = position
        .saturating_add(HEAD_BYTES)
        .saturating_add(claimed)
        .max(*used)
        .min(bytes.len());
    let mut start = position;
    while start < end {
        let sector_end = (start + 1).next_multiple_of(SECTOR_BYTES).min(end);
        if bytes[start..sector_end].iter().all(|&byte| byte == 0) {
            return true;
        }
        start = sector_end;
    }
    start == position
}

/// Where the zeros at the end begin. Most of a segment is zeros: they are compared block by block.
fn last_used(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut used = bytes;
    while let Some(rest) = used.strip_suffix(&ZEROS) {
        used = rest;
    }
    let last = used.iter().rposition(|&byte| byte != 0);
    last.map_or(0, |last| last + 1)
}

pub(crate) fn damaged(file: &Path, record: u64, reason: impl Into<String>) -> Error {
    Error::DamagedJournal {
        file: file.to_owned(),
        record,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_begin_behind_the_last_byte_that_is_none() {
        assert_eq!(last_used(&[]), 0);
        for length in [1, 4095, 4096, 4097, 10_000] {
            let mut bytes = vec![0; length];
            assert_eq!(last_used(&bytes), 0);
            for at in (0..length).step_by(97).chain([length - 1]) {
                bytes[at] = 1;
                assert_eq!(last_used(&bytes), at + 1);
                bytes[at] = 0;
            }
        }
    }

    /// A file whose reads give less than is asked for.
    struct Short(Vec<u8>, usize);

    impl DiskFile for Short {
        fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
            unreachable!("it is only read")
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = &self.0[usize::try_from(offset).unwrap()..];
            let read = rest.len().min(buffer.len()).min(self.1);
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        }

        fn length(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn sync(&self) -> io::Result<()> {
            unreachable!("it is only read")
        }
    }

    #[test]
    fn a_segment_is_what_its_file_has_whatever_its_pieces() {
        for used in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1] {
            // Pieces of zeros in the middle, and a rest that is no whole piece.
            let mut bytes = vec![0; 3 * PIECE_BYTES + 77];
            bytes[..used].fill(7);
            for last in [used, 2 * PIECE_BYTES + 5, bytes.len()] {
                if last > used {
                    bytes[last - 1] = 9;
                }
                for most in [usize::MAX, PIECE_BYTES / 3] {
                    let segment = Segment::read(&Short(bytes.clone(), most)).unwrap();
                    assert!(segment.bytes == bytes, "{used} {last} {most}");
                    assert_eq!(segment.used, last, "{used} {last} {most}");
                }
            }
        }
    }
}
