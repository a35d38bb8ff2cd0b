//! `most_frequent`: the value that a group has most often, the rule by which one golden record survives many.
//!
//! ```sql
//! select match_id, most_frequent(city) as city from demo.people_matched group by match_id
//! ```
//!
//! Missing values do not count; of values that are equally frequent the first in sort order is taken, so that the
//! answer does not hang on the order of rows. `encode` turns every type into bytes that sort like its values, so that
//! one table of counts serves all types.

mod encode;

use std::collections::BTreeMap;
use std::sync::Arc;

use tenon_sdk::prelude::*;

use encode::{decode, encode, is_supported};

/// How often each value of a group came.
type Counts = BTreeMap<Box<[u8]>, u64>;

/// The groups of one partition.
struct MostFrequent {
    data_type: DataType,
    groups: Vec<Counts>,
}

fn state_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "counts",
        DataType::Binary,
        false,
    )]))
}

fn output_schema(data_type: &DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "most_frequent",
        data_type.clone(),
        true,
    )]))
}

fn add(counts: &mut Counts, value: &[u8], times: u64) {
    match counts.get_mut(value) {
        Some(count) => *count += times,
        None => {
            counts.insert(value.into(), times);
        }
    }
}

/// The counts of a group as length, value, count, again and again.
fn write_state(counts: &Counts, state: &mut Vec<u8>) {
    for (value, count) in counts {
        state.extend((value.len() as u64).to_le_bytes());
        state.extend_from_slice(value);
        state.extend(count.to_le_bytes());
    }
}

fn read_state(mut state: &[u8], counts: &mut Counts) -> Option<()> {
    while !state.is_empty() {
        let (length, rest) = state.split_first_chunk::<8>()?;
        let (value, rest) =
            rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        add(counts, value, u64::from_le_bytes(*count));
        state = rest;
    }
    Some(())
}

/// Values come in sort order, and only a greater count takes the place of an earlier one.
fn winner(counts: &Counts) -> Option<&[u8]> {
    let mut best: Option<(&[u8], u64)> = None;
    for (value, count) in counts {
        if best.is_none_or(|(_, most)| *count > most) {
            best = Some((value, *count));
        }
    }
    best.map(|(value, _)| value)
}

#[tenon_sdk::plugin]
impl Aggregate for MostFrequent {
    const NAME: &'static str = "most-frequent";
    const DOCS: &'static str =
        "The most frequent value of a group; of several the first in sort order.";

    fn bind(_config: &Config, input: &Schema) -> Result<AggregateBinding> {
        let [field] = input.fields().as_ref() else {
            return Err(Error::Unsupported(format!(
                "it takes one argument, not {}",
                input.fields().len()
            )));
        };
        if !is_supported(field.data_type()) {
            let text = format!(
                "it takes text, integers, dates, timestamps and booleans, not {}",
                field.data_type()
            );
            return Err(Error::Unsupported(text));
        }
        Ok(AggregateBinding {
            needs: vec![0],
            state: state_schema(),
            output: output_schema(field.data_type()),
            deterministic: true,
        })
    }

    fn open(_config: &Config, input: &SchemaRef) -> Result<Self> {
        Ok(Self {
            data_type: input.field(0).data_type().clone(),
            groups: Vec::new(),
        })
    }

    fn update(&mut self, batch: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        self.groups.resize_with(groups_in_all, Counts::new);
        let column = batch.column(0);
        encode(column, |row, value| {
            add(&mut self.groups[groups[row] as usize], value, 1)
        })
    }

    fn merge(&mut self, states: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        self.groups.resize_with(groups_in_all, Counts::new);
        let states = states.column(0).as_binary::<i32>();
        for (group, state) in groups.iter().zip(states.iter().flatten()) {
            read_state(state, &mut self.groups[*group as usize]).ok_or_else(|| {
                Error::Internal("the state is none of this function's".to_owned())
            })?;
        }
        Ok(())
    }

    fn state(&mut self, emit: Emit) -> Result<RecordBatch> {
        let mut states = tenon_sdk::arrow_array::builder::BinaryBuilder::new();
        let mut state = Vec::new();
        for counts in emit.take(&mut self.groups) {
            state.clear();
            write_state(&counts, &mut state);
            states.append_value(&state);
        }
        Ok(RecordBatch::try_new(
            state_schema(),
            vec![Arc::new(states.finish())],
        )?)
    }

    fn evaluate(&mut self, emit: Emit) -> Result<RecordBatch> {
        let groups = emit.take(&mut self.groups);
        let winners: Vec<Option<&[u8]>> = groups.iter().map(winner).collect();
        let column = decode(&self.data_type, &winners)?;
        Ok(RecordBatch::try_new(
            output_schema(&self.data_type),
            vec![column],
        )?)
    }
}

#[cfg(test)]
mod tests;
