//! Fixed width text: [`FixedWidthOptions`].

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::error::{Error, Result};
use crate::format::{BatchWriter, Connector};
use crate::input::Output;
use crate::limits::ReadLimits;
use crate::lines::read::{LineOptions, Splitter, table};
use crate::locate::SourceFile;

/// One column of a fixed width file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedColumn {
    /// What it is called.
    pub name: String,
    /// Characters before it, from 0.
    pub start: usize,
    /// Characters in it.
    pub width: usize,
}

/// How fixed width text is read: every line has its values at the same characters.
///
/// Blanks around a value are not part of it. A line may end early: what is behind its end is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedWidthOptions {
    /// The columns, in the order of the table; they may leave gaps. There is no default: at least one.
    pub columns: Vec<FixedColumn>,
    /// Lines before the first record. Default: 0.
    pub skip_lines: u64,
    /// Every column is text, nothing is inferred. Default: false.
    pub all_text: bool,
    /// How much of each file decides the types, in bytes. Default: 64 MiB.
    pub infer_bytes: u64,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

impl FixedWidthOptions {
    /// The defaults with these columns.
    pub fn new(columns: Vec<FixedColumn>) -> Self {
        Self {
            columns,
            skip_lines: 0,
            all_text: false,
            infer_bytes: 64 << 20,
            limits: ReadLimits::default(),
        }
    }

    fn splitter(&self) -> Result<FixedWidth> {
        let invalid = |message: String| Err(Error::Unsupported(format!("fixed width: {message}")));
        let Some(first) = self.columns.first() else {
            return invalid(
                "no column is given; say where each one starts and how wide it is".into(),
            );
        };
        if let Some(column) = self.columns.iter().find(|column| column.width == 0) {
            return invalid(format!("column {:?} is 0 characters wide", column.name));
        }
        let names: Vec<_> = self.columns.iter().map(|c| c.name.clone()).collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return invalid(format!("two columns are named {:?}", first.name));
            }
        }
        let spans = self
            .columns
            .iter()
            .map(|c| (c.start, c.start.saturating_add(c.width)));
        Ok(FixedWidth {
            spans: spans.collect(),
            names,
        })
    }
}

#[derive(Clone, Debug)]
struct FixedWidth {
    names: Vec<String>,
    /// First character and the one behind the last.
    spans: Vec<(usize, usize)>,
}

impl Splitter for FixedWidth {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn split<'a>(&self, line: &'a str, fields: &mut Vec<&'a str>) -> Result<bool, String> {
        let is_ascii = line.is_ascii();
        for (start, end) in &self.spans {
            let value = if is_ascii {
                &line[(*start).min(line.len())..(*end).min(line.len())]
            } else {
                characters(line, *start, *end)
            };
            fields.push(value.trim());
        }
        Ok(true)
    }
}

fn characters(line: &str, start: usize, end: usize) -> &str {
    let byte = |character: usize| {
        line.char_indices()
            .nth(character)
            .map_or(line.len(), |(byte, _)| byte)
    };
    &line[byte(start)..byte(end)]
}

#[async_trait]
impl Connector for FixedWidthOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let options = LineOptions {
            skip_lines: self.skip_lines,
            all_text: self.all_text,
            infer_bytes: self.infer_bytes,
            limits: self.limits.clone(),
        };
        table("fixed width", files, self.splitter()?, options).await
    }

    fn writer(&self, _: Output, _: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        Err(Error::Unsupported(
            "fixed width text is only read; write csv, json or parquet".into(),
        ))
    }
}
