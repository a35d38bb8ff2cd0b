//! [`Envelope`]: what is around every stored payload.
//!
//! ```text
//! 0       2       3                11        19        23
//! | schema | flags | object version |   seq   | crc32c  | payload ...
//!   u16 BE   u8      u64 BE           u64 BE    u32 BE
//! ```
//!
//! The checksum covers everything but itself, and the space and key the value is stored under, so a value that
//! turns up in the wrong place is as damaged as one with a flipped bit. It guards against accidents, not
//! against someone who can write to the disk.

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 23;

const CRC_AT: usize = 19;

/// The payload is the description of a payload stored in chunks.
pub(crate) const FLAG_CHUNKED: u8 = 1;
/// The payload is a chunk.
pub(crate) const FLAG_CHUNK: u8 = 2;
const KNOWN_FLAGS: u8 = FLAG_CHUNKED | FLAG_CHUNK;

/// The fields before the payload, without the checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) schema: u16,
    pub(crate) flags: u8,
    pub(crate) version: u64,
    pub(crate) seq: u64,
}

impl Envelope {
    /// The value to store for `payload` in `space` under `stored_key`.
    pub(crate) fn seal(&self, space: &str, stored_key: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
        value.extend(self.schema.to_be_bytes());
        value.push(self.flags);
        value.extend(self.version.to_be_bytes());
        value.extend(self.seq.to_be_bytes());
        let crc = checksum(space, stored_key, &value, payload);
        value.extend(crc.to_be_bytes());
        value.extend_from_slice(payload);
        value
    }

    /// Checks a stored value and takes it apart. The error says which check failed.
    pub(crate) fn open<'a>(
        space: &str,
        stored_key: &[u8],
        value: &'a [u8],
    ) -> Result<(Self, &'a [u8]), String> {
        let Some((header, payload)) = value.split_at_checked(HEADER_BYTES) else {
            let size = value.len();
            return Err(format!(
                "it has {size} bytes, fewer than the {HEADER_BYTES} of its envelope"
            ));
        };
        let (fields, crc) = header.split_at(CRC_AT);
        let stored = u32::from_be_bytes(fixed(crc));
        let computed = checksum(space, stored_key, fields, payload);
        if stored != computed {
            return Err(format!(
                "its checksum is {computed:08x} and should be {stored:08x}"
            ));
        }
        let envelope = Self {
            schema: u16::from_be_bytes(fixed(&fields[..2])),
            flags: fields[2],
            version: u64::from_be_bytes(fixed(&fields[3..11])),
            seq: u64::from_be_bytes(fixed(&fields[11..])),
        };
        if envelope.flags & !KNOWN_FLAGS != 0 {
            return Err(format!(
                "it has flags {:#04x}, written by a newer version of tenon",
                envelope.flags
            ));
        }
        Ok((envelope, payload))
    }
}

fn checksum(space: &str, stored_key: &[u8], fields: &[u8], payload: &[u8]) -> u32 {
    // The zero ends the name, the length the key: no two places give the same bytes.
    let key_length = (stored_key.len() as u64).to_be_bytes();
    let parts: [&[u8]; 6] = [
        space.as_bytes(),
        &[0],
        &key_length,
        stored_key,
        fields,
        payload,
    ];
    parts
        .iter()
        .fold(0, |crc, part| crc32c::crc32c_append(crc, part))
}

/// The bytes of a number; zeros when `bytes` has another length, which no caller does.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: Envelope = Envelope {
        schema: 1,
        flags: 0,
        version: 3,
        seq: 0x0102_0304_0506_0708,
    };
    const KEY: &[u8] = b"\0\0\0\x05\x01sales\0\x01";

    /// The bytes of every released layout are kept; each must still open.
    #[test]
    fn the_golden_file_is_what_is_written_and_opens() {
        let golden = include_str!("../test-data/envelope-v1.hex");
        let text: String = golden
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        let sealed = ENVELOPE.seal("obj", KEY, b"{\"Name\":\"sales\"}");
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex, text,
            "the stored layout must not change without a new schema of envelopes"
        );
        assert_eq!(
            Envelope::open("obj", KEY, &sealed),
            Ok((ENVELOPE, b"{\"Name\":\"sales\"}".as_slice()))
        );
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let sealed = ENVELOPE.seal("obj", KEY, b"payload");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Envelope::open("obj", KEY, &damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(
                Envelope::open("obj", KEY, &sealed[..length]).is_err(),
                "length {length}"
            );
        }
    }

    #[test]
    fn a_value_in_the_wrong_place_is_noticed() {
        let sealed = ENVELOPE.seal("obj", KEY, b"payload");
        assert!(Envelope::open("ver", KEY, &sealed).is_err());
        assert!(Envelope::open("obj", b"\0\0\0\x06\x01sales\0\x01", &sealed).is_err());
    }

    #[test]
    fn unknown_flags_are_refused() {
        let newer = Envelope {
            flags: 0x40,
            ..ENVELOPE
        };
        let error = Envelope::open("obj", KEY, &newer.seal("obj", KEY, b"")).unwrap_err();
        assert_eq!(
            error,
            "it has flags 0x40, written by a newer version of tenon"
        );
    }
}
