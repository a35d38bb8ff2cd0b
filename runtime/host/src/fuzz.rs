//! What decodes a guest's bytes, as functions from bytes, for fuzzing and for tests that mutate a corpus.
//!
//! ```text
//! input   count: u16 of fields, then each: name, format, nullable: u8, children: u32, metadata (count: u8, key, value)
//!         rows: u32
//!         count: u16 of nodes, then each: length: u32, nulls: u32, encoding: u8 (plain, constant, define, reuse), of: u32
//!         count: u16 of buffers, then each: its bytes
//! text    length: u16, UTF-8; bytes  length: u32
//! ```
//!
//! All little-endian. What is cut off counts as zero, so that every input means something.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::bindings::tenon::plugin::types::{BatchResult, Encoding, FieldResult, Node};
use crate::error::Result;
use crate::flatten::{Column, Sender};
use crate::rebuild::{Receiver, round_trip};
use crate::schema::{FlatSchema, from_wire};

/// Decodes a schema. One that is accepted is the same after another crossing.
///
/// # Errors
/// What the host says to a guest that answers this; and what of the above does not hold, in capitals.
pub fn schema(bytes: &[u8]) -> std::result::Result<(), String> {
    let said = |e: crate::Error| e.to_string();
    let schema = from_wire(&Input(bytes).fields(), 4_096).map_err(said)?;
    let again = crossed(&schema).map_err(|e| format!("NOT ACCEPTED AGAIN: {e}"))?;
    match again == schema {
        true => Ok(()),
        false => Err(format!("NOT THE SAME AGAIN: {schema:?} became {again:?}")),
    }
}

fn crossed(schema: &SchemaRef) -> Result<SchemaRef> {
    let flat = FlatSchema::of(schema)?;
    let fields = flat.params().into_iter().map(|field| FieldResult {
        name: field.name.to_owned(),
        format: field.format.to_owned(),
        nullable: field.nullable,
        children: field.children,
        metadata: (field.metadata.iter())
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    });
    from_wire(&fields.collect::<Vec<_>>(), 4_096)
}

/// Decodes a schema and a batch of it. Arrow has nothing against one that is accepted, and it can be sent again.
///
/// # Errors
/// As for [`schema`].
pub fn batch(bytes: &[u8]) -> std::result::Result<(), String> {
    let said = |e: crate::Error| e.to_string();
    let mut input = Input(bytes);
    let schema = from_wire(&input.fields(), 4_096).map_err(said)?;
    let wire = input.batch();
    let batch = Receiver::new(schema).batch(wire).map_err(said)?;
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let data = column.to_data();
        data.validate_full()
            .map_err(|e| format!("NOT VALID: {field}: {e}"))?;
    }
    let again = round_trip(&batch, false).map_err(|e| format!("NOT SENT AGAIN: {e}"))?;
    match again.num_rows() == batch.num_rows() {
        true => Ok(()),
        false => Err(format!("NOT THE SAME AGAIN: {} rows", again.num_rows())),
    }
}

/// An input of the above form that holds this batch.
///
/// # Errors
/// It has no form in the contract.
pub fn encoded(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let schema = batch.schema();
    let flat = FlatSchema::of(&schema)?;
    let fields = flat.params();
    push_count(&mut bytes, fields.len());
    for field in fields {
        push_text(&mut bytes, field.name);
        push_text(&mut bytes, field.format);
        bytes.push(u8::from(field.nullable));
        bytes.extend(field.children.to_le_bytes());
        bytes.push(u8::try_from(field.metadata.len()).unwrap_or(u8::MAX));
        for (key, value) in field.metadata {
            push_text(&mut bytes, key);
            push_text(&mut bytes, value);
        }
    }
    let columns: Vec<Column> = (batch.columns().iter())
        .map(|column| Column::Array(Arc::clone(column)))
        .collect();
    let flat = Sender::new(Arc::clone(&schema), false).flatten(batch.num_rows(), &columns)?;
    let slices = flat.slices();
    let param = flat.param(&slices);
    bytes.extend(param.rows.to_le_bytes());
    push_count(&mut bytes, param.nodes.len());
    for node in param.nodes {
        let (encoding, of) = match node.encoding {
            Encoding::Plain => (0, 0),
            Encoding::Constant => (1, 0),
            Encoding::Define(of) => (2, of),
            Encoding::Reuse(of) => (3, of),
        };
        bytes.extend(node.length.to_le_bytes());
        bytes.extend(node.nulls.to_le_bytes());
        bytes.push(encoding);
        bytes.extend(of.to_le_bytes());
    }
    push_count(&mut bytes, slices.len());
    for slice in &slices {
        bytes.extend(u32::try_from(slice.len()).unwrap_or(0).to_le_bytes());
        bytes.extend(*slice);
    }
    Ok(bytes)
}

fn push_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_count(bytes, text.len());
    bytes.extend(text.as_bytes());
}

/// What is left of the bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    fn count(&mut self) -> usize {
        usize::from(u16::from_le_bytes(self.array()))
    }

    fn number(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn text(&mut self) -> String {
        let length = self.count();
        String::from_utf8_lossy(self.take(length)).into_owned()
    }

    fn fields(&mut self) -> Vec<FieldResult> {
        let count = self.count();
        (0..count).map(|_| self.field()).collect()
    }

    fn field(&mut self) -> FieldResult {
        FieldResult {
            name: self.text(),
            format: self.text(),
            nullable: self.byte() & 1 == 1,
            children: self.number(),
            metadata: {
                let count = self.byte();
                (0..count).map(|_| (self.text(), self.text())).collect()
            },
        }
    }

    fn batch(&mut self) -> BatchResult {
        let rows = self.number();
        let nodes = self.count();
        let nodes = (0..nodes).map(|_| self.node()).collect();
        let buffers = self.count();
        let buffers = (0..buffers).map(|_| {
            let length = self.number() as usize;
            self.take(length).to_vec()
        });
        BatchResult {
            rows,
            nodes,
            buffers: buffers.collect(),
        }
    }

    fn node(&mut self) -> Node {
        Node {
            length: self.number(),
            nulls: self.number(),
            encoding: match (self.byte() & 3, self.number()) {
                (0, _) => Encoding::Plain,
                (1, _) => Encoding::Constant,
                (2, of) => Encoding::Define(of),
                (_, of) => Encoding::Reuse(of),
            },
        }
    }
}
