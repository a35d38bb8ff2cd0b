//! Record batches as a table for people and as JSON for programs.

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

use crate::error::Failure;
use crate::report::{Report, cell, cell_as};

/// The rows under their columns' names. Text is shown as it is, missing values as `-`.
///
/// # Errors
/// A value cannot be formatted.
pub(crate) fn report(batches: &[RecordBatch]) -> Result<Report, Failure> {
    let Some(first) = batches.first() else {
        return Ok(Report::list(&[]).when_empty("no rows"));
    };
    let schema = first.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let mut table = Report::list(&names).when_empty("no rows");
    let options = FormatOptions::default().with_display_error(false);
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        let json = to_json(std::slice::from_ref(batch))?;
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .zip(&names)
                .enumerate()
                .map(|(i, (column, name))| {
                    if batch.column(i).is_null(row) {
                        return Ok(cell(Value::Null));
                    }
                    let shown = column.value(row).try_to_string()?;
                    let value = json
                        .get(row)
                        .and_then(|object| object.get(name))
                        .cloned()
                        .unwrap_or_default();
                    Ok(cell_as(value, shown))
                });
            table.cells(cells.collect::<Result<Vec<_>, Failure>>()?);
        }
    }
    Ok(table)
}

/// The rows as aligned text.
///
/// # Errors
/// A value cannot be formatted.
pub(crate) fn to_table(batches: &[RecordBatch]) -> Result<String, Failure> {
    Ok(report(batches)?.to_table())
}

/// The rows as JSON objects.
///
/// # Errors
/// A value has no form in JSON.
pub(crate) fn to_json(batches: &[RecordBatch]) -> Result<Vec<Value>, Failure> {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(Vec::new());
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    let text = writer.into_inner();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(serde_json::from_slice(&text)?)
}
