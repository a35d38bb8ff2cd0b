//! What stands behind `#[tenon_sdk::plugin]` on a plain function.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::map::{Keep, MapBinding, Mapped, Selection};

/// An Arrow array type that a column function may take or return.
pub trait Column: Array + Sized + 'static {
    /// Whether a column of this type is such an array.
    fn accepts(data_type: &DataType) -> bool;
    /// The type of a returned column.
    const TYPE: DataType;
}

macro_rules! columns {
    ($($array:ident = $data_type:expr),* $(,)?) => {
        $(impl Column for arrow_array::$array {
            fn accepts(data_type: &DataType) -> bool {
                *data_type == Self::TYPE
            }
            const TYPE: DataType = $data_type;
        })*
    };
}

columns! {
    BooleanArray = DataType::Boolean,
    Int8Array = DataType::Int8,
    Int16Array = DataType::Int16,
    Int32Array = DataType::Int32,
    Int64Array = DataType::Int64,
    UInt8Array = DataType::UInt8,
    UInt16Array = DataType::UInt16,
    UInt32Array = DataType::UInt32,
    UInt64Array = DataType::UInt64,
    Float32Array = DataType::Float32,
    Float64Array = DataType::Float64,
    StringArray = DataType::Utf8,
    LargeStringArray = DataType::LargeUtf8,
    BinaryArray = DataType::Binary,
    LargeBinaryArray = DataType::LargeBinary,
    Date32Array = DataType::Date32,
    Date64Array = DataType::Date64,
}

/// What a column function may return.
pub trait IntoColumn {
    /// The array type.
    type Column: Column;
    /// The array, or why there is none.
    ///
    /// # Errors
    /// The function's own.
    fn into_column(self) -> Result<Self::Column>;
}

impl<C: Column> IntoColumn for C {
    type Column = C;
    fn into_column(self) -> Result<C> {
        Ok(self)
    }
}

impl<C: Column> IntoColumn for Result<C> {
    type Column = C;
    fn into_column(self) -> Result<C> {
        self
    }
}

/// One parameter of a column function: its name, and whether a column's type fits.
pub type Parameter = (&'static str, fn(&DataType) -> bool, &'static str);

/// Binds a column function: parameters are columns of the same names, or of the names that
/// `"columns": {"parameter": "column"}` gives, or, when their number agrees, go by position. The
/// result is a column named by `"output"`, else like the function.
#[doc(hidden)]
pub fn bind(
    config: &Config,
    input: &Schema,
    name: &str,
    output: DataType,
    parameters: &[Parameter],
) -> Result<MapBinding> {
    Ok(MapBinding {
        needs: find_columns(config, input, parameters)?,
        output: output_of(config, name, output)?,
        keep: Keep::All,
        deterministic: true,
    })
}

fn find_columns(config: &Config, input: &Schema, parameters: &[Parameter]) -> Result<Vec<usize>> {
    let mut needs = Vec::with_capacity(parameters.len());
    for (position, (parameter, accepts, wanted)) in parameters.iter().enumerate() {
        let column = find_column(config, input, parameter, position, parameters.len())?;
        let field = input.field(column);
        if !accepts(field.data_type()) {
            return Err(Error::Unsupported(format!(
                "column {:?} is {}, and parameter {parameter} takes {wanted}: cast it in a mapping before",
                field.name(),
                field.data_type()
            )));
        }
        needs.push(column);
    }
    Ok(needs)
}

fn find_column(
    config: &Config,
    input: &Schema,
    parameter: &str,
    position: usize,
    parameters: usize,
) -> Result<usize> {
    let chosen = config
        .get("columns")
        .and_then(|columns| columns.get(parameter))
        .and_then(|name| name.as_str());
    if let Some(chosen) = chosen {
        return crate::column(input, chosen);
    }
    match input.index_of(parameter) {
        Ok(index) => Ok(index),
        Err(_) if input.fields().len() == parameters => Ok(position),
        Err(_) => crate::column(input, parameter),
    }
}

/// The array of a parameter.
#[doc(hidden)]
pub fn argument<C: Column>(batch: &RecordBatch, position: usize) -> Result<&C> {
    let array = batch.column(position);
    array
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Error::Internal(format!("column {position} is {}", array.data_type())))
}

/// The result of a column function as a batch of one column.
#[doc(hidden)]
pub fn result<R: IntoColumn>(result: R, output: &SchemaRef) -> Result<Mapped> {
    let column: ArrayRef = Arc::new(result.into_column()?);
    Ok(RecordBatch::try_new(Arc::clone(output), vec![column])?.into())
}

/// The output schema of a bound column function.
#[doc(hidden)]
pub fn output_of(config: &Config, name: &str, output: DataType) -> Result<SchemaRef> {
    let name = config.text("output")?.unwrap_or(name);
    Ok(Arc::new(Schema::new(vec![Field::new(name, output, true)])))
}

/// The result type of a column function.
#[doc(hidden)]
#[must_use]
pub fn output_type<R: IntoColumn>() -> DataType {
    R::Column::TYPE
}

/// Binds a batch function by calling it on no rows: the schema of what it returns is the output's.
#[doc(hidden)]
pub fn bind_batch(
    input: &Schema,
    call: impl FnOnce(RecordBatch) -> Result<RecordBatch>,
) -> Result<MapBinding> {
    let empty = RecordBatch::new_empty(Arc::new(input.clone()));
    Ok(MapBinding {
        needs: (0..input.fields().len()).collect(),
        output: call(empty)?.schema(),
        keep: Keep::None,
        deterministic: true,
    })
}

/// What a batch function returned; it may have any number of rows.
#[doc(hidden)]
pub fn batch_result(output: RecordBatch, input_rows: usize) -> Result<Mapped> {
    let rows = output.num_rows();
    if rows == input_rows {
        return Ok(output.into());
    }
    if input_rows == 0 {
        return Err(Error::Internal(format!("{rows} rows came out of none")));
    }
    // No input column is kept, so that it does not matter which row stands for which.
    Ok(Mapped {
        columns: output,
        selection: Some(Selection::Indices(vec![0; rows])),
    })
}
