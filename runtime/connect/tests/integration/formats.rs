//! Compressed files, XML, workbooks, fixed width and logs: what a table of them looks like.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use tenon_connect::{
    AvroOptions, ExcelOptions, FixedColumn, FixedWidthOptions, Format, GrokOptions, OrcOptions,
    TextCompression, Unmatched, XmlOptions,
};
use zip::write::SimpleFileOptions;

use crate::{Folder, types};

const PEOPLE: &str = "name,postcode\nAda,0812\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        archive
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(text).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

async fn show_detected(folder: &Folder, names: &[&str], sql: &str) -> String {
    let paths: Vec<_> = names.iter().map(Into::into).collect();
    match Format::detect(&folder.place, &paths).await {
        Ok(format) => folder.show(names, &format, sql).await,
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn compressed_files_stand_beside_plain_ones() {
    let archive = zip_of(&[
        ("c.csv", b"postcode,name\n0900,Grace\n"),
        ("deep/d.csv", b"name,postcode\nAlan,0100\n"),
        ("__MACOSX/d.csv", b"junk"),
    ]);
    let folder = Folder::with(&[
        ("a.csv", PEOPLE.as_bytes()),
        ("b.csv.gz", &gzip("name,postcode\nZo\u{eb},0700\n")),
        ("c.zip", &archive),
    ]);
    let all = show_detected(&folder, &["."], "SELECT * FROM t ORDER BY postcode").await;
    insta::assert_snapshot!(all, @r"
    +-------+----------+
    | name  | postcode |
    +-------+----------+
    | Alan  | 0100     |
    | Zoë   | 0700     |
    | Ada   | 0812     |
    | Grace | 0900     |
    +-------+----------+
    ");
    folder.write("e.csv.gz", &gzip("name,postcode\nx,1,2\n"));
    let error = show_detected(&folder, &["e.csv.gz"], "SELECT * FROM t").await;
    insta::assert_snapshot!(error, @"e.csv.gz:2: expected 2 fields, found 3; quote values that hold the separator, or choose another separator");
    folder.write("f.json.gz", &gzip("{\"a\": 1}\n{\"a\": 2}\n"));
    let sum = show_detected(&folder, &["f.json.gz"], "SELECT sum(a) AS s FROM t").await;
    insta::assert_snapshot!(sum, @r"
    +---+
    | s |
    +---+
    | 3 |
    +---+
    ");
    folder.write("g.parquet.gz", &gzip("x"));
    let error = show_detected(&folder, &["g.parquet.gz"], "SELECT * FROM t").await;
    insta::assert_snapshot!(error, @"g.parquet.gz: parquet is read in pieces, so not from inside another compression; unpack it first");
    folder.write("h.zip", &zip_of(&[("_only_hidden", b"")]));
    let error = show_detected(&folder, &["h.zip"], "SELECT * FROM t").await;
    insta::assert_snapshot!(error, @"h.zip: the archive holds no data files; names that begin with `.` or `_` do not count");
    folder.write("i.gz", &gzip(PEOPLE));
    let error = show_detected(&folder, &["i.gz"], "SELECT * FROM t").await;
    assert!(
        error.starts_with("i.gz: no suffix; known are .csv"),
        "{error}"
    );
}

#[tokio::test]
async fn text_is_compressed_by_the_name_of_the_output() {
    let folder = Folder::new();
    let schema = arrow::datatypes::Schema::new(vec![
        arrow::datatypes::Field::new("id", arrow::datatypes::DataType::Int64, true),
        arrow::datatypes::Field::new("name", arrow::datatypes::DataType::Utf8, true),
    ]);
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..1000)),
        Arc::new(StringArray::from_iter_values(
            (0..1000).map(|i| format!("name {}", i % 7)),
        )),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    for name in [
        "a.csv.gz",
        "a.csv.zst",
        "a.tsv.gz",
        "a.jsonl.gz",
        "a.jsonl.zst",
    ] {
        let format = Format::from_path(name.as_ref()).unwrap();
        let staged = folder
            .stage(name, &format, vec![batch.clone()])
            .await
            .unwrap();
        staged.commit().await.unwrap();
        let start = std::fs::read(folder.path(name)).unwrap();
        let is_gzip = start.starts_with(&[0x1F, 0x8B]);
        assert_eq!(is_gzip, name.ends_with("gz"), "{name}");
        assert!(start.len() < 10_000, "{name}: {} bytes", start.len());
        let shown = show_detected(
            &folder,
            &[name],
            "SELECT count(*) AS n, sum(id) AS s, max(name) AS m FROM t",
        )
        .await;
        assert!(
            shown.contains("| 1000 | 499500 | name 6 |"),
            "{name}: {shown}"
        );
    }
    let mut parts = Format::from_path("x.csv.gz".as_ref()).unwrap();
    let staged = folder
        .stage("parts", &parts, vec![batch.clone()])
        .await
        .unwrap();
    staged.commit().await.unwrap();
    assert!(
        folder
            .names("parts")
            .contains(&"part-00000-run1.csv.gz".to_owned()),
        "{:?}",
        folder.names("parts")
    );
    // The same run again takes the place of its own files.
    let staged = folder.stage("parts", &parts, vec![batch]).await.unwrap();
    staged.commit().await.unwrap();
    if let Format::Csv(options) = &mut parts {
        assert_eq!(options.compression, TextCompression::Gzip);
    }
}

fn xml(row_tag: &str) -> Format {
    Format::Xml(XmlOptions {
        row_tag: row_tag.into(),
        ..XmlOptions::default()
    })
}

#[tokio::test]
async fn xml_elements_are_rows() {
    let folder = Folder::with(&[(
        "a.xml",
        br#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE people [<!ELEMENT people ANY>]>
<people xmlns="urn:x" xmlns:x="urn:y">
  <!-- nobody -->
  <person id="1" since="2024-02-29">
    <name lang="en">Ada &amp; co</name>
    <postcode>0812</postcode>
    <phone>1</phone><phone>22</phone>
    <address><street>A &lt; B</street><x:city>Z&#xfc;rich</x:city></address>
  </person>
  <person id="2">
    <name>Grace</name>
    <postcode/>
    <phone>333</phone>
    <note><![CDATA[<b> & ]]></note>
  </person>
</people>"#,
    )]);
    let format = xml("person");
    let table = folder.table(&["a.xml"], &format).await.unwrap();
    insta::assert_snapshot!(types(&table), @r#"_id: Int64, _since: Date32, name: Struct("_lang": Utf8, "_VALUE": Utf8), postcode: Utf8, phone: List(Int64), address: Struct("street": Utf8, "x:city": Utf8), note: Utf8"#);
    insta::assert_snapshot!(folder.show(&["a.xml"], &format, "SELECT * FROM t").await, @r"
    +-----+------------+-------------------------------+----------+---------+---------------------------------+-------+
    | _id | _since     | name                          | postcode | phone   | address                         | note  |
    +-----+------------+-------------------------------+----------+---------+---------------------------------+-------+
    | 1   | 2024-02-29 | {_lang: en, _VALUE: Ada & co} | 0812     | [1, 22] | {street: A < B, x:city: Zürich} |       |
    | 2   |            | {_lang: , _VALUE: Grace}      |          | [333]   |                                 | <b> & |
    +-----+------------+-------------------------------+----------+---------+---------------------------------+-------+
    ");
    insta::assert_snapshot!(folder.show(&["a.xml"], &format, "SELECT count(*) AS n FROM t").await, @r"
    +---+
    | n |
    +---+
    | 2 |
    +---+
    ");
    insta::assert_snapshot!(folder.show(&["a.xml"], &format, "SELECT postcode, _id FROM t").await, @r"
    +----------+-----+
    | postcode | _id |
    +----------+-----+
    | 0812     | 1   |
    |          | 2   |
    +----------+-----+
    ");
}

#[tokio::test]
async fn xml_says_what_is_wrong() {
    let folder = Folder::with(&[
        ("none.xml", b"<a><b>1</b></a>"),
        ("cut.xml", b"<rows><row><a>1</a></row><row><a>2"),
        ("open.xml", b"<rows><row><a>1</a></row>"),
        ("crossed.xml", b"<rows><row><a>1</b></row></rows>"),
        (
            "entity.xml",
            b"<!DOCTYPE r [<!ENTITY e 'x'>]><rows><row><a>&e;</a></row></rows>",
        ),
        ("bytes.xml", b"<rows><row><a>\xFF\xFE</a></row></rows>"),
    ]);
    let mut errors = String::new();
    for name in [
        "none.xml",
        "cut.xml",
        "open.xml",
        "crossed.xml",
        "entity.xml",
        "bytes.xml",
    ] {
        errors += &folder.show(&[name], &xml("row"), "SELECT * FROM t").await;
        errors += "\n";
    }
    insta::assert_snapshot!(errors, @r"
    none.xml: no element <row> with anything in it; name the element of a row by the row tag
    cut.xml: the document ends inside an element, at byte 34; the file is damaged or not what its name says
    open.xml: the document ends inside an element, at byte 25; the file is damaged or not what its name says
    crossed.xml: byte 19: ill-formed document: expected `</a>`, but `</b>` was found
    entity.xml: byte 47: the entity &e; is not one of XML's own; entities that a document declares are not expanded, write out what it stands for
    bytes.xml: byte 16: cannot decode input using UTF-8: invalid utf-8 sequence of 1 bytes from index 0
    ");
    let late = Format::Xml(XmlOptions {
        infer_bytes: 20,
        ..XmlOptions::default()
    });
    folder.write(
        "late.xml",
        b"<rows><row><a>1</a></row><row><a>x</a></row></rows>",
    );
    insta::assert_snapshot!(folder.show(&["late.xml"], &late, "SELECT * FROM t").await, @r#"late.xml: row at byte 25: "a": "x" is not an int64, the type that the start of the table suggests; raise infer_bytes, or read with all_text"#);
    folder.write(
        "late.xml",
        b"<rows><row><a>1</a></row><row><b>x</b></row></rows>",
    );
    insta::assert_snapshot!(folder.show(&["late.xml"], &late, "SELECT * FROM t").await, @r#"late.xml: row at byte 25: "b" is new, the start of the table does not have it; raise infer_bytes"#);
}

#[tokio::test]
async fn fixed_width_text_has_its_columns_where_it_says() {
    let column = |name: &str, start, width| FixedColumn {
        name: name.into(),
        start,
        width,
    };
    let mut options = FixedWidthOptions::new(vec![
        column("name", 0, 8),
        column("postcode", 8, 5),
        column("count", 13, 4),
    ]);
    options.skip_lines = 1;
    let format = Format::FixedWidth(options);
    let folder = Folder::with(&[(
        "a.txt",
        "NAME    POST COUNT\nAda     0812   17\nZo\u{eb}     12      3\r\n\nGrace   0900\n"
            .as_bytes(),
    )]);
    let table = folder.table(&["a.txt"], &format).await.unwrap();
    insta::assert_snapshot!(types(&table), @"name: Utf8, postcode: Utf8, count: Int64");
    insta::assert_snapshot!(folder.show(&["a.txt"], &format, "SELECT * FROM t").await, @r"
    +-------+----------+-------+
    | name  | postcode | count |
    +-------+----------+-------+
    | Ada   | 0812     | 17    |
    | Zoë   | 12       | 3     |
    | Grace | 0900     |       |
    +-------+----------+-------+
    ");
    let none = Format::FixedWidth(FixedWidthOptions::new(Vec::new()));
    insta::assert_snapshot!(folder.show(&["a.txt"], &none, "SELECT * FROM t").await, @"fixed width: no column is given; say where each one starts and how wide it is");
}

#[tokio::test]
async fn logs_are_taken_apart_by_their_pattern() {
    let folder = Folder::with(&[
        (
            "access.log",
            br#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"
2001:db8::1 - - [10/Oct/2000:13:55:37 -0700] "POST /a?b=c HTTP/1.1" 304 - "-" "curl/8"
host.example.org - bob@example.com [10/Oct/2000:13:55:38 -0700] "\x16\x03" 400 0 "-" "-"
"#,
        ),
        ("app.log", b"2026-03-29T02:30:00Z WARN  [db] slow query took 12.5 ms\n2026-03-29T02:30:01Z INFO  [web] ok took 3 ms\n"),
    ]);
    let combined = Format::Grok(GrokOptions::default());
    let table = folder.table(&["access.log"], &combined).await.unwrap();
    insta::assert_snapshot!(types(&table), @"clientip: Utf8, ident: Utf8, auth: Utf8, timestamp: Utf8, verb: Utf8, request: Utf8, httpversion: Float64, rawrequest: Utf8, response: Int64, bytes: Int64, referrer: Utf8, agent: Utf8");
    let sql = "SELECT clientip, auth, verb, request, rawrequest, response, bytes, agent FROM t";
    insta::assert_snapshot!(folder.show(&["access.log"], &combined, sql).await, @r#"
    +------------------+-----------------+------+----------------+------------+----------+-------+-------------------------------------+
    | clientip         | auth            | verb | request        | rawrequest | response | bytes | agent                               |
    +------------------+-----------------+------+----------------+------------+----------+-------+-------------------------------------+
    | 127.0.0.1        | frank           | GET  | /apache_pb.gif |            | 200      | 2326  | "Mozilla/4.08 [en] (Win98; I ;Nav)" |
    | 2001:db8::1      | -               | POST | /a?b=c         |            | 304      |       | "curl/8"                            |
    | host.example.org | bob@example.com |      |                | \x16\x03   | 400      | 0     | "-"                                 |
    +------------------+-----------------+------+----------------+------------+----------+-------+-------------------------------------+
    "#);
    let grok = |pattern: &str, unmatched| {
        Format::Grok(GrokOptions {
            pattern: pattern.into(),
            custom_patterns: "# ours\nPART \\[[a-z]+\\]\nMILLIS %{NUMBER:millis:double} ms".into(),
            unmatched,
            ..GrokOptions::default()
        })
    };
    let own = grok(
        "%{TIMESTAMP_ISO8601:at} %{LOGLEVEL:level} +%{PART:part} %{GREEDYDATA:text} took %{MILLIS}",
        Unmatched::Fail,
    );
    insta::assert_snapshot!(folder.show(&["app.log"], &own, "SELECT * FROM t").await, @r"
    +----------------------+-------+-------+------------+--------+
    | at                   | level | part  | text       | millis |
    +----------------------+-------+-------+------------+--------+
    | 2026-03-29T02:30:00Z | WARN  | [db]  | slow query | 12.5   |
    | 2026-03-29T02:30:01Z | INFO  | [web] | ok         | 3.0    |
    +----------------------+-------+-------+------------+--------+
    ");
    insta::assert_snapshot!(folder.show(&["access.log"], &own, "SELECT * FROM t").await, @"access.log:1: the line does not match the pattern; correct the pattern, or drop such lines");
    let drop = grok("%{IP:ip} - %{USER:user} .*", Unmatched::Drop);
    insta::assert_snapshot!(folder.show(&["access.log"], &drop, "SELECT * FROM t").await, @r"
    +-------------+-------+
    | ip          | user  |
    +-------------+-------+
    | 127.0.0.1   | frank |
    | 2001:db8::1 | -     |
    +-------------+-------+
    ");
    for (pattern, message) in [
        (
            "%{NOPE:a}",
            "grok: the pattern \"NOPE\" is not known; define it as a custom pattern",
        ),
        ("%{WORD:a", "grok: \"%{WORD:a\": a %{ is never closed"),
        (
            "%{WORD}",
            "grok: \"%{WORD}\" names no column; write %{PATTERN:name}",
        ),
        (
            "%{WORD:a:money}",
            "grok: the type \"money\" is not known; known are byte boolean double short int string long float",
        ),
    ] {
        let shown = folder
            .show(
                &["app.log"],
                &grok(pattern, Unmatched::Fail),
                "SELECT 1 FROM t",
            )
            .await;
        assert_eq!(shown, message);
    }
    let circle = Format::Grok(GrokOptions {
        pattern: "%{A:a}".into(),
        custom_patterns: "A %{B}\nB %{A}".into(),
        ..GrokOptions::default()
    });
    insta::assert_snapshot!(folder.show(&["app.log"], &circle, "SELECT 1 FROM t").await, @"grok: patterns use each other more than 32 deep; does one use itself?");
}

/// A workbook of one sheet, from the XML of its rows.
pub(crate) fn workbook(rows: &str) -> Vec<u8> {
    let types = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#;
    let relations = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
    let book = r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="people" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    let book_relations = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
    let sheet = format!(
        r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"#
    );
    zip_of(&[
        ("[Content_Types].xml", types.as_bytes()),
        ("_rels/.rels", relations.as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", book_relations.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

#[tokio::test]
async fn a_sheet_is_a_table() {
    let text = |cell: &str, text: &str| {
        format!(r#"<c r="{cell}" t="inlineStr"><is><t>{text}</t></is></c>"#)
    };
    let number = |cell: &str, number: &str| format!(r#"<c r="{cell}"><v>{number}</v></c>"#);
    let row =
        |number: u32, cells: &[String]| format!(r#"<row r="{number}">{}</row>"#, cells.concat());
    let rows = [
        row(
            2,
            &[
                text("A2", "name"),
                text("B2", "postcode"),
                text("C2", "count"),
                text("D2", "mixed"),
            ],
        ),
        row(
            3,
            &[
                text("A3", "Ada"),
                text("B3", "0812"),
                number("C3", "1"),
                number("D3", "1.5"),
            ],
        ),
        row(
            5,
            &[text("A5", "Grace"), number("C5", "-3"), text("D5", "x")],
        ),
        row(6, &[text("A6", "total"), number("C6", "9")]),
    ];
    let folder = Folder::with(&[("a.xlsx", &workbook(&rows.concat()))]);
    let excel = |options: ExcelOptions| Format::Excel(options);
    let format = excel(ExcelOptions {
        skip_footer: 1,
        ..ExcelOptions::default()
    });
    let table = folder.table(&["a.xlsx"], &format).await.unwrap();
    insta::assert_snapshot!(types(&table), @"name: Utf8, postcode: Utf8, count: Int64, mixed: Utf8");
    insta::assert_snapshot!(folder.show(&["a.xlsx"], &format, "SELECT * FROM t").await, @r"
    +-------+----------+-------+-------+
    | name  | postcode | count | mixed |
    +-------+----------+-------+-------+
    | Ada   | 0812     | 1     | 1.5   |
    | Grace |          | -3    | x     |
    +-------+----------+-------+-------+
    ");
    let missing = excel(ExcelOptions {
        sheet: Some("other".into()),
        ..ExcelOptions::default()
    });
    insta::assert_snapshot!(folder.show(&["a.xlsx"], &missing, "SELECT * FROM t").await, @r#"a.xlsx: no sheet is named "other"; there are people"#);
    let plain = excel(ExcelOptions {
        with_header: false,
        number_rows: Some(2),
        ..ExcelOptions::default()
    });
    insta::assert_snapshot!(folder.show(&["a.xlsx"], &plain, "SELECT col0, col2 FROM t").await, @r"
    +------+-------+
    | col0 | col2  |
    +------+-------+
    | name | count |
    | Ada  | 1     |
    +------+-------+
    ");
    folder.write(
        "old.xlsx",
        &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, 0, 0],
    );
    let format = excel(ExcelOptions::default());
    insta::assert_snapshot!(folder.show(&["old.xlsx"], &format, "SELECT * FROM t").await, @"old.xlsx: a workbook of the old .xls kind, or an encrypted one; save it as .xlsx");
    folder.write("none.xlsx", b"PK\x05\x06");
    let error = folder
        .show(&["none.xlsx"], &format, "SELECT * FROM t")
        .await;
    assert!(
        error.starts_with("none.xlsx: ") && error.contains("damaged"),
        "{error}"
    );
}

#[tokio::test]
async fn files_of_one_table_may_lack_columns() {
    let folder = Folder::new();
    for (index, format) in [
        Format::Avro(AvroOptions::default()),
        Format::Orc(OrcOptions::default()),
    ]
    .iter()
    .enumerate()
    {
        let suffix = if index == 0 { "avro" } else { "orc" };
        let batch = crate::parquet::people(0..2);
        for (name, batch) in [("1", batch.clone()), ("2", batch.project(&[0]).unwrap())] {
            let name = format!("{name}.{suffix}");
            let staged = folder.stage(&name, format, vec![batch]).await.unwrap();
            staged.commit().await.unwrap();
        }
        let names = [format!("1.{suffix}"), format!("2.{suffix}")];
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let shown = folder
            .show(&names, format, "SELECT name, id FROM t ORDER BY id, name")
            .await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @r"
            +--------+----+
            | name   | id |
            +--------+----+
            |        | 0  |
            |        | 0  |
            | name 1 | 1  |
            |        | 1  |
            +--------+----+
            ");
        }
        let counted = folder
            .show(&names, format, "SELECT count(*) AS n FROM t")
            .await;
        assert!(counted.contains("| 4 |"), "{counted}");
    }
}
