//! Sources of files: a node's members as a format, paths, and which of their files are read.

use tenon_connect::{
    ArrowOptions, AvroOptions, BadRows, CsvOptions, ExcelOptions, FileSelection, FixedColumn,
    FixedWidthOptions, Format, GrokOptions, JsonOptions, OrcOptions, ParquetOptions, Quarantine,
    TextEncoding, Unmatched, XmlOptions,
};

use crate::error::{Error, Result};
use crate::graph::{
    BadRowsMode, CsvSource, DirectSource, ExcelSource, FileMembers, Job, JsonSource, Node,
};
use crate::target::TargetSpec;

/// What a node that reads files says.
#[derive(Debug)]
pub(crate) struct FileReading<'a> {
    pub(crate) paths: &'a [String],
    pub(crate) format: Format,
    pub(crate) selection: FileSelection,
    /// The rows in quarantine, and the file or folder that they go to.
    pub(crate) quarantine: Option<(Quarantine, &'a str)>,
}

/// Whether a node, if it is a source, can read only what is new.
pub(crate) fn check_for_new(node: &Node, job: &Job) -> Result<()> {
    if node.quarantine().is_some()
        && let Some((_, path)) = FileReading::of(node)?.quarantine
    {
        TargetSpec::of_quarantine(node.name(), job.path(path)).check_for_new()?;
    }
    let what = match node {
        Node::CatalogSource(_) | Node::S3CatalogSource(_) => "a table of the catalog",
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

impl<'a> FileReading<'a> {
    /// Everything that can be wrong with the node alone is found here.
    pub(crate) fn of(node: &'a Node) -> Result<Self> {
        let fail = |e: String| Error::node(node.name(), e);
        let mut quarantine = None;
        let (paths, format) = match node {
            Node::S3CsvSource(source) => {
                let bad = BadRowsOf::of(source.bad_rows, source.quarantine.as_deref());
                let bad = bad.map_err(fail)?;
                let format = csv(source, bad.rows()).map_err(fail)?;
                quarantine = bad.quarantine;
                (&source.paths, format)
            }
            Node::S3JsonSource(source) => {
                let bad = BadRowsOf::of(source.bad_rows, source.quarantine.as_deref());
                let bad = bad.map_err(fail)?;
                let format = json(source, bad.rows()).map_err(fail)?;
                quarantine = bad.quarantine;
                (&source.paths, format)
            }
            Node::S3ParquetSource(source) => {
                (&source.paths, Format::Parquet(ParquetOptions::default()))
            }
            Node::S3ExcelSource(source) => (&source.paths, excel(source)),
            Node::S3DirectSource(source) => (&source.paths, direct(source).map_err(fail)?),
            other => return Err(Error::node(other.name(), "it reads no files")),
        };
        if paths.is_empty() {
            return Err(fail(
                "Paths is empty: name a file, a folder or a glob".to_owned(),
            ));
        }
        let members = node.file_members();
        Ok(Self {
            paths,
            format,
            selection: members.map_or(Ok(FileSelection::default()), |m| {
                selection(&m).map_err(fail)
            })?,
            quarantine,
        })
    }
}

/// What happens to bad rows.
struct BadRowsOf<'a> {
    mode: BadRowsMode,
    quarantine: Option<(Quarantine, &'a str)>,
}

impl<'a> BadRowsOf<'a> {
    fn of(mode: BadRowsMode, path: Option<&'a str>) -> Result<Self, String> {
        let quarantine = match (mode, path) {
            (BadRowsMode::Quarantine, Some(path)) => Some((Quarantine::default(), path)),
            (BadRowsMode::Quarantine, None) => {
                return Err(
                    "BadRows: quarantine needs Quarantine, the file or folder that the rows go to"
                        .to_owned(),
                );
            }
            (_, Some(_)) => {
                return Err("Quarantine: it needs BadRows = \"quarantine\"".to_owned());
            }
            (_, None) => None,
        };
        Ok(Self { mode, quarantine })
    }

    fn rows(&self) -> BadRows {
        match (&self.quarantine, self.mode) {
            (Some((quarantine, _)), _) => BadRows::Quarantine(quarantine.clone()),
            (None, BadRowsMode::Drop) => BadRows::Drop,
            (None, _) => BadRows::Fail,
        }
    }
}

fn csv(source: &CsvSource, bad_rows: BadRows) -> Result<Format, String> {
    let defaults = CsvOptions::default();
    Ok(Format::Csv(CsvOptions {
        separator: parsed("Separator", source.separator.as_deref(), defaults.separator)?,
        quote_char: parsed(
            "QuoteChar",
            source.quote_char.as_deref(),
            defaults.quote_char,
        )?,
        escaper: character("Escaper", source.escaper.as_deref())?,
        comment: character("Comment", source.comment.as_deref())?,
        with_header: source.with_header.unwrap_or(defaults.with_header),
        skip_first: source.skip_first.unwrap_or(defaults.skip_first),
        multiline: source.multiline.unwrap_or(defaults.multiline),
        detect: source.detect,
        encoding: encoding(source.encoding.as_deref())?,
        all_text: source.all_text,
        bad_rows,
        ..defaults
    }))
}

fn json(source: &JsonSource, bad_rows: BadRows) -> Result<Format, String> {
    let path = source.json_path.as_deref().filter(|path| !path.is_empty());
    let rows = path.map(|path| path.parse().map_err(|e| format!("JsonPath: {e}")));
    Ok(Format::Json(JsonOptions {
        rows: rows.transpose()?,
        encoding: encoding(source.encoding.as_deref())?,
        bad_rows,
        ..JsonOptions::default()
    }))
}

fn excel(source: &ExcelSource) -> Format {
    Format::Excel(ExcelOptions {
        sheet: source.sheet.clone(),
        with_header: source.with_header.unwrap_or(true),
        number_rows: source.number_rows,
        skip_footer: source.skip_footer,
        all_text: source.all_text,
        ..ExcelOptions::default()
    })
}

fn direct(source: &DirectSource) -> Result<Format, String> {
    let own = own_member(source);
    if let Some((member, format)) = own
        && format != source.format
    {
        return Err(format!("{member}: it is for Format {format:?}"));
    }
    Ok(match source.format.as_str() {
        "avro" => Format::Avro(AvroOptions::default()),
        "orc" => Format::Orc(OrcOptions::default()),
        "arrow" => Format::Arrow(ArrowOptions::default()),
        "xml" => {
            let defaults = XmlOptions::default();
            Format::Xml(XmlOptions {
                row_tag: source.row_tag.clone().unwrap_or(defaults.row_tag),
                all_text: source.all_text,
                ..XmlOptions::default()
            })
        }
        "grok" => Format::Grok(grok(source)?),
        "fixed-width" => {
            let columns = source.columns.iter().map(|column| FixedColumn {
                name: column.name.clone(),
                start: column.start,
                width: column.width,
            });
            Format::FixedWidth(FixedWidthOptions {
                all_text: source.all_text,
                ..FixedWidthOptions::new(columns.collect())
            })
        }
        other => {
            return Err(format!(
                "Format {other:?}: it is avro, orc, arrow, xml, grok or fixed-width; csv, json, parquet and excel have \
                 nodes of their own"
            ));
        }
    })
}

/// A member that one format has and the others do not.
fn own_member(source: &DirectSource) -> Option<(&'static str, &'static str)> {
    let all = [
        (source.row_tag.is_some(), "RowTag", "xml"),
        (source.grok_pattern.is_some(), "GrokPattern", "grok"),
        (source.custom_patterns.is_some(), "CustomPatterns", "grok"),
        (source.bad_rows != BadRowsMode::Fail, "BadRows", "grok"),
        (!source.columns.is_empty(), "Columns", "fixed-width"),
    ];
    let found = all.into_iter().find(|(is_there, ..)| *is_there);
    found.map(|(_, member, format)| (member, format))
}

fn grok(source: &DirectSource) -> Result<GrokOptions, String> {
    let defaults = GrokOptions::default();
    Ok(GrokOptions {
        pattern: source.grok_pattern.clone().unwrap_or(defaults.pattern),
        custom_patterns: source.custom_patterns.clone().unwrap_or_default(),
        unmatched: match source.bad_rows {
            BadRowsMode::Fail => Unmatched::Fail,
            BadRowsMode::Drop => Unmatched::Drop,
            BadRowsMode::Quarantine => {
                return Err(
                    "BadRows: lines of logs are not put in quarantine yet; use fail or drop"
                        .to_owned(),
                );
            }
        },
        all_text: source.all_text,
        ..GrokOptions::default()
    })
}

/// Patterns of one node, at most: each is compiled wherever the graph is looked at.
const MAX_EXCLUSIONS: usize = 100;

/// Bytes of one of the texts that patterns stand in.
const MAX_EXCLUSION_BYTES: usize = 4096;

fn selection(members: &FileMembers<'_>) -> Result<FileSelection, String> {
    let mut exclusions = Vec::new();
    for text in members.exclusions {
        if text.len() > MAX_EXCLUSION_BYTES {
            return Err(format!(
                "Exclusions: one has {} bytes; {MAX_EXCLUSION_BYTES} are allowed",
                text.len()
            ));
        }
        // Glue's own form: one text that is a JSON list.
        let patterns = serde_json::from_str::<Vec<String>>(text);
        for pattern in patterns.unwrap_or_else(|_| vec![text.clone()]) {
            let exclusion = pattern.parse().map_err(|e| format!("Exclusions: {e}"))?;
            exclusions.push(exclusion);
        }
        if exclusions.len() > MAX_EXCLUSIONS {
            return Err(format!("Exclusions: at most {MAX_EXCLUSIONS} are allowed"));
        }
    }
    Ok(FileSelection {
        recurse: members.recurse.unwrap_or(true),
        exclusions,
    })
}

fn encoding(name: Option<&str>) -> Result<TextEncoding, String> {
    parsed("Encoding", name, TextEncoding::UTF8)
}

/// A member as what it means; the default where it is not there.
fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    member: &str,
    text: Option<&str>,
    default: T,
) -> Result<T, String> {
    text.map_or(Ok(default), |text| {
        text.parse().map_err(|e| format!("{member}: {e}"))
    })
}

fn character(member: &str, text: Option<&str>) -> Result<Option<u8>, String> {
    match text.map(str::as_bytes) {
        None | Some([]) => Ok(None),
        Some([one]) if one.is_ascii() => Ok(Some(*one)),
        Some(_) => Err(format!("{member}: it must be one ASCII character")),
    }
}
