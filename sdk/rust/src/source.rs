//! The `source` world for plugin authors, and its adapter to the contract.

use std::cell::RefCell;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::bindings::base::tenon::plugin::types as wit;
use crate::bindings::source::exports::tenon::plugin::source as world;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::wire;

/// A piece of a source that can be read alone, by another instance than the other pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Unique within the source; for a person.
    pub name: String,
    /// Whatever [`Source::open`] needs to find it.
    pub payload: Vec<u8>,
    /// How many rows it may have, when that is known.
    pub rows: Option<u64>,
}

/// A function that reads rows from outside. What it may reach is granted by the operator ([`crate::http`]).
pub trait Source: Sized + 'static {
    /// `[a-z][a-z0-9-]*`.
    const NAME: &'static str;
    /// One or two sentences for a person.
    const DOCS: &'static str;

    /// All columns that there are.
    ///
    /// # Errors
    /// The configuration is wrong, or the place cannot be reached.
    fn bind(config: &Config) -> Result<SchemaRef>;

    /// The pieces to read for these columns, and at most `limit` rows when it is given.
    ///
    /// # Errors
    /// As for `bind`.
    fn splits(config: &Config, columns: &[usize], limit: Option<u64>) -> Result<Vec<Split>>;

    /// Starts to read a piece.
    ///
    /// # Errors
    /// As for `bind`.
    fn open(config: &Config, columns: &[usize], payload: &[u8]) -> Result<Self>;

    /// Rows of the columns that were asked for, in that order; none at the end.
    ///
    /// # Errors
    /// The piece cannot be read to its end; the run fails at this node.
    fn next(&mut self) -> Result<Option<RecordBatch>>;
}

/// A reader whose type is forgotten, behind the contract's resource.
pub struct Reader(RefCell<Running>);

struct Running {
    source: Box<dyn Read>,
    sender: wire::Sender,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

trait Read {
    fn next(&mut self) -> Result<Option<RecordBatch>>;
}

impl<S: Source> Read for S {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        Source::next(self)
    }
}

impl Reader {
    /// Adapter of `reader.next`.
    #[doc(hidden)]
    pub fn next(&self) -> Result<Option<wit::Batch>, wit::Error> {
        let running = &mut *self.0.borrow_mut();
        match running.source.next()? {
            Some(batch) => Ok(Some(running.sender.batch(batch)?)),
            None => Ok(None),
        }
    }
}

/// Adapter of `bind`.
#[doc(hidden)]
pub fn bind<S: Source>(config: &str) -> Result<world::Binding, wit::Error> {
    let output = S::bind(&Config::from_json(config)?)?;
    Ok(world::Binding {
        output: wire::schema_to(&output)?,
        // What is outside changes without us.
        determinism: crate::determinism(false),
    })
}

/// Adapter of `splits`.
#[doc(hidden)]
pub fn splits<S: Source>(
    config: &str,
    columns: &[u32],
    limit: Option<u64>,
) -> Result<Vec<world::Split>, wit::Error> {
    let splits = S::splits(&Config::from_json(config)?, &positions(columns)?, limit)?;
    let split = |split: Split| world::Split {
        name: split.name,
        payload: split.payload,
        rows: split.rows,
    };
    Ok(splits.into_iter().map(split).collect())
}

/// Adapter of `reader.open`.
#[doc(hidden)]
pub fn open<S: Source>(
    config: &str,
    columns: &[u32],
    payload: &[u8],
) -> Result<Reader, wit::Error> {
    let source = S::open(&Config::from_json(config)?, &positions(columns)?, payload)?;
    Ok(Reader(RefCell::new(Running {
        source: Box::new(source),
        sender: wire::Sender::default(),
    })))
}

fn positions(columns: &[u32]) -> Result<Vec<usize>> {
    columns
        .iter()
        .map(|&column| usize::try_from(column).map_err(|e| Error::Internal(e.to_string())))
        .collect()
}
