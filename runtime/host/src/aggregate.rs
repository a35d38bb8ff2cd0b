//! Calling the `aggregate` world.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use wasmtime::component::ResourceAny;

use crate::bindings::exports::tenon::plugin::aggregate;
use crate::bindings::tenon::plugin::types::{BatchResult, Determinism};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::flatten::{Column, Sender};
use crate::guest::{Guest, accounted, guest_error};
use crate::limits::Limits;
use crate::map::{Bytes, positions};
use crate::plugin::{Plugin, link_error};
use crate::rebuild::Receiver;
use crate::schema::{AS_IT_IS, FlatSchema, from_wire, wire_schema};

/// How an `aggregate` function treats arguments of one schema; the guest's answer to `bind`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateBinding {
    /// The function's name.
    pub function: String,
    /// Its configuration, a JSON object.
    pub config: String,
    /// Positions of the arguments that cross.
    pub needs: Vec<usize>,
    /// The columns that hold the state of a group.
    pub state: SchemaRef,
    /// The columns of the result.
    pub output: SchemaRef,
    /// Whether equal input gives equal output.
    pub deterministic: bool,
    wire_input: SchemaRef,
    constants: bool,
}

/// Which groups leave an accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// All of them; none is left.
    All,
    /// So many, the first ones; the rest are renumbered from 0.
    First(u32),
}

impl Plugin {
    /// Asks an `aggregate` function how it treats arguments of this schema.
    ///
    /// # Errors
    /// The function does not exist, refuses, crashes, or answers nonsense.
    pub async fn bind_aggregate(
        &self,
        function: &str,
        config: &str,
        input: &Schema,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<AggregateBinding> {
        let export = self.aggregate_export()?;
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let aggregate = export
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let all: Vec<usize> = (0..input.fields().len()).collect();
        let wire = wire_schema(input, &all, AS_IT_IS);
        let flat = FlatSchema::of(&wire)?;
        let flat = flat.params();
        let answer = guest
            .call(async |store| aggregate.call_bind(store, function, config, &flat).await)
            .await?;
        let answer = answer.map_err(|e| guest_error(e, limits))?;
        let needs = positions(&answer.needs, all.len(), "needs")?;
        let state = from_wire(&answer.state, limits.columns)?;
        let output = from_wire(&answer.output, limits.columns)?;
        if state.fields().is_empty() || output.fields().is_empty() {
            return Err(Error::contract(
                "an aggregate has at least one column of state and one of output",
            ));
        }
        Ok(AggregateBinding {
            function: function.to_owned(),
            config: config.to_owned(),
            wire_input: wire_schema(input, &needs, answer.accepts),
            constants: answer.accepts.constants,
            needs,
            state,
            output,
            deterministic: matches!(answer.determinism, Determinism::Deterministic),
        })
    }

    /// Starts an accumulator for one partition.
    ///
    /// # Errors
    /// No room for it, or the guest refuses or crashes.
    pub async fn open_aggregate(
        &self,
        binding: &AggregateBinding,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<Accumulator> {
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let aggregate = self
            .aggregate_export()?
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let flat = FlatSchema::of(&binding.wire_input)?;
        let flat = flat.params();
        let answer = guest
            .call(async |store| {
                aggregate
                    .accumulator()
                    .call_open(store, &binding.function, &binding.config, &flat)
                    .await
            })
            .await?;
        let accumulator = answer.map_err(|e| guest_error(e, limits))?;
        Ok(Accumulator {
            guest,
            aggregate,
            accumulator,
            needs: binding.needs.clone(),
            input: Sender::new(Arc::clone(&binding.wire_input), binding.constants),
            states: Sender::new(Arc::clone(&binding.state), false),
            state: Receiver::new(Arc::clone(&binding.state)),
            output: Receiver::new(Arc::clone(&binding.output)),
            bytes: Bytes::default(),
        })
    }
}

/// The running accumulator of an `aggregate` function.
pub struct Accumulator {
    guest: Guest,
    aggregate: aggregate::Guest,
    accumulator: ResourceAny,
    needs: Vec<usize>,
    input: Sender,
    states: Sender,
    state: Receiver,
    output: Receiver,
    bytes: Bytes,
}

impl std::fmt::Debug for Accumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accumulator")
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

impl Accumulator {
    /// Adds rows: the arguments of the bound schema, and the group of each row, below `groups_in_all`.
    ///
    /// # Errors
    /// What the guest reports, or what stopped it.
    pub async fn update(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        groups_in_all: u32,
    ) -> Result<()> {
        let columns: Vec<Column> = self
            .needs
            .iter()
            .map(|&i| Column::Array(Arc::clone(&arguments[i])))
            .collect();
        let flat = self.input.flatten(groups.len(), &columns)?;
        let slices = flat.slices();
        let (aggregate, accumulator) = (&self.aggregate, self.accumulator);
        let answer = self
            .guest
            .call(async |store| {
                aggregate
                    .accumulator()
                    .call_update(
                        store,
                        accumulator,
                        flat.param(&slices),
                        groups,
                        groups_in_all,
                    )
                    .await
            })
            .await?;
        self.bytes.sent += flat.bytes() + size_of_val(groups);
        answer.map_err(|e| guest_error(e, self.guest.limits()))
    }

    /// Adds states that came out of [`Self::state`], one for each row, to these groups.
    ///
    /// # Errors
    /// As for [`Self::update`].
    pub async fn merge(
        &mut self,
        states: &[ArrayRef],
        groups: &[u32],
        groups_in_all: u32,
    ) -> Result<()> {
        let columns: Vec<Column> = states.iter().cloned().map(Column::Array).collect();
        let flat = self.states.flatten(groups.len(), &columns)?;
        let slices = flat.slices();
        let (aggregate, accumulator) = (&self.aggregate, self.accumulator);
        let answer = self
            .guest
            .call(async |store| {
                aggregate
                    .accumulator()
                    .call_merge(
                        store,
                        accumulator,
                        flat.param(&slices),
                        groups,
                        groups_in_all,
                    )
                    .await
            })
            .await?;
        self.bytes.sent += flat.bytes() + size_of_val(groups);
        answer.map_err(|e| guest_error(e, self.guest.limits()))
    }

    /// The state of `groups` groups that leave.
    ///
    /// # Errors
    /// As for [`Self::update`]; another number of rows is a breach of contract.
    pub async fn state(&mut self, emit: Emit, groups: usize) -> Result<RecordBatch> {
        let (aggregate, accumulator) = (&self.aggregate, self.accumulator);
        let emit = wire_emit(emit);
        let answer = self
            .guest
            .call(async |store| {
                aggregate
                    .accumulator()
                    .call_state(store, accumulator, emit)
                    .await
            })
            .await?;
        let batch = answer.map_err(|e| guest_error(e, self.guest.limits()))?;
        self.bytes.received += size_of_batch(&batch);
        exactly(self.state.batch(batch)?, groups)
    }

    /// The result of `groups` groups that leave.
    ///
    /// # Errors
    /// As for [`Self::state`].
    pub async fn evaluate(&mut self, emit: Emit, groups: usize) -> Result<RecordBatch> {
        let (aggregate, accumulator) = (&self.aggregate, self.accumulator);
        let emit = wire_emit(emit);
        let answer = self
            .guest
            .call(async |store| {
                aggregate
                    .accumulator()
                    .call_evaluate(store, accumulator, emit)
                    .await
            })
            .await?;
        let batch = answer.map_err(|e| guest_error(e, self.guest.limits()))?;
        self.bytes.received += size_of_batch(&batch);
        exactly(self.output.batch(batch)?, groups)
    }
}

accounted!(Accumulator);

fn wire_emit(emit: Emit) -> aggregate::Emit {
    match emit {
        Emit::All => aggregate::Emit::All,
        Emit::First(groups) => aggregate::Emit::First(groups),
    }
}

fn size_of_batch(batch: &BatchResult) -> usize {
    batch.buffers.iter().map(Vec::len).sum()
}

fn exactly(batch: RecordBatch, groups: usize) -> Result<RecordBatch> {
    if batch.num_rows() != groups {
        return Err(Error::contract(format!(
            "it returned {} groups where {groups} belong",
            batch.num_rows()
        )));
    }
    Ok(batch)
}
