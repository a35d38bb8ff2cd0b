//! Arrow schemas and arrays to and from the contract's fields, nodes and buffers, on the guest's side.
//!
//! What comes in was made by the host and is taken as valid; what goes out is checked by the host.

mod receive;
mod schema;
mod send;

#[cfg(test)]
mod tests;

pub(crate) use receive::Receiver;
pub(crate) use schema::{arriving_schema, schema_from, schema_to};
pub(crate) use send::Sender;
