//! [`Frames`]: LZ4 frames one after the other, whose missing end is an error.
//!
//! The decoder below takes the end of its input for the end of the frame wherever a block could begin.
//! So the structure of the frames is followed beside it: at the end of the input, a frame must be over.
//! [The format](https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md).

use std::io::{self, BufRead, BufReader, Read};

use lz4_flex::frame::FrameDecoder;

pub(super) struct Frames<R: Read> {
    decoder: FrameDecoder<BufReader<Followed<R>>>,
}

impl<R: Read> Frames<R> {
    pub(super) fn new(input: R) -> Self {
        let input = Followed {
            input,
            structure: Structure::default(),
        };
        Self {
            decoder: FrameDecoder::new(BufReader::new(input)),
        }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            // The decoder says nothing at the end of each frame: another may follow.
            let input = self.decoder.get_mut();
            if !input.fill_buf()?.is_empty() {
                continue;
            }
            return if input.get_ref().structure.is_complete() {
                Ok(0)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

struct Followed<R> {
    input: R,
    structure: Structure,
}

impl<R: Read> Read for Followed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.structure.follow(&buffer[..read]);
        Ok(read)
    }
}

/// Where in its frame the input stands. Counts bytes; what they say is the decoder's business.
#[derive(Debug, Default)]
struct Structure {
    part: Part,
    /// The bytes of the current part so far, as far as they matter.
    seen: Vec<u8>,
    /// Bytes of a block that are still to come.
    left: u64,
    block_checksum: bool,
    content_checksum: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Part {
    /// Magic and the two flag bytes.
    #[default]
    Header,
    /// The rest of the header, a block or a checksum: nothing to look at.
    Skip(After),
    BlockSize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Block,
    Frame,
}

impl Structure {
    fn is_complete(&self) -> bool {
        self.part == Part::Header && self.seen.is_empty()
    }

    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = match self.part {
                Part::Header => 6 - self.seen.len() as u64,
                Part::BlockSize => 4 - self.seen.len() as u64,
                Part::Skip(_) => self.left,
            };
            let taken = wanted.min(bytes.len() as u64);
            let (now, rest) = bytes.split_at(taken as usize);
            bytes = rest;
            match self.part {
                Part::Skip(_) => self.left -= taken,
                _ => self.seen.extend_from_slice(now),
            }
            if taken == wanted {
                self.step();
            }
        }
    }

    fn step(&mut self) {
        match self.part {
            Part::Header => self.header(),
            Part::BlockSize => self.block_size(),
            Part::Skip(After::Block) => self.part = Part::BlockSize,
            Part::Skip(After::Frame) => self.part = Part::Header,
        }
        self.seen.clear();
    }

    fn header(&mut self) {
        let flags = self.seen[4];
        self.block_checksum = flags & 0x10 != 0;
        self.content_checksum = flags & 0x04 != 0;
        let size = if flags & 0x08 != 0 { 8 } else { 0 };
        let dictionary = if flags & 0x01 != 0 { 4 } else { 0 };
        self.left = size + dictionary + 1;
        self.part = Part::Skip(After::Block);
    }

    fn block_size(&mut self) {
        let mut size = [0; 4];
        size.copy_from_slice(&self.seen);
        let size = u64::from(u32::from_le_bytes(size) & 0x7FFF_FFFF);
        (self.left, self.part) = match (size, self.content_checksum) {
            (0, true) => (4, Part::Skip(After::Frame)),
            (0, false) => (0, Part::Header),
            _ => (
                size + if self.block_checksum { 4 } else { 0 },
                Part::Skip(After::Block),
            ),
        };
    }
}
