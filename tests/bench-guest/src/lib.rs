//! The kernels of the boundary benchmark (`tests/benches/boundary.rs`): the same code is called natively by the
//! benchmark and, as a plugin, in the sandbox. The `-ipc` functions do the same through Arrow IPC: they take and return
//! one row with one binary value, which holds a batch as an IPC stream.

use std::sync::Arc;

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use tenon_sdk::prelude::*;

/// `a * 1.1 + b * 0.5`.
#[must_use]
pub fn blend(a: &Float64Array, b: &Float64Array) -> Float64Array {
    let blended = a
        .values()
        .iter()
        .zip(b.values())
        .map(|(a, b)| a * 1.1 + b * 0.5);
    Float64Array::new(blended.collect(), a.nulls().cloned())
}

/// `upper(trim(s))`.
#[must_use]
pub fn shout(s: &StringArray) -> StringArray {
    s.iter()
        .map(|value| value.map(|value| value.trim().to_uppercase()))
        .collect()
}

/// A batch of one column as an IPC stream.
///
/// # Errors
/// It cannot be written.
pub fn to_ipc(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner()?)
}

/// The first batch of an IPC stream.
///
/// # Errors
/// The bytes are none.
pub fn from_ipc(bytes: &[u8]) -> Result<RecordBatch> {
    let mut reader = StreamReader::try_new(bytes, None)?;
    reader
        .next()
        .ok_or_else(|| Error::Internal("an empty stream".to_owned()))?
        .map_err(Error::from)
}

fn one_column(column: ArrayRef) -> Result<RecordBatch> {
    let schema = Schema::new(vec![Field::new("out", column.data_type().clone(), true)]);
    Ok(RecordBatch::try_new(Arc::new(schema), vec![column])?)
}

fn blended(batch: &RecordBatch) -> Result<RecordBatch> {
    let [a, b] = [0, 1].map(|i| {
        batch
            .column(i)
            .as_primitive::<tenon_sdk::arrow_array::types::Float64Type>()
    });
    one_column(Arc::new(blend(a, b)))
}

fn shouted(batch: &RecordBatch) -> Result<RecordBatch> {
    one_column(Arc::new(shout(batch.column(0).as_string::<i32>())))
}

fn passed(batch: &RecordBatch) -> Result<RecordBatch> {
    one_column(Arc::clone(batch.column(0)))
}

/// A function over buffers and its twin over IPC.
macro_rules! twins {
    ($($plain:ident $ipc:ident $name:literal $ipc_name:literal $columns:literal $kernel:ident $output:expr;)*) => {
        $(
            struct $plain;
            impl Map for $plain {
                const NAME: &'static str = $name;
                const DOCS: &'static str = "";
                fn bind(_config: &Config, _input: &Schema) -> Result<MapBinding> {
                    let output = Arc::new(Schema::new(vec![Field::new("out", $output, true)]));
                    Ok(MapBinding { needs: (0..$columns).collect(), output, keep: Keep::None, deterministic: true })
                }
                fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
                    Ok(Self)
                }
                fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
                    Ok($kernel(&batch)?.into())
                }
            }

            struct $ipc;
            impl Map for $ipc {
                const NAME: &'static str = $ipc_name;
                const DOCS: &'static str = "";
                fn bind(_config: &Config, _input: &Schema) -> Result<MapBinding> {
                    let output = Arc::new(Schema::new(vec![Field::new("out", DataType::Binary, false)]));
                    Ok(MapBinding { needs: vec![0], output, keep: Keep::None, deterministic: true })
                }
                fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
                    Ok(Self)
                }
                fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
                    let output = $kernel(&from_ipc(batch.column(0).as_binary::<i32>().value(0))?)?;
                    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&to_ipc(&output)?]));
                    let schema = Arc::new(Schema::new(vec![Field::new("out", DataType::Binary, false)]));
                    Ok(RecordBatch::try_new(schema, vec![bytes])?.into())
                }
            }
        )*

        tenon_sdk::export! { map: [$($plain, $ipc),*] }
    };
}

twins! {
    Blend BlendIpc "blend" "blend-ipc" 2 blended DataType::Float64;
    Shout ShoutIpc "shout" "shout-ipc" 1 shouted DataType::Utf8;
    PassNumbers PassNumbersIpc "pass-numbers" "pass-numbers-ipc" 1 passed DataType::Float64;
    PassText PassTextIpc "pass-text" "pass-text-ipc" 1 passed DataType::Utf8;
}
