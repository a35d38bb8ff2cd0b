//! The one door to `unsafe`, for two things that their libraries cannot check for us.
//!
//! Loading ahead-of-time compiled code runs it: wasmtime cannot check that the bytes came from
//! its own compiler. The proof is the type: [`Authentic`] is only made by the cache, after the
//! message authentication code over exactly these bytes held under a key that only this host's
//! user can read.
//!
//! A column without Arrow's look at every value: [`Unchecked`] gives out a reference only, for looking at
//! what the guest claims, until the caller has done the looking ([`crate::strings`]) and says that it believes it.

use arrow::array::{ArrayData, ArrayDataBuilder};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that this host compiled and that nobody changed since.
pub(crate) struct Authentic(Vec<u8>);

impl Authentic {
    /// `code` must be the output of [`Engine::precompile_component`] of this host, checked with
    /// its own key since it was read from disk.
    pub(crate) fn vouched(code: Vec<u8>) -> Self {
        Self(code)
    }

    /// Turns the machine code into a component.
    ///
    /// # Errors
    /// The code was made by another version or for another configuration of wasmtime.
    #[expect(
        unsafe_code,
        reason = "wasmtime cannot verify machine code; the cache did"
    )]
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes are those that `Engine::precompile_component` returned: `Authentic`
        // is made right after compilation or after the MAC over these same bytes, in memory,
        // was verified. A file that changes later cannot change them: they are not mapped.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}

/// A column of strings whose values nobody has looked at.
pub(crate) struct Unchecked(ArrayData);

impl Unchecked {
    /// Puts the parts together and aligns them, no more.
    ///
    /// # Errors
    /// Arrow's word.
    #[expect(
        unsafe_code,
        reason = "Arrow's own validation of strings costs several times as much as ours"
    )]
    pub(crate) fn of(builder: ArrayDataBuilder) -> Result<Self, String> {
        // SAFETY: what is built is reachable by reference only, and `ArrayData::validate`, `len` and `buffers` are sound
        // for any content; nothing reads values by trusting offsets or UTF-8 before `believed`.
        let data = unsafe { builder.skip_validation(true) }.build();
        data.map(Self).map_err(|e| e.to_string())
    }

    /// What is claimed, for looking at its buffers.
    pub(crate) fn data(&self) -> &ArrayData {
        &self.0
    }

    /// The caller found sizes, offsets and UTF-8 to be as Arrow demands.
    pub(crate) fn believed(self) -> ArrayData {
        self.0
    }
}
