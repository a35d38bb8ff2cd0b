//! Payloads as engine entries, and back.
//!
//! A payload that fits is stored in one entry. A larger one is cut: its entry holds the total length and
//! checksum, and the pieces lie in the chunk space, where scans of records do not meet them.
//!
//! ```text
//! obj    tenant|key                      envelope(CHUNKED)  length u64 | crc32c u32
//! chunk  tenant|tree u8|key|index u32    envelope(CHUNK)    up to PIECE_BYTES of payload
//! ```
//!
//! The index has a fixed width at the end, so no two records share a chunk key. All pieces carry the object
//! version and sequence number of their entry: pieces of two writes cannot be mistaken for one value.

use std::iter;

use crate::digest::Digest;
use crate::engine::{Engine, Op};
use crate::envelope::{Envelope, FLAG_CHUNK, FLAG_CHUNKED, HEADER_BYTES, fixed};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::state::Position;
use crate::store::Record;
use crate::tree::{Space, Tree};

/// Largest payload, in bytes: 16 MiB. What is larger belongs in a file, with its digest in a record.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;

/// Largest engine value, in bytes.
pub(crate) const MAX_ENTRY_BYTES: usize = 4096;

/// Largest payload in one entry, in bytes.
pub(crate) const PIECE_BYTES: usize = MAX_ENTRY_BYTES - HEADER_BYTES;

const DESCRIPTION_BYTES: usize = 12;

/// What the writer must know of a stored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: u64,
    pub(crate) chunks: u32,
}

/// Where a record is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) tree: Tree,
    pub(crate) stored_key: Vec<u8>,
}

impl Place {
    pub(crate) const fn space(&self) -> Space {
        Space::Records(self.tree)
    }

    fn chunk_key(&self, index: u32) -> Vec<u8> {
        let (tenant, key) = self
            .stored_key
            .split_at(size_of::<u32>().min(self.stored_key.len()));
        [tenant, &[self.tree.code()], key, &index.to_be_bytes()].concat()
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        damaged(self.space(), &self.stored_key, reason)
    }
}

pub(crate) fn damaged(space: Space, stored_key: &[u8], reason: impl Into<String>) -> Error {
    Error::DamagedRecord {
        tree: space.name(),
        key: Key::of_stored(stored_key),
        reason: reason.into(),
    }
}

/// The operations that store `payload` at `place`, in place of `old`. Returns the new head.
pub(crate) fn put(
    ops: &mut Vec<Op>,
    place: &Place,
    envelope: Envelope,
    payload: &[u8],
    old: Option<Head>,
) -> Head {
    let chunks = if payload.len() > PIECE_BYTES {
        put_chunks(ops, place, envelope, payload)
    } else {
        0
    };
    if chunks > 0 {
        let head = Envelope {
            flags: FLAG_CHUNKED,
            ..envelope
        };
        ops.push(sealed(
            place.space(),
            place.stored_key.clone(),
            head,
            &describe(payload),
        ));
    } else {
        ops.push(sealed(
            place.space(),
            place.stored_key.clone(),
            envelope,
            payload,
        ));
    }
    delete_chunks(ops, place, chunks, old);
    Head {
        version: envelope.version,
        chunks,
    }
}

/// The operations that remove the record at `place`.
pub(crate) fn delete(ops: &mut Vec<Op>, place: &Place, old: Option<Head>) {
    ops.push(Op {
        space: place.space(),
        key: place.stored_key.clone(),
        value: None,
    });
    delete_chunks(ops, place, 0, old);
}

fn put_chunks(ops: &mut Vec<Op>, place: &Place, envelope: Envelope, payload: &[u8]) -> u32 {
    let envelope = Envelope {
        flags: FLAG_CHUNK,
        ..envelope
    };
    let mut chunks = 0;
    for piece in payload.chunks(PIECE_BYTES) {
        ops.push(sealed(
            Space::Chunks,
            place.chunk_key(chunks),
            envelope,
            piece,
        ));
        chunks += 1;
    }
    chunks
}

fn delete_chunks(ops: &mut Vec<Op>, place: &Place, from: u32, old: Option<Head>) {
    let until = old.map_or(0, |head| head.chunks);
    ops.extend((from..until).map(|index| Op {
        space: Space::Chunks,
        key: place.chunk_key(index),
        value: None,
    }));
}

fn sealed(space: Space, key: Vec<u8>, envelope: Envelope, payload: &[u8]) -> Op {
    let value = envelope.seal(space.name(), &key, payload);
    Op {
        space,
        key,
        value: Some(value),
    }
}

fn describe(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_be_bytes();
    let crc = crc32c::crc32c(payload).to_be_bytes();
    length.into_iter().chain(crc).collect()
}

/// Takes a description apart: length, number of chunks and checksum of the payload.
fn parse_description(place: &Place, description: &[u8]) -> Result<(usize, u32, u32)> {
    if description.len() != DESCRIPTION_BYTES {
        return Err(place.damaged("the description of its chunks has the wrong length"));
    }
    let length = u64::from_be_bytes(fixed(&description[..8]));
    match usize::try_from(length) {
        Ok(length) if length <= MAX_PAYLOAD_BYTES => {
            let chunks = length.div_ceil(PIECE_BYTES) as u32;
            Ok((length, chunks, u32::from_be_bytes(fixed(&description[8..]))))
        }
        _ => Err(place.damaged(format!(
            "it claims {length} bytes, the limit is {MAX_PAYLOAD_BYTES}"
        ))),
    }
}

/// The head of the record at `place`, whose entry holds `value`.
pub(crate) fn head(place: &Place, value: &[u8]) -> Result<Head> {
    let (envelope, payload) = open(place.space(), &place.stored_key, value)?;
    let chunks = match envelope.flags & FLAG_CHUNKED {
        0 => 0,
        _ => parse_description(place, payload)?.1,
    };
    Ok(Head {
        version: envelope.version,
        chunks,
    })
}

/// The record at `place`, whose entry holds `value`.
pub(crate) fn read_record(engine: &impl Engine, place: &Place, value: &[u8]) -> Result<Record> {
    let (envelope, payload) = open(place.space(), &place.stored_key, value)?;
    let payload = match envelope.flags & FLAG_CHUNKED {
        0 => payload.to_vec(),
        _ => read_chunks(engine, place, envelope, payload)?,
    };
    let Envelope {
        schema,
        version,
        seq,
        ..
    } = envelope;
    Ok(Record {
        schema,
        version,
        seq,
        payload,
    })
}

fn read_chunks(
    engine: &impl Engine,
    place: &Place,
    head: Envelope,
    description: &[u8],
) -> Result<Vec<u8>> {
    let (length, chunks, crc) = parse_description(place, description)?;
    let mut payload = Vec::with_capacity(length);
    for index in 0..chunks {
        let key = place.chunk_key(index);
        let missing = || place.damaged(format!("chunk {index} of {chunks} is missing"));
        let value = engine.get(Space::Chunks, &key)?.ok_or_else(missing)?;
        let (envelope, piece) = open(Space::Chunks, &key, &value)?;
        if envelope
            != (Envelope {
                flags: FLAG_CHUNK,
                ..head
            })
        {
            return Err(place.damaged(format!(
                "chunk {index} of {chunks} belongs to another write"
            )));
        }
        payload.extend_from_slice(piece);
    }
    if payload.len() != length || crc32c::crc32c(&payload) != crc {
        return Err(place.damaged("its chunks do not add up to what was written"));
    }
    Ok(payload)
}

fn open<'a>(space: Space, stored_key: &[u8], value: &'a [u8]) -> Result<(Envelope, &'a [u8])> {
    Envelope::open(space.name(), stored_key, value)
        .map_err(|reason| damaged(space, stored_key, reason))
}

/// A number in the meta space.
pub(crate) fn read_meta(engine: &impl Engine, name: &str) -> Result<Option<u64>> {
    let opened = read_meta_payload(engine, name)?;
    Ok(opened.map(|(_, payload)| u64::from_be_bytes(fixed(&payload))))
}

fn read_meta_payload(engine: &impl Engine, name: &str) -> Result<Option<(Envelope, Vec<u8>)>> {
    let Some(value) = engine.get(Space::Meta, name.as_bytes())? else {
        return Ok(None);
    };
    // Meta keys have no tenant: shown in full.
    let unreadable = |reason: String| Error::DamagedRecord {
        tree: Space::Meta.name(),
        key: Key::from_bytes(name.as_bytes().to_vec()),
        reason,
    };
    let opened = Envelope::open(Space::Meta.name(), name.as_bytes(), &value);
    let (envelope, payload) = opened.map_err(unreadable)?;
    Ok(Some((envelope, payload.to_vec())))
}

/// The operation that stores a number in the meta space.
pub(crate) fn put_meta(name: &str, seq: u64, number: u64) -> Op {
    let envelope = Envelope {
        schema: 1,
        flags: 0,
        version: 1,
        seq,
    };
    sealed(
        Space::Meta,
        name.as_bytes().to_vec(),
        envelope,
        &number.to_be_bytes(),
    )
}

/// Name of sequence number and digest in the meta space.
const STATE_NAME: &str = "state";

/// The operation that stores what is applied. After what it speaks of: where it is, all of that is.
pub(crate) fn put_state(position: Position) -> Op {
    let envelope = Envelope {
        schema: 1,
        flags: 0,
        version: 1,
        seq: position.seq,
    };
    let payload = position.digest.to_bytes();
    sealed(Space::Meta, STATE_NAME.into(), envelope, &payload)
}

/// What is applied; `None` in a new database and in one of the format without a journal.
pub(crate) fn read_state(engine: &impl Engine) -> Result<Option<Position>> {
    let opened = read_meta_payload(engine, STATE_NAME)?;
    Ok(opened.map(|(envelope, payload)| Position {
        seq: envelope.seq,
        digest: Digest::from_bytes(fixed(&payload)),
    }))
}

/// The first key after all keys that begin with `prefix`; `None` when there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let increased = prefix[last] + 1;
    Some(
        prefix[..last]
            .iter()
            .copied()
            .chain(iter::once(increased))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }

    #[test]
    fn no_operation_exceeds_the_size_of_an_entry() {
        let place = Place {
            tree: Tree::Object,
            stored_key: b"\0\0\0\x01key".to_vec(),
        };
        let envelope = Envelope {
            schema: 1,
            flags: 0,
            version: 1,
            seq: 1,
        };
        for (size, expected) in [
            (0, 0),
            (PIECE_BYTES, 0),
            (PIECE_BYTES + 1, 2),
            (2 * PIECE_BYTES, 2),
            (2 * PIECE_BYTES + 1, 3),
        ] {
            let mut ops = Vec::new();
            let head = put(&mut ops, &place, envelope, &vec![7; size], None);
            assert_eq!(head.chunks, expected, "{size}");
            assert!(
                ops.iter()
                    .all(|op| op.value.as_ref().unwrap().len() <= MAX_ENTRY_BYTES)
            );
        }
    }
}
