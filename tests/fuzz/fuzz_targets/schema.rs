//! A schema that a guest returns.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(said) = tenon_host::fuzz::schema(bytes) {
        assert!(!said.starts_with("NOT "), "{said}");
    }
});
