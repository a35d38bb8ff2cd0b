//! [`Encoder`]: text formats compressed while they are written.

use std::io::{self, BufWriter, Write};

/// How a written CSV or JSON file is compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextCompression {
    /// Not at all.
    #[default]
    None,
    /// `.gz`, level 6: what every reader knows.
    Gzip,
    /// `.zst`, level 3: smaller at several times the speed.
    Zstd,
}

impl TextCompression {
    /// What the last suffix of a file's name asks for.
    pub(crate) fn from_suffix(suffix: &str) -> Self {
        match suffix {
            "gz" => TextCompression::Gzip,
            "zst" => TextCompression::Zstd,
            _ => TextCompression::None,
        }
    }
}

/// Bytes on their way into a file.
pub(crate) enum Encoder<W: Write> {
    Plain(BufWriter<W>),
    Gzip(flate2::write::GzEncoder<BufWriter<W>>),
    Zstd(zstd::Encoder<'static, BufWriter<W>>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(compression: TextCompression, output: W) -> io::Result<Self> {
        let output = BufWriter::new(output);
        Ok(match compression {
            TextCompression::None => Encoder::Plain(output),
            TextCompression::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(
                output,
                flate2::Compression::new(6),
            )),
            TextCompression::Zstd => {
                let mut encoder = zstd::Encoder::new(output, 3)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        })
    }

    /// Writes the end of the stream and gives the output back.
    pub(crate) fn finish(self) -> io::Result<W> {
        let output = match self {
            Encoder::Plain(output) => output,
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Zstd(encoder) => encoder.finish()?,
        };
        output.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::Plain(output) => output.write(bytes),
            Encoder::Gzip(output) => output.write(bytes),
            Encoder::Zstd(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Plain(output) => output.flush(),
            Encoder::Gzip(output) => output.flush(),
            Encoder::Zstd(output) => output.flush(),
        }
    }
}
