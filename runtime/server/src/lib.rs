//! HTTP: Glue's wire protocol over the catalog, for many accounts.
//!
//! ```text
//! connection ── listen: how many, TLS, the end ── socket: clocks
//!   ── front: size, time, request id, log, numbers
//! POST /  X-Amz-Target: AWSGlue.<Operation>
//!   ── dispatch, identity: who asks, which tenant that is, what its account may
//!   ── wire: which operation, JSON in, JSON or fault out, request id
//!   ── model: the service model's rules (required, length, range, pattern, enum)
//!   ── glue::<family>: one function for each operation
//!   ── tenon-catalog, on a thread that may block
//! ```
//!
//! | module | what |
//! |---|---|
//! | `server` | [`Server`], [`ServerConfig`]: the address, who may reach it |
//! | `listen`, `socket`, `tls` | connections: accepting, [`TlsFiles`], clocks, an orderly end |
//! | `front`, `limits` | around every request: [`Limits`], record |
//! | `routes`, `health`, `rest` | paths besides Glue's; [`openapi`] |
//! | `metrics`, `telemetry`, `otlp` | numbers, [`telemetry`]: log and traces |
//! | `dispatch` | from a request to its operation and back |
//! | `identity` | [`Identity`]: accounts, access keys, signatures, bearer tokens, quotas |
//! | `audit` | [`AuditEntry`]: who changed what |
//! | `query` | STS and of IAM `GetRole`, in XML |
//! | `logs` | of CloudWatch Logs what tells of runs |
//! | `wire` | the protocol: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html> |
//! | `model` | constraints, read from `model/glue.json`, which `examples/glue_model.rs` makes |
//! | `glue` | the operations, the table of what is supported, and `shapes`: what they are asked and answer |
//! | `quota`, `share` | what an account may have; what one tenant takes of what all share |
//! | `analyst`, `tasks` | [`Analyst`], who finds out statistics, and the runs that ask it |
//! | `reach` | [`Network`], and the one way to addresses that callers name |
//! | `work` | [`Workers`]: who runs jobs, and the thread that gives them runs |
//! | `token` | pagination tokens that cannot be made or changed by callers |
//! | `fault` | the one table from errors of the rooms to exception names of Glue |
//!
//! **Chosen: constraints are data, shapes are types.** One walk over a small file checks every request in AWS's words.
//! What is read then, and what is answered, are structs of the same model, which check nothing and are written
//! straight to text. **Refused: generated structs with checks in them**: they are compiled for minutes and say the same.
//!
//! Everyone of an account may do everything in it.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails should say so at once"
    )
)]

mod analyst;
mod audit;
mod dispatch;
mod fault;
mod front;
mod glue;
mod health;
mod identity;
mod limits;
mod listen;
mod logs;
mod metrics;
mod model;
mod otlp;
mod query;
mod quota;
mod reach;
mod rest;
mod routes;
mod server;
mod share;
mod socket;
mod tasks;
pub mod telemetry;
mod tls;
mod token;
mod wire;
mod work;

pub use analyst::{Analysis, AnalysisError, Analyst};
pub use audit::{AuditEntry, AuditPage, AuditQuery};
pub use glue::{coverage, supported};
pub use health::Watchers;
pub use identity::{
    AccessKey, Account, BearerToken, Identity, IdentityConfig, IdentityError, NewKey, NewToken,
    Quotas, Secret, TokenScope,
};
pub use limits::Limits;
pub use logs::supported_logs;
pub use reach::Network;
pub use rest::openapi;
pub use server::{Server, ServerConfig, ServerError};
pub use tasks::TaskLimits;
pub use tls::{TlsError, TlsFiles};
pub use work::{JobWorkers, Workers};
