//! [`Container`]: an object container file, its blocks unpacked and checked.
//!
//! [The format](https://avro.apache.org/docs/1.12.0/specification/#object-container-files):
//!
//! ```text
//! header: "Obj" 1, map (avro.schema, avro.codec, ...), sync marker
//! block:  records, bytes, the records, sync marker
//! ```
//!
//! As a [`BufRead`] it is the same file without compression, which is what the decoder is given. The error
//! that ended it waits in [`Failure`], as the decoder keeps only the text of what it meets.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use crate::avro::walk::Walk;
use crate::error::{Error, Result};
use crate::limits::ReadLimits;

const MAGIC: &[u8; 4] = b"Obj\x01";
const SYNC_BYTES: usize = 16;
const MAX_VARINT_BYTES: u32 = 10;

/// Why reading stopped, for who calls the decoder.
pub(super) type Failure = Rc<RefCell<Option<Error>>>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
    Xz,
}

/// Reads one file.
pub(super) struct Container<R> {
    input: BufReader<R>,
    name: String,
    limits: ReadLimits,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
    walk: Walk,
    /// Records in the blocks so far.
    records: u64,
    blocks: u64,
    /// What the decoder reads next.
    ready: Vec<u8>,
    position: usize,
    failure: Failure,
}

impl<R: Read> Container<R> {
    /// Reads the header.
    pub(super) fn open(input: R, name: String, limits: &ReadLimits) -> Result<Self> {
        let mut header = Header {
            input: BufReader::new(input),
            name: &name,
            limits,
            bytes: 0,
        };
        let (schema, codec) = header.read()?;
        let sync = header.array()?;
        let input = header.input;
        let codec = Codec::from_name(&codec, &name)?;
        let walk = Walk::new(&schema, &name, limits)?;
        let ready = plain_header(&schema, &sync);
        Ok(Self {
            input,
            limits: limits.clone(),
            codec,
            sync,
            walk,
            records: 0,
            blocks: 0,
            ready,
            position: 0,
            failure: Failure::default(),
            name,
        })
    }

    /// The header alone, as bytes: a file without blocks.
    pub(super) fn header(&self) -> &[u8] {
        &self.ready
    }

    pub(super) fn failure(&self) -> Failure {
        Rc::clone(&self.failure)
    }

    /// Makes the next block ready; false at the end of the file.
    fn next_block(&mut self) -> Result<bool> {
        let is_at_end = self
            .input
            .fill_buf()
            .map_err(|e| Error::io("read", &self.name, e))?
            .is_empty();
        if is_at_end {
            return Ok(false);
        }
        self.blocks += 1;
        let count = self.long()?;
        let length = self.long()?;
        let (Ok(count), Ok(length)) = (u64::try_from(count), u64::try_from(length)) else {
            return Err(self.corrupt(format!("it says {count} records in {length} bytes")));
        };
        self.limits
            .check_memory(&self.name, "a block of the file", length)?;
        let block = self.take(length)?;
        let sync: [u8; SYNC_BYTES] = self
            .take(SYNC_BYTES as u64)?
            .try_into()
            .map_err(|_| self.cut_off())?;
        if sync != self.sync {
            return Err(self.corrupt("it does not end with the sync marker of the file".into()));
        }
        let data = self.unpack(block)?;
        self.walk
            .block(&data, count)
            .map_err(|message| self.corrupt(message))?;
        self.records += count;
        self.ready.clear();
        self.position = 0;
        put_long(&mut self.ready, count);
        put_long(&mut self.ready, data.len() as u64);
        self.ready.extend_from_slice(&data);
        self.ready.extend_from_slice(&self.sync);
        Ok(true)
    }

    fn unpack(&self, block: Vec<u8>) -> Result<Vec<u8>> {
        let compressed = block.len() as u64;
        match self.codec {
            Codec::Null => Ok(block),
            Codec::Snappy => self.unpack_snappy(&block),
            Codec::Deflate => {
                self.read_whole(flate2::bufread::DeflateDecoder::new(&block[..]), compressed)
            }
            Codec::Zstandard => {
                let decoder = zstd::Decoder::with_buffer(&block[..])
                    .map_err(|e| self.corrupt(e.to_string()))?;
                self.read_whole(decoder, compressed)
            }
            Codec::Bzip2 => {
                self.read_whole(bzip2::bufread::MultiBzDecoder::new(&block[..]), compressed)
            }
            Codec::Xz => self.read_whole(liblzma::bufread::XzDecoder::new(&block[..]), compressed),
        }
    }

    fn read_whole(&self, decoder: impl Read, compressed: u64) -> Result<Vec<u8>> {
        let mut data = Vec::new();
        decoder
            .take(self.limits.memory_bytes.saturating_add(1))
            .read_to_end(&mut data)
            .map_err(|e| self.corrupt(e.to_string()))?;
        self.check_size(data.len() as u64, compressed)?;
        Ok(data)
    }

    fn check_size(&self, unpacked: u64, compressed: u64) -> Result<()> {
        self.limits
            .check_memory(&self.name, "an unpacked block of the file", unpacked)?;
        self.limits
            .check_decompression(&self.name, compressed, unpacked)
    }

    /// Raw snappy, then the checksum of what is inside.
    fn unpack_snappy(&self, block: &[u8]) -> Result<Vec<u8>> {
        let Some((compressed, checksum)) = block.split_last_chunk::<4>() else {
            return Err(self.corrupt("it is too short for its checksum".into()));
        };
        let length =
            snap::raw::decompress_len(compressed).map_err(|e| self.corrupt(e.to_string()))?;
        self.check_size(length as u64, compressed.len() as u64)?;
        let data = snap::raw::Decoder::new()
            .decompress_vec(compressed)
            .map_err(|e| self.corrupt(e.to_string()))?;
        let mut crc = flate2::Crc::new();
        crc.update(&data);
        if crc.sum() != u32::from_be_bytes(*checksum) {
            return Err(self.corrupt("its checksum is wrong".into()));
        }
        Ok(data)
    }

    fn long(&mut self) -> Result<i64> {
        match read_long(&mut self.input) {
            Ok(Some(long)) => Ok(long),
            Ok(None) => Err(self.corrupt("a number has more than 64 bits".into())),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(self.cut_off()),
            Err(e) => Err(Error::io("read", &self.name, e)),
        }
    }

    /// Grows with what is there, whatever the length says.
    fn take(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.input
            .by_ref()
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", &self.name, e))?;
        if (bytes.len() as u64) < length {
            return Err(self.cut_off());
        }
        Ok(bytes)
    }

    fn corrupt(&self, message: String) -> Error {
        Error::Corrupt {
            file: self.name.clone(),
            message: format!("block {}: {message}", self.blocks),
        }
    }

    fn cut_off(&self) -> Error {
        self.corrupt("the file ends inside of it".into())
    }
}

impl<R: Read> BufRead for Container<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.ready.len() {
            match self.next_block() {
                Ok(true) => {}
                Ok(false) => {
                    self.ready.clear();
                    self.position = 0;
                }
                Err(error) => {
                    let text = error.to_string();
                    self.failure.replace(Some(error));
                    return Err(io::Error::other(text));
                }
            }
        }
        Ok(&self.ready[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position = (self.position + amount).min(self.ready.len());
    }
}

impl<R: Read> Read for Container<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let length = ready.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ready[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl Codec {
    fn from_name(name: &[u8], file: &str) -> Result<Self> {
        match name {
            b"" | b"null" => Ok(Codec::Null),
            b"deflate" => Ok(Codec::Deflate),
            b"snappy" => Ok(Codec::Snappy),
            b"zstandard" => Ok(Codec::Zstandard),
            b"bzip2" => Ok(Codec::Bzip2),
            b"xz" => Ok(Codec::Xz),
            other => Err(Error::Unsupported(format!(
                "{file}: blocks are compressed with {:?}; known are null, deflate, snappy, zstandard, bzip2 and xz",
                String::from_utf8_lossy(other)
            ))),
        }
    }
}

/// The header being read.
struct Header<'a, R> {
    input: BufReader<R>,
    name: &'a str,
    limits: &'a ReadLimits,
    bytes: u64,
}

impl<R: Read> Header<'_, R> {
    /// Schema and codec.
    fn read(&mut self) -> Result<(String, Vec<u8>)> {
        if self.array::<4>()? != *MAGIC {
            return Err(self.corrupt("it does not begin as an Avro container file"));
        }
        let (mut schema, mut codec) = (None, Vec::new());
        loop {
            let mut count = self.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long()?;
                count = count.checked_neg().unwrap_or(i64::MAX);
            }
            for _ in 0..count {
                let key = self.bytes()?;
                let value = self.bytes()?;
                match key.as_slice() {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = value,
                    _ => {}
                }
            }
        }
        let schema = schema.ok_or_else(|| self.corrupt("its header has no schema"))?;
        let schema =
            String::from_utf8(schema).map_err(|_| self.corrupt("its schema is not UTF-8"))?;
        Ok((schema, codec))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        match self.input.read_exact(&mut array) {
            Ok(()) => Ok(array),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.long()?;
        let length = u64::try_from(length)
            .map_err(|_| self.corrupt("its header has a text of negative length"))?;
        self.bytes = self.bytes.saturating_add(length).saturating_add(2);
        self.limits
            .check_record(self.name, "the header", self.bytes)?;
        let mut bytes = Vec::new();
        if let Err(e) = self.input.by_ref().take(length).read_to_end(&mut bytes) {
            return Err(self.failed(e));
        }
        if (bytes.len() as u64) < length {
            return Err(self.corrupt("it ends inside its header"));
        }
        Ok(bytes)
    }

    fn long(&mut self) -> Result<i64> {
        match read_long(&mut self.input) {
            Ok(Some(long)) => Ok(long),
            Ok(None) => Err(self.corrupt("a number in its header has more than 64 bits")),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.corrupt("it ends inside its header"),
            _ => Error::io("read", self.name, error),
        }
    }

    fn corrupt(&self, message: &str) -> Error {
        Error::Corrupt {
            file: self.name.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// A zigzag number; None if it has more than 64 bits.
fn read_long(input: &mut impl Read) -> io::Result<Option<i64>> {
    let mut value = 0_u64;
    for index in 0..MAX_VARINT_BYTES {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        let bits = u64::from(byte[0] & 0x7F);
        if index == MAX_VARINT_BYTES - 1 && bits > 1 {
            return Ok(None);
        }
        value |= bits << (7 * index);
        if byte[0] & 0x80 == 0 {
            return Ok(Some((value >> 1) as i64 ^ -((value & 1) as i64)));
        }
    }
    Ok(None)
}

/// A number that is not negative, zigzag.
fn put_long(bytes: &mut Vec<u8>, value: u64) {
    let mut value = value << 1;
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn plain_header(schema: &str, sync: &[u8; SYNC_BYTES]) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    put_long(&mut header, 1);
    for text in ["avro.schema", schema] {
        put_long(&mut header, text.len() as u64);
        header.extend_from_slice(text.as_bytes());
    }
    put_long(&mut header, 0);
    header.extend_from_slice(sync);
    header
}
