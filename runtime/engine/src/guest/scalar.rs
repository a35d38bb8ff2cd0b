//! `map` functions of one column as scalar functions of SQL.
//!
//! DataFusion does not say which partition a call belongs to, so that instances are lent: a call takes an idle one or
//! makes another, and gives it back when it is done. There are never more than threads that call at once.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, new_empty_array};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use parking_lot::Mutex;
use tenon_host::{Column, Error, FixedBudget, MapBinding, MapInstance, Selection, full_bytes};

use super::functions::{SqlFunction, arguments};

/// A `map` function in SQL.
#[derive(Debug)]
pub(super) struct GuestScalar {
    function: SqlFunction,
    signature: Signature,
    bound: Mutex<Vec<Arc<Bound>>>,
}

/// The function for arguments of certain types, and its idle instances.
#[derive(Debug)]
struct Bound {
    arguments: Vec<FieldRef>,
    binding: MapBinding,
    idle: Mutex<Vec<MapInstance>>,
}

impl PartialEq for GuestScalar {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for GuestScalar {}

impl std::hash::Hash for GuestScalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl GuestScalar {
    pub(super) fn new(function: SqlFunction) -> Self {
        Self {
            function,
            signature: Signature::variadic_any(Volatility::Immutable),
            bound: Mutex::default(),
        }
    }

    /// The function for arguments of these types.
    fn bound(&self, fields: &[FieldRef]) -> Result<Arc<Bound>> {
        let same = |bound: &&Arc<Bound>| {
            let pairs = bound.arguments.iter().zip(fields);
            bound.arguments.len() == fields.len()
                && pairs
                    .into_iter()
                    .all(|(a, b)| a.data_type() == b.data_type())
        };
        if let Some(known) = self.bound.lock().iter().find(same) {
            return Ok(Arc::clone(known));
        }
        let bound = Arc::new(self.bind(fields)?);
        self.bound.lock().push(Arc::clone(&bound));
        Ok(bound)
    }

    fn bind(&self, fields: &[FieldRef]) -> Result<Bound> {
        let guest = &self.function.guest;
        let budget = Arc::new(FixedBudget::new(guest.limits.memory_bytes));
        let schema = arguments(fields);
        let binding = self.function.drive(guest.plugin.bind_map(
            &self.function.function,
            "{}",
            &schema,
            &guest.limits,
            budget,
        ))?;
        let unfit = if !binding.is_scalar() {
            "it does not make one column"
        } else if !binding.deterministic {
            "it may answer differently each time, which SQL would call as often as it likes"
        } else {
            return Ok(Bound {
                arguments: fields.to_vec(),
                binding,
                idle: Mutex::default(),
            });
        };
        let text = format!("no scalar function: {unfit}; use it as a node of a job");
        Err(self.function.error(Error::Unsupported(text)))
    }

    /// One call: the result has `rows` rows.
    fn call(&self, bound: &Bound, rows: usize, columns: &[Column]) -> Result<ArrayRef> {
        let guest = &self.function.guest;
        let idle = bound.idle.lock().pop();
        let (instance, mapped) = self.function.drive(async {
            let mut instance = match idle {
                Some(instance) => instance,
                None => {
                    let budget = self.function.budget();
                    let opened = guest.plugin.open_map(&bound.binding, &guest.limits, budget);
                    opened.await?
                }
            };
            let mapped = instance.apply_columns(rows, columns).await;
            guest.log.append(&guest.node, instance.take_log());
            let mapped = mapped?;
            match mapped.selection {
                Selection::All => Ok((instance, mapped)),
                _ => Err(Error::Unsupported(
                    "no scalar function: it leaves out rows; use it as a node of a job".to_owned(),
                )),
            }
        })?;
        bound.idle.lock().push(instance);
        Ok(Arc::clone(mapped.columns.column(0)))
    }

    /// Calls with at most the guest's share of bytes at once.
    fn call_in_parts(&self, bound: &Bound, rows: usize, columns: &[Column]) -> Result<ArrayRef> {
        let limit = self.function.guest.limits.batch_bytes() as u64;
        if rows <= 1 || bytes(&bound.binding, rows, columns) <= limit {
            return self.call(bound, rows, columns);
        }
        let half = rows / 2;
        let part = |start: usize, length: usize| {
            let part = columns.iter().map(|column| match column {
                Column::Array(array) => Column::Array(array.slice(start, length)),
                Column::Constant(_) => column.clone(),
            });
            self.call_in_parts(bound, length, &part.collect::<Vec<_>>())
        };
        let (first, second) = (part(0, half)?, part(half, rows - half)?);
        Ok(concat(&[first.as_ref(), second.as_ref()])?)
    }
}

/// Bytes of these columns as they cross.
fn bytes(binding: &MapBinding, rows: usize, columns: &[Column]) -> u64 {
    let size = |column: &Column| match column {
        Column::Array(array) => full_bytes(array, 0..array.len(), u64::MAX),
        Column::Constant(value) => {
            let times = if binding.takes_constants() { 1 } else { rows };
            full_bytes(value, 0..value.len(), u64::MAX).saturating_mul(times as u64)
        }
    };
    columns.iter().map(size).fold(0, u64::saturating_add)
}

impl ScalarUDFImpl for GuestScalar {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        datafusion::common::internal_err!("a plugin's function is asked for its field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let bound = self.bound(args.arg_fields)?;
        let field = bound.binding.output.field(0).clone();
        Ok(Arc::new(field.with_name(self.name())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bound = self.bound(&args.arg_fields)?;
        let constant = args
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        if rows == 0 {
            let empty = new_empty_array(args.return_field.data_type());
            return Ok(ColumnarValue::Array(empty));
        }
        let columns = bound.binding.needs.iter().map(|&i| {
            Ok(match &args.args[i] {
                ColumnarValue::Array(array) => Column::Array(Arc::clone(array)),
                ColumnarValue::Scalar(value) => Column::Constant(value.to_array()?),
            })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let result = self.call_in_parts(&bound, rows, &columns)?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}
