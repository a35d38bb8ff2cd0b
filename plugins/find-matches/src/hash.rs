//! Seeded 64-bit hashing that gives the same answer on every target.
//!
//! Blocking keys and token ids cross between instances and meet in the host's joins, so they must not depend on the
//! width of `usize` or on a random state. [`bytes`] hashes text, [`mix`] folds two hashes into one.

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Hashes `text` under `seed`; different seeds give independent hashes.
pub(crate) fn bytes(seed: u64, text: &[u8]) -> u64 {
    let mut state = seed ^ (text.len() as u64).wrapping_mul(MULTIPLIER);
    let mut words = text.chunks_exact(8);
    for word in words.by_ref() {
        state = fold(state ^ u64::from_le_bytes(word.try_into().unwrap_or_default()));
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let word = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = fold(state ^ word);
    }
    finish(state)
}

/// Folds `right` into `left`; the order matters.
pub(crate) fn mix(left: u64, right: u64) -> u64 {
    finish(fold(left ^ MULTIPLIER) ^ right)
}

/// The 32-bit id of a token or value.
pub(crate) fn short(text: &[u8]) -> u32 {
    (bytes(1, text) >> 32) as u32
}

/// Products of 64 bits only: one of 128 is a call of a function in WebAssembly.
fn fold(word: u64) -> u64 {
    let product = word.wrapping_mul(MULTIPLIER);
    product ^ (product >> 29)
}

fn finish(mut word: u64) -> u64 {
    word ^= word >> 32;
    word = word.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    word ^= word >> 32;
    word = word.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    word ^ (word >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_stable_across_builds() {
        assert_eq!(bytes(1, b"smith"), 4_458_764_664_683_160_197);
        assert_eq!(bytes(1, b"a longer name"), 1_027_633_143_576_352_879);
        assert_ne!(bytes(1, b"smith"), bytes(2, b"smith"));
        assert_ne!(bytes(1, b"smith"), bytes(1, b"smith\0"));
        assert_ne!(mix(1, 2), mix(2, 1));
    }

    #[test]
    fn short_ids_rarely_collide() {
        let mut seen: Vec<u32> = (0..20_000u32)
            .map(|n| short(format!("token{n}").as_bytes()))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 19_990);
    }
}
