//! `aggregate` functions as aggregates of SQL.
//!
//! DataFusion finds the groups, splits the work into a partial and a final phase and spills; the guest holds the state of
//! the groups. Its memory is reported through `size`, which DataFusion charges to the run's pool: when the pool refuses,
//! the state is taken out (`Emit::All`), the instance is dropped and with it its memory. An instance that has used half
//! of its own limit asks for that by claiming more than any pool has.

use std::fmt;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use datafusion::arrow::compute::{filter, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use parking_lot::Mutex;
use tenon_host::{AggregateBinding, Emit, Error, FixedBudget};

use super::functions::{SqlFunction, arguments};

/// More than any pool has: asks DataFusion to take the state out.
const TOO_MUCH: usize = 1 << 50;

/// An `aggregate` function in SQL.
#[derive(Debug)]
pub(super) struct GuestAggregate {
    function: SqlFunction,
    signature: Signature,
    bound: Mutex<Vec<(Vec<DataType>, Arc<AggregateBinding>)>>,
}

impl PartialEq for GuestAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for GuestAggregate {}

impl std::hash::Hash for GuestAggregate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl GuestAggregate {
    pub(super) fn new(function: SqlFunction) -> Self {
        Self {
            function,
            signature: Signature::variadic_any(Volatility::Immutable),
            bound: Mutex::default(),
        }
    }

    fn bound(&self, fields: &[FieldRef]) -> Result<Arc<AggregateBinding>> {
        let types: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        if let Some((_, known)) = self.bound.lock().iter().find(|(t, _)| *t == types) {
            return Ok(Arc::clone(known));
        }
        let guest = &self.function.guest;
        let budget = Arc::new(FixedBudget::new(guest.limits.memory_bytes));
        let schema = arguments(fields);
        let binding = self.function.drive(guest.plugin.bind_aggregate(
            &self.function.function,
            "{}",
            &schema,
            &guest.limits,
            budget,
        ))?;
        if binding.output.fields().len() != 1 {
            let text = format!(
                "an aggregate of SQL makes one column, and this one makes {}",
                binding.output.fields().len()
            );
            return Err(self.function.error(Error::Unsupported(text)));
        }
        let binding = Arc::new(binding);
        self.bound.lock().push((types, Arc::clone(&binding)));
        Ok(binding)
    }

    fn groups(&self, fields: &[FieldRef]) -> Result<Groups> {
        Ok(Groups {
            function: self.function.clone(),
            binding: self.bound(fields)?,
            instance: None,
            groups: 0,
        })
    }
}

impl AggregateUDFImpl for GuestAggregate {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        datafusion::common::internal_err!("a plugin's function is asked for its field")
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let binding = self.bound(arg_fields)?;
        Ok(Arc::new(
            binding.output.field(0).clone().with_name(self.name()),
        ))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let binding = self.bound(args.input_fields)?;
        let fields = binding.state.fields().iter().map(|field| {
            let name = format!("{}[{}]", args.name, field.name());
            Arc::new(field.as_ref().clone().with_name(name))
        });
        Ok(fields.collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.only_plain(&args)?;
        Ok(Box::new(OneGroup(self.groups(args.expr_fields)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.only_plain(&args)?;
        Ok(Box::new(self.groups(args.expr_fields)?))
    }
}

impl GuestAggregate {
    fn only_plain(&self, args: &AccumulatorArgs<'_>) -> Result<()> {
        let clause = if args.is_distinct {
            "DISTINCT"
        } else if !args.order_bys.is_empty() {
            "ORDER BY"
        } else {
            return Ok(());
        };
        let text = format!("a plugin's aggregate takes no {clause}; use a subquery");
        Err(self.function.error(Error::Unsupported(text)))
    }
}

/// The groups of one partition.
struct Groups {
    function: SqlFunction,
    binding: Arc<AggregateBinding>,
    instance: Option<tenon_host::Accumulator>,
    groups: usize,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("function", &self.function.name)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

impl Groups {
    /// Makes one call on the instance, starting it when there is none. A failed instance is dropped.
    fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut tenon_host::Accumulator) -> tenon_host::Result<T>,
    ) -> Result<T> {
        let guest = &self.function.guest;
        let there = self.instance.take();
        let (instance, answer) = self.function.drive(async {
            let mut instance = match there {
                Some(instance) => instance,
                None => {
                    // Not the run's pool: `size` is what is charged there.
                    let budget = Arc::new(FixedBudget::new(guest.limits.memory_bytes));
                    let opened = guest
                        .plugin
                        .open_aggregate(&self.binding, &guest.limits, budget);
                    opened.await?
                }
            };
            let answer = call(&mut instance).await;
            guest.log.append(&guest.node, instance.take_log());
            Ok((instance, answer?))
        })?;
        self.instance = Some(instance);
        Ok(answer)
    }

    /// Which groups leave, and how many there are.
    fn leaving(&self, emit: EmitTo) -> Result<(Emit, usize)> {
        Ok(match emit {
            EmitTo::All => (Emit::All, self.groups),
            EmitTo::First(groups) => (Emit::First(number(groups)?), groups),
        })
    }

    fn left(&mut self, groups: usize) {
        self.groups -= groups;
        if self.groups == 0 {
            // Its memory never shrinks; a new one starts small.
            self.instance = None;
        }
    }
}

fn number(groups: usize) -> Result<u32> {
    u32::try_from(groups).map_err(|_| {
        datafusion::error::DataFusionError::ResourcesExhausted(format!(
            "a plugin's aggregate takes {} groups, not {groups}",
            u32::MAX
        ))
    })
}

/// The group of each row.
fn numbers(groups: &[usize]) -> Result<Vec<u32>> {
    groups.iter().map(|group| number(*group)).collect()
}

/// The rows for which a filter is true.
fn filtered(
    values: &[ArrayRef],
    groups: Vec<u32>,
    wanted: Option<&BooleanArray>,
) -> Result<(Vec<ArrayRef>, Vec<u32>)> {
    let Some(wanted) = wanted else {
        return Ok((values.to_vec(), groups));
    };
    let wanted = match wanted.null_count() {
        0 => wanted.clone(),
        _ => prep_null_mask_filter(wanted),
    };
    let values = values
        .iter()
        .map(|value| Ok(filter(value, &wanted)?))
        .collect::<Result<_>>()?;
    let groups = filter(&UInt32Array::from(groups), &wanted)?;
    let groups = groups.as_any().downcast_ref::<UInt32Array>();
    let groups = groups.map(|groups| groups.values().to_vec());
    Ok((values, groups.unwrap_or_default()))
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let (values, groups) = filtered(values, numbers(group_indices)?, opt_filter)?;
        let all = number(total_num_groups)?;
        self.call(async |instance| instance.update(&values, &groups, all).await)?;
        self.groups = total_num_groups;
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (emit, groups) = self.leaving(emit_to)?;
        let result = self.call(async |instance| instance.evaluate(emit, groups).await)?;
        self.left(groups);
        Ok(Arc::clone(result.column(0)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (emit, groups) = self.leaving(emit_to)?;
        let state = self.call(async |instance| instance.state(emit, groups).await)?;
        self.left(groups);
        Ok(state.columns().to_vec())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let (groups, all) = (numbers(group_indices)?, number(total_num_groups)?);
        self.call(async |instance| instance.merge(values, &groups, all).await)?;
        self.groups = total_num_groups;
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        // Every row is a group of its own, in an instance for this once.
        let rows = values.first().map_or(0, |value| value.len());
        let mut once = Self {
            function: self.function.clone(),
            binding: Arc::clone(&self.binding),
            instance: None,
            groups: 0,
        };
        let each: Vec<usize> = (0..rows).collect();
        once.update_batch(values, &each, opt_filter, rows)?;
        once.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let used = self.instance.as_ref().map_or(0, |i| i.memory_bytes());
        match used > self.function.guest.limits.memory_bytes / 2 {
            true => TOO_MUCH,
            false => used,
        }
    }
}

/// The one group of a query without GROUP BY.
#[derive(Debug)]
struct OneGroup(Groups);

impl OneGroup {
    fn rows(values: &[ArrayRef]) -> Vec<usize> {
        vec![0; values.first().map_or(0, |value| value.len())]
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &Self::rows(values), None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.seen()?;
        let result = self.0.evaluate(EmitTo::All)?;
        ScalarValue::try_from_array(&result, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.instance.as_ref().map_or(0, |i| i.memory_bytes())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.seen()?;
        let state = self.0.state(EmitTo::All)?;
        state
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &Self::rows(states), 1)
    }
}

impl OneGroup {
    /// Makes sure that the guest knows of its group: a query without rows has one all the same.
    fn seen(&mut self) -> Result<()> {
        if self.0.groups == 0 {
            let none = RecordBatch::new_empty(Arc::clone(&self.0.binding.state));
            self.0.merge_batch(none.columns(), &[], 1)?;
        }
        Ok(())
    }
}
