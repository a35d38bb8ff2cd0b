//! Text whose records are lines: fixed width ([`FixedWidthOptions`]) and logs ([`GrokOptions`]).
//!
//! ```text
//! bytes ─Lines─▶ a line, its number ─Splitter─▶ fields ─ csv's rules ─▶ schema, RecordBatch
//! ```
//!
//! A line that cannot be split is an error with its number. Text is UTF-8; an empty field is null.

mod fixed_width;
mod grok;
mod patterns;
mod read;

pub use fixed_width::{FixedColumn, FixedWidthOptions};
pub use grok::{GrokOptions, Unmatched};
