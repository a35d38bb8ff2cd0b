//! Tests of identity as a whole: over a store, with a clock that stands.
