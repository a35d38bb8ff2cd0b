//! HTTP: Glue's wire protocol over the catalog.
//!
//! ```text
//! POST /  X-Amz-Target: AWSGlue.<Operation>
//!   ── wire: which operation, JSON in, JSON or fault out, request id
//!   ── model: the service model's rules (required, length, range, pattern, enum)
//!   ── glue::<family>: one function for each operation
//!   ── tenon-catalog, on a thread that may block
//! ```
//!
//! | module | what |
//! |---|---|
//! | `server` | [`Server`], [`ServerConfig`]: the address, who may reach it, shutdown |
//! | `wire` | the protocol: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html> |
//! | `model` | constraints, read from `model/glue.json`, which `examples/glue_model.rs` makes |
//! | `glue` | the operations, and the table of what is supported |
//! | `token` | pagination tokens that cannot be made or changed by callers |
//! | `fault` | the one table from errors of the rooms to exception names of Glue |
//!
//! **Chosen: constraints are data.** One walk over a small file checks every request in AWS's words.
//! **Refused: generated structs with checks in them**: they are compiled for minutes and say the same.
//!
//! Not here yet: connections, tags, policies, STS. Signatures are not verified: without keys only loopback addresses are served.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails should say so at once"
    )
)]

mod fault;
mod glue;
mod model;
mod server;
mod token;
mod wire;

pub use glue::{coverage, supported};
pub use server::{Server, ServerConfig, ServerError};
