//! Formats by name: of a target, with its compression, and of a table of the catalog.

use tenon_catalog::{StorageDescriptor, Table, TableFormat};
use tenon_connect::{
    ArrowCompression, ArrowOptions, AvroCompression, AvroOptions, CsvOptions, Format, JsonOptions,
    OrcCompression, OrcOptions, ParquetCompression, ParquetOptions, TextCompression, XmlOptions,
};

const WRITABLE: &str = "parquet, csv, tsv, json, avro, orc and arrow can be written";

/// The format of a target. Without `compression` it is what the format has by default.
///
/// # Errors
/// What cannot be written, and what can.
pub(crate) fn written(name: &str, compression: Option<&str>) -> Result<Format, String> {
    let compression = compression.filter(|name| !name.is_empty());
    Ok(match name {
        "parquet" | "glueparquet" => parquet(compression)?,
        "csv" => text(Format::Csv(CsvOptions::default()), compression)?,
        "tsv" => text(Format::Csv(CsvOptions::tab_separated()), compression)?,
        "json" | "jsonl" | "ndjson" => text(Format::Json(JsonOptions::default()), compression)?,
        "avro" => Format::Avro(AvroOptions {
            compression: chosen("avro", compression, AVRO)?,
            ..AvroOptions::default()
        }),
        "orc" => Format::Orc(OrcOptions {
            compression: chosen("orc", compression, ORC)?,
            ..OrcOptions::default()
        }),
        "arrow" => Format::Arrow(ArrowOptions {
            compression: chosen("arrow", compression, ARROW)?,
            ..ArrowOptions::default()
        }),
        "xml" | "excel" => return Err(format!("Format {name:?} is only read; {WRITABLE}")),
        "hudi" | "delta" | "iceberg" | "hyper" => {
            return Err(format!("Format {name:?} is not written yet; {WRITABLE}"));
        }
        _ => return Err(format!("Format {name:?} cannot be written; {WRITABLE}")),
    })
}

/// Parquet with Glue's word for its compression.
pub(crate) fn parquet(compression: Option<&str>) -> Result<Format, String> {
    Ok(Format::Parquet(ParquetOptions {
        compression: chosen("parquet", compression, PARQUET)?,
        ..ParquetOptions::default()
    }))
}

/// Words and what they mean.
type Words<T> = &'static [(&'static str, T)];

const PARQUET: Words<ParquetCompression> = &[
    ("snappy", ParquetCompression::Snappy),
    ("zstd", ParquetCompression::Zstd),
    ("gzip", ParquetCompression::Gzip),
    ("brotli", ParquetCompression::Brotli),
    ("lz4", ParquetCompression::Lz4),
    ("uncompressed", ParquetCompression::Uncompressed),
    ("none", ParquetCompression::Uncompressed),
];
const AVRO: Words<AvroCompression> = &[
    ("deflate", AvroCompression::Deflate),
    ("snappy", AvroCompression::Snappy),
    ("zstd", AvroCompression::Zstd),
    ("uncompressed", AvroCompression::Uncompressed),
    ("none", AvroCompression::Uncompressed),
];
const ORC: Words<OrcCompression> = &[
    ("zlib", OrcCompression::Zlib),
    ("snappy", OrcCompression::Snappy),
    ("zstd", OrcCompression::Zstd),
    ("uncompressed", OrcCompression::Uncompressed),
    ("none", OrcCompression::Uncompressed),
];
const ARROW: Words<ArrowCompression> = &[
    ("lz4", ArrowCompression::Lz4),
    ("zstd", ArrowCompression::Zstd),
    ("uncompressed", ArrowCompression::Uncompressed),
    ("none", ArrowCompression::Uncompressed),
];
const TEXT: Words<TextCompression> = &[
    ("gzip", TextCompression::Gzip),
    ("zstd", TextCompression::Zstd),
    ("uncompressed", TextCompression::None),
    ("none", TextCompression::None),
];

fn chosen<T: Copy + Default>(
    format: &str,
    compression: Option<&str>,
    words: Words<T>,
) -> Result<T, String> {
    let Some(name) = compression else {
        return Ok(T::default());
    };
    let found = words.iter().find(|(word, _)| *word == name);
    found.map(|(_, compression)| *compression).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!(
            "Compression {name:?}: files of {format} are written with {}",
            words.join(", ")
        )
    })
}

fn text(mut format: Format, compression: Option<&str>) -> Result<Format, String> {
    match &mut format {
        Format::Csv(options) => options.compression = chosen("csv", compression, TEXT)?,
        Format::Json(options) => options.compression = chosen("json", compression, TEXT)?,
        _ => {}
    }
    Ok(format)
}

/// The format of a table's files, as its definition says it.
///
/// # Errors
/// The table is of a format that is not known here, or its definition contradicts itself.
pub(crate) fn of_table(table: &Table) -> Result<Format, String> {
    let classification = property(table, &["classification"]);
    match (TableFormat::of(table), classification) {
        (Some(TableFormat::Parquet), _) => parquet(compression(table)),
        (Some(TableFormat::Json), _) => {
            text(Format::Json(JsonOptions::default()), compression(table))
        }
        (Some(TableFormat::Csv), _) => text(Format::Csv(csv(table)?), compression(table)),
        (Some(TableFormat::Avro), _) => Ok(Format::Avro(AvroOptions::default())),
        (Some(TableFormat::Orc), _) => Ok(Format::Orc(OrcOptions::default())),
        (_, Some("xml")) => {
            let defaults = XmlOptions::default();
            let row_tag = property(table, &["rowTag", "row.tag"]).map(str::to_owned);
            Ok(Format::Xml(XmlOptions {
                row_tag: row_tag.unwrap_or(defaults.row_tag),
                ..XmlOptions::default()
            }))
        }
        _ => Err(format!(
            "table {:?} is of a format that cannot be read yet",
            table.name
        )),
    }
}

/// The format that a table of such files has in the catalog, if it knows it.
pub(crate) fn in_catalog(format: &Format) -> Option<TableFormat> {
    match format {
        Format::Csv(_) => Some(TableFormat::Csv),
        Format::Json(_) => Some(TableFormat::Json),
        Format::Parquet(_) => Some(TableFormat::Parquet),
        Format::Avro(_) => Some(TableFormat::Avro),
        Format::Orc(_) => Some(TableFormat::Orc),
        _ => None,
    }
}

/// How Glue's crawlers note the compression; what else stands there is for reading, which needs to know nothing.
fn compression(table: &Table) -> Option<&str> {
    let known = ["snappy", "zstd", "gzip", "none"];
    property(table, &["compressionType"]).filter(|name| known.contains(name))
}

/// The dialect that the table's own properties or those of its serialiser name.
fn csv(table: &Table) -> Result<CsvOptions, String> {
    let fail =
        |what: &str, e: &dyn std::fmt::Display| format!("table {:?}: {what}: {e}", table.name);
    let mut options = CsvOptions::default();
    if let Some(separator) = property(table, &["field.delim", "separatorChar", "delimiter"]) {
        options.separator = separator.parse().map_err(|e| fail("delimiter", &e))?;
    }
    if let Some(quote) = property(table, &["quoteChar"]) {
        options.quote_char = quote.parse().map_err(|e| fail("quoteChar", &e))?;
    }
    let escape = property(table, &["escapeChar", "escape.delim"]).map(str::as_bytes);
    options.escaper = escape.and_then(|escape| escape.first()).copied();
    options.with_header = has_header(table);
    Ok(options)
}

/// A header is there unless the definition says otherwise, or its columns have the names that those without one get.
fn has_header(table: &Table) -> bool {
    match property(table, &["skip.header.line.count"]) {
        Some("0") => false,
        Some(_) => true,
        None => {
            let descriptor = table.storage_descriptor.as_ref();
            let columns = descriptor.map_or(&[][..], |d| d.columns.as_slice());
            let is_numbered = |(at, name): (usize, &str)| name == format!("col{at}");
            let mut names = columns
                .iter()
                .map(|column| column.name.as_str())
                .enumerate();
            columns.is_empty() || !names.all(is_numbered)
        }
    }
}

/// The first of these properties that the table, its descriptor or its serialiser has.
fn property<'a>(table: &'a Table, names: &[&str]) -> Option<&'a str> {
    let descriptor: Option<&StorageDescriptor> = table.storage_descriptor.as_ref();
    let serialiser = descriptor.and_then(|descriptor| descriptor.serde_info.as_ref());
    let maps = [
        Some(&table.parameters),
        descriptor.map(|descriptor| &descriptor.parameters),
        serialiser.map(|serialiser| &serialiser.parameters),
    ];
    let found = maps.into_iter().flatten();
    let mut found = found.filter_map(|map| names.iter().find_map(|name| map.get(*name)));
    found
        .next()
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_says_what_can() {
        let refused = |name, compression| written(name, compression).unwrap_err();
        insta::assert_snapshot!(refused("xml", None), @r#"Format "xml" is only read; parquet, csv, tsv, json, avro, orc and arrow can be written"#);
        insta::assert_snapshot!(refused("delta", None), @r#"Format "delta" is not written yet; parquet, csv, tsv, json, avro, orc and arrow can be written"#);
        insta::assert_snapshot!(refused("parquet", Some("lzo")), @r#"Compression "lzo": files of parquet are written with snappy, zstd, gzip, brotli, lz4, uncompressed, none"#);
        insta::assert_snapshot!(refused("csv", Some("bzip2")), @r#"Compression "bzip2": files of csv are written with gzip, zstd, uncompressed, none"#);
    }

    fn table(parameters: &[(&str, &str)], columns: &[&str]) -> Table {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let column = |name: &&str| tenon_catalog::Column {
            name: (*name).to_owned(),
            ..Default::default()
        };
        Table {
            name: "t".to_owned(),
            parameters: parameters.iter().map(pair).collect(),
            storage_descriptor: Some(StorageDescriptor {
                columns: columns.iter().map(column).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_table_says_how_its_text_is_written() {
        let options = |parameters: &[(&str, &str)], columns: &[&str]| {
            let all = [&[("classification", "csv")], parameters].concat();
            match of_table(&table(&all, columns)).unwrap() {
                Format::Csv(options) => options,
                other => panic!("{other:?}"),
            }
        };
        let pipes = options(&[("delimiter", "|"), ("quoteChar", "'")], &["a"]);
        assert_eq!(pipes.separator, "pipe".parse().unwrap());
        assert_eq!(pipes.quote_char, "'".parse().unwrap());
        assert!(pipes.with_header);
        assert!(!options(&[], &["col0", "col1"]).with_header);
        assert!(options(&[("skip.header.line.count", "1")], &["col0"]).with_header);
        let zipped = options(&[("compressionType", "gzip")], &["a"]);
        assert_eq!(zipped.compression, TextCompression::Gzip);
        let wrong = table(&[("classification", "csv"), ("delimiter", "ab")], &["a"]);
        assert!(of_table(&wrong).unwrap_err().contains("delimiter"));
        let xml = of_table(&table(&[("classification", "xml"), ("rowTag", "r")], &[])).unwrap();
        assert!(matches!(xml, Format::Xml(options) if options.row_tag == "r"));
    }
}
