//! Lines to a table: [`Lines`], [`Splitter`] and the [`LineTable`] over both.

use std::fmt::Debug;
use std::io::Read;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use futures::{StreamExt, TryStreamExt};

use crate::csv::{TextColumn, TextType};
use crate::error::{Error, Result};
use crate::limits::ReadLimits;
use crate::locate::SourceFile;
use crate::piece::{BatchIterator, FileReader, ScanRequest, until_over};
use crate::scan::FileTable;

const FILES_AT_ONCE: usize = 4;
const CHUNK_BYTES: usize = 256 << 10;
/// Keeps a batch of long lines small, and its text offsets far from overflow.
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// Where the fields of a line are. Called for every line, on a thread that may block.
pub(super) trait Splitter: Clone + Debug + Send + Sync + 'static {
    /// What the columns are called.
    fn names(&self) -> &[String];

    /// Puts the fields of `line` into `fields`, one for each name, empty for null; false leaves the line out.
    ///
    /// # Errors
    /// What is wrong with the line.
    fn split<'a>(&self, line: &'a str, fields: &mut Vec<&'a str>) -> Result<bool, String>;
}

/// The options that all line formats share.
#[derive(Clone, Debug)]
pub(super) struct LineOptions {
    pub(super) skip_lines: u64,
    pub(super) all_text: bool,
    pub(super) infer_bytes: u64,
    pub(super) limits: ReadLimits,
}

/// Reads enough of `files` to know the types of their columns.
pub(super) async fn table<S: Splitter>(
    format: &'static str,
    files: Vec<SourceFile>,
    splitter: S,
    options: LineOptions,
) -> Result<Arc<dyn TableProvider>> {
    options
        .limits
        .check_columns(format, splitter.names().len() as u64)?;
    let tasks = files.iter().cloned().map(|file| {
        let (splitter, options) = (splitter.clone(), options.clone());
        async move {
            tokio::task::spawn_blocking(move || infer(&file, &splitter, &options))
                .await
                .map_err(Error::joined)?
        }
    });
    let inferred: Vec<Vec<TextType>> = futures::stream::iter(tasks)
        .buffered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    let fields = splitter.names().iter().enumerate().map(|(index, name)| {
        let types = inferred.iter().map(|columns| columns[index]);
        let data_type = types
            .reduce(TextType::and)
            .unwrap_or_else(TextType::new)
            .data_type();
        Field::new(name, data_type, true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let reader = LineTable {
        splitter,
        options,
        schema: Arc::clone(&schema),
    };
    Ok(Arc::new(FileTable::new(
        format,
        schema,
        files,
        Arc::new(reader),
    )))
}

fn infer<S: Splitter>(
    file: &SourceFile,
    splitter: &S,
    options: &LineOptions,
) -> Result<Vec<TextType>> {
    let mut lines = Lines::open(file, options)?;
    let mut columns = vec![TextType::new(); splitter.names().len()];
    if options.all_text {
        // Text whatever comes; one line shows whether it can be split at all.
        columns.iter_mut().for_each(|column| column.observe("text"));
    }
    while lines.consumed < options.infer_bytes && lines.read()? {
        let mut fields = Vec::with_capacity(columns.len());
        if lines.split(splitter, &mut fields)? {
            for (column, value) in columns.iter_mut().zip(&fields) {
                column.observe(value);
            }
        }
    }
    Ok(columns)
}

/// Reads line files of one table.
#[derive(Debug)]
struct LineTable<S> {
    splitter: S,
    options: LineOptions,
    schema: SchemaRef,
}

impl<S: Splitter> FileReader for LineTable<S> {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let columns = request.projection.iter().map(|index| {
            let field = self.schema.field(*index);
            Ok((*index, TextColumn::new(field.data_type())?))
        });
        let mut reader = LineBatches {
            lines: Lines::open(file, &self.options)?,
            splitter: self.splitter.clone(),
            columns: columns.collect::<Result<_>>()?,
            schema: Arc::clone(&request.schema),
            batch_rows: request.batch_rows,
            left_out: 0,
        };
        Ok(until_over(move || {
            let batch = reader.read_batch();
            if !matches!(batch, Ok(Some(_))) {
                reader.say_what_was_left_out();
            }
            batch
        }))
    }
}

struct LineBatches<S> {
    lines: Lines,
    splitter: S,
    columns: Vec<(usize, TextColumn)>,
    schema: SchemaRef,
    batch_rows: usize,
    left_out: u64,
}

impl<S: Splitter> LineBatches<S> {
    fn say_what_was_left_out(&self) {
        if self.left_out > 0 {
            tracing::warn!(
                "{}: {} lines do not match the pattern and were left out",
                self.lines.name,
                self.left_out
            );
        }
    }

    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        let start = self.lines.consumed;
        let mut rows = 0;
        while rows < self.batch_rows
            && (rows == 0 || self.lines.consumed - start < MAX_BATCH_BYTES)
            && self.lines.read()?
        {
            rows += usize::from(self.append()?);
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = self
            .columns
            .iter_mut()
            .map(|(_, column)| column.finish())
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|e| Error::Query(e.into()))
    }

    /// Appends the current line; false if it is left out.
    fn append(&mut self) -> Result<bool> {
        let mut fields = Vec::with_capacity(self.splitter.names().len());
        if !self.lines.split(&self.splitter, &mut fields)? {
            self.left_out += 1;
            return Ok(false);
        }
        for (index, column) in &mut self.columns {
            if !column.append(fields[*index]) {
                return Err(Error::Invalid(format!(
                    "{}:{}: column {:?}: {:?} is not {}, the type that the start of the table suggests; \
                     raise infer_bytes, or read with all_text",
                    self.lines.name,
                    self.lines.number,
                    self.splitter.names()[*index],
                    abbreviated(fields[*index]),
                    column.type_name(),
                )));
            }
        }
        Ok(true)
    }
}

/// Enough of a value to find it.
fn abbreviated(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}

/// Lines of a file, ended by `\n`, `\r\n` or its end; blank ones are left out.
pub(super) struct Lines {
    input: Box<dyn Read + Send>,
    name: String,
    buffer: Vec<u8>,
    position: usize,
    end: usize,
    at_end: bool,
    /// Bytes of the lines so far.
    consumed: u64,
    /// Of the current line, from 1.
    number: u64,
    line: Vec<u8>,
    limits: ReadLimits,
}

impl Lines {
    fn open(file: &SourceFile, options: &LineOptions) -> Result<Self> {
        Self::new(file.read(&options.limits)?, file.name(), options)
    }

    fn new(input: Box<dyn Read + Send>, name: String, options: &LineOptions) -> Result<Self> {
        let mut lines = Self {
            input,
            name,
            buffer: vec![0; CHUNK_BYTES],
            position: 0,
            end: 0,
            at_end: false,
            consumed: 0,
            number: 0,
            line: Vec::new(),
            limits: options.limits.clone(),
        };
        for _ in 0..options.skip_lines {
            lines.read_any()?;
        }
        Ok(lines)
    }

    /// Goes to the next line that is not blank; false at the end.
    fn read(&mut self) -> Result<bool> {
        while self.read_any()? {
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_any(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        loop {
            if self.position == self.end && !self.fill()? {
                return Ok(!self.line.is_empty());
            }
            let rest = &self.buffer[self.position..self.end];
            let newline = memchr::memchr(b'\n', rest);
            let taken = newline.unwrap_or(rest.len());
            self.limits.check_record(
                &format!("{}:{}", self.name, self.number),
                "the line",
                (self.line.len() + taken) as u64,
            )?;
            self.line.extend_from_slice(&rest[..taken]);
            let used = taken + usize::from(newline.is_some());
            self.position += used;
            self.consumed += used as u64;
            if newline.is_some() {
                break;
            }
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if self.number == 1 && self.line.starts_with(b"\xEF\xBB\xBF") {
            self.line.drain(..3);
        }
        Ok(true)
    }

    fn fill(&mut self) -> Result<bool> {
        if self.at_end {
            return Ok(false);
        }
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(read) => {
                    (self.position, self.end) = (0, read);
                    self.at_end = read == 0;
                    return Ok(read > 0);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", &self.name, e)),
            }
        }
    }

    fn split<'a, S: Splitter>(&'a self, splitter: &S, fields: &mut Vec<&'a str>) -> Result<bool> {
        let place = format_args!("{}:{}", self.name, self.number);
        let line = simdutf8::basic::from_utf8(&self.line).map_err(|_| {
            Error::Invalid(format!("{place}: not UTF-8; convert the file to UTF-8"))
        })?;
        splitter
            .split(line, fields)
            .map_err(|message| Error::Invalid(format!("{place}: {message}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: impl Read + Send + 'static) -> Lines {
        let options = LineOptions {
            skip_lines: 0,
            all_text: false,
            infer_bytes: 0,
            limits: ReadLimits::default(),
        };
        Lines::new(Box::new(input), "a.log".into(), &options).unwrap()
    }

    #[test]
    fn line_ends_blank_lines_and_a_mark_of_byte_order() {
        let mut lines = lines(&b"\xEF\xBB\xBFa\r\n\n  \nb\nc"[..]);
        let mut seen = Vec::new();
        while lines.read().unwrap() {
            let text = String::from_utf8(lines.line.clone()).unwrap();
            seen.push((lines.number, text));
        }
        assert_eq!(
            seen,
            [
                (1, "a".to_owned()),
                (4, "b".to_owned()),
                (5, "c".to_owned())
            ]
        );
    }

    #[test]
    fn a_line_of_a_gigabyte_is_refused_early() {
        let mut lines = lines(std::io::repeat(b'x').take(1 << 30));
        let error = lines.read().unwrap_err();
        insta::assert_snapshot!(error, @"a.log:1: the line has 17039360 bytes or more; the limit record_bytes is 16777216, raise it if the file can be trusted");
        assert!(lines.line.len() <= 16 << 20);
    }
}
