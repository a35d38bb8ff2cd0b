//! The `aggregate` functions.

use std::sync::Arc;

use tenon_sdk::arrow_array::types::Int64Type;
use tenon_sdk::prelude::*;

fn one_column(data_type: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("value", data_type, true)]))
}

/// One value for each group.
fn binding(data_type: DataType, input: &Schema) -> Result<AggregateBinding> {
    if input.fields().len() != 1 || *input.field(0).data_type() != data_type {
        return Err(Error::Unsupported(format!("it takes one {data_type}")));
    }
    Ok(AggregateBinding {
        needs: vec![0],
        state: one_column(data_type.clone()),
        output: one_column(data_type),
        deterministic: true,
    })
}

/// The sum of each group.
#[derive(Default)]
pub(crate) struct Total(Vec<Option<i64>>);

impl Aggregate for Total {
    const NAME: &'static str = "total";
    const DOCS: &'static str = "The sum.";

    fn bind(_config: &Config, input: &Schema) -> Result<AggregateBinding> {
        binding(DataType::Int64, input)
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self::default())
    }

    fn update(&mut self, batch: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        self.0.resize(groups_in_all, None);
        let values = batch.column(0).as_primitive::<Int64Type>();
        for (group, value) in groups.iter().zip(values) {
            let sum = &mut self.0[*group as usize];
            *sum = match (*sum, value) {
                (Some(sum), Some(value)) => Some(sum + value),
                (sum, value) => sum.or(value),
            };
        }
        Ok(())
    }

    fn merge(&mut self, states: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        self.update(states, groups, groups_in_all)
    }

    fn state(&mut self, emit: Emit) -> Result<RecordBatch> {
        let sums: Int64Array = emit.take(&mut self.0).into();
        Ok(RecordBatch::try_new(
            one_column(DataType::Int64),
            vec![Arc::new(sums)],
        )?)
    }

    fn evaluate(&mut self, emit: Emit) -> Result<RecordBatch> {
        self.state(emit)
    }
}

/// The longest string of each group.
#[derive(Default)]
pub(crate) struct Longest(Vec<Option<String>>);

impl Aggregate for Longest {
    const NAME: &'static str = "longest";
    const DOCS: &'static str = "The longest string.";

    fn bind(_config: &Config, input: &Schema) -> Result<AggregateBinding> {
        binding(DataType::Utf8, input)
    }

    fn open(_config: &Config, _input: &SchemaRef) -> Result<Self> {
        Ok(Self::default())
    }

    fn update(&mut self, batch: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        self.0.resize(groups_in_all, None);
        for (group, value) in groups.iter().zip(batch.column(0).as_string::<i32>()) {
            let Some(value) = value else { continue };
            let longest = &mut self.0[*group as usize];
            if longest
                .as_ref()
                .is_none_or(|known| known.len() < value.len())
            {
                *longest = Some(value.to_owned());
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        self.update(states, groups, groups_in_all)
    }

    fn state(&mut self, emit: Emit) -> Result<RecordBatch> {
        let longest = StringArray::from(emit.take(&mut self.0));
        Ok(RecordBatch::try_new(
            one_column(DataType::Utf8),
            vec![Arc::new(longest)],
        )?)
    }

    fn evaluate(&mut self, emit: Emit) -> Result<RecordBatch> {
        self.state(emit)
    }
}
