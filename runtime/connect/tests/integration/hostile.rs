//! Files that mean harm: refused by an error that names the file, without a panic, a hang or much memory.
//!
//! The children run under a bound of their address space, so that an allocation as large as a file claims
//! ends them, and this test with them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tenon_connect::{
    ArrowCompression, ArrowOptions, AvroCompression, AvroOptions, ExcelOptions, FixedColumn,
    FixedWidthOptions, Format, OrcCompression, OrcOptions, ParquetOptions, XmlOptions,
};

use crate::formats::{workbook, zip_of};
use crate::random::{Kinds, random_batch};
use crate::{Folder, corpus, files_in, read_all};

/// What a child may map: its threads' stacks and the binary need a part of it.
const ADDRESS_SPACE_KIB: u64 = 6 << 20;

/// Runs an ignored test of this binary in a process with little memory.
fn in_little_memory(test: &str) {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "ulimit -v {ADDRESS_SPACE_KIB} && exec \"$0\" \"$1\" --exact --ignored --nocapture"
        ))
        .arg(std::env::current_exe().unwrap())
        .arg(format!("hostile::{test}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<_> = errors.lines().rev().take(30).collect();
    assert!(output.status.success(), "{text}\n{}", tail.join("\n"));
    assert!(text.contains("1 passed"), "{text}");
    for line in text.lines().filter(|line| line.contains(" refused")) {
        println!("{line}");
    }
}

#[test]
fn flipped_bytes_are_errors_or_other_values() {
    in_little_memory("child_flips_bytes");
}

#[test]
fn cut_files_are_errors() {
    in_little_memory("child_cuts_files");
}

#[test]
fn what_claims_too_much_is_refused_by_name() {
    in_little_memory("child_reads_bombs");
}

/// Our own files and some of the corpora, with their formats.
async fn good_files(folder: &Folder) -> Vec<(PathBuf, Format)> {
    let mut files = Vec::new();
    let formats = [
        ("a.avro", Format::Avro(AvroOptions::default()), Kinds::Avro),
        (
            "b.avro",
            Format::Avro(AvroOptions {
                compression: AvroCompression::Uncompressed,
                ..AvroOptions::default()
            }),
            Kinds::Avro,
        ),
        ("a.orc", Format::Orc(OrcOptions::default()), Kinds::Orc),
        (
            "b.orc",
            Format::Orc(OrcOptions {
                compression: OrcCompression::Zstd,
                ..OrcOptions::default()
            }),
            Kinds::Orc,
        ),
        (
            "c.orc",
            Format::Orc(OrcOptions {
                compression: OrcCompression::Uncompressed,
                ..OrcOptions::default()
            }),
            Kinds::Orc,
        ),
        (
            "a.arrow",
            Format::Arrow(ArrowOptions::default()),
            Kinds::All,
        ),
        (
            "b.arrow",
            Format::Arrow(ArrowOptions {
                compression: ArrowCompression::Zstd,
                ..ArrowOptions::default()
            }),
            Kinds::All,
        ),
        (
            "c.arrow",
            Format::Arrow(ArrowOptions {
                compression: ArrowCompression::Uncompressed,
                ..ArrowOptions::default()
            }),
            Kinds::All,
        ),
    ];
    for (name, format, kinds) in formats {
        let batches = vec![random_batch(kinds, 60, 1), random_batch(kinds, 30, 2)];
        let staged = folder.stage(name, &format, batches).await.unwrap();
        staged.commit().await.unwrap();
        files.push((folder.path(name), format));
    }
    // A stream: the messages of a file, from the first mark of one on, without its frame.
    let file = std::fs::read(folder.path("c.arrow")).unwrap();
    let start = file.windows(4).position(|bytes| bytes == [0xFF; 4]);
    folder.write("a.arrows", &file[start.unwrap()..]);
    files.push((
        folder.path("a.arrows"),
        Format::Arrow(ArrowOptions::default()),
    ));
    folder.write(
        "a.xlsx",
        &workbook(
            r#"<row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="A2"><v>2</v></c></row>"#,
        ),
    );
    files.push((
        folder.path("a.xlsx"),
        Format::Excel(ExcelOptions::default()),
    ));
    if let Some(corpus) = corpus("arrow-testing/data/avro") {
        for file in files_in(&corpus) {
            files.push((file, Format::Avro(AvroOptions::default())));
        }
    }
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Reads changed bytes under the file's own name; true if they are refused.
async fn is_refused(folder: &Folder, original: &Path, bytes: &[u8], format: &Format) -> bool {
    let name = format!("changed-{}", name(original));
    folder.write(&name, bytes);
    match read_all(&folder.path(&name), format).await {
        Ok(_) => false,
        Err(error) => {
            // Said, as the hook is silent about the panics that are expected.
            if !error.contains(&name) {
                println!("{name} is not named: {error}");
            }
            assert!(error.contains(&name), "{name} is not named: {error}");
            true
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_flips_bytes() {
    // Short: panics that the guard turns into errors are expected.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let folder = Folder::new();
    for (path, format) in good_files(&folder).await {
        let good = std::fs::read(&path).unwrap();
        if let Err(error) = read_all(&path, &format).await {
            println!("{}: not read as it is: {error}", name(&path));
            assert!(!path.starts_with(folder.path("")));
        }
        let (mut read, mut refused) = (0, 0);
        let step = 1 + good.len() / 120;
        let ends = (0..good.len()).filter(|index| *index < 60 || *index + 120 > good.len());
        for index in (0..good.len()).step_by(step).chain(ends) {
            for pattern in [0xFF, 0x80] {
                let mut bytes = good.clone();
                bytes[index] ^= pattern;
                match is_refused(&folder, &path, &bytes, &format).await {
                    true => refused += 1,
                    false => read += 1,
                }
            }
        }
        println!("{}: {read} read, {refused} refused", name(&path));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_cuts_files() {
    // Short: panics that the guard turns into errors are expected.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let folder = Folder::new();
    for (path, format) in good_files(&folder).await {
        let good = std::fs::read(&path).unwrap();
        let Ok(rows) = read_all(&path, &format).await else {
            continue;
        };
        let mut whole = 0;
        for cut in (0..good.len()).step_by(1 + good.len() / 100) {
            let changed = format!("changed-{}", name(&path));
            folder.write(&changed, &good[..cut]);
            match read_all(&folder.path(&changed), &format).await {
                Err(error) => assert!(error.contains(&changed), "{error}"),
                // Between two blocks or messages a file may end; then what is there is read.
                Ok(read) => {
                    whole += 1;
                    assert!(
                        read <= rows,
                        "{changed} cut at {cut} has {read} rows of {rows}"
                    );
                }
            }
        }
        let may_end_early = matches!(format, Format::Avro(_)) || name(&path).ends_with("arrows");
        assert!(
            whole == 0 || (may_end_early && whole < 8),
            "{}: {whole} cuts were read",
            name(&path)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_reads_bombs() {
    let folder = Folder::new();
    let avro = Format::Avro(AvroOptions::default());
    let error = async |file: &str, bytes: &[u8], format: &Format| {
        folder.write(file, bytes);
        let error = read_all(&folder.path(file), format).await.unwrap_err();
        error.replace(
            &format!("{}/", folder.path("").display()).replace("//", "/"),
            "",
        )
    };
    // A block that unpacks to 2 GiB.
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"bytes"}]}"#;
    let zeros = deflated_zeros(2 << 30);
    let block = [
        &avro_header(schema, "deflate")[..],
        &long(1),
        &long(zeros.len() as u64),
        &zeros,
        &[7; 16],
    ]
    .concat();
    insta::assert_snapshot!(error("a.avro", &block, &avro).await, @"External error: a.avro: an unpacked block of the file needs 1073741825 bytes in memory; the limit memory_bytes is 1073741824, raise it if the file can be trusted");
    // Ten names that each use the next ten times are 10^10 columns.
    let mut unfolding = String::from(r#""int""#);
    for level in (0..10).rev() {
        let field = |index: usize, kind: &str| format!(r#"{{"name":"f{index}","type":{kind}}}"#);
        let named = format!(r#""r{}""#, level + 1);
        let mut fields = vec![field(0, &unfolding)];
        let again = if level == 9 {
            r#""int""#.to_owned()
        } else {
            named
        };
        fields.extend((1..10).map(|index| field(index, &again)));
        unfolding = format!(
            r#"{{"type":"record","name":"r{level}","fields":[{}]}}"#,
            fields.join(",")
        );
    }
    let header = avro_header(&unfolding, "null");
    insta::assert_snapshot!(error("b.avro", &header, &avro).await, @"b.avro: it has at least 10032 columns, nested ones counted; the limit columns is 10000, raise it if the file can be trusted");
    // A type that contains itself.
    let circle = r#"{"type":"record","name":"r","fields":[{"name":"next","type":["null","r"]}]}"#;
    insta::assert_snapshot!(error("c.avro", &avro_header(circle, "null"), &avro).await, @r#"c.avro: its type "r" contains itself, for which tables have no column"#);
    // A list of 2^62 nulls.
    let nulls = r#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}"#;
    let items = [long(1 << 61), long(0)].concat();
    let block = [
        &avro_header(nulls, "null")[..],
        &long(1),
        &long(items.len() as u64),
        &items,
        &[7; 16],
    ]
    .concat();
    insta::assert_snapshot!(error("d.avro", &block, &avro).await, @"External error: d.avro: block 1: record 1: over 1048576 items that take no bytes; the file is damaged or not what its name says");
    // More bytes than records, and records without bytes.
    let more = [
        &avro_header(schema, "null")[..],
        &long(1),
        &long(6),
        &[2, b'x', 2, b'y', 2, b'z'],
        &[7; 16],
    ]
    .concat();
    insta::assert_snapshot!(error("e.avro", &more, &avro).await, @"External error: e.avro: block 1: 4 bytes follow its 1 records; the file is damaged or not what its name says");
    let none = [
        &avro_header(schema, "null")[..],
        &long(1 << 60),
        &long(0),
        &[7; 16],
    ]
    .concat();
    insta::assert_snapshot!(error("f.avro", &none, &avro).await, @"External error: f.avro: block 1: it says 1152921504606846976 records in no bytes; the file is damaged or not what its name says");
    // 10 million columns.
    let fields: Vec<_> = (0..200_000)
        .map(|i| format!(r#"{{"name":"f{i}","type":"int"}}"#))
        .collect();
    let wide = format!(
        r#"{{"type":"record","name":"r","fields":[{}]}}"#,
        fields.join(",")
    );
    insta::assert_snapshot!(error("g.avro", &avro_header(&wide, "null"), &avro).await, @"g.avro: it has at least 10001 columns, nested ones counted; the limit columns is 10000, raise it if the file can be trusted");

    // XML: entities that multiply, one element of 40 MB, a document 100 000 deep.
    let xml = Format::Xml(XmlOptions::default());
    let laughs = r#"<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><rows><row><x>&c;</x></row></rows>"#;
    insta::assert_snapshot!(error("a.xml", laughs.as_bytes(), &xml).await, @"a.xml: byte 136: the entity &c; is not one of XML's own; entities that a document declares are not expanded, write out what it stands for");
    let long_text = [
        &b"<rows><row><x>"[..],
        &vec![b'x'; 40 << 20],
        b"</x></row></rows>",
    ]
    .concat();
    insta::assert_snapshot!(error("b.xml", &long_text, &xml).await, @"b.xml: a tag or a text is longer; the limit value_bytes is 16777216, raise it if the file can be trusted");
    let deep = format!("<rows><row>{}", "<x>".repeat(100_000));
    insta::assert_snapshot!(error("c.xml", deep.as_bytes(), &xml).await, @"c.xml: row at byte 6: it is nested 65 levels deep or more; the limit nesting_depth is 64, raise it if the file can be trusted");
    let attribute = [
        &b"<rows><row x=\""[..],
        &vec![b'x'; 40 << 20],
        b"\"/></rows>",
    ]
    .concat();
    insta::assert_snapshot!(error("d.xml", &attribute, &xml).await, @"d.xml: a tag or a text is longer; the limit value_bytes is 16777216, raise it if the file can be trusted");

    // A line of 40 MB.
    let fixed = Format::FixedWidth(FixedWidthOptions::new(vec![FixedColumn {
        name: "a".into(),
        start: 0,
        width: 5,
    }]));
    insta::assert_snapshot!(error("a.txt", &vec![b'x'; 40 << 20], &fixed).await, @"a.txt:1: the line has 17039360 bytes or more; the limit record_bytes is 16777216, raise it if the file can be trusted");

    // Workbooks: one that unpacks to 2 GB, one cell at the end of the sheet, one that is no sheet at all.
    let excel = Format::Excel(ExcelOptions::default());
    let spaces = zip_of(&[("xl/worksheets/sheet1.xml", &vec![b' '; 500 << 20])]);
    insta::assert_snapshot!(error("a.xlsx", &spaces, &excel).await, @"a.xlsx: 127923463 bytes came out of 509630 compressed ones so far; the limit ratio is 250, raise it if the file can be trusted");
    let far = workbook(
        r#"<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>"#,
    );
    insta::assert_snapshot!(error("b.xlsx", &far, &excel).await, @"b.xlsx: it has at least 16384 columns, nested ones counted; the limit columns is 10000, raise it if the file can be trusted");

    // Arrow: a footer longer than the file, a batch that unpacks to 2^40 bytes.
    let arrow = Format::Arrow(ArrowOptions::default());
    let footer = [
        &b"ARROW1\0\0"[..],
        &[0; 20],
        &i32::MAX.to_le_bytes(),
        b"ARROW1",
    ]
    .concat();
    insta::assert_snapshot!(error("a.arrow", &footer, &arrow).await, @"a.arrow: its footer is longer than the file; the file is damaged or not what its name says");
    let lz4 = Format::Arrow(ArrowOptions::default());
    let staged = folder
        .stage("b.arrow", &lz4, vec![random_batch(Kinds::All, 2000, 3)])
        .await
        .unwrap();
    staged.commit().await.unwrap();
    let mut bytes = std::fs::read(folder.path("b.arrow")).unwrap();
    // LZ4 frames follow their unpacked size.
    let frame = bytes
        .windows(4)
        .position(|w| w == [0x04, 0x22, 0x4D, 0x18])
        .unwrap();
    bytes[frame - 8..frame].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    insta::assert_snapshot!(error("b.arrow", &bytes, &arrow).await, @"External error: b.arrow: an unpacked batch needs 1099511917816 bytes in memory; the limit memory_bytes is 1073741824, raise it if the file can be trusted");

    // Parquet that unpacks to 2 GiB, from the corpora.
    if let Some(corpus) = corpus("parquet-testing/data") {
        let parquet = Format::Parquet(ParquetOptions::default());
        let file = corpus.join("large_string_map.brotli.parquet");
        let error = read_all(&file, &parquet).await.unwrap_err();
        assert!(
            error.contains("large_string_map.brotli.parquet")
                && error.contains("the limit ratio is 250"),
            "{error}"
        );
    }
    println!("all refused");
}

fn deflated_zeros(length: usize) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    let chunk = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.finish().unwrap()
}

/// Zigzag, as Avro has its numbers.
fn long(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut value = value << 1;
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn avro_header(schema: &str, codec: &str) -> Vec<u8> {
    let mut bytes = b"Obj\x01".to_vec();
    bytes.extend(long(2));
    for text in ["avro.schema", schema, "avro.codec", codec] {
        bytes.extend(long(text.len() as u64));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend(long(0));
    bytes.extend_from_slice(&[7; 16]);
    bytes
}
