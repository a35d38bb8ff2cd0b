//! Calling the `table-function` world.

use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use wasmtime::component::ResourceAny;

use crate::bindings::exports::tenon::plugin::table_function as wire;
use crate::bindings::tenon::plugin::types::{Determinism, Error as GuestError};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::flatten::{Column, Sender};
use crate::guest::{Guest, Idle, accounted, guest_error};
use crate::limits::Limits;
use crate::map::Bytes;
use crate::plugin::{Plugin, link_error};
use crate::rebuild::{Receiver, row_numbers};
use crate::schema::{AS_IT_IS, FlatSchema, from_wire, wire_schema};

/// How a `table-function` treats arguments of these types; the guest's answer to `bind`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFunctionBinding {
    /// The function's name.
    pub function: String,
    /// Its configuration, a JSON object.
    pub config: String,
    /// The columns that come out.
    pub output: SchemaRef,
    /// Whether equal arguments give equal rows.
    pub deterministic: bool,
    wire_arguments: SchemaRef,
    constants: bool,
}

/// Rows that came out.
#[derive(Debug)]
pub struct Rows {
    /// Rows of [`TableFunctionBinding::output`].
    pub columns: RecordBatch,
    /// For each of them the row of arguments that it belongs to; never decreasing.
    pub origins: UInt32Array,
}

/// What one call gave back.
#[derive(Debug)]
pub struct TableStep {
    /// Rows that are ready.
    pub output: Option<Rows>,
    /// `pull` must be called before anything else.
    pub more: bool,
}

impl Plugin {
    /// Asks a `table-function` how it treats arguments of these types.
    ///
    /// # Errors
    /// The function does not exist, refuses, crashes, or answers nonsense.
    pub async fn bind_table_function(
        &self,
        function: &str,
        config: &str,
        arguments: &Schema,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<TableFunctionBinding> {
        let export = self.table_function_export()?;
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let tables = export
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let all: Vec<usize> = (0..arguments.fields().len()).collect();
        let wire = wire_schema(arguments, &all, AS_IT_IS);
        let flat = FlatSchema::of(&wire)?;
        let flat = flat.params();
        let answer = guest
            .call(async |store| tables.call_bind(store, function, config, &flat).await)
            .await?;
        let answer = answer.map_err(|e| guest_error(e, limits))?;
        Ok(TableFunctionBinding {
            function: function.to_owned(),
            config: config.to_owned(),
            output: from_wire(&answer.output, limits.columns)?,
            deterministic: matches!(answer.determinism, Determinism::Deterministic),
            wire_arguments: wire_schema(arguments, &all, answer.accepts),
            constants: answer.accepts.constants,
        })
    }

    /// Starts an instance for one partition.
    ///
    /// # Errors
    /// No room for it, or the guest refuses or crashes.
    pub async fn open_table_function(
        &self,
        binding: &TableFunctionBinding,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<Expander> {
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let tables = self
            .table_function_export()?
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let flat = FlatSchema::of(&binding.wire_arguments)?;
        let flat = flat.params();
        let answer = guest
            .call(async |store| {
                tables
                    .expander()
                    .call_open(store, &binding.function, &binding.config, &flat)
                    .await
            })
            .await?;
        let expander = answer.map_err(|e| guest_error(e, limits))?;
        Ok(Expander {
            guest,
            tables,
            expander,
            sender: Sender::new(Arc::clone(&binding.wire_arguments), binding.constants),
            receiver: Receiver::new(Arc::clone(&binding.output)),
            arguments: 0,
            origin: 0,
            bytes: Bytes::default(),
            idle: Idle::default(),
        })
    }
}

/// A running `table-function`.
pub struct Expander {
    guest: Guest,
    tables: wire::Guest,
    expander: ResourceAny,
    sender: Sender,
    receiver: Receiver,
    /// Rows of arguments of the last `expand`.
    arguments: usize,
    /// The last row of arguments that rows came out of.
    origin: u32,
    bytes: Bytes,
    idle: Idle,
}

impl std::fmt::Debug for Expander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expander")
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

impl Expander {
    /// Expands a batch of arguments.
    ///
    /// # Errors
    /// What the guest reports, or what stopped it.
    pub async fn expand(&mut self, rows: usize, arguments: &[Column]) -> Result<TableStep> {
        let flat = self.sender.flatten(rows, arguments)?;
        let slices = flat.slices();
        let (tables, expander) = (&self.tables, self.expander);
        let answer = self
            .guest
            .call(async |store| {
                tables
                    .expander()
                    .call_expand(store, expander, flat.param(&slices))
                    .await
            })
            .await?;
        self.bytes.sent += flat.bytes();
        self.arguments = rows;
        self.origin = 0;
        self.step(answer)
    }

    /// More rows of the last [`Self::expand`].
    ///
    /// # Errors
    /// As for [`Self::expand`].
    pub async fn pull(&mut self) -> Result<TableStep> {
        let (tables, expander) = (&self.tables, self.expander);
        let answer = self
            .guest
            .call(async |store| tables.expander().call_pull(store, expander).await)
            .await?;
        self.step(answer)
    }

    fn step(&mut self, answer: Result<wire::Step, GuestError>) -> Result<TableStep> {
        let answer = answer.map_err(|e| guest_error(e, self.guest.limits()))?;
        let count = answer.output.as_ref().map_or(0, |rows| rows.columns.rows);
        self.idle.step(count as usize, answer.more)?;
        let Some(rows) = answer.output else {
            return Ok(TableStep {
                output: None,
                more: answer.more,
            });
        };
        let crossed = rows.columns.buffers.iter().map(Vec::len).sum::<usize>();
        self.bytes.received += crossed + rows.origins.len();
        let columns = self.receiver.batch(rows.columns)?;
        let origins = row_numbers(&rows.origins, self.arguments, "its rows come from")?;
        self.check_origins(&origins, columns.num_rows())?;
        Ok(TableStep {
            output: Some(Rows { columns, origins }),
            more: answer.more,
        })
    }

    fn check_origins(&mut self, origins: &UInt32Array, rows: usize) -> Result<()> {
        if origins.len() != rows {
            return Err(Error::contract(format!(
                "it returned {rows} rows and {} origins",
                origins.len()
            )));
        }
        for &origin in origins.values() {
            if origin < self.origin {
                return Err(Error::contract(format!(
                    "its rows go back from row {} of the arguments to row {origin}",
                    self.origin
                )));
            }
            self.origin = origin;
        }
        Ok(())
    }
}

accounted!(Expander);
