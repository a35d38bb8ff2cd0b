//! CSV records to record batches ([`CsvReader`]).
//!
//! A block of records is taken column by column: one loop per column and type, over text that is in the cache
//! and was checked to be UTF-8 as a whole. Only the projected columns are parsed; every record's field
//! count is checked all the same.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{SchemaRef, TimeUnit};

use crate::cells::{Cells, Text};
use crate::csv::CsvOptions;
use crate::csv::infer::abbreviated;
use crate::csv::open::{FileRecords, Opened, is_sound, problem};
use crate::csv::records::Block;
use crate::csv::types::{self, DateStyle, Kind, UTC};
use crate::error::{Error, Result};
use crate::locate::SourceFile;
use crate::piece::{BatchIterator, FileReader, Part, RejectedRows, ScanRequest, until_over};
use crate::reject::BadRow;

/// Keeps a batch of wide records small, and its text offsets far from overflow.
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// Opens CSV files of one table.
#[derive(Debug)]
pub(super) struct CsvReader {
    pub(super) options: CsvOptions,
    pub(super) schema: SchemaRef,
    /// How each column of the schema is written.
    pub(super) kinds: Vec<Kind>,
}

impl FileReader for CsvReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        self.batches(file, None, request)
    }

    fn can_split(&self, _: &SourceFile) -> bool {
        // Where records may be broken, one from the middle proves nothing, unless a line end always ends it.
        let dialect = self.options.dialect();
        self.options.bad_rows.is_fail() || dialect.quote.is_none() || !dialect.multiline
    }

    fn open_part(
        &self,
        file: &SourceFile,
        part: &Part,
        request: &ScanRequest,
    ) -> Result<BatchIterator> {
        self.batches(file, Some(part), request)
    }
}

impl CsvReader {
    fn batches(
        &self,
        file: &SourceFile,
        part: Option<&Part>,
        request: &ScanRequest,
    ) -> Result<BatchIterator> {
        let Some(mut opened) = Opened::new(file, &self.options)? else {
            return Ok(Box::new(std::iter::empty()));
        };
        let range = match part {
            None => Some((0, u64::MAX)),
            Some(part) => opened.seek(file, part, &self.options)?,
        };
        let Some((start, end)) = range else {
            return Ok(Box::new(std::iter::empty()));
        };
        let mut reader = CsvBatches {
            rows: Rows {
                columns: self.columns(&opened.names, file, request)?,
                names: opened.names,
                has_trailing_separator: opened.has_trailing_separator,
                rejected: Arc::clone(&request.rejected),
                options: self.options.clone(),
                lines: Lines {
                    file: file.clone(),
                    start,
                    before: None,
                },
            },
            records: opened.records,
            schema: Arc::clone(&request.schema),
            batch_rows: request.batch_rows.max(1),
            end,
        };
        Ok(until_over(move || reader.read_batch()))
    }

    /// Where each projected column stands in this file.
    fn columns(
        &self,
        names: &[String],
        file: &SourceFile,
        request: &ScanRequest,
    ) -> Result<Vec<Column>> {
        let mut columns = Vec::with_capacity(request.projection.len());
        for index in &request.projection {
            let wanted = self.schema.field(*index).name();
            let position = names.iter().position(|name| name == wanted);
            let position = position.ok_or_else(|| {
                Error::Invalid(format!(
                    "{}: column {wanted:?} has gone since the file was first read",
                    file.name(),
                ))
            })?;
            columns.push(Column {
                position,
                kind: self.kinds[*index],
                builder: Builder::new(self.kinds[*index], request.batch_rows),
            });
        }
        Ok(columns)
    }
}

struct CsvBatches {
    records: FileRecords,
    rows: Rows,
    schema: SchemaRef,
    batch_rows: usize,
    /// The byte at which the records of the next part begin.
    end: u64,
}

impl CsvBatches {
    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        let start = self.records.position();
        let mut rows = 0;
        // However many bad rows come one after the other, a batch without a row is the end.
        while rows < self.batch_rows
            && (rows == 0 || self.records.position() - start < MAX_BATCH_BYTES)
        {
            match self.records.read(self.batch_rows - rows)? {
                Some(block) => rows += self.rows.take(&block)?,
                None => {
                    self.check_end()?;
                    break;
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = self.rows.columns.iter_mut();
        let arrays: Result<Vec<_>> = columns
            .map(|column| column.builder.finish(column.kind, self.batch_rows))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays?, &options)
            .map(Some)
            .map_err(|e| Error::Query(e.into()))
    }

    /// The part must end where the next one begins. What was proven there holds for files that can be read: if
    /// it does not, what is wrong with this one comes next, and is found by reading on.
    fn check_end(&mut self) -> Result<()> {
        let at = self.records.position();
        if self.end == u64::MAX || at == self.end {
            return Ok(());
        }
        self.records.end_at(u64::MAX);
        while let Some(block) = self.records.read(self.batch_rows)? {
            self.rows.check(&block)?;
        }
        if at < self.end {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "{}: no record begins at byte {}, where one was found before; was the file changed while it was read?",
            self.records.name(),
            self.end
        )))
    }
}

/// What becomes of the records.
struct Rows {
    names: Vec<String>,
    has_trailing_separator: bool,
    columns: Vec<Column>,
    options: CsvOptions,
    rejected: Arc<RejectedRows>,
    lines: Lines,
}

impl Rows {
    /// Appends the rows of a block and gives their number.
    fn take(&mut self, block: &Block<'_>) -> Result<usize> {
        if is_sound(block, &self.names, self.has_trailing_separator) {
            let before = self.columns.iter().map(|column| column.builder.len());
            let before = before.collect::<Vec<_>>();
            match self.append(block, 0..block.len()) {
                Ok(()) => return Ok(block.len()),
                Err(_) => {
                    let columns = self.columns.iter_mut().zip(before);
                    columns.for_each(|(column, rows)| column.builder.truncate(rows));
                }
            }
        }
        self.take_sound(block)
    }

    fn append(
        &mut self,
        block: &Block<'_>,
        rows: impl Iterator<Item = usize> + Clone,
    ) -> Result<(), usize> {
        self.columns
            .iter_mut()
            .try_for_each(|column| column.append(block, rows.clone()))
    }

    /// Appends the rows that can be read; the others are rejected, of which the first may end the run.
    fn take_sound(&mut self, block: &Block<'_>) -> Result<usize> {
        let mut sound = Vec::with_capacity(block.len());
        for row in 0..block.len() {
            if self.check_row(block, row)? {
                sound.push(row);
            }
        }
        self.append(block, sound.iter().copied()).map_err(|row| {
            Error::Invalid(format!(
                "{}:{}: cannot be read",
                self.lines.file.name(),
                block.line(row)
            ))
        })?;
        Ok(sound.len())
    }

    /// Ends the run at the first bad row, if that is what is wanted.
    fn check(&mut self, block: &Block<'_>) -> Result<()> {
        (0..block.len()).try_for_each(|row| self.check_row(block, row).map(|_| ()))
    }

    /// False if the row is rejected.
    fn check_row(&mut self, block: &Block<'_>, row: usize) -> Result<bool> {
        if let Some(problem) = problem(block, row, &self.names, self.has_trailing_separator) {
            let column = problem.column.map(|index| self.names[index].clone());
            self.reject(block, row, problem.line, column.as_deref(), &problem.reason)?;
            return Ok(false);
        }
        let misfit = self
            .columns
            .iter()
            .find(|column| !column.fits(block, row))
            .map(|column| (column.position, column.kind));
        let Some((position, kind)) = misfit else {
            return Ok(true);
        };
        let reason = format!(
            "{:?} is not {kind}, the type that the start of the table suggests; raise infer_bytes, or read with all_text",
            abbreviated(&block.cell(row, position).value())
        );
        let column = self.names[position].clone();
        self.reject(block, row, block.line(row), Some(&column), &reason)?;
        Ok(false)
    }

    fn reject(
        &mut self,
        block: &Block<'_>,
        row: usize,
        line: u64,
        column: Option<&str>,
        reason: &str,
    ) -> Result<()> {
        let bad = BadRow {
            file: &self.lines.file.name(),
            line: self.lines.before(&self.options)? + line,
            column,
            reason: &reason,
            raw: block.raw(row),
        };
        self.options.bad_rows.take(&bad, &self.rejected)
    }
}

/// Counts the lines before a part of a file, when somebody asks.
struct Lines {
    file: SourceFile,
    start: u64,
    before: Option<u64>,
}

impl Lines {
    /// How many lines end before the part begins. Reads all that is before it.
    ///
    /// # Errors
    /// What is wrong with the first record that cannot be read, if there is one: then it is the one to tell.
    fn before(&mut self, options: &CsvOptions) -> Result<u64> {
        if self.start == 0 {
            return Ok(0);
        }
        if let Some(before) = self.before {
            return Ok(before);
        }
        let before = self.count(options)?;
        self.before = Some(before);
        Ok(before)
    }

    fn count(&self, options: &CsvOptions) -> Result<u64> {
        let Some(mut opened) = Opened::new(&self.file, options)? else {
            return Ok(0);
        };
        opened.records.end_at(self.start);
        while let Some(block) = opened.records.read(1024)? {
            if !options.bad_rows.is_fail()
                || is_sound(&block, &opened.names, opened.has_trailing_separator)
            {
                continue;
            }
            for row in 0..block.len() {
                let found = problem(&block, row, &opened.names, opened.has_trailing_separator);
                if let Some(problem) = found {
                    let place = format!("{}:{}", self.file.name(), problem.line);
                    return Err(Error::Invalid(match problem.column {
                        Some(index) => {
                            format!(
                                "{place}: column {:?}: {}",
                                opened.names[index], problem.reason
                            )
                        }
                        None => format!("{place}: {}", problem.reason),
                    }));
                }
            }
        }
        Ok(opened.records.line() - 1)
    }
}

struct Column {
    /// Which field of the file's records.
    position: usize,
    kind: Kind,
    builder: Builder,
}

impl Column {
    /// Appends the values of `rows`, nulls where they are empty; the first row that is not of this type is the
    /// error, and what was appended then is to be truncated.
    fn append(
        &mut self,
        block: &Block<'_>,
        rows: impl Iterator<Item = usize> + Clone,
    ) -> Result<(), usize> {
        let values = rows.map(|row| (row, block.cell(row, self.position).value()));
        match (self.kind, &mut self.builder) {
            (Kind::Boolean, Builder::Boolean(b)) => extend(b, values, types::boolean),
            (Kind::Int64, Builder::Long(b)) => extend(b, values, types::int64),
            (Kind::Float64, Builder::Double(b)) => extend(b, values, types::float64),
            // Most dates are of one style: its layout is known to the loop.
            (Kind::Date(DateStyle::Iso), Builder::Days(b)) => {
                extend(b, values, |value| types::date(value, DateStyle::Iso))
            }
            (Kind::Date(style), Builder::Days(b)) => {
                extend(b, values, |value| types::date(value, style))
            }
            (Kind::Timestamp(unit), Builder::Long(b)) => {
                extend(b, values, |value| types::timestamp(value, unit))
            }
            (Kind::TimestampUtc(unit), Builder::Long(b)) => {
                extend(b, values, |value| types::timestamp_utc(value, unit))
            }
            (_, Builder::Text(b)) => {
                extend_text(b, values);
                Ok(())
            }
            // A builder is made for its kind.
            _ => Err(0),
        }
    }

    fn fits(&self, block: &Block<'_>, row: usize) -> bool {
        let value = block.cell(row, self.position).value();
        value.is_empty() || self.kind.accepts(&value)
    }
}

/// The values of one column so far.
enum Builder {
    Boolean(Cells<bool>),
    Long(Cells<i64>),
    Double(Cells<f64>),
    Days(Cells<i32>),
    Text(Text),
}

impl Builder {
    fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Boolean => Builder::Boolean(Cells::new(rows)),
            Kind::Int64 | Kind::Timestamp(_) | Kind::TimestampUtc(_) => {
                Builder::Long(Cells::new(rows))
            }
            Kind::Float64 => Builder::Double(Cells::new(rows)),
            Kind::Date(_) => Builder::Days(Cells::new(rows)),
            Kind::Text => Builder::Text(Text::new(rows, 0)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Builder::Boolean(cells) => cells.len(),
            Builder::Long(cells) => cells.len(),
            Builder::Double(cells) => cells.len(),
            Builder::Days(cells) => cells.len(),
            Builder::Text(text) => text.len(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Builder::Boolean(cells) => cells.truncate(rows),
            Builder::Long(cells) => cells.truncate(rows),
            Builder::Double(cells) => cells.truncate(rows),
            Builder::Days(cells) => cells.truncate(rows),
            Builder::Text(text) => text.truncate(rows),
        }
    }

    /// The array of what was appended; the next one is expected to have `rows` rows.
    fn finish(&mut self, kind: Kind, rows: usize) -> Result<ArrayRef> {
        let array: ArrayRef = match self {
            Builder::Boolean(cells) => {
                let (values, nulls) = cells.take(rows);
                Arc::new(BooleanArray::new(values.into(), nulls))
            }
            Builder::Double(cells) => {
                let (values, nulls) = cells.take(rows);
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            Builder::Days(cells) => {
                let (values, nulls) = cells.take(rows);
                Arc::new(Date32Array::new(values.into(), nulls))
            }
            Builder::Text(text) => Arc::new(text.take(rows)?),
            Builder::Long(cells) => {
                let (values, nulls) = cells.take(rows);
                long_array(kind, values.into(), nulls)
            }
        };
        Ok(array)
    }
}

fn long_array(kind: Kind, values: ScalarBuffer<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let nanos = |values, nulls| TimestampNanosecondArray::new(values, nulls);
    let micros = |values, nulls| TimestampMicrosecondArray::new(values, nulls);
    match kind {
        Kind::Timestamp(TimeUnit::Nanosecond) => Arc::new(nanos(values, nulls)),
        Kind::Timestamp(_) => Arc::new(micros(values, nulls)),
        Kind::TimestampUtc(TimeUnit::Nanosecond) => {
            Arc::new(nanos(values, nulls).with_timezone(UTC))
        }
        Kind::TimestampUtc(_) => Arc::new(micros(values, nulls).with_timezone(UTC)),
        _ => Arc::new(Int64Array::new(values, nulls)),
    }
}

/// Appends what `parse` gives for each value, null where it is empty; the first row it refuses is the error.
#[inline]
fn extend<'a, T: Copy + Default>(
    cells: &mut Cells<T>,
    values: impl Iterator<Item = (usize, Cow<'a, [u8]>)>,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<(), usize> {
    for (row, value) in values {
        if value.is_empty() {
            cells.push_null();
        } else {
            cells.push(parse(&value).ok_or(row)?);
        }
    }
    Ok(())
}

#[inline]
fn extend_text<'a>(text: &mut Text, values: impl Iterator<Item = (usize, Cow<'a, [u8]>)>) {
    for (_, value) in values {
        if value.is_empty() {
            text.push_null();
        } else {
            text.push(&value);
        }
    }
}
