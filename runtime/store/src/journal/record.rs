//! One record of the journal: a transaction as the operations it came to, chained to the record before it.
//!
//! ```text
//! 0       4       8       12      16
//! | magic | length| crc32c|  prev | body, `length` bytes | zeros up to a multiple of 8
//!
//! body = seq u64 | durable u64 | unix millis u64 | digest u128 | tenant u32 | actor u16 + text | ops u32 + ops
//! op   = space code u8 | 0 (delete) u8 | key u32 + bytes
//!      | space code u8 | 1 (put)    u8 | key u32 + bytes | value u32 + bytes
//! ```
//!
//! All numbers are big-endian. The checksum covers length, prev and body; `prev` is the checksum of the record
//! before, so bytes left over from another history never continue this one. `durable` is the last sequence
//! number that was known to be on disk when the record was written: a valid record vouches for everything up
//! to there, which tells a torn tail from damage. `digest` is the store's after the transaction.

use crate::digest::{DIGEST_BYTES, Digest};
use crate::engine::Op;
use crate::envelope::fixed;
use crate::tree::Space;

pub(crate) const MAGIC: [u8; 4] = *b"TREC";
/// Bytes before the body.
pub(crate) const HEAD_BYTES: usize = 16;
/// Records begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

/// What a record says besides its operations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    pub(crate) seq: u64,
    pub(crate) durable: u64,
    pub(crate) unix_millis: u64,
    pub(crate) digest: Digest,
    pub(crate) tenant: u32,
    pub(crate) actor: String,
}

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) stamp: Stamp,
    pub(crate) ops: Vec<Op>,
}

/// A record that was found whole, with its place in the chain.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) prev: u32,
    pub(crate) crc: u32,
    /// Bytes it takes, with padding.
    pub(crate) size: usize,
}

/// Appends a record to `out` and returns its checksum, which is the next one's `prev`.
pub(crate) fn encode(out: &mut Vec<u8>, prev: u32, stamp: &Stamp, ops: &[Op]) -> u32 {
    let start = out.len();
    out.extend(MAGIC);
    out.extend([0; 8]);
    out.extend(prev.to_be_bytes());
    out.extend(stamp.seq.to_be_bytes());
    out.extend(stamp.durable.to_be_bytes());
    out.extend(stamp.unix_millis.to_be_bytes());
    out.extend(stamp.digest.to_bytes());
    out.extend(stamp.tenant.to_be_bytes());
    out.extend((stamp.actor.len() as u16).to_be_bytes());
    out.extend(stamp.actor.as_bytes());
    out.extend((ops.len() as u32).to_be_bytes());
    for op in ops {
        encode_op(out, op);
    }
    let length = (out.len() - start - HEAD_BYTES) as u32;
    out[start + 4..start + 8].copy_from_slice(&length.to_be_bytes());
    let crc = checksum(&out[start..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_be_bytes());
    out.resize(start + (out.len() - start).next_multiple_of(ALIGNMENT), 0);
    crc
}

fn encode_op(out: &mut Vec<u8>, op: &Op) {
    out.extend([op.space.code(), u8::from(op.value.is_some())]);
    out.extend((op.key.len() as u32).to_be_bytes());
    out.extend_from_slice(&op.key);
    if let Some(value) = &op.value {
        out.extend((value.len() as u32).to_be_bytes());
        out.extend_from_slice(value);
    }
}

/// Reads the record at the beginning of `bytes`. The error says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Found, &'static str> {
    let head = bytes.get(..HEAD_BYTES).ok_or("it is cut off")?;
    if head[..4] != MAGIC {
        return Err("it does not begin as a record does");
    }
    let length = u32::from_be_bytes(fixed(&head[4..8])) as usize;
    let record = bytes
        .get(..HEAD_BYTES + length)
        .ok_or("it claims to go on after the end of its file")?;
    let crc = u32::from_be_bytes(fixed(&head[8..12]));
    if checksum(record) != crc {
        return Err("its checksum does not match");
    }
    let entry = decode_body(&record[HEAD_BYTES..]).ok_or("its content makes no sense")?;
    Ok(Found {
        entry,
        prev: u32::from_be_bytes(fixed(&head[12..])),
        crc,
        size: record.len().next_multiple_of(ALIGNMENT),
    })
}

fn checksum(record: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&record[4..8]);
    crc32c::crc32c_append(crc, &record[12..])
}

fn decode_body(mut body: &[u8]) -> Option<Entry> {
    let body = &mut body;
    let mut stamp = Stamp {
        seq: u64::from_be_bytes(take(body)?),
        durable: u64::from_be_bytes(take(body)?),
        unix_millis: u64::from_be_bytes(take(body)?),
        digest: Digest::from_bytes(take::<DIGEST_BYTES>(body)?),
        tenant: u32::from_be_bytes(take(body)?),
        actor: String::new(),
    };
    let actor_bytes = u16::from_be_bytes(take(body)?);
    let actor = take_slice(body, usize::from(actor_bytes))?;
    stamp.actor = String::from_utf8(actor.to_vec()).ok()?;
    let count = u32::from_be_bytes(take(body)?);
    // Not allocated by what the record claims: it ends when the bytes end.
    let mut ops = Vec::new();
    for _ in 0..count {
        ops.push(decode_op(body)?);
    }
    body.is_empty().then_some(Entry { stamp, ops })
}

fn decode_op(body: &mut &[u8]) -> Option<Op> {
    let [space, put] = take(body)?;
    let space = Space::of_code(space)?;
    let key = take_sized(body)?.to_vec();
    let value = match put {
        0 => None,
        1 => Some(take_sized(body)?.to_vec()),
        _ => return None,
    };
    Some(Op { space, key, value })
}

/// Bytes with their length before them.
pub(crate) fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(bytes)?);
    take_slice(bytes, length as usize)
}

pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn take_slice<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;
    use proptest::prelude::*;

    pub(crate) fn sample() -> (Stamp, Vec<Op>) {
        let stamp = Stamp {
            seq: 7,
            durable: 6,
            unix_millis: 1_700_000_000_000,
            digest: Digest::of(Space::Chunks, b"k", b"v"),
            tenant: 5,
            actor: "anna".to_owned(),
        };
        let put = Op {
            space: Space::Records(Tree::Object),
            key: b"\0\0\0\x05sales\0\x01".to_vec(),
            value: Some(b"payload".to_vec()),
        };
        let delete = Op {
            space: Space::Chunks,
            key: b"old".to_vec(),
            value: None,
        };
        (stamp, vec![put, delete])
    }

    /// The bytes of every released layout are kept; each must still be read.
    #[test]
    fn the_golden_file_is_what_is_written_and_is_read() {
        let (stamp, ops) = sample();
        let mut bytes = Vec::new();
        let crc = encode(&mut bytes, 0x0102_0304, &stamp, &ops);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../test-data/record-v1.hex").trim());
        let found = decode(&bytes).unwrap();
        assert_eq!((found.entry.stamp, found.entry.ops), (stamp, ops));
        assert_eq!(
            (found.prev, found.crc, found.size),
            (0x0102_0304, crc, bytes.len())
        );
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let (stamp, ops) = sample();
        let mut bytes = Vec::new();
        encode(&mut bytes, 9, &stamp, &ops);
        let whole = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for bit in 0..whole * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
        }
        for length in 0..whole {
            assert!(decode(&bytes[..length]).is_err(), "length {length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_with_a_right_checksum_never_panic(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = [MAGIC.as_slice(), &(body.len() as u32).to_be_bytes(), &[0; 8], &body].concat();
            let crc = checksum(&bytes).to_be_bytes();
            bytes[8..12].copy_from_slice(&crc);
            let _ = decode(&bytes);
            let _ = decode_body(&body);
        }
    }
}
