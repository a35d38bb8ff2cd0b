//! [`Tenant`] and [`Key`]: how records are addressed so that byte order is meaning order.
//!
//! ```text
//! stored key = tenant u32 BE | key
//! key        = (number BE | part)*
//! part       = bytes with 00 written as 00 FF, then 00 01
//! ```
//!
//! Keys compare by their first differing component: numbers as numbers, parts as byte strings, a part before
//! its longer continuations. No part can look like the beginning of another, so a prefix of whole components
//! selects exactly what lies below it: the tables of database `a` never include those of `ab`.
//!
//! The tenant is not part of [`Key`]. Every call takes it beside the key and it is written first, so no prefix
//! and no resume token, however it was made, reaches another tenant's records.

use std::fmt;

use crate::error::{Error, Result};

/// Longest key, in bytes after encoding and without the tenant. Together with the limit on values it keeps
/// the pages of the engine small.
pub const MAX_KEY_BYTES: usize = 2048;

const PART_END: [u8; 2] = [0, 1];
const ESCAPED_ZERO: [u8; 2] = [0, 0xff];

/// Whose record it is. Part of every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(u32);

impl Tenant {
    /// The server itself: records that belong to no tenant.
    pub const SYSTEM: Self = Self(0);

    /// The tenant with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The tenant's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Addresses a record within a tenant and a tree; also a prefix of such keys.
///
/// ```
/// use tenon_store::Key;
/// let tables_of_sales = Key::new().with_u8(2).with_part("sales");
/// let orders = tables_of_sales.clone().with_part("orders");
/// assert!(orders.starts_with(&tables_of_sales));
/// assert!(!Key::new().with_u8(2).with_part("sales2").starts_with(&tables_of_sales));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Vec<u8>);

impl Key {
    /// The empty key: as a prefix, everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A key from its encoded bytes, such as a resume token that was handed out earlier.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends a number of one byte.
    #[must_use]
    pub fn with_u8(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }

    /// Appends a number of four bytes.
    #[must_use]
    pub fn with_u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Appends a number of eight bytes.
    #[must_use]
    pub fn with_u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Appends bytes of any length and content.
    #[must_use]
    pub fn with_part(mut self, part: impl AsRef<[u8]>) -> Self {
        for &byte in part.as_ref() {
            match byte {
                0 => self.0.extend(ESCAPED_ZERO),
                byte => self.0.push(byte),
            }
        }
        self.0.extend(PART_END);
        self
    }

    /// Whether this key lies below `prefix`.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// Takes the key apart again.
    #[must_use]
    pub fn reader(&self) -> KeyReader<'_> {
        KeyReader(&self.0)
    }

    /// The bytes the engine sees.
    pub(crate) fn stored(&self, tenant: Tenant) -> Vec<u8> {
        [&tenant.0.to_be_bytes(), self.0.as_slice()].concat()
    }

    /// The key in bytes the engine returned; what lies before it is the tenant.
    pub(crate) fn of_stored(stored: &[u8]) -> Self {
        Self(stored.get(size_of::<u32>()..).unwrap_or_default().to_vec())
    }

    pub(crate) fn check_length(&self) -> Result<()> {
        let size = self.0.len();
        if size > MAX_KEY_BYTES {
            return Err(Error::TooLarge {
                what: "a key".to_owned(),
                size,
                limit: MAX_KEY_BYTES,
            });
        }
        Ok(())
    }
}

impl fmt::Display for Key {
    /// For messages only: `/` for the end of a part, other odd bytes as `\x..`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES: usize = 200;
        let mut rest = &self.0[..self.0.len().min(SHOWN_BYTES)];
        while let Some((&byte, after)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(&PART_END) {
                f.write_str("/")?;
                rest = after;
            } else {
                write!(f, "{}", byte.escape_ascii())?;
                rest = after;
            }
        }
        f.write_str(if self.0.len() > SHOWN_BYTES {
            "..."
        } else {
            ""
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// The key does not have the component that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key ends early or has another shape")]
pub struct BadKey;

/// Reads the components of a [`Key`] in the order they were appended.
#[derive(Debug, Clone)]
pub struct KeyReader<'a>(&'a [u8]);

impl KeyReader<'_> {
    /// The next component, appended by [`Key::with_u8`].
    ///
    /// # Errors
    /// [`BadKey`] when the key has ended.
    pub fn u8(&mut self) -> Result<u8, BadKey> {
        self.number().map(u8::from_be_bytes)
    }

    /// The next component, appended by [`Key::with_u32`].
    ///
    /// # Errors
    /// [`BadKey`] when the key has ended.
    pub fn u32(&mut self) -> Result<u32, BadKey> {
        self.number().map(u32::from_be_bytes)
    }

    /// The next component, appended by [`Key::with_u64`].
    ///
    /// # Errors
    /// [`BadKey`] when the key has ended.
    pub fn u64(&mut self) -> Result<u64, BadKey> {
        self.number().map(u64::from_be_bytes)
    }

    /// The next component, appended by [`Key::with_part`].
    ///
    /// # Errors
    /// [`BadKey`] when the key has ended or holds a zero that is neither escaped nor an end.
    pub fn part(&mut self) -> Result<Vec<u8>, BadKey> {
        let mut part = Vec::new();
        loop {
            match self.0 {
                [0, 1, rest @ ..] => {
                    self.0 = rest;
                    return Ok(part);
                }
                [0, 0xff, rest @ ..] => {
                    part.push(0);
                    self.0 = rest;
                }
                [0, ..] | [] => return Err(BadKey),
                [byte, rest @ ..] => {
                    part.push(*byte);
                    self.0 = rest;
                }
            }
        }
    }

    /// Whether every component has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that have not been read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], BadKey> {
        let (number, rest) = self.0.split_first_chunk().ok_or(BadKey)?;
        self.0 = rest;
        Ok(*number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key with its meaning beside it; tuples of the same shape compare as the keys should.
    type Meaning = (u8, Vec<u8>, u64, Vec<u8>, u32);

    fn encode((a, b, c, d, e): &Meaning) -> Key {
        Key::new()
            .with_u8(*a)
            .with_part(b)
            .with_u64(*c)
            .with_part(d)
            .with_u32(*e)
    }

    /// Bytes with many zeros, ones and 0xFF: the ones the escape is about.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![Just(0), Just(1), Just(0xff), Just(0xfe), any::<u8>()],
            0..6,
        )
    }

    fn meaning() -> impl Strategy<Value = Meaning> {
        let few = prop_oneof![Just(0), Just(1), Just(255), Just(256), any::<u64>()];
        (0..3_u8, part(), few, part(), any::<u32>())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn order_of_keys_is_order_of_meanings(a in meaning(), b in meaning()) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn keys_read_back(meaning in meaning()) {
            let key = encode(&meaning);
            let mut reader = key.reader();
            let read = (reader.u8(), reader.part(), reader.u64(), reader.part(), reader.u32());
            let (a, b, c, d, e) = meaning;
            prop_assert_eq!(read, (Ok(a), Ok(b), Ok(c), Ok(d), Ok(e)));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn a_part_is_a_prefix_only_of_itself(a in part(), b in part()) {
            let key = Key::new().with_part(&a).with_part(b"below");
            prop_assert_eq!(key.starts_with(&Key::new().with_part(&b)), a == b);
        }

        #[test]
        fn tenants_never_mix(a in any::<u32>(), b in any::<u32>(), x in meaning(), y in meaning()) {
            let order = encode(&x).stored(Tenant(a)).cmp(&encode(&y).stored(Tenant(b)));
            prop_assert_eq!(order, (a, &x).cmp(&(b, &y)));
        }

        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let key = Key::from_bytes(bytes);
            let mut reader = key.reader();
            while reader.part().is_ok() {}
            let _ = (reader.u8(), reader.u32(), reader.u64(), key.to_string());
        }
    }

    #[test]
    fn the_encoding_is_the_stored_one() {
        let key = Key::new().with_u8(7).with_part(b"a\0b").with_u32(258);
        assert_eq!(
            key.stored(Tenant(0x0102_0304)),
            b"\x01\x02\x03\x04\x07a\0\xffb\0\x01\0\0\x01\x02"
        );
        let shown = Key::new().with_u8(2).with_part("sales").with_part("a\0b");
        assert_eq!(shown.to_string(), r"\x02sales/a\x00\xffb/");
    }
}
