//! The manifest in a component.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = tenon_registry::read_manifest(bytes);
});
