//! Memory of a guest: who frees what, and moving it out of Arrow's hands.
//!
//! An Arrow buffer of doubles was allocated with an alignment of 8, the canonical ABI's `list<u8>` is freed with an
//! alignment of 1. For the allocator of `wasm32-unknown-unknown` (dlmalloc in the standard library) a block is found by
//! its address alone, so that the bytes need not be copied in between.

use arrow_buffer::Buffer;

/// The bytes of a buffer: moved when nobody else holds it, else copied.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn into_bytes(buffer: Buffer) -> Vec<u8> {
    buffer
        .into_vec::<u8>()
        .unwrap_or_else(|buffer| buffer.as_slice().to_vec())
}

/// The bytes of a buffer: moved when nobody else holds it, else copied.
#[cfg(target_arch = "wasm32")]
pub(crate) fn into_bytes(buffer: Buffer) -> Vec<u8> {
    let length = buffer.len();
    // `into_vec` gives a vector out only when it was allocated with the alignment of its elements.
    let buffer = match buffer.into_vec::<u8>() {
        Ok(bytes) => return bytes,
        Err(buffer) => buffer,
    };
    let buffer = match buffer.into_vec::<u64>() {
        Ok(words) => return without_alignment(words, length),
        Err(buffer) => buffer,
    };
    match buffer.into_vec::<u32>() {
        Ok(words) => without_alignment(words, length),
        Err(buffer) => buffer.as_slice().to_vec(),
    }
}

/// The first `length` bytes of a vector that holds as many.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "a copy of every numeric column that leaves")]
fn without_alignment<T: arrow_buffer::ArrowNativeType>(words: Vec<T>, length: usize) -> Vec<u8> {
    let mut words = std::mem::ManuallyDrop::new(words);
    let capacity = words.capacity() * size_of::<T>();
    // SAFETY: the block has `capacity` bytes, of which Arrow initialised `length` as plain numbers. It will be
    // freed or resized with an alignment of 1 where 4 or 8 was asked for; the allocator of this target ignores
    // alignments up to 8, which all its blocks have.
    unsafe {
        Vec::from_raw_parts(
            words.as_mut_ptr().cast::<u8>(),
            length.min(capacity),
            capacity,
        )
    }
}
