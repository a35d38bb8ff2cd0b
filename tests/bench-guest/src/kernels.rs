//! The kernels of the benchmarks, over the slices of Arrow arrays: the one source that runs natively, as a plugin, and
//! in the guest of the arrow-udf peer, which has another version of Arrow and therefore includes this file.
//!
//! Shaped for a compiler that checks a clock at the end of each turn of a loop, as the sandbox's does: the inner loops
//! have a fixed length, so that they are unrolled and use SIMD, and the clock is looked at once for each `LANES` rows. No
//! row allocates: strings are written into one buffer, copied in blocks of fixed size, because a copy of
//! variable size is a call in wasm. Rows under a null are computed like others; the caller keeps the validity.

use regex::bytes::Regex;

/// Rows of one turn of the inner loops.
const LANES: usize = 32;

/// Bytes of one turn of the inner loops over text.
const BLOCK: usize = 16;

/// What `matches` looks for: a plain e-mail address under `.com` or `.org`.
pub const ADDRESS: &str = r"^[a-z0-9._]+@[a-z0-9-]+\.(com|org)$";

/// Text as Arrow lays it out: row `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strings {
    /// One more than there are rows; the first is 0.
    pub offsets: Vec<i32>,
    /// The rows, one after the other.
    pub bytes: Vec<u8>,
}

/// Greatest common divisor of each pair.
#[must_use]
pub fn gcd(a: &[i32], b: &[i32]) -> Vec<i32> {
    map2(a, b, gcd_of)
}

/// Greatest common divisor.
#[must_use]
pub fn gcd_of(a: i32, b: i32) -> i32 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

/// `value + 1`, wrapping.
#[must_use]
pub fn add_one(values: &[i64]) -> Vec<i64> {
    map1(values, |value| value.wrapping_add(1))
}

/// `a * 1.1 + b * 0.5`.
#[must_use]
pub fn blend(a: &[f64], b: &[f64]) -> Vec<f64> {
    map2(a, b, |a, b| a * 1.1 + b * 0.5)
}

/// Distance on the earth's surface between places given in degrees, in kilometres.
#[must_use]
pub fn haversine(from: [&[f64]; 2], to: [&[f64]; 2]) -> Vec<f64> {
    let [lat1, lon1] = from;
    let [lat2, lon2] = to;
    let rows = lat1.iter().zip(lon1).zip(lat2.iter().zip(lon2));
    rows.map(|((lat1, lon1), (lat2, lon2))| haversine_of(*lat1, *lon1, *lat2, *lon2))
        .collect()
}

/// Distance between two places given in degrees, in kilometres.
#[must_use]
pub fn haversine_of(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let (phi1, phi2) = (lat1.to_radians(), lat2.to_radians());
    let lat = ((phi2 - phi1) * 0.5).sin();
    let lon = ((lon2 - lon1).to_radians() * 0.5).sin();
    let h = lat * lat + phi1.cos() * phi2.cos() * lon * lon;
    2.0 * 6371.0088 * h.sqrt().asin()
}

/// `count` characters of each row, from the character `from` on, counted from 0.
#[must_use]
pub fn substring(offsets: &[i32], bytes: &[u8], from: usize, count: usize) -> Strings {
    let part = |start: usize, end: usize| {
        let start = (start + from).min(end);
        start..(start + count).min(end)
    };
    if is_ascii(window(offsets, bytes)) {
        return copied(offsets, bytes, |row| part(row.start, row.end));
    }
    each(offsets, bytes, |row, out| {
        out.extend(row.chars().skip(from).take(count));
    })
}

/// Upper case.
#[must_use]
pub fn upper(offsets: &[i32], bytes: &[u8]) -> Strings {
    let window = window(offsets, bytes);
    let mut out = vec![0; window.len()];
    if upper_ascii(window, &mut out) {
        let first = offsets.first().copied().unwrap_or(0);
        return Strings {
            offsets: map1(offsets, |offset| offset - first),
            bytes: out,
        };
    }
    each(offsets, bytes, |row, out| out.push_str(&row.to_uppercase()))
}

/// `upper(trim(s))`.
#[must_use]
pub fn shout(offsets: &[i32], bytes: &[u8]) -> Strings {
    if is_ascii(window(offsets, bytes)) {
        let mut trimmed = copied(offsets, bytes, |row| trimmed(bytes, row));
        upper_in_place(&mut trimmed.bytes);
        return trimmed;
    }
    each(offsets, bytes, |row, out| {
        out.push_str(&row.trim().to_uppercase())
    })
}

/// Whether each row matches, as a bitmap, lowest bit first.
#[must_use]
pub fn matches(regex: &Regex, offsets: &[i32], bytes: &[u8]) -> Vec<u8> {
    let rows = offsets.len().saturating_sub(1);
    let mut bitmap = vec![0_u8; rows.div_ceil(8)];
    for (i, pair) in offsets.windows(2).enumerate() {
        let row = bytes.get(pair[0] as usize..pair[1] as usize);
        let found = row.is_some_and(|row| regex.is_match(row));
        bitmap[i / 8] |= u8::from(found) << (i % 8);
    }
    bitmap
}

fn map1<A: Copy, R: Copy + Default>(a: &[A], f: impl Fn(A) -> R) -> Vec<R> {
    let mut out = vec![R::default(); a.len()];
    let (chunks, rest) = a.as_chunks::<LANES>();
    let (out_chunks, out_rest) = out.as_chunks_mut::<LANES>();
    for (out, a) in out_chunks.iter_mut().zip(chunks) {
        for i in 0..LANES {
            out[i] = f(a[i]);
        }
    }
    for (out, a) in out_rest.iter_mut().zip(rest) {
        *out = f(*a);
    }
    out
}

fn map2<A: Copy, R: Copy + Default>(a: &[A], b: &[A], f: impl Fn(A, A) -> R) -> Vec<R> {
    let rows = a.len().min(b.len());
    let mut out = vec![R::default(); rows];
    let (a_chunks, a_rest) = a[..rows].as_chunks::<LANES>();
    let (b_chunks, b_rest) = b[..rows].as_chunks::<LANES>();
    let (out_chunks, out_rest) = out.as_chunks_mut::<LANES>();
    for (out, (a, b)) in out_chunks.iter_mut().zip(a_chunks.iter().zip(b_chunks)) {
        for i in 0..LANES {
            out[i] = f(a[i], b[i]);
        }
    }
    for (out, (a, b)) in out_rest.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *out = f(*a, *b);
    }
    out
}

/// The bytes that the rows refer to.
fn window<'a>(offsets: &[i32], bytes: &'a [u8]) -> &'a [u8] {
    match (offsets.first(), offsets.last()) {
        (Some(&first), Some(&last)) => &bytes[first as usize..last as usize],
        _ => &[],
    }
}

fn is_ascii(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<{ 8 * BLOCK }>();
    let mut seen = [0; 8 * BLOCK];
    for chunk in chunks {
        for i in 0..8 * BLOCK {
            seen[i] |= chunk[i];
        }
    }
    seen.iter().chain(rest).all(u8::is_ascii)
}

fn upper_of(byte: u8) -> u8 {
    byte - (u8::from(byte.wrapping_sub(b'a') < 26) << 5)
}

/// Writes the upper case of ASCII; `false` when there was something else, whose case is not changed.
fn upper_ascii(from: &[u8], to: &mut [u8]) -> bool {
    let (chunks, rest) = from.as_chunks::<{ 4 * BLOCK }>();
    let (out_chunks, out_rest) = to.as_chunks_mut::<{ 4 * BLOCK }>();
    let mut seen = [0; 4 * BLOCK];
    for (out, chunk) in out_chunks.iter_mut().zip(chunks) {
        for i in 0..4 * BLOCK {
            seen[i] |= chunk[i];
            out[i] = upper_of(chunk[i]);
        }
    }
    for (out, byte) in out_rest.iter_mut().zip(rest) {
        *out = upper_of(*byte);
    }
    seen.iter().chain(rest).all(u8::is_ascii)
}

fn upper_in_place(bytes: &mut [u8]) {
    let (chunks, rest) = bytes.as_chunks_mut::<{ 4 * BLOCK }>();
    for chunk in chunks {
        for byte in chunk {
            *byte = upper_of(*byte);
        }
    }
    rest.iter_mut().for_each(|byte| *byte = upper_of(*byte));
}

/// The row without white space at its ends.
fn trimmed(bytes: &[u8], row: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let is_space = |at: usize| matches!(bytes[at], b' ' | b'\t'..=b'\r');
    let (mut start, mut end) = (row.start, row.end);
    while start < end && is_space(start) {
        start += 1;
    }
    while start < end && is_space(end - 1) {
        end -= 1;
    }
    start..end
}

/// A part of each row, in blocks: what is copied too much is overwritten by the next row or cut off at the end.
fn copied(
    offsets: &[i32],
    bytes: &[u8],
    part: impl Fn(std::ops::Range<usize>) -> std::ops::Range<usize>,
) -> Strings {
    let mut out = vec![0; window(offsets, bytes).len() + BLOCK];
    let mut out_offsets = vec![0; offsets.len().max(1)];
    let mut at = 0;
    for (out_offset, pair) in out_offsets.iter_mut().skip(1).zip(offsets.windows(2)) {
        let part = part(pair[0] as usize..pair[1] as usize);
        copy(&bytes[part.start..], part.len(), &mut out[at..]);
        at += part.len();
        *out_offset = at as i32;
    }
    out.truncate(at);
    Strings {
        offsets: out_offsets,
        bytes: out,
    }
}

/// The first `length` bytes of `from`, and maybe some more. `to` is at least a block longer than `length`.
fn copy(from: &[u8], length: usize, to: &mut [u8]) {
    let mut at = 0;
    while at < length {
        let block = from[at..].first_chunk::<BLOCK>();
        let (Some(block), Some(slot)) = (block, to[at..].first_chunk_mut::<BLOCK>()) else {
            // The last rows of the input.
            to[at..length].copy_from_slice(&from[at..length]);
            return;
        };
        // As a number, because a copy of bytes would be a call.
        *slot = u128::from_ne_bytes(*block).to_ne_bytes();
        at += BLOCK;
    }
}

/// Row by row, for text beyond ASCII.
fn each(offsets: &[i32], bytes: &[u8], mut f: impl FnMut(&str, &mut String)) -> Strings {
    let mut out = String::with_capacity(window(offsets, bytes).len());
    let mut out_offsets = Vec::with_capacity(offsets.len());
    out_offsets.push(0);
    for pair in offsets.windows(2) {
        let row = &bytes[pair[0] as usize..pair[1] as usize];
        f(std::str::from_utf8(row).unwrap_or_default(), &mut out);
        out_offsets.push(out.len() as i32);
    }
    Strings {
        offsets: out_offsets,
        bytes: out.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(rows: &[&str]) -> Strings {
        let mut offsets = vec![0];
        let mut bytes = Vec::new();
        for row in rows {
            bytes.extend_from_slice(row.as_bytes());
            offsets.push(bytes.len() as i32);
        }
        Strings { offsets, bytes }
    }

    #[test]
    fn numbers() {
        let a: Vec<i32> = (0..100).collect();
        let b: Vec<i32> = a.iter().map(|a| a * 2).collect();
        assert_eq!(gcd(&a, &b), a);
        assert_eq!(gcd(&[-12, 0], &[18, 0]), [6, 0]);
        let more: Vec<i64> = (0..77).collect();
        assert_eq!(add_one(&more), (1..78).collect::<Vec<_>>());
        let [paris, new_york] = [(48.8566, 2.3522), (40.7128, -74.006)];
        let km = haversine_of(paris.0, paris.1, new_york.0, new_york.1);
        assert!((km - 5837.2).abs() < 1.0, "{km}");
    }

    #[test]
    fn text() {
        let rows = ["  one ", "", "two hundred and thirty four", "\tx"];
        for more in ["", "größe "] {
            let rows: Vec<&str> = rows.into_iter().chain([more]).collect();
            let s = strings(&rows);
            let each = |f: &dyn Fn(&str) -> String| {
                let rows: Vec<String> = rows.iter().map(|row| f(row)).collect();
                strings(&rows.iter().map(String::as_str).collect::<Vec<_>>())
            };
            assert_eq!(upper(&s.offsets, &s.bytes), each(&|s| s.to_uppercase()));
            assert_eq!(
                shout(&s.offsets, &s.bytes),
                each(&|s| s.trim().to_uppercase())
            );
            assert_eq!(
                substring(&s.offsets, &s.bytes, 2, 8),
                each(&|s| s.chars().skip(2).take(8).collect())
            );
        }
    }

    #[test]
    fn addresses() {
        let s = strings(&["ada.l@example.com", "ada@example.net", "", "a@b.org"]);
        let regex = Regex::new(ADDRESS).unwrap();
        assert_eq!(matches(&regex, &s.offsets, &s.bytes), [0b1001]);
    }
}
