//! Record batches to CSV ([`writer`]): header, quotes where needed, `\n`, null as an empty field.

use arrow::array::{AsArray, RecordBatch};
use arrow::csv::{QuoteStyle, Writer, WriterBuilder};
use arrow::datatypes::{DataType, SchemaRef};

use crate::compress::Encoder;
use crate::csv::CsvOptions;
use crate::error::{Error, Result};
use crate::format::BatchWriter;
use crate::input::Output;

pub(super) fn writer(
    options: &CsvOptions,
    file: Output,
    schema: &SchemaRef,
) -> Result<Box<dyn BatchWriter>> {
    if options.escaper.is_some() {
        return Err(Error::Unsupported(
            "csv is written with doubled quotes, not with an escaper; leave the escaper out".into(),
        ));
    }
    for field in schema.fields() {
        if field.data_type().is_nested() {
            return Err(Error::Unsupported(format!(
                "column {:?} is {}, which csv cannot hold; write json or parquet, or select its parts",
                field.name(),
                field.data_type()
            )));
        }
    }
    let mut builder = WriterBuilder::new()
        .with_header(options.with_header)
        .with_delimiter(options.separator.0);
    match options.quote_char.0 {
        Some(quote) => builder = builder.with_quote(quote),
        None => builder = builder.with_quote_style(QuoteStyle::Never),
    }
    let output =
        Encoder::new(options.compression, file).map_err(|e| Error::io("write", "csv output", e))?;
    let mut writer = CsvWriter {
        writer: builder.build(output),
        unquoted: None,
    };
    if options.quote_char.0.is_none() {
        writer.unquoted = Some(options.separator.0);
        for field in schema.fields() {
            writer.check_plain(field.name(), field.name())?;
        }
    }
    // Writes the header, so that an empty result still says its columns.
    writer.write(&RecordBatch::new_empty(schema.clone()))?;
    Ok(Box::new(writer))
}

struct CsvWriter {
    writer: Writer<Encoder<Output>>,
    /// The separator, if nothing may be quoted.
    unquoted: Option<u8>,
}

impl CsvWriter {
    fn check_plain(&self, column: &str, value: &str) -> Result<()> {
        let Some(separator) = self.unquoted else {
            return Ok(());
        };
        match value
            .bytes()
            .any(|b| b == separator || b == b'\n' || b == b'\r')
        {
            true => Err(Error::Unsupported(format!(
                "column {column:?}: {value:?} holds a separator or a line end, which cannot be written with quotes \
                 disabled; allow quotes or choose another separator"
            ))),
            false => Ok(()),
        }
    }

    fn check_batch(&self, batch: &RecordBatch) -> Result<()> {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let is_text = matches!(
                field.data_type(),
                DataType::Utf8
                    | DataType::LargeUtf8
                    | DataType::Utf8View
                    | DataType::Dictionary(..)
            );
            if !is_text {
                continue;
            }
            let text = arrow::compute::cast(column, &DataType::LargeUtf8)
                .map_err(|e| Error::Query(e.into()))?;
            for value in text.as_string::<i64>().iter().flatten() {
                self.check_plain(field.name(), value)?;
            }
        }
        Ok(())
    }
}

impl BatchWriter for CsvWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.unquoted.is_some() {
            self.check_batch(batch)?;
        }
        self.writer.write(batch).map_err(|e| Error::Query(e.into()))
    }

    fn finish(self: Box<Self>) -> Result<Output> {
        let output = self.writer.into_inner();
        output
            .finish()
            .map_err(|e| Error::io("write", "csv output", e))
    }
}
