//! Streams of every codec, whole, one after the other, cut and damaged; bombs and their limits.

use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::locate::locate;
use crate::place::Place;

const TEXT: &[u8] = b"name,postcode\nAda,0812\nGrace,0900\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn lz4(text: &[u8]) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn snappy_frames(text: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(text).unwrap();
    encoder.into_inner().unwrap()
}

/// One block in two chunks, as Hadoop writes it.
fn hadoop_snappy(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
    let middle = text.len() / 2;
    for half in [&text[..middle], &text[middle..]] {
        let chunk = snap::raw::Encoder::new().compress_vec(half).unwrap();
        bytes.extend_from_slice(&(chunk.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        let options = ::zip::write::SimpleFileOptions::default();
        archive.start_file(*name, options).unwrap();
        archive.write_all(text).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

type Packer = fn(&[u8]) -> Vec<u8>;

const PACKERS: &[(&str, Packer)] = &[
    ("gz", gzip),
    ("bz2", bzip2),
    ("zst", zstandard),
    ("xz", xz),
    ("lz4", lz4),
    ("sz", snappy_frames),
    ("snappy", hadoop_snappy),
];

struct Files {
    root: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    /// The one file, or the members of the one archive.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Vec<SourceFile>> {
        std::fs::write(self.root.path().join(name), bytes).unwrap();
        let place = Place::rooted(self.root.path())?;
        expand(locate(&place, &[PathBuf::from(name)])?)
    }

    fn read(&self, name: &str, bytes: &[u8], limits: &ReadLimits) -> Result<Vec<u8>> {
        let files = self.put(name, bytes)?;
        let mut content = Vec::new();
        for file in files {
            file.read(limits)?
                .read_to_end(&mut content)
                .map_err(|e| Error::io("read", file.name(), e))?;
        }
        Ok(content)
    }
}

#[test]
fn what_was_packed_comes_out() {
    let files = Files::new();
    let limits = ReadLimits::default();
    let long: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    for (suffix, pack) in PACKERS {
        for text in [TEXT, &long] {
            let name = format!("people.csv.{suffix}");
            assert_eq!(
                files.read(&name, &pack(text), &limits).unwrap(),
                text,
                "{suffix}"
            );
        }
    }
    let archive = zip_of(&[("a.csv", TEXT), ("_hidden", b"x"), ("deep/b.csv", b"more")]);
    let both = [TEXT, b"more"].concat();
    assert_eq!(files.read("many.zip", &archive, &limits).unwrap(), both);
    let names: Vec<_> = files.put("many.zip", &archive).unwrap();
    let names: Vec<_> = names.iter().map(SourceFile::name).collect();
    assert_eq!(names, ["many.zip/a.csv", "many.zip/deep/b.csv"]);
}

#[test]
fn the_content_is_believed_before_the_name() {
    let files = Files::new();
    let limits = ReadLimits::default();
    for (suffix, pack) in PACKERS {
        if *suffix == "snappy" {
            continue;
        }
        for name in ["people.csv", "people.csv.gz", "people.csv.xz"] {
            assert_eq!(
                files.read(name, &pack(TEXT), &limits).unwrap(),
                TEXT,
                "{suffix} in {name}"
            );
        }
    }
    assert_eq!(files.read("people.csv.gz", TEXT, &limits).unwrap(), TEXT);
    assert_eq!(files.read("people.csv.gz", b"", &limits).unwrap(), b"");
    let archive = zip_of(&[("a.csv", TEXT)]);
    assert_eq!(files.read("people.csv", &archive, &limits).unwrap(), TEXT);
}

#[test]
fn streams_that_follow_each_other_are_read_to_the_last() {
    let files = Files::new();
    for (suffix, pack) in PACKERS {
        let twice = [pack(TEXT), pack(b"Alan,0100\n")].concat();
        let expected = [TEXT, b"Alan,0100\n"].concat();
        let name = format!("people.csv.{suffix}");
        let read = files.read(&name, &twice, &ReadLimits::default()).unwrap();
        assert_eq!(read, expected, "{suffix}");
    }
}

#[test]
fn a_cut_stream_is_an_error_wherever_it_is_cut() {
    let files = Files::new();
    let text: Vec<u8> = (0..3_000_u32).flat_map(u32::to_le_bytes).collect();
    for (suffix, pack) in PACKERS {
        let whole = pack(&text);
        let name = format!("people.csv.{suffix}");
        for cut in (1..whole.len()).step_by(1 + whole.len() / 150) {
            let read = files.read(&name, &whole[..cut], &ReadLimits::default());
            // Snappy's frames have no end of their own: cut between two, they are whole.
            if *suffix == "sz" && read.as_ref().is_ok_and(|read| text.starts_with(read)) {
                continue;
            }
            assert!(
                matches!(read, Err(Error::Corrupt { .. })),
                "{suffix} cut at {cut} of {}: {:?}",
                whole.len(),
                read.map(|read| read.len())
            );
        }
    }
    let archive = zip_of(&[("a.csv", &text)]);
    for cut in (1..archive.len()).step_by(50) {
        let error = files
            .read("a.zip", &archive[..cut], &ReadLimits::default())
            .unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
}

#[test]
fn damage_is_an_error_that_names_the_file() {
    let files = Files::new();
    let mut packed = gzip(&[7; 10_000]);
    let end = packed.len();
    packed[end - 6] ^= 1;
    let error = files
        .read("people.csv.gz", &packed, &ReadLimits::default())
        .unwrap_err();
    insta::assert_snapshot!(error, @"people.csv.gz: the gzip stream cannot be unpacked after 10000 bytes: corrupt gzip stream does not have a matching checksum; the file is damaged or not what its name says");
    let error = files
        .read("people.csv.gz", &gzip(TEXT)[..30], &ReadLimits::default())
        .unwrap_err();
    insta::assert_snapshot!(error, @"people.csv.gz: the gzip stream ends in its middle, after 19 unpacked bytes; the file is damaged or not what its name says");
}

#[test]
fn bombs_are_refused_by_the_name_of_a_limit() {
    let files = Files::new();
    let limits = ReadLimits::default();
    // 10 GB in 10 MB.
    let bomb = gzip(&vec![0; 100 << 20]).repeat(100);
    let unpacked = |name: &str, bytes: &[u8], limits: &ReadLimits| {
        let file = files.put(name, bytes)?.swap_remove(0);
        io::copy(&mut file.read(limits)?, &mut io::sink())
            .map_err(|e| Error::io("read", file.name(), e))
    };
    let error = unpacked("bomb.csv.gz", &bomb, &limits).unwrap_err();
    assert!(
        matches!(error, Error::Limit { limit: "ratio", .. }),
        "{error}"
    );
    assert!(
        error.to_string().starts_with("bomb.csv.gz: ")
            && error.to_string().contains("the limit ratio is 250"),
        "{error}"
    );
    let archive = zip_of(&[("bomb.csv", &vec![0; 200 << 20])]);
    let error = unpacked("bomb.zip", &archive, &limits).unwrap_err();
    assert!(
        matches!(error, Error::Limit { limit: "ratio", .. }),
        "{error}"
    );
    let few = ReadLimits {
        decompressed_bytes: 1000,
        ..ReadLimits::default()
    };
    let error = unpacked("many.csv.gz", &gzip(&[0; 10_000]), &few).unwrap_err();
    insta::assert_snapshot!(error, @"many.csv.gz: 8208 bytes came out of 45 compressed ones so far; the limit decompressed_bytes is 1000, raise it if the file can be trusted");
    // Nothing is unpacked twice.
    let nested = zip_of(&[("inner.zip", &zip_of(&[("a.csv", TEXT)]))]);
    let error = unpacked("nested.zip", &nested, &limits).unwrap_err();
    insta::assert_snapshot!(error, @"nested.zip/inner.zip: what is inside is compressed again, with zip; unpack it once");
    let error = unpacked("twice.csv.gz", &gzip(&bzip2(TEXT)), &limits).unwrap_err();
    insta::assert_snapshot!(error, @"twice.csv.gz: what is inside is compressed again, with bzip2; unpack it once");
}

#[test]
fn a_file_that_must_seek_is_unpacked_in_memory_up_to_a_limit() {
    let files = Files::new();
    let file = files
        .put("a.orc.gz", &gzip(&[7; 5000]))
        .unwrap()
        .swap_remove(0);
    let mut content = Vec::new();
    file.seekable(&ReadLimits::default(), false)
        .unwrap()
        .read_to_end(&mut content)
        .unwrap();
    assert_eq!(content, [7; 5000]);
    let small = ReadLimits {
        memory_bytes: 4999,
        ..ReadLimits::default()
    };
    let error = file.seekable(&small, false).err().unwrap();
    insta::assert_snapshot!(error, @"a.orc.gz: the unpacked file needs 5000 bytes in memory; the limit memory_bytes is 4999, raise it if the file can be trusted");
}

#[test]
fn what_is_written_is_read() {
    let files = Files::new();
    for (name, compression) in [
        ("a.csv", TextCompression::None),
        ("a.csv.gz", TextCompression::Gzip),
        ("a.csv.zst", TextCompression::Zstd),
    ] {
        let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
        encoder.write_all(TEXT).unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(
            files.read(name, &bytes, &ReadLimits::default()).unwrap(),
            TEXT
        );
    }
}
