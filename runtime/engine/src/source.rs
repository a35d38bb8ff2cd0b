//! Sources of files: a node's members as a format and paths.

use tenon_connect::{
    CsvOptions, ExcelOptions, Format, JsonOptions, ParquetOptions, QuoteChar, Separator,
};

use crate::error::{Error, Result};
use crate::graph::{CsvSource, Node};

/// The paths and the format of a file source.
pub(crate) fn files(node: &Node) -> Result<(&[String], Format)> {
    let (paths, format) = match node {
        Node::S3CsvSource(source) => (&source.paths, Format::Csv(csv(source)?)),
        Node::S3JsonSource(source) => (&source.paths, Format::Json(JsonOptions::default())),
        Node::S3ParquetSource(source) => {
            (&source.paths, Format::Parquet(ParquetOptions::default()))
        }
        Node::S3ExcelSource(source) => (
            &source.paths,
            Format::Excel(ExcelOptions {
                number_rows: source.number_rows,
                skip_footer: source.skip_footer,
                ..ExcelOptions::default()
            }),
        ),
        other => return Err(Error::node(other.name(), "it reads no files")),
    };
    if paths.is_empty() {
        return Err(Error::node(
            node.name(),
            "Paths is empty: name a file, a folder or a glob",
        ));
    }
    Ok((paths, format))
}

/// Whether a node, if it is a source, can read only what is new.
pub(crate) fn check_for_new(node: &Node) -> Result<()> {
    let what = match node {
        Node::CatalogSource(_) => "a table of the catalog",
        Node::DynamicTransform(plugin) if plugin.inputs.is_empty() => "a plugin's source",
        _ => return Ok(()),
    };
    Err(Error::node(
        node.name(),
        format!(
            "{what} is read whole, there is no bookmark for it yet: read its files, or leave --job-bookmark-option out"
        ),
    ))
}

fn csv(source: &CsvSource) -> Result<CsvOptions> {
    let fail = |member: &str, e: &dyn std::fmt::Display| {
        Error::node(&source.name, format!("{member}: {e}"))
    };
    let separator: Separator = source
        .separator
        .parse()
        .map_err(|e| fail("Separator", &e))?;
    let quote_char: QuoteChar = source
        .quote_char
        .parse()
        .map_err(|e| fail("QuoteChar", &e))?;
    let escaper = match source.escaper.as_deref().map(str::as_bytes) {
        None | Some([]) => None,
        Some([one]) => Some(*one),
        Some(_) => return Err(fail("Escaper", &"it must be one ASCII character")),
    };
    Ok(CsvOptions {
        separator,
        quote_char,
        escaper,
        with_header: source.with_header,
        multiline: source.multiline,
        all_text: source.all_text,
        ..CsvOptions::default()
    })
}
