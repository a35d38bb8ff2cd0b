//! Strings that come back from a guest: checked faster than Arrow does it, and as strictly.
//!
//! Arrow validates the bytes with the standard library and then asks for each offset whether a character begins there.
//! Most strings are ASCII, where every offset is a boundary and one pass over the bytes is enough; the rest goes
//! through a SIMD validator. The offsets are compared in one pass that the compiler turns into vector code.

use arrow::array::{ArrayData, ArrayDataBuilder, OffsetSizeTrait};
use arrow::datatypes::DataType;

use crate::door;

/// Builds a column of type Utf8 or LargeUtf8 that came from a guest.
///
/// # Errors
/// What is wrong with its lengths, bitmap, offsets or bytes.
pub(crate) fn checked(builder: ArrayDataBuilder) -> Result<ArrayData, String> {
    let claimed = door::Unchecked::of(builder)?;
    // Sizes of buffers, alignment, the bitmap's length: Arrow looks at no value for these.
    claimed.data().validate().map_err(|e| e.to_string())?;
    match claimed.data().data_type() {
        DataType::LargeUtf8 => check::<i64>(claimed.data())?,
        _ => check::<i32>(claimed.data())?,
    }
    Ok(claimed.believed())
}

/// Whether each value is UTF-8 within the bytes. The buffers are as large as `data.len()` needs.
fn check<O: OffsetSizeTrait>(data: &ArrayData) -> Result<(), String> {
    if data.is_empty() {
        return Ok(());
    }
    let offsets = &data.buffers()[0].typed_data::<O>()[..=data.len()];
    let bytes = data.buffers()[1].as_slice();
    let (first, last) = (offsets[0], offsets[data.len()]);
    let rising = |(earlier, later): (&O, &O)| earlier <= later;
    // No early exit: this way it is vector code.
    let in_order = offsets
        .iter()
        .zip(&offsets[1..])
        .fold(true, |ok, pair| ok & rising(pair));
    if !in_order || first < O::default() {
        return Err(lie_of(offsets));
    }
    let Some(used) = bytes.get(first.as_usize()..last.as_usize()) else {
        return Err(format!(
            "offset {} is beyond its {} bytes",
            last.as_usize(),
            bytes.len()
        ));
    };
    if used.is_ascii() {
        return Ok(());
    }
    simdutf8::compat::from_utf8(used).map_err(|e| format!("not UTF-8: {e}"))?;
    let cuts = |offset: &&O| {
        let at = offset.as_usize() - first.as_usize();
        // The bytes 10xxxxxx continue a character.
        used.get(at)
            .is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
    };
    match offsets.iter().find(cuts) {
        Some(offset) => Err(format!(
            "offset {} cuts a character of its UTF-8",
            offset.as_usize()
        )),
        None => Ok(()),
    }
}

/// The first offset that is less than the one before it.
fn lie_of<O: OffsetSizeTrait>(offsets: &[O]) -> String {
    let pairs = offsets.iter().zip(&offsets[1..]).enumerate();
    let falling = pairs.map(|(row, (earlier, later))| (row, *earlier, *later));
    match falling
        .into_iter()
        .find(|(_, earlier, later)| earlier > later)
    {
        Some((row, earlier, later)) => {
            format!("the offsets decrease at row {row}, from {earlier:?} to {later:?}")
        }
        None => format!("the first offset is {:?}", offsets[0]),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, LargeStringArray, StringArray};
    use arrow::buffer::Buffer;
    use proptest::prelude::*;

    use super::*;

    fn claim(offsets: &[i32], bytes: &[u8], rows: usize) -> Result<ArrayData, String> {
        let builder = ArrayData::builder(DataType::Utf8)
            .len(rows)
            .add_buffer(Buffer::from_slice_ref(offsets))
            .add_buffer(Buffer::from_slice_ref(bytes));
        checked(builder)
    }

    proptest! {
        /// Accepts what Arrow accepts, refuses what Arrow refuses.
        #[test]
        fn agrees_with_arrow(
            mut offsets in proptest::collection::vec(-1i32..12, 1..6),
            bytes in proptest::collection::vec(prop_oneof![Just(b'a'), Just(0xc3), Just(0xa4), Just(0xff)], 0..12),
            sorted in any::<bool>(),
        ) {
            if sorted {
                offsets.sort_unstable();
            }
            let rows = offsets.len() - 1;
            let arrows = ArrayData::builder(DataType::Utf8)
                .len(rows)
                .add_buffer(Buffer::from_slice_ref(&offsets))
                .add_buffer(Buffer::from_slice_ref(&bytes))
                .build();
            // Arrow also looks at bytes in front of the first offset; nobody can see them.
            if rows > 0 && offsets[0] == 0 {
                prop_assert_eq!(claim(&offsets, &bytes, rows).is_ok(), arrows.is_ok());
            }
        }

        #[test]
        fn every_array_passes(values in proptest::collection::vec(proptest::option::of(".{0,8}"), 0..20)) {
            let array = StringArray::from(values.clone());
            let back = checked(array.to_data().into_builder()).unwrap();
            prop_assert_eq!(&back, &array.to_data());
            let array = LargeStringArray::from(values);
            let back = checked(array.to_data().into_builder()).unwrap();
            prop_assert_eq!(&back, &array.to_data());
        }
    }

    #[test]
    fn lies_are_named() {
        let said = |offsets: &[i32], bytes: &[u8]| claim(offsets, bytes, 2).unwrap_err();
        assert_eq!(
            said(&[0, 2, 1], b"ab"),
            "the offsets decrease at row 1, from 2 to 1"
        );
        assert_eq!(said(&[-1, 0, 1], b"ab"), "the first offset is -1");
        assert_eq!(said(&[0, 1, 9], b"ab"), "offset 9 is beyond its 2 bytes");
        assert_eq!(
            said(&[0, 1, 2], "ä".as_bytes()),
            "offset 1 cuts a character of its UTF-8"
        );
        assert!(said(&[0, 1, 2], &[0xff, 0xfe]).starts_with("not UTF-8"));
    }
}
