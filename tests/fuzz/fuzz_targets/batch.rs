//! A schema and a batch that a guest returns.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(said) = tenon_host::fuzz::batch(bytes) {
        assert!(!said.starts_with("NOT "), "{said}");
    }
});
