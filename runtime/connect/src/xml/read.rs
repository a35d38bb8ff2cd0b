//! XML rows to record batches ([`XmlReader`]).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ListArray, NullBufferBuilder, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef};

use crate::csv::TextColumn;
use crate::error::{Error, Result};
use crate::locate::SourceFile;
use crate::piece::{BatchIterator, FileReader, ScanRequest, until_over};
use crate::xml::records::{Element, Rows};
use crate::xml::{VALUE, XmlOptions};

/// Keeps a batch of large rows small, and its text offsets far from overflow.
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// Opens XML files of one table.
#[derive(Debug)]
pub(super) struct XmlReader {
    pub(super) options: XmlOptions,
    pub(super) schema: SchemaRef,
}

impl FileReader for XmlReader {
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator> {
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (index, field) in self.schema.fields().iter().enumerate() {
            let is_wanted = request.projection.contains(&index);
            columns.push(is_wanted.then(|| Column::new(field)).transpose()?);
        }
        let mut reader = XmlBatches {
            rows: Rows::open(file, &self.options)?,
            fields: self.schema.fields().clone(),
            columns,
            projection: request.projection.clone(),
            schema: Arc::clone(&request.schema),
            batch_rows: request.batch_rows,
        };
        Ok(until_over(move || reader.read_batch()))
    }
}

struct XmlBatches {
    rows: Rows,
    fields: Fields,
    /// One for each column of the table, if it is wanted.
    columns: Vec<Option<Column>>,
    projection: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
}

impl XmlBatches {
    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        let start = self.rows.consumed();
        let mut count = 0;
        while count < self.batch_rows && self.rows.consumed() - start < MAX_BATCH_BYTES {
            let Some(row) = self.rows.read()? else { break };
            append_fields(&self.fields, &mut self.columns, &row)
                .map_err(|message| Error::Invalid(format!("{}: {message}", self.rows.place())))?;
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let mut arrays = vec![None; self.columns.len()];
        for (array, column) in arrays.iter_mut().zip(&mut self.columns) {
            *array = column.as_mut().map(Column::finish).transpose()?;
        }
        let arrays = self
            .projection
            .iter()
            .filter_map(|index| arrays[*index].clone());
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays.collect(), &options)
            .map(Some)
            .map_err(|e| Error::Query(e.into()))
    }
}

/// One column, or one field of a struct, being filled.
enum Column {
    Text(TextColumn),
    Struct {
        fields: Fields,
        columns: Vec<Option<Column>>,
        nulls: NullBufferBuilder,
    },
    List {
        item: FieldRef,
        column: Box<Column>,
        lengths: Vec<usize>,
        nulls: NullBufferBuilder,
    },
}

/// What a column gets in one row.
enum Item<'a> {
    Text(&'a str),
    Element(&'a Element),
}

impl Column {
    fn new(field: &Field) -> Result<Self> {
        Ok(match field.data_type() {
            DataType::Struct(fields) => Column::Struct {
                columns: fields
                    .iter()
                    .map(|field| Column::new(field).map(Some))
                    .collect::<Result<_>>()?,
                fields: fields.clone(),
                nulls: NullBufferBuilder::new(0),
            },
            DataType::List(item) => Column::List {
                column: Box::new(Column::new(item)?),
                item: Arc::clone(item),
                lengths: Vec::new(),
                nulls: NullBufferBuilder::new(0),
            },
            other => Column::Text(TextColumn::new(other)?),
        })
    }

    /// Appends all that a row, or an element, has for this column.
    fn append(&mut self, items: &[Item<'_>]) -> Result<(), String> {
        match self {
            Column::List {
                column,
                lengths,
                nulls,
                ..
            } => {
                for item in items {
                    column.append_one(item)?;
                }
                lengths.push(items.len());
                nulls.append(!items.is_empty());
                Ok(())
            }
            _ => match items {
                [] => self.append_null(),
                [item] => self.append_one(item),
                _ => Err(format!(
                    "it comes {} times, where the start of the table has it once; raise infer_bytes",
                    items.len()
                )),
            },
        }
    }

    fn append_one(&mut self, item: &Item<'_>) -> Result<(), String> {
        match (self, item) {
            (Column::Text(column), Item::Text(text)) => append_text(column, text),
            (Column::Text(column), Item::Element(element)) if element.is_text() => {
                append_text(column, &element.text)
            }
            (Column::Text(_), Item::Element(_)) => Err(
                "it holds attributes or elements, where the start of the table has text; raise infer_bytes"
                    .into(),
            ),
            (
                Column::Struct {
                    fields,
                    columns,
                    nulls,
                },
                Item::Element(element),
            ) => {
                append_fields(fields, columns, element)?;
                nulls.append(!(element.is_text() && element.text.is_empty()));
                Ok(())
            }
            (Column::Struct { .. }, Item::Text(_)) => {
                Err("it is an attribute, where the start of the table has an element".into())
            }
            (column @ Column::List { .. }, item) => {
                let item = match item {
                    Item::Text(text) => Item::Text(text),
                    Item::Element(element) => Item::Element(element),
                };
                column.append(&[item])
            }
        }
    }

    fn append_null(&mut self) -> Result<(), String> {
        match self {
            Column::Text(column) => column.append_null(),
            Column::Struct { columns, nulls, .. } => {
                for column in columns.iter_mut().flatten() {
                    column.append(&[])?;
                }
                nulls.append(false);
            }
            Column::List { lengths, nulls, .. } => {
                lengths.push(0);
                nulls.append(false);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let query = |e: arrow::error::ArrowError| Error::Query(e.into());
        Ok(match self {
            Column::Text(column) => column.finish(),
            Column::Struct {
                fields,
                columns,
                nulls,
            } => {
                let arrays = columns.iter_mut().flatten().map(Column::finish);
                let arrays = arrays.collect::<Result<Vec<_>>>()?;
                Arc::new(
                    StructArray::try_new(fields.clone(), arrays, nulls.finish()).map_err(query)?,
                )
            }
            Column::List {
                item,
                column,
                lengths,
                nulls,
            } => {
                let offsets = OffsetBuffer::from_lengths(lengths.drain(..));
                let values = column.finish()?;
                Arc::new(
                    ListArray::try_new(Arc::clone(item), offsets, values, nulls.finish())
                        .map_err(query)?,
                )
            }
        })
    }
}

fn append_text(column: &mut TextColumn, text: &str) -> Result<(), String> {
    if column.append(text) {
        return Ok(());
    }
    let text: String = text.chars().take(60).collect();
    Err(format!(
        "{text:?} is not {}, the type that the start of the table suggests; raise infer_bytes, or read with all_text",
        column.type_name()
    ))
}

/// Appends one element to the columns of its fields; `columns` has one for each field, if it is wanted.
fn append_fields(
    fields: &Fields,
    columns: &mut [Option<Column>],
    element: &Element,
) -> Result<(), String> {
    let mut items: Vec<Vec<Item<'_>>> = fields.iter().map(|_| Vec::new()).collect();
    let mut guess = 0;
    let attributes = element
        .attributes
        .iter()
        .map(|(name, value)| (name.as_str(), Item::Text(value)));
    let children = element
        .children
        .iter()
        .map(|(name, element)| (name.as_str(), Item::Element(element)));
    let value = (!element.text.is_empty()).then_some((VALUE, Item::Text(&element.text)));
    for (name, item) in attributes.chain(children).chain(value) {
        let position = position(fields, name, guess).ok_or_else(|| {
            format!("{name:?} is new, the start of the table does not have it; raise infer_bytes")
        })?;
        items[position].push(item);
        guess = position + 1;
    }
    for ((column, items), field) in columns.iter_mut().zip(&items).zip(fields) {
        if let Some(column) = column {
            column
                .append(items)
                .map_err(|message| format!("{:?}: {message}", field.name()))?;
        }
    }
    Ok(())
}

/// The position of a field, which usually follows the one before it.
fn position(fields: &Fields, name: &str, guess: usize) -> Option<usize> {
    if fields.get(guess).is_some_and(|field| field.name() == name) {
        return Some(guess);
    }
    fields.iter().position(|field| field.name() == name)
}
