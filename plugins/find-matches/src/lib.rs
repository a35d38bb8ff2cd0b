//! Finds records that mean the same thing, without labels or configuration; with labels, better.
//!
//! Given one table (dedupe) or two (link) of text columns, pure functions do the per-record and per-pair work and the
//! host's SQL engine numbers, joins, groups and sorts rows around them (`guest/plan`):
//!
//! ```text
//! Profiler   all rows, column by column      -> Profile       kinds, frequencies, blocking rules
//! Encoder    row                             -> blob, keys    parsed values; hashes that likely twins share
//! Nominator  keys of all records             -> Candidates    pairs worth comparing
//! Comparer   blob, blob                      -> Pattern       one discrete level per feature
//! Lessons    patterns with counts, labels    -> Model         latent classes: matches, relatives, others; trees
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

mod account;
mod archive;
mod ask;
mod atom;
mod budget;
mod cluster;
mod compare;
mod date;
mod encode;
mod error;
mod frequency;
mod ground;
mod guest;
mod hash;
mod judge;
mod kind;
mod labels;
mod learn;
mod lessons;
mod model;
mod nicknames;
mod nominate;
mod normalise;
mod profile;
mod quality;
mod record;
mod rules;
mod sample;
mod seed;
mod similarity;
mod smallest;
mod stable;
mod text;
mod tokens;
mod train;
mod trees;
mod twins;
mod value;

pub use account::{Account, Line, Side, account};
pub use archive::Archive;
pub use ask::{Drawn, Question, label_sets, questions};
pub use budget::Budget;
pub use cluster::{Edge, Known, Membership, cluster, follow, weakest_links};
pub use compare::{Comparer, Feature, PATTERN_BYTES, Pattern};
pub use encode::Encoder;
pub use error::Error;
pub use judge::Judge;
pub use kind::Kind;
pub use labels::{LabelRow, LabelledPair, Labels};
pub use lessons::{Lessons, Wishes};
pub use model::{Explanation, Model, Scorer};
pub use nominate::{Candidate, Facing, Nominator};
pub use profile::{Column, Profile, Profiler};
pub use quality::{Confusion, Estimated, Expected, Importance, Interval, LabelCounts, Quality};
pub use stable::{stable_ids, standing};
