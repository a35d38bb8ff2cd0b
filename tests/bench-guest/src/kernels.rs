//! The kernels of the benchmarks, over the slices of Arrow arrays: the one source that runs natively, as a plugin, and
//! in the guest of the arrow-udf peer, which has another version of Arrow and therefore includes this file.
//!
//! Shaped for a compiler that checks a clock at the end of each turn of a loop, as the sandbox's does: the inner loops
//! have a fixed length, so that they are unrolled and use SIMD, and the clock is looked at once for each `LANES` rows. No
//! row allocates: strings are written into one buffer, copied in blocks of fixed size, because a copy of
//! variable size is a call in wasm. Rows under a null are computed like others; the caller keeps the validity.

use std::ops::Range;

use regex::bytes::Regex;

/// Rows of one turn of the inner loops.
const LANES: usize = 32;

/// Bytes of one turn of the inner loops over text.
const BLOCK: usize = 16;

/// Rows of one turn of the loop that copies text.
const ROWS: usize = 4;

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
    let rows = from.iter().chain(&to).map(|c| c.len()).min().unwrap_or(0);
    let [(lat1, r1), (lon1, r2)] = from.map(|column| column[..rows].as_chunks::<LANES>());
    let [(lat2, r3), (lon2, r4)] = to.map(|column| column[..rows].as_chunks::<LANES>());
    let from = lat1.iter().zip(lon1);
    let chunks = from.zip(lat2.iter().zip(lon2));
    let chunks = chunks.map(|((lat1, lon1), (lat2, lon2))| {
        std::array::from_fn::<f64, LANES, _>(|i| haversine_of(lat1[i], lon1[i], lat2[i], lon2[i]))
    });
    let rest = (0..r1.len()).map(|i| haversine_of(r1[i], r2[i], r3[i], r4[i]));
    collected(chunks, rest)
}

/// Distance between two places given in degrees, in kilometres. Without branches and calls, so that several
/// are computed at once; to about 1e-13 of what the standard library's functions give.
#[must_use]
#[inline]
pub fn haversine_of(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let half = std::f64::consts::PI / 360.0;
    let lat = sin((lat2 - lat1) * half);
    let lon = sin((lon2 - lon1) * half);
    let (cos1, cos2) = (cos(lat1 * half * 2.0), cos(lat2 * half * 2.0));
    let h = lat * lat + cos1 * cos2 * lon * lon;
    2.0 * 6371.0088 * asin_of_root(h)
}

/// The sine, up to its sign, of an angle of at most some turns: the period of what [`haversine_of`] needs, its square, is
/// half a turn. Taylor's series, exact to the last bits within a quarter of a turn.
#[inline]
fn sin(angle: f64) -> f64 {
    // Adding this number, whose last bit is worth one, rounds.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let turns = (angle * std::f64::consts::FRAC_1_PI + ROUND) - ROUND;
    let x = angle - turns * std::f64::consts::PI;
    let s = x * x;
    let mut sum = -1.0 / 121_645_100_408_832_000.0;
    for term in [
        1.0 / 355_687_428_096_000.0,
        -1.0 / 1_307_674_368_000.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 39_916_800.0,
        1.0 / 362_880.0,
        -1.0 / 5_040.0,
        1.0 / 120.0,
        -1.0 / 6.0,
        1.0,
    ] {
        sum = sum * s + term;
    }
    sum * x
}

/// The cosine of an angle of at most half a turn, by the sine of its half.
#[inline]
fn cos(angle: f64) -> f64 {
    let sine = sin(angle * 0.5);
    1.0 - 2.0 * sine * sine
}

/// The angle whose sine is the root of `h`: halved three times, so that a short series is enough.
#[inline]
fn asin_of_root(h: f64) -> f64 {
    // Rounding may have made it a little more than one.
    let halved = |h: f64| h / (2.0 * (1.0 + (1.0 - h).abs().sqrt()));
    let h = halved(halved(halved(h)));
    let mut sum = 0.0;
    for term in [
        46_189.0 / 5_505_024.0,
        12_155.0 / 1_245_184.0,
        6_435.0 / 557_056.0,
        143.0 / 10_240.0,
        231.0 / 13_312.0,
        63.0 / 2_816.0,
        35.0 / 1_152.0,
        5.0 / 112.0,
        3.0 / 40.0,
        1.0 / 6.0,
        1.0,
    ] {
        sum = sum * h + term;
    }
    8.0 * sum * h.abs().sqrt()
}

/// `count` characters of each row, from the character `from` on, counted from 0.
#[must_use]
pub fn substring(offsets: &[i32], bytes: &[u8], from: usize, count: usize) -> Strings {
    let part = |start: usize, end: usize| {
        let start = (start + from).min(end);
        start..(start + count).min(end)
    };
    if is_ascii(window(offsets, bytes)) {
        // A zero that the compiler does not know: else it would make one call of the block's two copies.
        let zero = std::hint::black_box(0);
        let part = |row: Range<usize>| part(row.start, row.end);
        let quick = |row| Some(part(row));
        return copied(offsets, bytes, count, quick, part, |byte| byte | zero);
    }
    each(offsets, bytes, |row, out| {
        out.extend(row.chars().skip(from).take(count));
    })
}

/// Upper case.
#[must_use]
pub fn upper(offsets: &[i32], bytes: &[u8]) -> Strings {
    let Some(upper) = upper_ascii(window(offsets, bytes)) else {
        return each(offsets, bytes, |row, out| out.push_str(&row.to_uppercase()));
    };
    let first = offsets.first().copied().unwrap_or(0);
    Strings {
        offsets: map1(offsets, |offset| offset - first),
        bytes: upper,
    }
}

/// `upper(trim(s))`.
#[must_use]
pub fn shout(offsets: &[i32], bytes: &[u8]) -> Strings {
    if is_ascii(window(offsets, bytes)) {
        return copied(
            offsets,
            bytes,
            usize::MAX,
            |row| trimmed_quickly(bytes, row),
            |row| trimmed(bytes, row),
            upper_of,
        );
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

fn map1<A: Copy, R>(a: &[A], f: impl Fn(A) -> R) -> Vec<R> {
    let (chunks, rest) = a.as_chunks::<LANES>();
    let chunks = chunks
        .iter()
        .map(|a| std::array::from_fn::<R, LANES, _>(|i| f(a[i])));
    collected(chunks, rest.iter().map(|a| f(*a)))
}

fn map2<A: Copy, R>(a: &[A], b: &[A], f: impl Fn(A, A) -> R) -> Vec<R> {
    let rows = a.len().min(b.len());
    let (a_chunks, a_rest) = a[..rows].as_chunks::<LANES>();
    let (b_chunks, b_rest) = b[..rows].as_chunks::<LANES>();
    let chunks = a_chunks
        .iter()
        .zip(b_chunks)
        .map(|(a, b)| std::array::from_fn::<R, LANES, _>(|i| f(a[i], b[i])));
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b));
    collected(chunks, rest)
}

/// Chunks and what is left in one vector, whose memory is written once: not filled with zeros before.
fn collected<R, const N: usize>(
    chunks: impl ExactSizeIterator<Item = [R; N]>,
    rest: impl Iterator<Item = R>,
) -> Vec<R> {
    // One more, so that the rest has room.
    let mut out = Vec::with_capacity(chunks.len() + 1);
    out.extend(chunks);
    let mut out = out.into_flattened();
    out.extend(rest);
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
    let any = |bytes: &[u8]| bytes.iter().fold(0, |seen, byte| seen | byte);
    chunks.iter().all(|chunk| any(chunk).is_ascii()) && any(rest).is_ascii()
}

fn upper_of(byte: u8) -> u8 {
    byte - (u8::from(byte.wrapping_sub(b'a') < 26) << 5)
}

/// The upper case of ASCII; nothing when there is something else.
fn upper_ascii(bytes: &[u8]) -> Option<Vec<u8>> {
    let (chunks, rest) = bytes.as_chunks::<{ 4 * BLOCK }>();
    let mut seen = [0; 4 * BLOCK];
    let upper = chunks.iter().map(|chunk| {
        for i in 0..4 * BLOCK {
            seen[i] |= chunk[i];
        }
        std::array::from_fn::<u8, { 4 * BLOCK }, _>(|i| upper_of(chunk[i]))
    });
    let upper = collected(upper, rest.iter().map(|byte| upper_of(*byte)));
    let is_ascii = seen.iter().chain(rest).all(u8::is_ascii);
    is_ascii.then_some(upper)
}

/// The row without white space at its ends, when each end is within eight bytes that can be read at once: few rows
/// have more white space, only the first and the last of a column have less around them. Of ASCII only.
fn trimmed_quickly(bytes: &[u8], row: Range<usize>) -> Option<Range<usize>> {
    let first = bytes.get(row.start..)?.first_chunk::<8>()?;
    let last = bytes.get(..row.end)?.last_chunk::<8>()?;
    let (before, after) = (not_space(*first), not_space(*last));
    if before == 0 || after == 0 {
        return None;
    }
    let start = row.start + before.trailing_zeros() as usize / 8;
    let end = row.end - (after.leading_zeros() as usize / 8).min(row.len());
    // Of a row of blanks, both have gone past the other end.
    Some(start.min(end)..end)
}

/// The high bit of each ASCII byte that is not white space.
fn not_space(bytes: [u8; 8]) -> u64 {
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let bytes = u64::from_le_bytes(bytes);
    let not_blank = (bytes ^ each(b' ')) + each(0x7f);
    let (from_tab, after_return) = (bytes + each(0x80 - b'\t'), bytes + each(0x80 - b'\r' - 1));
    not_blank & !(from_tab & !after_return) & each(0x80)
}

/// The row without white space at its ends.
fn trimmed(bytes: &[u8], row: Range<usize>) -> Range<usize> {
    let text = std::str::from_utf8(&bytes[row.clone()]).unwrap_or_default();
    let start = row.start + text.len() - text.trim_start().len();
    start..start + text.trim().len()
}

/// A part of each row, at most `longest` bytes, with `f` of each byte. `quick` names the part of most rows, `part` of
/// every one.
fn copied(
    offsets: &[i32],
    bytes: &[u8],
    longest: usize,
    quick: impl Fn(Range<usize>) -> Option<Range<usize>>,
    part: impl Fn(Range<usize>) -> Range<usize>,
    f: impl Fn(u8) -> u8,
) -> Strings {
    let rows = offsets.len().saturating_sub(1);
    let most = window(offsets, bytes)
        .len()
        .min(rows.saturating_mul(longest));
    let mut out = vec![0; most + BLOCK];
    let mut out_offsets = vec![0; rows + 1];
    let (mut row, mut at) = (0, 0);
    while row < rows {
        let ends = &mut out_offsets[row + 1..];
        let (copied, end) = copy_blocks(&offsets[row..], bytes, &mut out, at, ends, &quick, &f);
        (row, at) = (row + copied, end);
        if row < rows {
            let part = part(offsets[row] as usize..offsets[row + 1] as usize);
            copy_long(&bytes[part.clone()], &mut out[at..], &f);
            (row, at) = (row + 1, at + part.len());
            out_offsets[row] = at as i32;
        }
    }
    out.truncate(at);
    Strings {
        offsets: out_offsets,
        bytes: out,
    }
}

/// Copies rows to `out`, from `at` on, while each fits into a block; returns how many, and where the last ends. Blocks
/// are written whole: what is too much is overwritten by the next row or cut off at the end.
///
/// Nothing is called in here and little is known around it, so that the sandbox's compiler keeps all of it in registers.
#[inline(never)]
fn copy_blocks(
    offsets: &[i32],
    bytes: &[u8],
    out: &mut [u8],
    mut at: usize,
    ends: &mut [i32],
    quick: &impl Fn(Range<usize>) -> Option<Range<usize>>,
    f: &impl Fn(u8) -> u8,
) -> (usize, usize) {
    let (turns, _) = ends.as_chunks_mut::<ROWS>();
    let mut rows = 0;
    for ends in turns {
        let Some(offsets) = offsets
            .get(rows..)
            .and_then(<[i32]>::first_chunk::<{ ROWS + 1 }>)
        else {
            break;
        };
        for (i, end) in ends.iter_mut().enumerate() {
            let Some(part) = quick(offsets[i] as usize..offsets[i + 1] as usize) else {
                return (rows, at);
            };
            let block = bytes
                .get(part.start..)
                .and_then(<[u8]>::first_chunk::<BLOCK>);
            let slot = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<BLOCK>);
            let (Some(block), Some(slot), ..=BLOCK) = (block, slot, part.len()) else {
                return (rows, at);
            };
            *slot = std::array::from_fn(|i| f(block[i]));
            at += part.len();
            *end = at as i32;
            rows += 1;
        }
    }
    (rows, at)
}

/// The rows that are longer than a block, and the last of the input.
#[cold]
#[inline(never)]
fn copy_long(from: &[u8], to: &mut [u8], f: &impl Fn(u8) -> u8) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f(*from);
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
        let rows = [
            "  one ",
            "",
            "two hundred and thirty four",
            "\tx",
            "    ",
            "               ",
            " a b c ",
        ];
        for more in ["", "größe "] {
            let rows = rows.into_iter().cycle().take(45);
            let rows: Vec<&str> = rows.chain([more]).collect();
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
