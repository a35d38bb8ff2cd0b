//! The sandbox: load, link, limit and call components.
//!
//! ```text
//! Host ──load──> Plugin ──bind_*──> binding ──open_*──> MapInstance / StreamInstance
//!  │ engine        │ compiled,        needed columns,     one Store each: limits,
//!  │ AOT cache     │ linked           output schema       budget, log
//!  └ epoch clock   └ expand ─────────> Expansion (SQL and calls)
//! ```
//!
//! This is the only room that says wasmtime, and the only one with `unsafe`: one door, `door.rs`. It knows
//! Arrow and no query engine, so that the sandbox is tested alone and an upgrade of DataFusion
//! cannot touch it. Memory is charged through the two methods of [`Budget`].
//!
//! Chosen: Arrow buffers lowered in place, one memcpy each, 70 to 95 ns a buffer. Refused: Arrow IPC
//! bytes, which cost ten times as much on the host alone for numbers, and whose decoder panics
//! or aborts on bytes that a hostile guest may write.
//!
//! Chosen: a pool of slots for instances, whose pages stay mapped between one instance and the next. Refused:
//! allocation on demand, which maps and unmaps 4 GiB of address space for each instance.
//!
//! # What counts as a security bug
//! A component that reads or writes anything of the host's or of another instance's; that makes the
//! process panic or abort, or run on after its limits; that gets bytes into the engine which do not have
//! the schema of its binding. Not one: that it returns wrong values of the right type.

mod aggregate;
mod bindings;
mod budget;
mod cache;
mod compile;
mod door;
mod error;
mod flatten;
#[doc(hidden)]
pub mod fuzz;
mod guest;
mod http;
mod limits;
mod map;
mod plan;
mod plugin;
mod rebuild;
mod schema;
mod sizes;
mod source;
mod stream;
mod strings;
mod table_function;

pub use aggregate::{Accumulator, AggregateBinding, Emit};
pub use budget::{Budget, FixedBudget};
pub use compile::{CompileLimits, Compiler, compile_worker};
pub use error::{Error, Result};
pub use flatten::Column;
pub use guest::{LogLine, Run};
pub use http::{Http, HttpAnswer, HttpFailure, HttpRequest, HttpResponse, MAX_REQUESTS};
pub use limits::{
    LIMITS, Limit, LimitError, LimitSettings, Limits, MAX_COMPONENT_BYTES, TICK, Unit, parse_bytes,
};
pub use map::{Bytes, MapBinding, MapInstance, Mapped, NodeColumn};
pub use plan::{Expansion, PlanBody, PlanOutput, PlanStep};
pub use plugin::{Function, Host, HostConfig, Kind, MAX_INSTANCES, Meter, Plugin};
pub use rebuild::{Selection, round_trip};
pub use sizes::full_bytes;
pub use source::{SourceBinding, SourceInstance, Split};
pub use stream::{Distribution, InputBinding, SortKey, Step, StreamBinding, StreamInstance};
pub use table_function::{Expander, Rows, TableFunctionBinding, TableStep};
