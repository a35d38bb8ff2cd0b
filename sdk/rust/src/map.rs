//! The `map` world for plugin authors, and its adapter to the contract.

use std::cell::RefCell;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::accepts::Accepts;
use crate::bindings::base::tenon::plugin::types as wit;
use crate::bindings::map::exports::tenon::plugin::map as world;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::wire;

/// A function from batch to new columns and a choice of rows.
///
/// ```text
/// bind    once, while a job is planned: which columns it needs, what it adds
/// open    once per partition
/// apply   batch after batch
/// ```
pub trait Map: Sized + 'static {
    /// `[a-z][a-z0-9-]*`: how jobs name it.
    const NAME: &'static str;
    /// One or two sentences for a person.
    const DOCS: &'static str;
    /// The forms of a column that it works on itself; all others arrive as plain arrays, and the schemas say so.
    const ACCEPTS: Accepts = Accepts::PLAIN;

    /// Decides how an input of this schema is treated. Pure.
    ///
    /// # Errors
    /// The configuration is wrong, or the columns do not fit.
    fn bind(config: &Config, input: &Schema) -> Result<MapBinding>;

    /// Starts a partition. `input` has only the needed columns, in the order of the binding.
    ///
    /// # Errors
    /// As for `bind`.
    fn open(config: &Config, input: &SchemaRef) -> Result<Self>;

    /// Maps one batch.
    ///
    /// # Errors
    /// The data cannot be processed; the run fails at this node.
    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped>;
}

/// How a function treats one input schema.
#[derive(Debug, Clone)]
pub struct MapBinding {
    /// Positions of the input columns that it gets, in this order. Others never cross.
    pub needs: Vec<usize>,
    /// The columns that it returns.
    pub output: SchemaRef,
    /// The input columns that the host carries over.
    pub keep: Keep,
    /// Whether equal input gives equal output.
    pub deterministic: bool,
}

/// The input columns that the host carries over by itself.
#[derive(Debug, Clone)]
pub enum Keep {
    /// All; an output column of the same name takes an input column's place.
    All,
    /// None: the output columns are the whole row.
    None,
    /// These, by position.
    Columns(Vec<usize>),
}

/// What becomes of one batch.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// Columns of the binding's output, one row for each selected row.
    pub columns: RecordBatch,
    /// Which rows of the batch survive; `None`: every row, in order.
    pub selection: Option<Selection>,
}

/// Which rows of a batch survive.
#[derive(Debug, Clone)]
pub enum Selection {
    /// One flag for each row.
    Mask(arrow_buffer::BooleanBuffer),
    /// Row numbers; a row may come more than once, in any order.
    Indices(Vec<u32>),
}

impl From<RecordBatch> for Mapped {
    fn from(columns: RecordBatch) -> Self {
        Self {
            columns,
            selection: None,
        }
    }
}

/// A mapper whose type is forgotten, behind the contract's resource.
pub struct Mapper(RefCell<Running>);

struct Running {
    mapper: Box<dyn Apply>,
    receiver: wire::Receiver,
    sender: wire::Sender,
}

impl std::fmt::Debug for Mapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapper").finish_non_exhaustive()
    }
}

trait Apply {
    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped>;
}

impl<M: Map> Apply for M {
    fn apply(&mut self, batch: RecordBatch) -> Result<Mapped> {
        Map::apply(self, batch)
    }
}

impl Mapper {
    /// Adapter of `mapper.apply`.
    #[doc(hidden)]
    pub fn apply(&self, batch: wit::Batch) -> Result<world::Mapped, wit::Error> {
        let mut running = self.0.borrow_mut();
        let batch = running.receiver.batch(batch)?;
        let mapped = running.mapper.apply(batch)?;
        let selection = mapped.selection.map(|selection| match selection {
            Selection::Mask(mask) => world::Selection::Bitmap(mask.sliced().as_slice().to_vec()),
            Selection::Indices(rows) => {
                world::Selection::Indices(rows.iter().flat_map(|row| row.to_le_bytes()).collect())
            }
        });
        Ok(world::Mapped {
            columns: running.sender.batch(mapped.columns)?,
            selection,
        })
    }
}

/// Adapter of `bind`.
#[doc(hidden)]
pub fn bind<M: Map>(config: &str, input: &[wit::Field]) -> Result<world::Binding, wit::Error> {
    let input = wire::arriving_schema(input, M::ACCEPTS)?;
    let binding = M::bind(&Config::from_json(config)?, &input)?;
    let determinism = crate::determinism(binding.deterministic);
    Ok(world::Binding {
        needs: crate::to_u32(&binding.needs)?,
        accepts: M::ACCEPTS.into(),
        output: wire::schema_to(&binding.output)?,
        keep: match binding.keep {
            Keep::All => world::Keep::All,
            Keep::None => world::Keep::None,
            Keep::Columns(columns) => world::Keep::Columns(crate::to_u32(&columns)?),
        },
        determinism,
    })
}

/// Adapter of `mapper.open`.
#[doc(hidden)]
pub fn open<M: Map>(config: &str, input: &[wit::Field]) -> Result<Mapper, wit::Error> {
    let input = wire::schema_from(input)?;
    let mapper = M::open(&Config::from_json(config)?, &input)?;
    Ok(Mapper(RefCell::new(Running {
        mapper: Box::new(mapper),
        receiver: wire::Receiver::new(input),
        sender: wire::Sender::default(),
    })))
}

/// The answer for a name that no function has.
#[doc(hidden)]
pub fn unknown<T>(function: &str) -> Result<T, wit::Error> {
    Err(Error::Unsupported(format!("there is no function {function:?}")).into())
}
