//! The `stream` world for plugin authors, and its adapter to the contract.

use std::cell::RefCell;
use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::accepts::Accepts;
use crate::bindings::base::tenon::plugin::types as wit;
use crate::bindings::stream::exports::tenon::plugin::stream as world;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::wire;

/// Most rows that are handed to the host in one batch; longer ones are cut.
const ROWS_PER_BATCH: usize = 65_536;

/// A function with state: any number of rows in from one or more inputs, any number out.
///
/// The host delivers the inputs one after the other: all of input 0, then `finish(0)`, all of
/// input 1, and so on. A small input that every instance needs first is a broadcast input
/// in front of the large one.
pub trait Stream: Sized + 'static {
    /// `[a-z][a-z0-9-]*`: how plans and jobs name it.
    const NAME: &'static str;
    /// One or two sentences for a person.
    const DOCS: &'static str;
    /// The forms of a column that it works on itself; all others arrive as plain arrays, and the schemas say so.
    const ACCEPTS: Accepts = Accepts::PLAIN;

    /// Decides how inputs of these schemas are treated. Pure.
    ///
    /// # Errors
    /// The configuration is wrong, or the inputs do not fit.
    fn bind(config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding>;

    /// Starts a partition. The schemas have only the needed columns, in the order of the binding.
    ///
    /// # Errors
    /// As for `bind`.
    fn open(config: &Config, inputs: &[SchemaRef]) -> Result<Self>;

    /// Takes rows of an input; returns rows that are ready.
    ///
    /// # Errors
    /// The data cannot be processed; the run fails at this node.
    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>>;

    /// An input has ended; returns rows that are ready.
    ///
    /// # Errors
    /// As for `push`.
    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>>;

    /// The state between two calls, in a form of its own, so that it can go on after a restart.
    ///
    /// # Errors
    /// By default: it cannot.
    fn snapshot(&self) -> Result<Vec<u8>> {
        Err(Error::Unsupported(format!(
            "{} keeps no snapshots",
            Self::NAME
        )))
    }

    /// Goes on where [`Stream::snapshot`] was. The other arguments are those of [`Stream::open`].
    ///
    /// # Errors
    /// By default: it cannot.
    fn restore(_config: &Config, _inputs: &[SchemaRef], _snapshot: &[u8]) -> Result<Self> {
        Err(Error::Unsupported(format!(
            "{} keeps no snapshots",
            Self::NAME
        )))
    }
}

/// How a function treats its inputs.
#[derive(Debug, Clone)]
pub struct StreamBinding {
    /// One for each input.
    pub inputs: Vec<Input>,
    /// What comes out.
    pub output: SchemaRef,
    /// Whether equal input gives equal output.
    pub deterministic: bool,
}

/// What a function wants of one input.
#[derive(Debug, Clone)]
pub struct Input {
    /// Positions of the columns that it gets, in this order.
    pub needs: Vec<usize>,
    /// How rows are spread over the instances.
    pub distribution: Distribution,
    /// Sort order within an instance, by position in the input: column, descending, nulls first.
    pub ordering: Vec<(usize, bool, bool)>,
}

impl Input {
    /// The columns of these names, in this order.
    ///
    /// # Errors
    /// A column is missing: names it and what there is.
    pub fn columns(schema: &SchemaRef, names: &[&str], distribution: Distribution) -> Result<Self> {
        let needs = names
            .iter()
            .map(|name| crate::column(schema, name))
            .collect::<Result<_>>()?;
        Ok(Self {
            needs,
            distribution,
            ordering: Vec::new(),
        })
    }
}

/// How the rows of an input are spread over the instances.
#[derive(Debug, Clone)]
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

/// A session whose type is forgotten, behind the contract's resource.
pub struct Session(RefCell<Running>);

struct Running {
    session: Box<dyn Push>,
    receivers: Vec<wire::Receiver>,
    sender: wire::Sender,
    ready: VecDeque<RecordBatch>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

trait Push {
    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>>;
    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>>;
    fn snapshot(&self) -> Result<Vec<u8>>;
}

impl<S: Stream> Push for S {
    fn push(&mut self, input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        Stream::push(self, input, batch)
    }

    fn finish(&mut self, input: usize) -> Result<Vec<RecordBatch>> {
        Stream::finish(self, input)
    }

    fn snapshot(&self) -> Result<Vec<u8>> {
        Stream::snapshot(self)
    }
}

impl Session {
    fn new(session: Box<dyn Push>, schemas: Vec<SchemaRef>) -> Self {
        Self(RefCell::new(Running {
            session,
            receivers: schemas.into_iter().map(wire::Receiver::new).collect(),
            sender: wire::Sender::default(),
            ready: VecDeque::new(),
        }))
    }

    /// Adapter of `session.push`.
    #[doc(hidden)]
    pub fn push(&self, input: u32, batch: wit::Batch) -> Result<world::Step, wit::Error> {
        let running = &mut *self.0.borrow_mut();
        let receiver = running
            .receivers
            .get_mut(input as usize)
            .ok_or_else(|| Error::Internal(format!("there is no input {input}")))?;
        let batch = receiver.batch(batch)?;
        let ready = running.session.push(input as usize, batch)?;
        running.step(ready)
    }

    /// Adapter of `session.finish`.
    #[doc(hidden)]
    pub fn finish(&self, input: u32) -> Result<world::Step, wit::Error> {
        let running = &mut *self.0.borrow_mut();
        let ready = running.session.finish(input as usize)?;
        running.step(ready)
    }

    /// Adapter of `session.pull`.
    #[doc(hidden)]
    pub fn pull(&self) -> Result<world::Step, wit::Error> {
        self.0.borrow_mut().step(Vec::new())
    }

    /// Adapter of `session.snapshot`.
    #[doc(hidden)]
    pub fn snapshot(&self) -> Result<Vec<u8>, wit::Error> {
        Ok(self.0.borrow().session.snapshot()?)
    }
}

impl Running {
    fn step(&mut self, ready: Vec<RecordBatch>) -> Result<world::Step, wit::Error> {
        self.ready.extend(ready.iter().flat_map(cut));
        let next = self.ready.pop_front();
        Ok(world::Step {
            output: next.map(|batch| self.sender.batch(batch)).transpose()?,
            more: !self.ready.is_empty(),
        })
    }
}

fn cut(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let starts = (0..batch.num_rows()).step_by(ROWS_PER_BATCH);
    starts.map(|start| batch.slice(start, ROWS_PER_BATCH.min(batch.num_rows() - start)))
}

/// Adapter of `bind`.
#[doc(hidden)]
pub fn bind<S: Stream>(
    config: &str,
    inputs: &[Vec<wit::Field>],
) -> Result<world::Binding, wit::Error> {
    let schemas = inputs
        .iter()
        .map(|input| wire::arriving_schema(input, S::ACCEPTS))
        .collect::<Result<Vec<_>>>()?;
    let binding = S::bind(&Config::from_json(config)?, &schemas)?;
    let determinism = crate::determinism(binding.deterministic);
    let output = wire::schema_to(&binding.output)?;
    let inputs = binding
        .inputs
        .into_iter()
        .map(|input| input_binding(input, S::ACCEPTS))
        .collect::<Result<_>>()?;
    Ok(world::Binding {
        inputs,
        output,
        determinism,
    })
}

fn schemas(inputs: &[Vec<wit::Field>]) -> Result<Vec<SchemaRef>> {
    inputs
        .iter()
        .map(|input| wire::schema_from(input))
        .collect()
}

fn input_binding(input: Input, accepts: Accepts) -> Result<world::InputBinding> {
    let keys = input
        .ordering
        .into_iter()
        .map(|(column, descending, nulls_first)| {
            let column = u32::try_from(column).map_err(|e| Error::Internal(e.to_string()))?;
            Ok(world::SortKey {
                column,
                descending,
                nulls_first,
            })
        });
    Ok(world::InputBinding {
        needs: crate::to_u32(&input.needs)?,
        accepts: accepts.into(),
        distribution: match input.distribution {
            Distribution::Any => world::Distribution::Any,
            Distribution::Single => world::Distribution::Single,
            Distribution::Hash(columns) => world::Distribution::Hash(crate::to_u32(&columns)?),
            Distribution::Broadcast => world::Distribution::Broadcast,
        },
        ordering: keys.collect::<Result<_>>()?,
    })
}

/// Adapter of `session.open`.
#[doc(hidden)]
pub fn open<S: Stream>(config: &str, inputs: &[Vec<wit::Field>]) -> Result<Session, wit::Error> {
    let schemas = schemas(inputs)?;
    let session = S::open(&Config::from_json(config)?, &schemas)?;
    Ok(Session::new(Box::new(session), schemas))
}

/// Adapter of `session.restore`.
#[doc(hidden)]
pub fn restore<S: Stream>(
    config: &str,
    inputs: &[Vec<wit::Field>],
    snapshot: &[u8],
) -> Result<Session, wit::Error> {
    let schemas = schemas(inputs)?;
    let session = S::restore(&Config::from_json(config)?, &schemas, snapshot)?;
    Ok(Session::new(Box::new(session), schemas))
}
