//! Calling the `stream` world.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use wasmtime::component::ResourceAny;

use crate::bindings::exports::tenon::plugin::stream;
use crate::bindings::tenon::plugin::types::Determinism;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::flatten::{Column, Sender};
use crate::guest::{Guest, Idle, accounted, guest_error};
use crate::limits::Limits;
use crate::map::{Bytes, positions};
use crate::plugin::{Plugin, link_error};
use crate::rebuild::Receiver;
use crate::schema::{AS_IT_IS, FlatSchema, from_wire, wire_schema};

/// Largest snapshot of a session, in bytes.
const MAX_SNAPSHOT_BYTES: usize = 64 << 20;

/// How the rows of an input are spread over the instances of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distribution {
    /// Any row may go to any instance.
    Any,
    /// One instance sees every row.
    Single,
    /// Rows that agree in these columns go to the same instance.
    Hash(Vec<usize>),
    /// Every instance sees every row.
    Broadcast,
}

/// One sort key of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// Position in the input's schema.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// Missing values first.
    pub nulls_first: bool,
}

/// What a stream wants of one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputBinding {
    /// Positions of the columns that cross.
    pub needs: Vec<usize>,
    /// How its rows are spread.
    pub distribution: Distribution,
    /// The order in which an instance gets its rows.
    pub ordering: Vec<SortKey>,
    wire: SchemaRef,
    constants: bool,
}

/// How a `stream` function treats its inputs; the guest's answer to `bind`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamBinding {
    /// The function's name.
    pub function: String,
    /// Its configuration, a JSON object.
    pub config: String,
    /// One for each input.
    pub inputs: Vec<InputBinding>,
    /// What comes out.
    pub output: SchemaRef,
    /// Whether equal input gives equal output.
    pub deterministic: bool,
}

impl InputBinding {
    /// Every column that the input must have: those that cross, are hashed or are sorted by.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = self.needs.clone();
        let hashed = match &self.distribution {
            Distribution::Hash(columns) => columns.as_slice(),
            _ => &[],
        };
        for column in hashed
            .iter()
            .copied()
            .chain(self.ordering.iter().map(|key| key.column))
        {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    /// The same binding over an input that has only [`Self::columns`], in that order.
    #[must_use]
    pub fn narrowed(&self) -> Self {
        let columns = self.columns();
        let position = |column: &usize| columns.iter().position(|c| c == column).unwrap_or(0);
        Self {
            needs: self.needs.iter().map(position).collect(),
            distribution: match &self.distribution {
                Distribution::Hash(hashed) => {
                    Distribution::Hash(hashed.iter().map(position).collect())
                }
                other => other.clone(),
            },
            ordering: self
                .ordering
                .iter()
                .map(|key| SortKey {
                    column: position(&key.column),
                    ..*key
                })
                .collect(),
            wire: Arc::clone(&self.wire),
            constants: self.constants,
        }
    }
}

impl Plugin {
    /// Asks a `stream` function how it treats inputs of these schemas.
    ///
    /// # Errors
    /// The function does not exist, refuses, crashes, or answers nonsense.
    pub async fn bind_stream(
        &self,
        function: &str,
        config: &str,
        inputs: &[SchemaRef],
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<StreamBinding> {
        let export = self.stream_export()?;
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let stream = export
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let wire: Vec<SchemaRef> = inputs.iter().map(whole).collect();
        let flat = wire
            .iter()
            .map(|schema| FlatSchema::of(schema))
            .collect::<Result<Vec<_>>>()?;
        let params: Vec<_> = flat.iter().map(FlatSchema::params).collect();
        let schemas: Vec<_> = params.iter().map(Vec::as_slice).collect();
        let answer = guest
            .call(async |store| stream.call_bind(store, function, config, &schemas).await)
            .await?;
        let answer = answer.map_err(|e| guest_error(e, limits))?;
        checked(answer, function, config, inputs, limits)
    }

    /// Starts an instance for one partition; with a snapshot, one that goes on where that was taken.
    ///
    /// # Errors
    /// No room for it, or the guest refuses or crashes.
    pub async fn open_stream(
        &self,
        binding: &StreamBinding,
        snapshot: Option<&[u8]>,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<StreamInstance> {
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let stream = self
            .stream_export()?
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let flat = binding
            .inputs
            .iter()
            .map(|i| FlatSchema::of(&i.wire))
            .collect::<Result<Vec<_>>>()?;
        let params: Vec<_> = flat.iter().map(FlatSchema::params).collect();
        let schemas: Vec<_> = params.iter().map(Vec::as_slice).collect();
        let (function, config) = (&binding.function, &binding.config);
        let answer = guest
            .call(async |store| {
                let session = stream.session();
                match snapshot {
                    None => session.call_open(store, function, config, &schemas).await,
                    Some(state) => {
                        session
                            .call_restore(store, function, config, &schemas, state)
                            .await
                    }
                }
            })
            .await?;
        let session = answer.map_err(|e| guest_error(e, limits))?;
        let senders = binding
            .inputs
            .iter()
            .map(|i| Sender::new(Arc::clone(&i.wire), i.constants));
        Ok(StreamInstance {
            guest,
            stream,
            session,
            needs: binding.inputs.iter().map(|i| i.needs.clone()).collect(),
            senders: senders.collect(),
            receiver: Receiver::new(Arc::clone(&binding.output)),
            bytes: Bytes::default(),
            idle: Idle::default(),
        })
    }
}

fn whole(input: &SchemaRef) -> SchemaRef {
    let all: Vec<usize> = (0..input.fields().len()).collect();
    wire_schema(input, &all, AS_IT_IS)
}

fn checked(
    answer: stream::Binding,
    function: &str,
    config: &str,
    inputs: &[SchemaRef],
    limits: &Limits,
) -> Result<StreamBinding> {
    if answer.inputs.len() != inputs.len() {
        return Err(Error::contract(format!(
            "it binds {} inputs of {}",
            answer.inputs.len(),
            inputs.len()
        )));
    }
    let bound = answer
        .inputs
        .into_iter()
        .zip(inputs)
        .map(|(answer, schema)| checked_input(answer, schema));
    Ok(StreamBinding {
        function: function.to_owned(),
        config: config.to_owned(),
        inputs: bound.collect::<Result<_>>()?,
        output: from_wire(&answer.output, limits.columns)?,
        deterministic: matches!(answer.determinism, Determinism::Deterministic),
    })
}

fn checked_input(answer: stream::InputBinding, schema: &SchemaRef) -> Result<InputBinding> {
    let width = schema.fields().len();
    let needs = positions(&answer.needs, width, "needs")?;
    let distribution = match answer.distribution {
        stream::Distribution::Any => Distribution::Any,
        stream::Distribution::Single => Distribution::Single,
        stream::Distribution::Broadcast => Distribution::Broadcast,
        stream::Distribution::Hash(columns) => {
            Distribution::Hash(positions(&columns, width, "hashes")?)
        }
    };
    let sorted: Vec<u32> = answer.ordering.iter().map(|key| key.column).collect();
    let sorted = positions(&sorted, width, "sorts by")?;
    let keys = answer.ordering.iter().zip(sorted);
    let ordering = keys
        .map(|(key, column)| SortKey {
            column,
            descending: key.descending,
            nulls_first: key.nulls_first,
        })
        .collect();
    Ok(InputBinding {
        wire: wire_schema(schema, &needs, answer.accepts),
        constants: answer.accepts.constants,
        needs,
        distribution,
        ordering,
    })
}

/// What one call of a stream gave back.
#[derive(Debug)]
pub struct Step {
    /// Rows that are ready.
    pub output: Option<RecordBatch>,
    /// `pull` must be called before anything else.
    pub more: bool,
}

/// A running `stream` function.
pub struct StreamInstance {
    guest: Guest,
    stream: stream::Guest,
    session: ResourceAny,
    needs: Vec<Vec<usize>>,
    senders: Vec<Sender>,
    receiver: Receiver,
    bytes: Bytes,
    idle: Idle,
}

impl std::fmt::Debug for StreamInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamInstance")
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

impl StreamInstance {
    /// Delivers rows of `input`. When the future is dropped, the instance is finished.
    ///
    /// # Errors
    /// What the guest reports, or what stopped it.
    pub async fn push(&mut self, input: usize, batch: &RecordBatch) -> Result<Step> {
        let column = |&i: &usize| Column::Array(Arc::clone(batch.column(i)));
        let columns: Vec<Column> = self.needs[input].iter().map(column).collect();
        let flat = self.senders[input].flatten(batch.num_rows(), &columns)?;
        let slices = flat.slices();
        let (stream, session) = (&self.stream, self.session);
        let number = u32::try_from(input).unwrap_or(u32::MAX);
        let answer = self
            .guest
            .call(async |store| {
                stream
                    .session()
                    .call_push(store, session, number, flat.param(&slices))
                    .await
            })
            .await?;
        self.bytes.sent += flat.bytes();
        self.step(answer)
    }

    /// Fetches more output of the last call.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub async fn pull(&mut self) -> Result<Step> {
        let (stream, session) = (&self.stream, self.session);
        let answer = self
            .guest
            .call(async |store| stream.session().call_pull(store, session).await)
            .await?;
        self.step(answer)
    }

    /// Says that `input` has ended.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub async fn finish(&mut self, input: usize) -> Result<Step> {
        let (stream, session) = (&self.stream, self.session);
        let number = u32::try_from(input).unwrap_or(u32::MAX);
        let answer = self
            .guest
            .call(async |store| stream.session().call_finish(store, session, number).await)
            .await?;
        self.step(answer)
    }

    fn step(
        &mut self,
        answer: std::result::Result<stream::Step, crate::bindings::tenon::plugin::types::Error>,
    ) -> Result<Step> {
        let answer = answer.map_err(|e| guest_error(e, self.guest.limits()))?;
        let rows = answer.output.as_ref().map_or(0, |batch| batch.rows);
        self.idle.step(rows as usize, answer.more)?;
        let Some(batch) = answer.output else {
            return Ok(Step {
                output: None,
                more: answer.more,
            });
        };
        self.bytes.received += batch.buffers.iter().map(Vec::len).sum::<usize>();
        Ok(Step {
            output: Some(self.receiver.batch(batch)?),
            more: answer.more,
        })
    }

    /// The state between two calls, for [`Plugin::open_stream`] in another process or at another time. Not while the
    /// last call said that there is more.
    ///
    /// # Errors
    /// The guest cannot, or what stopped it.
    pub async fn snapshot(&mut self) -> Result<Vec<u8>> {
        let (stream, session) = (&self.stream, self.session);
        let answer = self
            .guest
            .call(async |store| stream.session().call_snapshot(store, session).await)
            .await?;
        let state = answer.map_err(|e| guest_error(e, self.guest.limits()))?;
        if state.len() > MAX_SNAPSHOT_BYTES {
            return Err(Error::contract(format!(
                "its snapshot has {} bytes; {MAX_SNAPSHOT_BYTES} are allowed",
                state.len()
            )));
        }
        Ok(state)
    }
}

accounted!(StreamInstance);
