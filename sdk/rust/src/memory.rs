//! Memory of a guest: who frees what, moving it out of Arrow's hands and into them.
//!
//! An Arrow buffer of doubles was allocated with an alignment of 8, the canonical ABI's `list<u8>` is freed with an
//! alignment of 1. For the allocator of `wasm32-unknown-unknown` (dlmalloc in the standard library) a block is found by
//! its address alone, so that the bytes need not be copied in between.

use arrow_array::OffsetSizeTrait;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use crate::error::{Error, Result};

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

/// Offsets of strings, binary values or lists, as Arrow wants them: none negative, none below the one before.
///
/// Arrow compares them one after the other, which in the sandbox takes two nanoseconds each; here it is vector code, which
/// looks at the sandbox's clock once for each block.
///
/// # Errors
/// There is none, the first is negative, or one is below the one before.
#[expect(unsafe_code, reason = "Arrow would compare every offset again")]
pub fn rising_offsets<O: OffsetSizeTrait>(offsets: Vec<O>) -> Result<OffsetBuffer<O>> {
    const BLOCK: usize = 32;
    let falls = |before: &[O], after: &[O]| {
        let pairs = before.iter().zip(after);
        pairs.fold(0, |falls, (before, after)| {
            falls + u32::from(before > after)
        })
    };
    let (before, _) = offsets.as_chunks::<BLOCK>();
    let (after, last) = offsets.get(1..).unwrap_or_default().as_chunks::<BLOCK>();
    let mut blocks = before.iter().zip(after);
    let in_order = blocks.all(|(before, after)| falls(before, after) == 0)
        && falls(&offsets[after.len() * BLOCK..], last) == 0;
    if !in_order || offsets.first().is_none_or(|first| *first < O::default()) {
        return Err(Error::Internal(
            "offsets must begin with one that is not negative, and never decrease".to_owned(),
        ));
    }
    // SAFETY: just seen: not empty, the first is not negative, none is below the one before.
    Ok(unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_rise() {
        assert_eq!(
            rising_offsets(vec![0, 2, 2, 5]).unwrap(),
            OffsetBuffer::new(vec![0, 2, 2, 5].into())
        );
        assert_eq!(rising_offsets(vec![3_i64]).unwrap().len(), 1);
        for bad in [vec![], vec![-1, 0], vec![0, 3, 2], vec![0, 1, -1]] {
            assert!(rising_offsets(bad.clone()).is_err(), "{bad:?}");
        }
        let many: Vec<i32> = (0..100).collect();
        assert_eq!(rising_offsets(many.clone()).unwrap().len(), 100);
        for at in 1..100 {
            let mut falling = many.clone();
            falling[at] = falling[at - 1] - 1;
            assert!(rising_offsets(falling).is_err(), "falls at {at}");
        }
    }
}
