//! JSON records to record batches ([`JsonReader`]), parsed in place by [`Decoder`].

use std::io::Read;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Fields, SchemaRef};

use crate::error::{Error, Result};
use crate::json::decode::Decoder;
use crate::json::records::{Fault, Records, Stop};
use crate::json::{JsonOptions, split};
use crate::locate::SourceFile;
use crate::piece::{
    BatchIterator, FileReader, Part, RejectedRows, ScanRequest, line_ends, open_at, open_text,
    until_over,
};
use crate::reject::{BadRow, BadRows};

const MAX_BATCH_BYTES: u64 = 16 << 20;

/// Opens JSON files of one table.
#[derive(Debug)]
pub(super) struct JsonReader {
    pub(super) options: JsonOptions,
    pub(super) schema: SchemaRef,
}

type FileRecords = Records<Box<dyn Read + Send>>;

impl FileReader for JsonReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let text = open_text(file, self.options.encoding)?;
        let records = Records::new(text.input, file.name(), self.options.rows.clone());
        self.batches(file, records, 0, request)
    }

    fn can_split(&self, _: &SourceFile) -> bool {
        // A path may lead anywhere from what stands before.
        self.options.rows.is_none()
    }

    fn open_part(
        &self,
        file: &SourceFile,
        part: &Part,
        request: &ScanRequest,
    ) -> Result<BatchIterator> {
        let text = open_text(file, self.options.encoding)?;
        if !text.is_plain {
            // What is decoded has no other positions than its start.
            return match part.is_first() {
                true => self.open(file, request),
                false => Ok(Box::new(std::iter::empty())),
            };
        }
        let find = |at: u64| {
            let found = split::record_start(open_at(file, at)?)
                .map_err(|e| Error::io("read", &file.path, e))?;
            Ok(found.map(|offset| at + offset))
        };
        let Some((start, end)) = part.range(find)? else {
            return Ok(Box::new(std::iter::empty()));
        };
        let input: Box<dyn Read + Send> = match start {
            0 => text.input,
            _ => open_at(file, start)?,
        };
        let records = Records::over(input, file.name(), start, end);
        self.batches(file, records, start, request)
    }
}

impl JsonReader {
    fn batches(
        &self,
        file: &SourceFile,
        records: FileRecords,
        start: u64,
        request: &ScanRequest,
    ) -> Result<BatchIterator> {
        let fields = self.schema.fields();
        let mut reader = JsonBatches {
            records,
            file: file.clone(),
            options: self.options.clone(),
            start,
            lines_before: None,
            projection: request.projection.clone(),
            decoder: Decoder::new(fields, &request.projection, request.batch_rows)?,
            rejected: Arc::clone(&request.rejected),
            fields: fields.clone(),
            schema: Arc::clone(&request.schema),
            batch_rows: request.batch_rows.max(1),
        };
        Ok(until_over(move || reader.read_batch()))
    }
}

struct JsonBatches {
    records: FileRecords,
    file: SourceFile,
    options: JsonOptions,
    /// The byte at which the part begins.
    start: u64,
    /// Lines in front of it, once somebody asked.
    lines_before: Option<u64>,
    projection: Vec<usize>,
    decoder: Decoder,
    rejected: Arc<RejectedRows>,
    /// The columns of the table.
    fields: Fields,
    schema: SchemaRef,
    batch_rows: usize,
}

impl JsonBatches {
    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        let start = self.records.position();
        // However many bad records come one after the other, a batch without a row is the end.
        while self.decoder.rows() < self.batch_rows
            && (self.decoder.rows() == 0 || self.records.position() - start < MAX_BATCH_BYTES)
        {
            let rows = self.decoder.rows();
            let decoder = &mut self.decoder;
            match self.records.read(|text| decoder.push(text)) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(Stop::Fault(fault)) if !self.options.bad_rows.is_fail() => {
                    // Text that is not UTF-8 shows when the row is there.
                    if self.decoder.rows() > rows {
                        self.decoder.pop();
                    }
                    self.reject(fault)?;
                }
                Err(stop) => {
                    let error = self.records.error(stop);
                    return Err(self.with_lines_before(error)?);
                }
            }
        }
        let rows = self.decoder.rows();
        if rows == 0 {
            return Ok(None);
        }
        let columns = self.decoder.finish()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map(Some)
            .map_err(|e| Error::Query(e.into()))
    }

    /// Leaves out the record that has the fault, if it can be told where it ends.
    fn reject(&mut self, fault: Fault) -> Result<()> {
        let column = self.decoder.take_culprit();
        let Some(text) = self.records.skip()? else {
            let error = self.records.error(fault.into());
            return Err(self.with_lines_before(error)?);
        };
        let name = self.file.name();
        let row = BadRow {
            file: &name,
            line: self.lines_before()? + fault.row_line,
            column: column.as_deref(),
            reason: &fault.message,
            raw: text.trim_ascii_end(),
        };
        self.options.bad_rows.take(&row, &self.rejected)
    }

    /// Lines of the file in front of the part.
    fn lines_before(&mut self) -> Result<u64> {
        if let Some(lines) = self.lines_before {
            return Ok(lines);
        }
        let lines = match self.start {
            0 => 0,
            start => line_ends(&self.file, start)?,
        };
        Ok(*self.lines_before.insert(lines))
    }

    /// The error of a part, as it is when its file is read from the start: what is wrong there may come first, and the
    /// lines are those of the file.
    fn with_lines_before(&self, error: Error) -> Result<Error> {
        if self.start == 0 || !matches!(error, Error::Invalid(_)) {
            return Ok(error);
        }
        let name = self.file.name();
        let text = open_text(&self.file, self.options.encoding)?;
        let mut whole = Self {
            records: Records::new(text.input, name, None),
            file: self.file.clone(),
            options: JsonOptions {
                bad_rows: BadRows::Fail,
                ..self.options.clone()
            },
            rejected: Arc::default(),
            start: 0,
            lines_before: None,
            projection: self.projection.clone(),
            decoder: Decoder::new(&self.fields, &self.projection, self.batch_rows)?,
            fields: self.fields.clone(),
            schema: Arc::clone(&self.schema),
            batch_rows: self.batch_rows,
        };
        while whole.read_batch()?.is_some() {}
        Ok(error)
    }
}
