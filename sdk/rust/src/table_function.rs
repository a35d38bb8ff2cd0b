//! The `table-function` world for plugin authors, and its adapter to the contract.

use std::cell::RefCell;
use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::accepts::Accepts;
use crate::bindings::base::tenon::plugin::types as wit;
use crate::bindings::table_function::exports::tenon::plugin::table_function as world;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::wire;

/// Most rows that are handed to the host in one batch.
const ROWS_PER_BATCH: usize = 8_192;

/// A function that makes rows of its arguments: `select * from f(1, 'x')`, or for each row of a table with
/// `select * from t, lateral f(t.a)`.
pub trait TableFunction: Sized + 'static {
    /// `[a-z][a-z0-9-]*`; in SQL with `_` for `-`.
    const NAME: &'static str;
    /// One or two sentences for a person.
    const DOCS: &'static str;
    /// The forms of an argument that it works on itself; all others arrive as plain arrays.
    const ACCEPTS: Accepts = Accepts::PLAIN;

    /// Decides what comes out of arguments of these types; in SQL they are called `arg0`, `arg1`, … Pure.
    ///
    /// # Errors
    /// The configuration is wrong, or the arguments do not fit.
    fn bind(config: &Config, arguments: &Schema) -> Result<SchemaRef>;

    /// Starts a partition.
    ///
    /// # Errors
    /// As for `bind`.
    fn open(config: &Config, arguments: &SchemaRef) -> Result<Self>;

    /// The rows of one row of arguments, as an iterator of batches: they are taken when the host wants more.
    ///
    /// # Errors
    /// The arguments cannot be expanded; the run fails at this node.
    fn expand(
        &mut self,
        arguments: &RecordBatch,
        row: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>>>>;
}

/// An expander whose type is forgotten, behind the contract's resource.
pub struct Expander(RefCell<Running>);

struct Running {
    function: Box<dyn Expand>,
    receiver: wire::Receiver,
    sender: wire::Sender,
    /// The arguments in hand, the next row of them to be expanded, and the rows of the one before.
    arguments: Option<RecordBatch>,
    next: usize,
    current: Option<Box<dyn Iterator<Item = Result<RecordBatch>>>>,
    /// Parts of a batch that was too large, with their origin.
    ready: VecDeque<(u32, RecordBatch)>,
}

impl std::fmt::Debug for Expander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expander").finish_non_exhaustive()
    }
}

trait Expand {
    fn expand(
        &mut self,
        arguments: &RecordBatch,
        row: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>>>>;
}

impl<F: TableFunction> Expand for F {
    fn expand(
        &mut self,
        arguments: &RecordBatch,
        row: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>>>> {
        TableFunction::expand(self, arguments, row)
    }
}

impl Expander {
    /// Adapter of `expander.expand`.
    #[doc(hidden)]
    pub fn expand(&self, arguments: wit::Batch) -> Result<world::Step, wit::Error> {
        let running = &mut *self.0.borrow_mut();
        running.arguments = Some(running.receiver.batch(arguments)?);
        running.next = 0;
        running.current = None;
        running.step()
    }

    /// Adapter of `expander.pull`.
    #[doc(hidden)]
    pub fn pull(&self) -> Result<world::Step, wit::Error> {
        self.0.borrow_mut().step()
    }
}

impl Running {
    fn step(&mut self) -> Result<world::Step, wit::Error> {
        let (mut batches, mut origins, mut rows) = (Vec::new(), Vec::new(), 0);
        // Arguments mostly make a few rows each: many of them share a crossing.
        while rows < ROWS_PER_BATCH {
            let Some((origin, batch)) = self.next_batch()? else {
                break;
            };
            rows += batch.num_rows();
            origins.extend(std::iter::repeat_n(origin.to_le_bytes(), batch.num_rows()).flatten());
            batches.push(batch);
        }
        let more = rows >= ROWS_PER_BATCH;
        let Some(schema) = batches.first().map(RecordBatch::schema) else {
            return Ok(world::Step { output: None, more });
        };
        let together =
            arrow_select::concat::concat_batches(&schema, &batches).map_err(Error::from)?;
        let columns = self.sender.batch(together)?;
        let output = Some(world::Rows { columns, origins });
        Ok(world::Step { output, more })
    }

    /// The next rows, and whose they are.
    fn next_batch(&mut self) -> Result<Option<(u32, RecordBatch)>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            if let Some(batch) = self.current.as_mut().and_then(Iterator::next) {
                let origin = u32::try_from(self.next - 1)
                    .map_err(|_| Error::Internal("too many arguments".to_owned()))?;
                self.ready.extend(cut(&batch?).map(|part| (origin, part)));
                continue;
            }
            let Some(arguments) = &self.arguments else {
                return Ok(None);
            };
            if self.next == arguments.num_rows() {
                (self.arguments, self.current) = (None, None);
                return Ok(None);
            }
            self.current = Some(self.function.expand(arguments, self.next)?);
            self.next += 1;
        }
    }
}

fn cut(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let starts = (0..batch.num_rows()).step_by(ROWS_PER_BATCH);
    starts.map(|start| batch.slice(start, ROWS_PER_BATCH.min(batch.num_rows() - start)))
}

/// Adapter of `bind`.
#[doc(hidden)]
pub fn bind<F: TableFunction>(
    config: &str,
    arguments: &[wit::Field],
) -> Result<world::Binding, wit::Error> {
    let arguments = wire::arriving_schema(arguments, F::ACCEPTS)?;
    let output = F::bind(&Config::from_json(config)?, &arguments)?;
    Ok(world::Binding {
        accepts: F::ACCEPTS.into(),
        output: wire::schema_to(&output)?,
        determinism: crate::determinism(true),
    })
}

/// Adapter of `expander.open`.
#[doc(hidden)]
pub fn open<F: TableFunction>(
    config: &str,
    arguments: &[wit::Field],
) -> Result<Expander, wit::Error> {
    let arguments = wire::schema_from(arguments)?;
    let function = F::open(&Config::from_json(config)?, &arguments)?;
    Ok(Expander(RefCell::new(Running {
        function: Box::new(function),
        receiver: wire::Receiver::new(arguments),
        sender: wire::Sender::default(),
        arguments: None,
        next: 0,
        current: None,
        ready: VecDeque::new(),
    })))
}
