//! Calling the `map` world.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use wasmtime::component::ResourceAny;

use crate::bindings::exports::tenon::plugin::map;
use crate::bindings::tenon::plugin::types::Determinism;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::flatten::{Column, Sender};
use crate::guest::{Guest, accounted, guest_error};
use crate::limits::Limits;
use crate::plugin::{Plugin, link_error};
use crate::rebuild::{Receiver, Selection};
use crate::schema::{AS_IT_IS, FlatSchema, from_wire, wire_schema};

/// How a `map` function treats one input schema; the guest's answer to `bind`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapBinding {
    /// The function's name.
    pub function: String,
    /// Its configuration, a JSON object.
    pub config: String,
    /// Positions of the input columns that cross.
    pub needs: Vec<usize>,
    /// Columns that come back.
    pub output: SchemaRef,
    /// Positions of the input columns that the host carries over.
    pub keep: Vec<usize>,
    /// Whether equal input gives equal output.
    pub deterministic: bool,
    wire_input: SchemaRef,
    constants: bool,
}

impl MapBinding {
    /// Whether it makes one column and one row for each row: then it can be called in SQL as a scalar function.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        self.output.fields().len() == 1
    }

    /// Whether a value that stands for every row crosses once.
    #[must_use]
    pub fn takes_constants(&self) -> bool {
        self.constants
    }

    /// The same binding over batches that have the needed columns at these positions.
    #[must_use]
    pub fn reading(&self, needs: Vec<usize>) -> Self {
        Self {
            needs,
            ..self.clone()
        }
    }

    /// The schema of the node: kept input columns in their order, an output column of the same name
    /// in its place, then the remaining output columns.
    #[must_use]
    pub fn node_schema(&self, input: &Schema) -> SchemaRef {
        let fields = self.node_columns(input).into_iter().map(|c| match c {
            NodeColumn::Input(i) => Arc::clone(&input.fields()[i]),
            NodeColumn::Output(i) => Arc::clone(&self.output.fields()[i]),
        });
        Arc::new(Schema::new_with_metadata(
            fields.collect::<Vec<_>>(),
            input.metadata().clone(),
        ))
    }

    /// Where each column of the node comes from.
    #[must_use]
    pub fn node_columns(&self, input: &Schema) -> Vec<NodeColumn> {
        let output_named = |name: &str| self.output.fields().iter().position(|f| f.name() == name);
        let kept = self
            .keep
            .iter()
            .map(|&i| match output_named(input.field(i).name()) {
                Some(o) => NodeColumn::Output(o),
                None => NodeColumn::Input(i),
            });
        let mut columns: Vec<NodeColumn> = kept.collect();
        for o in 0..self.output.fields().len() {
            if !columns.contains(&NodeColumn::Output(o)) {
                columns.push(NodeColumn::Output(o));
            }
        }
        columns
    }
}

/// Where a column of a map node comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeColumn {
    /// Carried over from the input, by position.
    Input(usize),
    /// Made by the guest, by position in [`MapBinding::output`].
    Output(usize),
}

/// The guest's part of one batch.
#[derive(Debug)]
pub struct Mapped {
    /// Columns of [`MapBinding::output`], with as many rows as were selected.
    pub columns: RecordBatch,
    /// Which input rows they belong to.
    pub selection: Selection,
}

impl Plugin {
    /// Asks a `map` function how it treats an input of this schema.
    ///
    /// # Errors
    /// The function does not exist, refuses, crashes, or answers nonsense.
    pub async fn bind_map(
        &self,
        function: &str,
        config: &str,
        input: &Schema,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<MapBinding> {
        let export = self.map_export()?;
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let map = export
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let all: Vec<usize> = (0..input.fields().len()).collect();
        let wire = wire_schema(input, &all, AS_IT_IS);
        let flat = FlatSchema::of(&wire)?;
        let flat = flat.params();
        let answer = guest
            .call(async |store| map.call_bind(store, function, config, &flat).await)
            .await?;
        let answer = answer.map_err(|e| guest_error(e, limits))?;
        checked(answer, function, config, input, limits)
    }

    /// Starts an instance for one partition.
    ///
    /// # Errors
    /// No room for it, or the guest refuses or crashes.
    pub async fn open_map(
        &self,
        binding: &MapBinding,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<MapInstance> {
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let map = self
            .map_export()?
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let flat = FlatSchema::of(&binding.wire_input)?;
        let flat = flat.params();
        let answer = guest
            .call(async |store| {
                map.mapper()
                    .call_open(store, &binding.function, &binding.config, &flat)
                    .await
            })
            .await?;
        let mapper = answer.map_err(|e| guest_error(e, limits))?;
        Ok(MapInstance {
            guest,
            map,
            mapper,
            needs: binding.needs.clone(),
            sender: Sender::new(Arc::clone(&binding.wire_input), binding.constants),
            receiver: Receiver::new(Arc::clone(&binding.output)),
            bytes: Bytes::default(),
        })
    }
}

fn checked(
    answer: map::Binding,
    function: &str,
    config: &str,
    input: &Schema,
    limits: &Limits,
) -> Result<MapBinding> {
    let width = input.fields().len();
    let needs = positions(&answer.needs, width, "needs")?;
    let keep = match &answer.keep {
        map::Keep::All => (0..width).collect(),
        map::Keep::None => Vec::new(),
        map::Keep::Columns(columns) => positions(columns, width, "keeps")?,
    };
    Ok(MapBinding {
        function: function.to_owned(),
        config: config.to_owned(),
        wire_input: wire_schema(input, &needs, answer.accepts),
        constants: answer.accepts.constants,
        needs,
        output: from_wire(&answer.output, limits.columns)?,
        keep,
        deterministic: matches!(answer.determinism, Determinism::Deterministic),
    })
}

/// Column positions that a guest named, each in range and named once.
pub(crate) fn positions(columns: &[u32], width: usize, verb: &str) -> Result<Vec<usize>> {
    let mut seen = vec![false; width];
    let mut positions = Vec::with_capacity(columns.len().min(width));
    for &column in columns {
        match seen.get_mut(column as usize) {
            None => {
                return Err(Error::contract(format!(
                    "it {verb} column {column} of an input with {width}"
                )));
            }
            Some(true) => return Err(Error::contract(format!("it {verb} column {column} twice"))),
            Some(unseen) => *unseen = true,
        }
        positions.push(column as usize);
    }
    Ok(positions)
}

/// Bytes that crossed the boundary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Host to guest.
    pub sent: usize,
    /// Guest to host.
    pub received: usize,
}

/// A running `map` function.
pub struct MapInstance {
    guest: Guest,
    map: map::Guest,
    mapper: ResourceAny,
    needs: Vec<usize>,
    sender: Sender,
    receiver: Receiver,
    bytes: Bytes,
}

impl std::fmt::Debug for MapInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapInstance")
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

impl MapInstance {
    /// Maps one batch of the bound input schema. When the future is dropped, the instance is finished.
    ///
    /// # Errors
    /// What the guest reports, or what stopped it. Nothing of a bad answer is used.
    pub async fn apply(&mut self, batch: &RecordBatch) -> Result<Mapped> {
        let column = |&i: &usize| Column::Array(Arc::clone(batch.column(i)));
        let columns: Vec<Column> = self.needs.iter().map(column).collect();
        self.apply_columns(batch.num_rows(), &columns).await
    }

    /// Maps the needed columns of a batch of `rows` rows, some of which may be constant.
    ///
    /// # Errors
    /// As for [`Self::apply`].
    pub async fn apply_columns(&mut self, rows: usize, columns: &[Column]) -> Result<Mapped> {
        let flat = self.sender.flatten(rows, columns)?;
        let slices = flat.slices();
        let (map, mapper) = (&self.map, self.mapper);
        let answer = self
            .guest
            .call(async |store| {
                map.mapper()
                    .call_apply(store, mapper, flat.param(&slices))
                    .await
            })
            .await?;
        let answer = answer.map_err(|e| guest_error(e, self.guest.limits()))?;
        self.bytes.sent += flat.bytes();
        self.bytes.received += answer.columns.buffers.iter().map(Vec::len).sum::<usize>();
        let selection = Selection::checked(answer.selection, rows)?;
        let selected = selection.count(rows);
        if answer.columns.rows as usize != selected {
            return Err(Error::contract(format!(
                "it returned {} rows and selected {selected}",
                answer.columns.rows
            )));
        }
        Ok(Mapped {
            columns: self.receiver.batch(answer.columns)?,
            selection,
        })
    }
}

accounted!(MapInstance);
