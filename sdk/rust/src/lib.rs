//! What plugin authors use: Arrow batches in, Arrow batches out.
//!
//! A function of columns, or of batches, becomes a plugin with one attribute; the function itself
//! stays as it is, so that its unit tests run natively.
//!
//! ```
//! use tenon_sdk::prelude::*;
//!
//! /// Upper-cases a name.
//! #[tenon_sdk::plugin]
//! fn shout(name: &StringArray) -> StringArray {
//!     name.iter().map(|value| value.map(str::to_uppercase)).collect()
//! }
//!
//! # fn main() {
//! let names = StringArray::from(vec![Some("ada"), None]);
//! assert_eq!(shout(&names), StringArray::from(vec![Some("ADA"), None]));
//! # }
//! ```
//!
//! A function of single values works too, row by row; a row with a missing argument gives a missing result.
//!
//! ```
//! use tenon_sdk::prelude::*;
//!
//! /// The greatest common divisor.
//! #[tenon_sdk::plugin]
//! fn gcd(a: i64, b: i64) -> i64 {
//!     if b == 0 { a } else { gcd(b, a % b) }
//! }
//! # fn main() { assert_eq!(gcd(12, 18), 6); }
//! ```
//!
//! Functions with state, over groups, that make rows, plan SQL or read from outside implement [`Map`], [`Stream`],
//! [`Aggregate`], [`TableFunction`], [`Plan`] or [`Source`]: the same attribute on the `impl` makes a plugin of it. Several functions
//! in one component are named in one [`export!`] instead.
//!
//! This crate knows `wit/` and nothing else of tenon. A `panic!` of a plugin ends its instance and
//! becomes the run's error, with the panic's message and place.

// The attribute's output says `::tenon_sdk`, in this crate's own examples too.
extern crate self as tenon_sdk;

mod accepts;
#[doc(hidden)]
pub mod aggregate;
#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod columns;
mod config;
mod error;
mod export;
pub mod http;
#[doc(hidden)]
pub mod map;
mod memory;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod rows;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod stream;
#[doc(hidden)]
pub mod table_function;
mod wire;

use arrow_schema::Schema;

pub use accepts::Accepts;
pub use aggregate::{Accumulator, Aggregate, AggregateBinding, Emit};
pub use arrow_array;
pub use arrow_buffer;
pub use arrow_schema;
pub use columns::{Column, IntoColumn};
pub use config::Config;
pub use error::{Error, Result};
pub use map::{Keep, Map, MapBinding, Mapped, Mapper, Selection};
pub use memory::rising_offsets;
pub use plan::{Expansion, NamedInput, Plan};
pub use serde;
pub use serde_json;
pub use source::{Reader, Source, Split};
pub use stream::{Distribution, Input, Session, Stream, StreamBinding};
pub use table_function::{Expander, TableFunction};
pub use tenon_sdk_macros::plugin;

use bindings::base::exports::tenon::plugin::meta;
use bindings::base::tenon::plugin::types as wit;

/// What most plugins need.
pub mod prelude {
    pub use crate::{
        Accepts, Aggregate, AggregateBinding, Config, Distribution, Emit, Error, Expansion, Input,
        Keep, Map, MapBinding, Mapped, NamedInput, Plan, Result, Selection, Source, Split, Stream,
        StreamBinding, TableFunction,
    };
    pub use arrow_array::cast::AsArray;
    pub use arrow_array::{
        Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array,
        Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt8Array,
        UInt32Array, UInt64Array,
    };
    pub use arrow_schema::{DataType, Field, Schema, SchemaRef};
}

/// The world that a function belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Kind {
    /// [`Map`].
    Map,
    /// [`Stream`].
    Stream,
    /// [`Aggregate`].
    Aggregate,
    /// [`TableFunction`].
    TableFunction,
    /// [`Plan`].
    Plan,
    /// [`Source`].
    Source,
}

/// The position of a column.
///
/// # Errors
/// There is none of that name: says which there are.
pub fn column(schema: &Schema, name: &str) -> Result<usize> {
    schema.index_of(name).map_err(|_| {
        let there: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        Error::Unsupported(format!(
            "there is no column {name:?}; the input has {}",
            there.join(", ")
        ))
    })
}

/// Writes a line to the run's log. Does nothing outside of a component.
pub fn log(message: &str) {
    #[cfg(target_arch = "wasm32")]
    bindings::base::tenon::plugin::host::log(
        bindings::base::tenon::plugin::host::Level::Info,
        message,
    );
    #[cfg(not(target_arch = "wasm32"))]
    let _ = message;
}

/// When the run started, in milliseconds since 1970-01-01 00:00 UTC: the same in every call of a run, and when the run
/// is repeated. 0 outside of a component.
#[must_use]
pub fn run_started_millis() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return bindings::base::tenon::plugin::host::run_started();
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// A seed for random numbers: the same in every instance of a run, and when the run is repeated. 0 outside of a component.
#[must_use]
pub fn run_seed() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return bindings::base::tenon::plugin::host::run_seed();
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// Sends the message of a panic to the host before the instance ends.
#[doc(hidden)]
pub fn install_panic_hook() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| {
                bindings::base::tenon::plugin::host::panicked(&info.to_string())
            }))
        });
    }
}

#[doc(hidden)]
pub fn describe(name: &str, kind: Kind, docs: &str) -> meta::Function {
    let kind = match kind {
        Kind::Map => meta::Kind::Map,
        Kind::Stream => meta::Kind::Stream,
        Kind::Aggregate => meta::Kind::Aggregate,
        Kind::TableFunction => meta::Kind::TableFunction,
        Kind::Plan => meta::Kind::Plan,
        Kind::Source => meta::Kind::Source,
    };
    meta::Function {
        name: name.to_owned(),
        kind,
        docs: docs.to_owned(),
    }
}

fn determinism(deterministic: bool) -> wit::Determinism {
    if deterministic {
        wit::Determinism::Deterministic
    } else {
        wit::Determinism::Volatile
    }
}

fn to_u32(positions: &[usize]) -> Result<Vec<u32>> {
    positions
        .iter()
        .map(|p| u32::try_from(*p).map_err(|e| Error::Internal(e.to_string())))
        .collect()
}

#[doc(hidden)]
pub const fn is_map<M: Map>() {}

#[doc(hidden)]
pub const fn is_stream<S: Stream>() {}

#[doc(hidden)]
pub const fn is_aggregate<A: Aggregate>() {}

#[doc(hidden)]
pub const fn is_table_function<F: TableFunction>() {}

#[doc(hidden)]
pub const fn is_plan<P: Plan>() {}

#[doc(hidden)]
pub const fn is_source<S: Source>() {}
