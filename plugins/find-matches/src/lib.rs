//! Finds records that mean the same thing, without labels or configuration.
//!
//! Given one table (dedupe) or two (link) of text columns, pure functions do the per-record and per-pair work and the
//! host's SQL engine does all joining, grouping and sorting between them (`guest/plan.rs`):
//!
//! ```text
//! Profiler   all rows, column by column      -> Profile       kinds, frequencies, blocking rules
//! Encoder    row                             -> blob, keys    parsed values; hashes that likely twins share
//! Comparer   blob, blob                      -> Pattern       one discrete level per feature
//! learn      patterns with counts            -> Model         latent classes: matches, relatives, others
//! Scorer     Pattern                         -> probability   and a signed weight per feature
//! cluster    pairs with probabilities        -> Membership    groups that hold together as a whole
//! ```
//!
//! Chosen: discrete patterns, so that learning sees counts and a million pairs cost what a few thousand do; value rarity
//! as levels rather than continuous weights; latent classes with structure rather than independence (see `learn`); one
//! leftmost naming column as the subject of a table, the one assumption about meaning.
//! Refused: rules or thresholds set by hand, embeddings (a model to ship, slow without a GPU, no explanation), connected
//! components (one weak pair welds two households).
//!
//! Everything is deterministic in its inputs, free of threads, clocks and randomness, and the same on every target.

mod atom;
mod cluster;
mod compare;
mod date;
mod encode;
mod error;
mod frequency;
mod ground;
mod guest;
mod hash;
mod kind;
mod learn;
mod model;
mod nicknames;
mod normalise;
mod profile;
mod record;
mod rules;
mod sample;
mod seed;
mod similarity;
mod text;
mod tokens;
mod value;

pub use cluster::{Edge, Membership, cluster, follow};
pub use compare::{Comparer, Feature, PATTERN_BYTES, Pattern};
pub use encode::Encoder;
pub use error::Error;
pub use guest::{CAP, REPEATS, TOP};
pub use kind::Kind;
pub use learn::{Counts, learn};
pub use model::{Explanation, Model, Scorer};
pub use profile::{Column, Profile, Profiler};
pub use sample::Sampler;
