//! Guest to host: nodes and buffers to Arrow arrays, checked in full.
//!
//! Each buffer is adopted without a copy (`Vec<u8>` becomes the Arrow buffer). What the guest says is held
//! against the schema it was bound to: number of nodes and buffers, lengths, bitmap sizes, offsets,
//! UTF-8, nullability. Arrow's own full validation does the value checks, inside `catch_unwind`,
//! so that no lie can take the host down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    ArrayData, ArrayRef, BooleanArray, RecordBatchOptions, UInt32Array, make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::bindings::exports::tenon::plugin::map::Selection as WireSelection;
use crate::bindings::tenon::plugin::types::{BatchResult, Node};
use crate::error::{Error, Result};
use crate::schema::children;

/// Rebuilds a batch of the planned `schema`.
///
/// # Errors
/// [`Error::Contract`] naming the column and the lie.
pub(crate) fn batch(wire: BatchResult, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = wire.rows as usize;
    let mut parts = Parts {
        nodes: wire.nodes.into_iter(),
        buffers: wire.buffers.into_iter(),
    };
    let columns = guarded(|| {
        schema
            .fields()
            .iter()
            .map(|field| parts.column(field, rows))
            .collect::<Result<Vec<_>>>()
    })?;
    parts.must_be_used_up()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    guarded(|| {
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
            .map_err(|e| Error::contract(e.to_string()))
    })
}

/// What the host does to a batch on its way to a guest and back, with the copies that the canonical ABI would
/// make: for measuring.
#[doc(hidden)]
pub fn round_trip(original: &RecordBatch) -> Result<RecordBatch> {
    let all: Vec<usize> = (0..original.num_columns()).collect();
    let flat = crate::flatten::Flat::of(original, &all)?;
    let slices = flat.slices();
    let param = flat.param(&slices);
    let crossed: Vec<Vec<u8>> = param.buffers.iter().map(|buffer| buffer.to_vec()).collect();
    let back = crossed.iter().map(Clone::clone).collect();
    batch(
        BatchResult {
            rows: param.rows,
            nodes: param.nodes.to_vec(),
            buffers: back,
        },
        original.schema_ref(),
    )
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
    let (words, rest) = bytes.as_chunks::<4>();
    let indices: Vec<u32> = words.iter().map(|w| u32::from_le_bytes(*w)).collect();
    if !rest.is_empty() {
        return Err(Error::contract(format!(
            "its selection has {} bytes, not a multiple of 4",
            bytes.len()
        )));
    }
    if let Some(bad) = indices.iter().find(|i| **i as usize >= rows) {
        return Err(Error::contract(format!(
            "its selection names row {bad} of {rows}"
        )));
    }
    Ok(Selection::Indices(UInt32Array::from(indices)))
}

/// Runs code that may panic on hostile input.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::contract("Arrow refused what it returned")))
}

/// What is left of a batch while its columns are rebuilt in order.
struct Parts {
    nodes: std::vec::IntoIter<Node>,
    buffers: std::vec::IntoIter<Vec<u8>>,
}

impl Parts {
    fn column(&mut self, field: &Field, rows: usize) -> Result<ArrayRef> {
        let path = field.name();
        let data = self.array(field, path, Some(rows))?;
        Ok(make_array(data))
    }

    fn array(&mut self, field: &Field, path: &str, length: Option<usize>) -> Result<ArrayData> {
        let node = self.node(path, length)?;
        let length = node.length as usize;
        let validity = self.validity(field, path, length, node.nulls)?;
        let buffers = self.value_buffers(field.data_type(), path, length)?;
        let mut child_data = Vec::new();
        for child in children(field.data_type()) {
            let exact = child_length(field.data_type(), length);
            child_data.push(self.array(child, &format!("{path}.{}", child.name()), exact)?);
        }
        let builder = ArrayData::builder(field.data_type().clone())
            .len(length)
            .null_bit_buffer(validity)
            .buffers(buffers)
            .child_data(child_data)
            .align_buffers(true);
        let data = builder
            .build()
            .map_err(|e| Error::contract(format!("column {path:?}: {e}")))?;
        check_nulls(field, path, &data, node.nulls)?;
        Ok(data)
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
            _ => Ok(node),
        }
    }

    fn next_buffer(&mut self, path: &str) -> Result<Buffer> {
        let buffer = self.buffers.next();
        buffer
            .map(Buffer::from_vec)
            .ok_or_else(|| Error::contract(format!("column {path:?} lacks a buffer")))
    }

    fn validity(
        &mut self,
        field: &Field,
        path: &str,
        length: usize,
        nulls: u32,
    ) -> Result<Option<Buffer>> {
        if *field.data_type() == DataType::Null {
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

/// Buffers of a type beside the validity bitmap.
fn buffer_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null | DataType::Struct(_) | DataType::FixedSizeList(_, _) => 0,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 2,
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
        DataType::Struct(_) => Some(length),
        DataType::FixedSizeList(_, size) => usize::try_from(*size)
            .ok()
            .and_then(|size| length.checked_mul(size)),
        _ => None,
    }
}

fn check_nulls(field: &Field, path: &str, data: &ArrayData, claimed: u32) -> Result<()> {
    let nulls = data.null_count();
    if nulls > 0 && !field.is_nullable() {
        return Err(Error::contract(format!(
            "column {path:?} is not nullable and has {nulls} missing values"
        )));
    }
    if *field.data_type() != DataType::Null && nulls != claimed as usize {
        return Err(Error::contract(format!(
            "column {path:?} claims {claimed} missing values and has {nulls}"
        )));
    }
    Ok(())
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
        Node { length, nulls }
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
