//! The one door to `unsafe`.
//!
//! Loading ahead-of-time compiled code runs it: wasmtime cannot check that the bytes came from
//! its own compiler. The proof is the type: [`Authentic`] is only made by the cache, after the
//! message authentication code over exactly these bytes held under a key that only this host's
//! user can read.

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
