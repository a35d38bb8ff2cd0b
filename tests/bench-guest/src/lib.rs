//! The kernels of the benchmarks as a plugin and, from the same functions, as native functions of columns.
//!
//! ```text
//! kernels.rs   the work, over slices
//! NATIVE       each kernel over columns of Arrow, for a function of DataFusion
//! export!      each kernel as a `map` function of the same name; two of them also over IPC
//! ```
//!
//! The `-ipc` functions do the same through Arrow IPC: they take and return one row with one binary value, which
//! holds a batch as an IPC stream.

pub mod kernels;

use std::sync::{Arc, LazyLock};

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use regex::bytes::Regex;
use tenon_sdk::arrow_array::types::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type};
use tenon_sdk::arrow_array::{ArrowNativeTypeOp, PrimitiveArray};
use tenon_sdk::arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use tenon_sdk::prelude::*;

use kernels::Strings;

/// One kernel over columns.
#[derive(Debug)]
pub struct Kernel {
    /// The `map` function of the same name does the same.
    pub name: &'static str,
    /// What it takes.
    pub input: &'static [DataType],
    /// What it returns.
    pub output: DataType,
    call: fn(&[ArrayRef]) -> Column,
}

/// A kernel's result; text is not checked yet.
enum Column {
    Ready(ArrayRef),
    Text(Strings, Option<NullBuffer>),
}

impl Kernel {
    /// The kernel of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KERNELS.iter().find(|kernel| kernel.name == name)
    }

    /// Calls it natively.
    ///
    /// # Errors
    /// The columns are of other types, or the result is not text.
    pub fn native(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        let given = columns.iter().map(|column| column.data_type());
        if !given.eq(self.input) {
            return Err(Error::Internal(format!("{} takes other types", self.name)));
        }
        match (self.call)(columns) {
            Column::Ready(column) => Ok(column),
            Column::Text(strings, nulls) => {
                let offsets = tenon_sdk::rising_offsets(strings.offsets)?;
                let text = StringArray::try_new(offsets, Buffer::from_vec(strings.bytes), nulls)?;
                Ok(Arc::new(text))
            }
        }
    }

    /// Calls it as a plugin. Text goes back as bytes: the host holds it against the schema of the
    /// binding and checks its UTF-8, so that a check in the sandbox would be the second one.
    fn sandboxed(&self, columns: &[ArrayRef]) -> Result<RecordBatch> {
        one_column(match (self.call)(columns) {
            Column::Ready(column) => column,
            Column::Text(strings, nulls) => {
                let offsets = tenon_sdk::rising_offsets(strings.offsets)?;
                let bytes = Buffer::from_vec(strings.bytes);
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
        })
    }
}

/// Every kernel.
pub static KERNELS: [Kernel; 8] = [
    Kernel {
        name: "gcd",
        input: &[DataType::Int32, DataType::Int32],
        output: DataType::Int32,
        call: |columns| {
            let [a, b] = two::<Int32Type>(columns);
            numbers::<Int32Type>(kernels::gcd(a.values(), b.values()), columns)
        },
    },
    Kernel {
        name: "add-one",
        input: &[DataType::Int64],
        output: DataType::Int64,
        call: |columns| {
            let values = columns[0].as_primitive::<Int64Type>().values();
            numbers::<Int64Type>(kernels::add_one(values), columns)
        },
    },
    Kernel {
        name: "substring",
        input: &[DataType::Utf8],
        output: DataType::Utf8,
        call: |columns| {
            text(columns, |offsets, bytes| {
                kernels::substring(offsets, bytes, 2, 8)
            })
        },
    },
    Kernel {
        name: "upper",
        input: &[DataType::Utf8],
        output: DataType::Utf8,
        call: |columns| text(columns, kernels::upper),
    },
    Kernel {
        name: "regex-match",
        input: &[DataType::Utf8],
        output: DataType::Boolean,
        call: |columns| {
            static REGEX: LazyLock<Option<Regex>> =
                LazyLock::new(|| Regex::new(kernels::ADDRESS).ok());
            let s = columns[0].as_string::<i32>();
            let bitmap = REGEX
                .as_ref()
                .map(|regex| kernels::matches(regex, s.value_offsets(), s.value_data()));
            let bits = Buffer::from_vec(bitmap.unwrap_or_default());
            let values = BooleanBuffer::new(bits, 0, s.len());
            Column::Ready(Arc::new(BooleanArray::new(values, s.nulls().cloned())))
        },
    },
    Kernel {
        name: "haversine",
        input: &[
            DataType::Float64,
            DataType::Float64,
            DataType::Float64,
            DataType::Float64,
        ],
        output: DataType::Float64,
        call: |columns| {
            let [lat1, lon1, lat2, lon2] = [0, 1, 2, 3].map(|i| {
                let column = columns[i].as_primitive::<Float64Type>();
                &column.values()[..]
            });
            let km = kernels::haversine([lat1, lon1], [lat2, lon2]);
            numbers::<Float64Type>(km, columns)
        },
    },
    Kernel {
        name: "blend",
        input: &[DataType::Float64, DataType::Float64],
        output: DataType::Float64,
        call: |columns| {
            let [a, b] = two::<Float64Type>(columns);
            numbers::<Float64Type>(kernels::blend(a.values(), b.values()), columns)
        },
    },
    Kernel {
        name: "shout",
        input: &[DataType::Utf8],
        output: DataType::Utf8,
        call: |columns| text(columns, kernels::shout),
    },
];

fn two<T: ArrowPrimitiveType>(columns: &[ArrayRef]) -> [&PrimitiveArray<T>; 2] {
    [columns[0].as_primitive(), columns[1].as_primitive()]
}

/// A column of numbers, missing where any of the columns is.
fn numbers<T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>>(
    values: Vec<T::Native>,
    columns: &[ArrayRef],
) -> Column {
    let nulls = columns.iter().fold(None, |nulls, column| {
        NullBuffer::union(nulls.as_ref(), column.nulls())
    });
    Column::Ready(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
}

fn text(columns: &[ArrayRef], kernel: impl Fn(&[i32], &[u8]) -> Strings) -> Column {
    let s = columns[0].as_string::<i32>();
    Column::Text(
        kernel(s.value_offsets(), s.value_data()),
        s.nulls().cloned(),
    )
}

/// A batch as an IPC stream.
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

fn kernel(name: &str) -> Result<&'static Kernel> {
    Kernel::named(name).ok_or_else(|| Error::Internal(format!("there is no kernel {name}")))
}

fn binding(columns: usize, output: DataType) -> MapBinding {
    MapBinding {
        needs: (0..columns).collect(),
        output: Arc::new(Schema::new(vec![Field::new("out", output, true)])),
        keep: Keep::None,
        deterministic: true,
    }
}

macro_rules! plugins {
    (plain: [$($plain:ident $name:literal),*], ipc: [$($ipc:ident $ipc_name:literal over $kernel:literal),*]) => {
        $(
            struct $plain(&'static Kernel);
            impl Map for $plain {
                const NAME: &'static str = $name;
                const DOCS: &'static str = "";
                fn bind(_config: &Config, _input: &Schema) -> Result<MapBinding> {
                    let kernel = kernel($name)?;
                    Ok(binding(kernel.input.len(), kernel.output.clone()))
                }
                fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
                    Ok(Self(kernel($name)?))
                }
                fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
                    Ok(self.0.sandboxed(batch.columns())?.into())
                }
            }
        )*
        $(
            struct $ipc(&'static Kernel);
            impl Map for $ipc {
                const NAME: &'static str = $ipc_name;
                const DOCS: &'static str = "";
                fn bind(_config: &Config, _input: &Schema) -> Result<MapBinding> {
                    Ok(binding(1, DataType::Binary))
                }
                fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
                    Ok(Self(kernel($kernel)?))
                }
                fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
                    let input = from_ipc(batch.column(0).as_binary::<i32>().value(0))?;
                    let output = to_ipc(&self.0.sandboxed(input.columns())?)?;
                    Ok(one_column(Arc::new(BinaryArray::from_vec(vec![&output])))?.into())
                }
            }
        )*

        tenon_sdk::export! { map: [$($plain,)* $($ipc),*] }
    };
}

plugins! {
    plain: [
        Gcd "gcd",
        AddOne "add-one",
        Substring "substring",
        Upper "upper",
        RegexMatch "regex-match",
        Haversine "haversine",
        Blend "blend",
        Shout "shout"
    ],
    ipc: [BlendIpc "blend-ipc" over "blend", ShoutIpc "shout-ipc" over "shout"]
}
