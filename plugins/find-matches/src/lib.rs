//! Finds records that mean the same thing, without labels or configuration.

mod atom;
mod cluster;
mod compare;
mod date;
mod encode;
mod error;
mod frequency;
mod ground;
mod hash;
mod kind;
mod learn;
mod model;
mod nicknames;
mod normalise;
mod profile;
mod record;
mod rules;
mod seed;
mod similarity;
mod text;
mod tokens;
mod value;

pub use cluster::{Edge, Membership, cluster};
pub use compare::{Comparer, Feature, PATTERN_BYTES, Pattern};
pub use encode::Encoder;
pub use error::Error;
pub use kind::Kind;
pub use learn::{Counts, learn};
pub use model::{Explanation, Model, Scorer};
pub use profile::{Column, Profile, Profiler};
