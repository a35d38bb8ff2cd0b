//! The `aggregate` world for plugin authors, and its adapter to the contract.

use std::cell::RefCell;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::accepts::Accepts;
use crate::bindings::aggregate::exports::tenon::plugin::aggregate as world;
use crate::bindings::base::tenon::plugin::types as wit;
use crate::config::Config;
use crate::error::Result;
use crate::wire;

/// A function over groups of rows: also an aggregate function of SQL.
///
/// The host finds and numbers the groups. An accumulator holds the state of all groups of a partition; rows arrive
/// with the number of their group.
///
/// ```text
/// update …  state ──┐  when memory runs short, and between partitions
///                   └──> merge …  evaluate
/// ```
pub trait Aggregate: Sized + 'static {
    /// `[a-z][a-z0-9-]*`: how jobs name it; in SQL with `_` for `-`.
    const NAME: &'static str;
    /// One or two sentences for a person.
    const DOCS: &'static str;
    /// The forms of a column that it works on itself; all others arrive as plain arrays.
    const ACCEPTS: Accepts = Accepts::PLAIN;

    /// Decides how arguments of this schema are treated. Pure.
    ///
    /// # Errors
    /// The configuration is wrong, or the arguments do not fit.
    fn bind(config: &Config, input: &Schema) -> Result<AggregateBinding>;

    /// Starts a partition without groups.
    ///
    /// # Errors
    /// As for `bind`.
    fn open(config: &Config, input: &SchemaRef) -> Result<Self>;

    /// Adds rows: `groups` has the number of each row's group, below `groups_in_all`. Groups that were never seen
    /// are empty.
    ///
    /// # Errors
    /// The data cannot be processed; the run fails at this node.
    fn update(&mut self, batch: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()>;

    /// Adds states that came out of [`Aggregate::state`], in another instance maybe.
    ///
    /// # Errors
    /// As for `update`.
    fn merge(&mut self, states: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()>;

    /// Gives out the state of the groups that leave, one row each.
    ///
    /// # Errors
    /// As for `update`.
    fn state(&mut self, emit: Emit) -> Result<RecordBatch>;

    /// Gives out the result of the groups that leave, one row each.
    ///
    /// # Errors
    /// As for `update`.
    fn evaluate(&mut self, emit: Emit) -> Result<RecordBatch>;
}

/// How a function treats arguments of one schema.
#[derive(Debug, Clone)]
pub struct AggregateBinding {
    /// Positions of the arguments that it gets, in this order.
    pub needs: Vec<usize>,
    /// The columns that hold the state of a group.
    pub state: SchemaRef,
    /// The columns of the result; one, where it is called in SQL.
    pub output: SchemaRef,
    /// Whether equal input gives equal output.
    pub deterministic: bool,
}

/// Which groups leave an accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// All of them; none is left.
    All,
    /// So many, the first ones; the rest are renumbered from 0.
    First(usize),
}

impl Emit {
    /// Takes the values of the groups that leave out of a list with one value for each group.
    pub fn take<T>(self, values: &mut Vec<T>) -> Vec<T> {
        match self {
            Self::All => std::mem::take(values),
            Self::First(groups) => {
                let rest = values.split_off(groups.min(values.len()));
                std::mem::replace(values, rest)
            }
        }
    }
}

/// An accumulator whose type is forgotten, behind the contract's resource.
pub struct Accumulator(RefCell<Running>);

struct Running {
    accumulator: Box<dyn Accumulate>,
    input: wire::Receiver,
    states: wire::Receiver,
    state: wire::Sender,
    output: wire::Sender,
}

impl std::fmt::Debug for Accumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accumulator").finish_non_exhaustive()
    }
}

trait Accumulate {
    fn update(&mut self, batch: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()>;
    fn merge(&mut self, states: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()>;
    fn state(&mut self, emit: Emit) -> Result<RecordBatch>;
    fn evaluate(&mut self, emit: Emit) -> Result<RecordBatch>;
}

impl<A: Aggregate> Accumulate for A {
    fn update(&mut self, batch: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        Aggregate::update(self, batch, groups, groups_in_all)
    }

    fn merge(&mut self, states: RecordBatch, groups: &[u32], groups_in_all: usize) -> Result<()> {
        Aggregate::merge(self, states, groups, groups_in_all)
    }

    fn state(&mut self, emit: Emit) -> Result<RecordBatch> {
        Aggregate::state(self, emit)
    }

    fn evaluate(&mut self, emit: Emit) -> Result<RecordBatch> {
        Aggregate::evaluate(self, emit)
    }
}

impl Accumulator {
    /// Adapter of `accumulator.update`.
    #[doc(hidden)]
    pub fn update(&self, batch: wit::Batch, groups: &[u32], all: u32) -> Result<(), wit::Error> {
        let running = &mut *self.0.borrow_mut();
        let batch = running.input.batch(batch)?;
        Ok(running.accumulator.update(batch, groups, all as usize)?)
    }

    /// Adapter of `accumulator.merge`.
    #[doc(hidden)]
    pub fn merge(&self, states: wit::Batch, groups: &[u32], all: u32) -> Result<(), wit::Error> {
        let running = &mut *self.0.borrow_mut();
        let states = running.states.batch(states)?;
        Ok(running.accumulator.merge(states, groups, all as usize)?)
    }

    /// Adapter of `accumulator.state`.
    #[doc(hidden)]
    pub fn state(&self, emit: world::Emit) -> Result<wit::Batch, wit::Error> {
        let running = &mut *self.0.borrow_mut();
        let states = running.accumulator.state(emit.into())?;
        Ok(running.state.batch(states)?)
    }

    /// Adapter of `accumulator.evaluate`.
    #[doc(hidden)]
    pub fn evaluate(&self, emit: world::Emit) -> Result<wit::Batch, wit::Error> {
        let running = &mut *self.0.borrow_mut();
        let output = running.accumulator.evaluate(emit.into())?;
        Ok(running.output.batch(output)?)
    }
}

impl From<world::Emit> for Emit {
    fn from(emit: world::Emit) -> Self {
        match emit {
            world::Emit::All => Self::All,
            world::Emit::First(groups) => Self::First(groups as usize),
        }
    }
}

/// Adapter of `bind`.
#[doc(hidden)]
pub fn bind<A: Aggregate>(
    config: &str,
    input: &[wit::Field],
) -> Result<world::Binding, wit::Error> {
    let input = wire::arriving_schema(input, A::ACCEPTS)?;
    let binding = A::bind(&Config::from_json(config)?, &input)?;
    Ok(world::Binding {
        needs: crate::to_u32(&binding.needs)?,
        accepts: A::ACCEPTS.into(),
        state: wire::schema_to(&binding.state)?,
        output: wire::schema_to(&binding.output)?,
        determinism: crate::determinism(binding.deterministic),
    })
}

/// Adapter of `accumulator.open`.
#[doc(hidden)]
pub fn open<A: Aggregate>(config: &str, input: &[wit::Field]) -> Result<Accumulator, wit::Error> {
    let input = wire::schema_from(input)?;
    let config = Config::from_json(config)?;
    let states = A::bind(&config, &input)?.state;
    let accumulator = A::open(&config, &input)?;
    Ok(Accumulator(RefCell::new(Running {
        accumulator: Box::new(accumulator),
        input: wire::Receiver::new(input),
        states: wire::Receiver::new(states),
        state: wire::Sender::default(),
        output: wire::Sender::default(),
    })))
}
