//! [`Digest`]: a fingerprint of everything that is stored, kept up to date with each change.
//!
//! ```text
//! digest(state) = sum over all entries of SipHash-1-3-128(space code | key length | key | value), modulo 2^128
//! ```
//!
//! A sum does not depend on the order, so an entry is exchanged by subtracting the old and adding the new
//! hash. The key of the hash is fixed: digests are compared across machines and engines, and they guard
//! against accidents and faults of the engine, not against someone who can write to the disk.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

use crate::tree::Space;

const HASH_KEY: [u8; 16] = *b"tenon-store-dig1";

pub(crate) const DIGEST_BYTES: usize = 16;

/// The digest of a set of entries; zero for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Digest(u128);

impl Digest {
    /// The digest of one entry.
    pub(crate) fn of(space: Space, key: &[u8], value: &[u8]) -> Self {
        let mut hasher = SipHasher13::new_with_key(&HASH_KEY);
        let mut head = [0; 5];
        head[0] = space.code();
        head[1..].copy_from_slice(&(key.len() as u32).to_be_bytes());
        hasher.write(&head);
        hasher.write(key);
        hasher.write(value);
        Self(hasher.finish128().as_u128())
    }

    /// The digest of this set of entries and the other's.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// The digest of this set of entries without the other's.
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }

    pub(crate) const fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        self.0.to_be_bytes()
    }

    pub(crate) const fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const SPACE: Space = Space::Records(Tree::Object);

    #[test]
    fn entries_are_told_apart_and_exchanged() {
        let a = Digest::of(SPACE, b"a", b"1");
        assert_ne!(a, Digest::of(SPACE, b"a1", b""));
        assert_ne!(a, Digest::of(Space::Chunks, b"a", b"1"));
        let b = Digest::of(SPACE, b"b", b"2");
        assert_eq!(a.plus(b), b.plus(a));
        assert_eq!(a.plus(b).minus(a), b);
        assert_eq!(Digest::from_bytes(a.to_bytes()), a);
    }

    /// Digests are stored: another value for the same entry would make every store look damaged.
    #[test]
    fn the_hash_is_the_stored_one() {
        assert_eq!(
            Digest::of(SPACE, b"key", b"value").to_string(),
            include_str!("../test-data/digest-v1.hex").trim()
        );
    }
}
