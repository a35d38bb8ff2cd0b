//! Guest to host: nodes and buffers to Arrow arrays, checked in full.
//!
//! Each buffer is adopted without a copy (`Vec<u8>` becomes the Arrow buffer). What the guest says is held
//! against the schema it was bound to: number of nodes and buffers, lengths, bitmap sizes, offsets,
//! UTF-8, nullability. Strings are checked here ([`crate::strings`]); for all else Arrow's own full validation
//! does the value checks, inside `catch_unwind`, so that no lie can take the host down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, BooleanArray, RecordBatchOptions, UInt32Array, make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, UnionMode};
use arrow::record_batch::RecordBatch;

use crate::bindings::exports::tenon::plugin::map::Selection as WireSelection;
use crate::bindings::tenon::plugin::types::{BatchResult, Encoding, Node};
use crate::error::{Error, Result};
use crate::flatten::has_validity;
use crate::schema::{children, field_count};
use crate::sizes::{MAX_FULL_BYTES, full_bytes, is_compact};
use crate::strings;

/// Most values of one node, and most rows of a batch whose number of rows the host does not know.
pub(crate) const MAX_ROWS: u32 = 1 << 24;

/// Most values of a nested child.
const MAX_VALUES: u32 = 1 << 28;

/// Most bytes of dictionaries that are remembered in one place.
const MAX_REMEMBERED_BYTES: usize = 256 << 20;

/// What a guest returns in one place, always of one schema, and the dictionaries that are remembered of it.
#[derive(Debug)]
pub(crate) struct Receiver {
    schema: SchemaRef,
    /// By the place of their values among the fields in pre-order.
    dictionaries: Vec<(usize, u32, ArrayData)>,
}

impl Receiver {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            dictionaries: Vec::new(),
        }
    }

    /// Rebuilds a batch.
    ///
    /// # Errors
    /// [`Error::Contract`] naming the column and the lie.
    pub(crate) fn batch(&mut self, wire: BatchResult) -> Result<RecordBatch> {
        if wire.rows > MAX_ROWS {
            return Err(Error::contract(format!(
                "it returned a batch of {} rows; {MAX_ROWS} are allowed",
                wire.rows
            )));
        }
        let buffers = wire.buffers.into_iter().map(Buffer::from_vec).collect();
        self.rebuilt(wire.rows, wire.nodes, buffers)
    }

    fn rebuilt(
        &mut self,
        rows: u32,
        nodes: Vec<Node>,
        buffers: Vec<Buffer>,
    ) -> Result<RecordBatch> {
        let rows = rows as usize;
        let schema = Arc::clone(&self.schema);
        let mut parts = Parts {
            nodes: nodes.into_iter(),
            buffers: buffers.into_iter(),
            field: 0,
            dictionaries: &mut self.dictionaries,
        };
        let columns = guarded(|| {
            schema
                .fields()
                .iter()
                .map(|field| parts.column(field, rows))
                .collect::<Result<Vec<_>>>()
        })?;
        parts.must_be_used_up()?;
        guarded(|| check_full_bytes(&schema, &columns))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        guarded(|| {
            RecordBatch::try_new_with_options(schema, columns, &options)
                .map_err(|e| Error::contract(e.to_string()))
        })
    }
}

/// What the host does to a batch on its way to a guest and back. `copies`: with those that the canonical ABI would
/// make: for measuring.
#[doc(hidden)]
pub fn round_trip(original: &RecordBatch, copies: bool) -> Result<RecordBatch> {
    let mut sender = crate::flatten::Sender::new(original.schema(), false);
    let columns: Vec<_> = original
        .columns()
        .iter()
        .map(|column| crate::flatten::Column::Array(Arc::clone(column)))
        .collect();
    let flat = sender.flatten(original.num_rows(), &columns)?;
    let slices = flat.slices();
    let param = flat.param(&slices);
    let (rows, nodes) = (param.rows, param.nodes.to_vec());
    let buffers = match copies {
        true => {
            let crossed: Vec<Vec<u8>> = slices.iter().map(|buffer| buffer.to_vec()).collect();
            crossed
                .iter()
                .map(Clone::clone)
                .map(Buffer::from_vec)
                .collect()
        }
        false => flat.into_buffers(),
    };
    Receiver::new(original.schema()).rebuilt(rows, nodes, buffers)
}

/// The rows of a batch of `rows` rows that a guest chose.
#[derive(Debug)]
pub enum Selection {
    /// Every row, in order.
    All,
    /// One flag for each row.
    Mask(BooleanArray),
    /// Row numbers, each below the number of rows.
    Indices(UInt32Array),
}

impl Selection {
    /// How many rows come out of `rows`.
    #[must_use]
    pub fn count(&self, rows: usize) -> usize {
        match self {
            Self::All => rows,
            Self::Mask(mask) => mask.true_count(),
            Self::Indices(indices) => indices.len(),
        }
    }

    pub(crate) fn checked(wire: Option<WireSelection>, rows: usize) -> Result<Self> {
        match wire {
            None => Ok(Self::All),
            Some(WireSelection::Bitmap(bytes)) => mask(bytes, rows),
            Some(WireSelection::Indices(bytes)) => indices(&bytes, rows),
        }
    }
}

fn mask(bytes: Vec<u8>, rows: usize) -> Result<Selection> {
    if bytes.len() < rows.div_ceil(8) {
        return Err(Error::contract(format!(
            "its selection has {} bytes for {rows} rows",
            bytes.len()
        )));
    }
    Ok(Selection::Mask(BooleanArray::new(
        BooleanBuffer::new(Buffer::from_vec(bytes), 0, rows),
        None,
    )))
}

fn indices(bytes: &[u8], rows: usize) -> Result<Selection> {
    row_numbers(bytes, rows, "its selection names").map(Selection::Indices)
}

/// Little-endian row numbers that a guest wrote, each below `rows`.
pub(crate) fn row_numbers(bytes: &[u8], rows: usize, what: &str) -> Result<UInt32Array> {
    let (words, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<u32> = words.iter().map(|w| u32::from_le_bytes(*w)).collect();
    if !rest.is_empty() {
        return Err(Error::contract(format!(
            "{what} rows in {} bytes, not a multiple of 4",
            bytes.len()
        )));
    }
    if let Some(bad) = numbers.iter().find(|i| **i as usize >= rows) {
        return Err(Error::contract(format!("{what} row {bad} of {rows}")));
    }
    Ok(UInt32Array::from(numbers))
}

/// Runs code that may panic on hostile input.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::contract("Arrow refused what it returned")))
}

/// What is left of a batch while its columns are rebuilt in order.
struct Parts<'a> {
    nodes: std::vec::IntoIter<Node>,
    buffers: std::vec::IntoIter<Buffer>,
    /// The field in pre-order that the next node belongs to.
    field: usize,
    dictionaries: &'a mut Vec<(usize, u32, ArrayData)>,
}

impl Parts<'_> {
    fn column(&mut self, field: &Field, rows: usize) -> Result<ArrayRef> {
        let path = field.name();
        let data = self.array(field, path, Some(rows))?;
        Ok(make_array(data))
    }

    fn array(&mut self, field: &Field, path: &str, length: Option<usize>) -> Result<ArrayData> {
        let node = self.node(path, length)?;
        if !matches!(node.encoding, Encoding::Plain) {
            return Err(Error::contract(format!(
                "column {path:?} is written as {}, which is not allowed there",
                encoding_name(node.encoding)
            )));
        }
        self.plain(field, path, node)
    }

    fn plain(&mut self, field: &Field, path: &str, node: Node) -> Result<ArrayData> {
        self.field += 1;
        let data_type = field.data_type();
        let length = node.length as usize;
        let validity = self.validity(data_type, path, length, node.nulls)?;
        let buffers = self.value_buffers(data_type, path, length)?;
        let mut child_data = Vec::new();
        for child in children(data_type) {
            child_data.push(self.child(data_type, &child, path, length)?);
        }
        let builder = ArrayData::builder(data_type.clone())
            .len(length)
            .null_bit_buffer(validity)
            .buffers(buffers)
            .child_data(child_data)
            .align_buffers(true);
        let data = match data_type {
            DataType::Utf8 | DataType::LargeUtf8 => strings::checked(builder),
            _ => builder.build().map_err(|e| e.to_string()),
        };
        let data = data.map_err(|why| Error::contract(format!("column {path:?}: {why}")))?;
        check_nulls(field, path, &data, node.nulls)?;
        Ok(data)
    }

    fn child(
        &mut self,
        parent: &DataType,
        child: &FieldRef,
        path: &str,
        length: usize,
    ) -> Result<ArrayData> {
        let path = format!("{path}.{}", child.name());
        if matches!(parent, DataType::Dictionary(_, _)) {
            return self.dictionary(child, &path);
        }
        self.array(child, &path, child_length(parent, length))
    }

    /// The values of a dictionary: in full, in full and to be remembered, or those that are remembered.
    fn dictionary(&mut self, values: &Field, path: &str) -> Result<ArrayData> {
        let (at, node) = (self.field, self.node(path, None)?);
        match node.encoding {
            Encoding::Plain => self.plain(values, path, node),
            Encoding::Define(generation) => {
                let data = self.plain(values, path, node)?;
                self.dictionaries.retain(|(field, _, _)| *field != at);
                self.dictionaries.push((at, generation, data.clone()));
                self.check_remembered()?;
                Ok(data)
            }
            Encoding::Reuse(generation) => {
                self.field += field_count(values.data_type());
                let known = |d: &&(usize, u32, ArrayData)| d.0 == at && d.1 == generation;
                let found = self.dictionaries.iter().find(known);
                found.map(|(_, _, data)| data.clone()).ok_or_else(|| {
                    Error::contract(format!(
                        "column {path:?} reuses the dictionary {generation}, which is not remembered"
                    ))
                })
            }
            Encoding::Constant => Err(Error::contract(format!(
                "column {path:?} is written as a constant, which is not allowed there"
            ))),
        }
    }

    /// One call's bytes are bounded; what many calls leave here, one dictionary each, is not by that.
    fn check_remembered(&self) -> Result<()> {
        let bytes = |(_, _, data): &(usize, u32, ArrayData)| data.get_buffer_memory_size();
        let all: usize = self.dictionaries.iter().map(bytes).sum();
        match all <= MAX_REMEMBERED_BYTES {
            true => Ok(()),
            false => Err(Error::Limit {
                limit: "remembered_dictionaries",
                allowed: format!("{MAX_REMEMBERED_BYTES} bytes"),
                asked: format!("{all} bytes"),
            }),
        }
    }

    fn node(&mut self, path: &str, length: Option<usize>) -> Result<Node> {
        let Some(node) = self.nodes.next() else {
            return Err(Error::contract(format!(
                "column {path:?} has no node: fewer columns than its schema"
            )));
        };
        match length {
            Some(length) if length != node.length as usize => Err(Error::contract(format!(
                "column {path:?} has {} values where {length} belong",
                node.length
            ))),
            _ if node.length > MAX_VALUES => Err(Error::contract(format!(
                "column {path:?} has {} values; {MAX_VALUES} are allowed",
                node.length
            ))),
            _ => Ok(node),
        }
    }

    fn next_buffer(&mut self, path: &str) -> Result<Buffer> {
        self.buffers
            .next()
            .ok_or_else(|| Error::contract(format!("column {path:?} lacks a buffer")))
    }

    fn validity(
        &mut self,
        data_type: &DataType,
        path: &str,
        length: usize,
        nulls: u32,
    ) -> Result<Option<Buffer>> {
        if !has_validity(data_type) {
            return Ok(None);
        }
        let bitmap = self.next_buffer(path)?;
        if bitmap.is_empty() && nulls == 0 {
            return Ok(None);
        }
        if bitmap.len() < length.div_ceil(8) {
            return Err(Error::contract(format!(
                "column {path:?} has a validity bitmap of {} bytes for {length} values",
                bitmap.len()
            )));
        }
        Ok(Some(bitmap))
    }

    fn value_buffers(
        &mut self,
        data_type: &DataType,
        path: &str,
        length: usize,
    ) -> Result<Vec<Buffer>> {
        let mut buffers = Vec::new();
        for _ in 0..buffer_count(data_type) {
            buffers.push(self.next_buffer(path)?);
        }
        let missing_offsets = length == 0 && buffers.first().is_some_and(Buffer::is_empty);
        if missing_offsets && has_offsets(data_type) {
            buffers[0] = Buffer::from_slice_ref([0i64]);
        }
        Ok(buffers)
    }

    fn must_be_used_up(&self) -> Result<()> {
        match (self.nodes.len(), self.buffers.len()) {
            (0, 0) => Ok(()),
            (nodes, buffers) => Err(Error::contract(format!(
                "it returned {nodes} nodes and {buffers} buffers more than its schema has"
            ))),
        }
    }
}

/// Refuses batches that are small only until somebody unpacks them.
fn check_full_bytes(schema: &SchemaRef, columns: &[ArrayRef]) -> Result<()> {
    let mut left = MAX_FULL_BYTES;
    for (field, column) in schema.fields().iter().zip(columns) {
        if !is_compact(field.data_type()) {
            continue;
        }
        let bytes = full_bytes(column, 0..column.len(), left);
        left = left.checked_sub(bytes).ok_or_else(|| Error::Limit {
            limit: "unpacked_bytes",
            allowed: format!("{MAX_FULL_BYTES} bytes in one batch"),
            asked: format!("more, in column {:?}", field.name()),
        })?;
    }
    Ok(())
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Plain => "plain values",
        Encoding::Constant => "a constant",
        Encoding::Define(_) => "a new dictionary",
        Encoding::Reuse(_) => "a known dictionary",
    }
}

/// Buffers of a type beside the validity bitmap.
fn buffer_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null
        | DataType::Struct(_)
        | DataType::FixedSizeList(_, _)
        | DataType::RunEndEncoded(_, _) => 0,
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::Utf8View
        | DataType::BinaryView
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Union(_, UnionMode::Dense) => 2,
        _ => 1,
    }
}

fn has_offsets(data_type: &DataType) -> bool {
    use DataType::{Binary, LargeBinary, LargeList, LargeUtf8, List, Map, Utf8};
    matches!(
        data_type,
        Utf8 | LargeUtf8 | Binary | LargeBinary | List(_) | LargeList(_) | Map(_, _)
    )
}

/// How long the children of a parent of `length` values must be, where the type fixes it.
fn child_length(data_type: &DataType, length: usize) -> Option<usize> {
    match data_type {
        DataType::Struct(_) | DataType::Union(_, UnionMode::Sparse) => Some(length),
        DataType::FixedSizeList(_, size) => usize::try_from(*size)
            .ok()
            .and_then(|size| length.checked_mul(size)),
        _ => None,
    }
}

fn check_nulls(field: &Field, path: &str, data: &ArrayData, claimed: u32) -> Result<()> {
    let nulls = match field.data_type() {
        DataType::Null => data.len(),
        _ => data.null_count(),
    };
    if nulls != claimed as usize {
        return Err(Error::contract(format!(
            "column {path:?} claims {claimed} missing values and has {nulls}"
        )));
    }
    let missing = match field.is_nullable() {
        true => 0,
        false => nulls + nulls_of_values(data),
    };
    if missing > 0 {
        return Err(Error::contract(format!(
            "column {path:?} is not nullable and has {missing} missing values"
        )));
    }
    Ok(())
}

/// Missing values behind the keys of a dictionary or in the runs of a run-end encoded column.
fn nulls_of_values(data: &ArrayData) -> usize {
    match data.data_type() {
        DataType::Dictionary(_, _) | DataType::RunEndEncoded(_, _) => {
            make_array(data.clone()).logical_null_count()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;

    fn schema(data_type: DataType, nullable: bool) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("c", data_type, nullable)]))
    }

    fn plain(length: u32, nulls: u32) -> Node {
        Node {
            length,
            nulls,
            encoding: Encoding::Plain,
        }
    }

    fn batch(wire: BatchResult, schema: &SchemaRef) -> Result<RecordBatch> {
        Receiver::new(Arc::clone(schema)).batch(wire)
    }

    fn refused(schema: &SchemaRef, rows: u32, nodes: Vec<Node>, buffers: Vec<Vec<u8>>) -> String {
        batch(
            BatchResult {
                rows,
                nodes,
                buffers,
            },
            schema,
        )
        .unwrap_err()
        .to_string()
    }

    fn le(offsets: &[i32]) -> Vec<u8> {
        offsets.iter().flat_map(|o| o.to_le_bytes()).collect()
    }

    #[test]
    fn lies_about_strings_are_refused() {
        let s = schema(DataType::Utf8, true);
        let try_it = |offsets: &[i32], bytes: &[u8]| {
            refused(
                &s,
                2,
                vec![plain(2, 0)],
                vec![vec![], le(offsets), bytes.to_vec()],
            )
        };
        assert!(
            try_it(&[0, 1, 9], b"ab").contains("column \"c\""),
            "offsets beyond the bytes"
        );
        assert!(
            try_it(&[0, 2, 1], b"ab").contains("column \"c\""),
            "offsets that decrease"
        );
        assert!(
            try_it(&[-1, 0, 1], b"ab").contains("column \"c\""),
            "negative offsets"
        );
        assert!(
            try_it(&[0, 1, 2], &[0xff, 0xfe])
                .to_lowercase()
                .contains("utf"),
            "invalid UTF-8"
        );
        assert!(
            try_it(&[0, 1, 2], "é".as_bytes()).contains("column \"c\""),
            "a cut character"
        );
        assert!(
            try_it(&[0, 1], b"ab").contains("column \"c\""),
            "too few offsets"
        );
    }

    #[test]
    fn lies_about_counts_are_refused() {
        let s = schema(DataType::Int32, false);
        let four = vec![1u8; 16];
        assert!(
            refused(&s, 4, vec![plain(3, 0)], vec![vec![], four.clone()])
                .contains("3 values where 4 belong")
        );
        assert!(refused(&s, 4, vec![], vec![]).contains("fewer columns"));
        assert!(refused(&s, 4, vec![plain(4, 0)], vec![vec![]]).contains("lacks a buffer"));
        assert!(
            refused(&s, 4, vec![plain(4, 0)], vec![vec![], vec![1; 15]]).contains("column \"c\"")
        );
        assert!(
            refused(&s, 4, vec![plain(4, 0); 2], vec![vec![], four.clone()])
                .contains("1 nodes and 0 buffers more")
        );
        assert!(
            refused(&s, 4, vec![plain(4, 1)], vec![vec![0b0111], four.clone()])
                .contains("not nullable")
        );
        let nullable = schema(DataType::Int32, true);
        assert!(
            refused(
                &nullable,
                4,
                vec![plain(4, 2)],
                vec![vec![0b0111], four.clone()]
            )
            .contains("claims 2 missing values and has 1")
        );
        assert!(
            refused(
                &nullable,
                9,
                vec![plain(9, 1)],
                vec![vec![0xff], vec![0; 36]]
            )
            .contains("validity bitmap of 1 bytes")
        );
    }

    #[test]
    fn selections_stay_within_the_batch() {
        let out = |bytes: Vec<u8>| {
            Selection::checked(Some(WireSelection::Indices(bytes)), 3).map(|s| s.count(3))
        };
        assert_eq!(out(le(&[2, 0, 2, 1])).unwrap(), 4);
        assert!(
            out(le(&[3]))
                .unwrap_err()
                .to_string()
                .contains("row 3 of 3")
        );
        assert!(
            out(vec![0; 5])
                .unwrap_err()
                .to_string()
                .contains("multiple of 4")
        );
        let short = Selection::checked(Some(WireSelection::Bitmap(vec![1])), 9);
        assert!(
            short
                .unwrap_err()
                .to_string()
                .contains("1 bytes for 9 rows")
        );
        assert_eq!(
            Selection::checked(Some(WireSelection::Bitmap(vec![0b1111_0101])), 3)
                .unwrap()
                .count(3),
            2
        );
    }

    #[test]
    fn misaligned_wide_values_are_realigned() {
        let s = schema(DataType::Decimal128(10, 0), true);
        let wire = BatchResult {
            rows: 1,
            nodes: vec![plain(1, 0)],
            buffers: vec![vec![], 7i128.to_le_bytes().to_vec()],
        };
        let back = batch(wire, &s).unwrap();
        assert_eq!(back.num_rows(), 1);
    }
}
