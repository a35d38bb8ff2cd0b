//! How large values are once they are written in full.
//!
//! A dictionary of one long string and sixteen million keys, a run that never ends, views and list views of the same
//! bytes: a guest makes these with a few bytes, and the first operator that unpacks them would ask for terabytes. The
//! host therefore weighs what comes back before anybody else sees it, and the engine cuts batches by the same scale.

use std::ops::Range;

use arrow::array::{
    Array, AsArray, DictionaryArray, GenericListViewArray, OffsetSizeTrait, RunArray,
};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType, DataType, Int16Type, Int32Type, Int64Type,
    RunEndIndexType, UnionMode,
};
use arrow::downcast_dictionary_array;

/// Most bytes of one batch from a guest, once its dictionaries, runs and views are written in full.
pub(crate) const MAX_FULL_BYTES: u64 = 512 << 20;

/// Bytes of these rows, written in full: a dictionary's value for each of its keys, a run's for each of its rows. Each
/// value counts at least one byte, also one that is missing or has no width. Stops counting soon after `enough`.
///
/// `rows` must lie within the array.
#[must_use]
pub fn full_bytes(array: &dyn Array, rows: Range<usize>, enough: u64) -> u64 {
    let count = rows.len() as u64;
    if count == 0 {
        return 0;
    }
    let bytes = match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets(), &rows),
        DataType::LargeUtf8 => span(array.as_string::<i64>().value_offsets(), &rows),
        DataType::Binary => span(array.as_binary::<i32>().value_offsets(), &rows),
        DataType::LargeBinary => span(array.as_binary::<i64>().value_offsets(), &rows),
        DataType::Utf8View => viewed(&array.as_string_view().views()[rows]),
        DataType::BinaryView => viewed(&array.as_binary_view().views()[rows]),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let below = range(list.value_offsets(), &rows);
            full_bytes(list.values(), below, enough)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let below = range(list.value_offsets(), &rows);
            full_bytes(list.values(), below, enough)
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let below = range(map.value_offsets(), &rows);
            full_bytes(map.entries(), below, enough)
        }
        DataType::ListView(_) => list_views(array.as_list_view::<i32>(), rows, enough),
        DataType::LargeListView(_) => list_views(array.as_list_view::<i64>(), rows, enough),
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let (first, size) = (list.value_offset(rows.start), usize::try_from(*size));
            let (first, size) = (usize::try_from(first).unwrap_or(0), size.unwrap_or(0));
            full_bytes(list.values(), first..first + size * rows.len(), enough)
        }
        DataType::Struct(_) => sum(array.as_struct().columns(), enough, |column| {
            full_bytes(column, rows.clone(), enough)
        }),
        DataType::Union(_, _) => union(array, rows, enough),
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs(array.as_run::<Int16Type>(), &rows, enough),
            DataType::Int32 => runs(array.as_run::<Int32Type>(), &rows, enough),
            _ => runs(array.as_run::<Int64Type>(), &rows, enough),
        },
        DataType::Dictionary(_, _) => downcast_dictionary_array!(
            array => dictionary(array, rows, enough),
            _ => 0
        ),
        DataType::FixedSizeBinary(size) => count * u64::try_from(*size).unwrap_or(0),
        other => count * other.primitive_width().unwrap_or(0) as u64,
    };
    bytes.max(count)
}

/// Whether a column may be larger in full than the bytes that it is made of.
pub(crate) fn is_compact(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View
        | DataType::BinaryView
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::RunEndEncoded(_, _)
        | DataType::Dictionary(_, _)
        | DataType::Union(_, UnionMode::Dense) => true,
        _ => crate::schema::children(data_type)
            .iter()
            .any(|child| is_compact(child.data_type())),
    }
}

/// A sum that ends once it is more than enough.
fn sum<T>(parts: impl IntoIterator<Item = T>, enough: u64, size: impl Fn(T) -> u64) -> u64 {
    let mut total: u64 = 0;
    for part in parts {
        total = total.saturating_add(size(part));
        if total > enough {
            break;
        }
    }
    total
}

fn range<O: OffsetSizeTrait>(offsets: &[O], rows: &Range<usize>) -> Range<usize> {
    offsets[rows.start].as_usize()..offsets[rows.end].as_usize()
}

/// The bytes between the offsets, and the offsets.
fn span<O: OffsetSizeTrait>(offsets: &[O], rows: &Range<usize>) -> u64 {
    (range(offsets, rows).len() + rows.len() * size_of::<O>()) as u64
}

fn viewed(views: &[u128]) -> u64 {
    // The length is the lowest four bytes of a view.
    let lengths = views.iter().map(|view| u64::from(*view as u32));
    lengths.sum::<u64>() + 16 * views.len() as u64
}

fn list_views<O: OffsetSizeTrait>(
    list: &GenericListViewArray<O>,
    rows: Range<usize>,
    enough: u64,
) -> u64 {
    sum(rows, enough, |row| {
        let (first, size) = (
            list.value_offset(row).as_usize(),
            list.value_size(row).as_usize(),
        );
        full_bytes(list.values(), first..first + size, enough).max(1)
    })
}

fn union(array: &dyn Array, rows: Range<usize>, enough: u64) -> u64 {
    let (union, DataType::Union(fields, mode)) = (array.as_union(), array.data_type()) else {
        return 0;
    };
    match mode {
        UnionMode::Sparse => sum(fields.iter(), enough, |(id, _)| {
            full_bytes(union.child(id), rows.clone(), enough)
        }),
        UnionMode::Dense => sum(rows, enough, |row| {
            let (child, at) = (union.child(union.type_id(row)), union.value_offset(row));
            full_bytes(child, at..at + 1, enough)
        }),
    }
}

fn runs<R: RunEndIndexType>(runs: &RunArray<R>, rows: &Range<usize>, enough: u64) -> u64 {
    // A slice of runs shares them: its rows begin at its offset.
    let offset = runs.run_ends().offset();
    let (from, to) = (rows.start + offset, rows.end + offset);
    let ends = runs.run_ends().values();
    let first = ends.partition_point(|end| end.as_usize() <= from);
    let mut start = from;
    let mut total: u64 = 0;
    for (run, end) in ends.iter().enumerate().skip(first) {
        let end = end.as_usize().min(to);
        let value = full_bytes(runs.values(), run..run + 1, enough);
        total = total.saturating_add(value.saturating_mul((end - start) as u64));
        start = end;
        if total > enough || end == to {
            break;
        }
    }
    total
}

fn dictionary<K: ArrowDictionaryKeyType>(
    array: &DictionaryArray<K>,
    rows: Range<usize>,
    enough: u64,
) -> u64 {
    let (keys, values) = (array.keys(), array.values());
    let value = |at: usize| full_bytes(values, at..at + 1, enough);
    if values.len() <= rows.len() {
        // Fewer values than rows: when all rows may have the largest one, none needs a look.
        let largest = (0..values.len()).map(value).max().unwrap_or(0);
        let most = largest.saturating_mul(rows.len() as u64);
        if most <= enough {
            return most;
        }
    }
    sum(rows, enough, |row| match keys.is_valid(row) {
        true => value(keys.values()[row].as_usize()),
        false => 1,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Int32Array, ListArray, NullArray, RunArray, StringArray, StringViewArray,
        UInt8Array,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    const ALL: u64 = u64::MAX;

    fn of(array: &dyn Array) -> u64 {
        full_bytes(array, 0..array.len(), ALL)
    }

    #[test]
    fn plain_values_are_as_large_as_they_are() {
        assert_eq!(of(&Int32Array::from(vec![1, 2, 3])), 12);
        assert_eq!(of(&StringArray::from(vec!["abc", "", "de"])), 5 + 12);
        assert_eq!(
            full_bytes(&StringArray::from(vec!["abc", "", "de"]), 1..2, ALL),
            4
        );
        assert_eq!(of(&NullArray::new(7)), 7);
    }

    #[test]
    fn what_is_shared_counts_for_each_row() {
        let long = "x".repeat(1_000);
        let values = Arc::new(StringArray::from(vec![long.as_str()])) as ArrayRef;
        let keys = UInt8Array::from(vec![0; 500]);
        assert_eq!(
            of(&DictionaryArray::new(keys, Arc::clone(&values))),
            500 * 1_004
        );
        let ends = Int32Array::from(vec![1_000_000]);
        let runs = RunArray::try_new(&ends, values.as_ref()).unwrap();
        assert_eq!(of(&runs), 1_000_000 * 1_004);
        assert_eq!(of(&runs.slice(10, 5)), 5 * 1_004);
        assert_eq!(full_bytes(&runs.slice(10, 5), 1..3, ALL), 2 * 1_004);
        let views = StringViewArray::from(vec![long.as_str(); 3]);
        assert_eq!(of(&views), 3 * 1_016);
    }

    #[test]
    fn a_part_of_a_list_counts_what_it_holds() {
        let values = StringArray::from(vec!["aaaa", "b", "c"]);
        let field = Arc::new(Field::new("item", DataType::Utf8, true));
        let offsets = OffsetBuffer::new(vec![0, 1, 3].into());
        let list = ListArray::new(field, offsets, Arc::new(values), None);
        assert_eq!(full_bytes(&list, 0..1, ALL), 8);
        assert_eq!(full_bytes(&list, 1..2, ALL), 10);
        assert_eq!(of(&list.slice(1, 1)), 10);
    }

    #[test]
    fn counting_stops_when_it_is_enough() {
        let ends = Int32Array::from((1..=1_000).collect::<Vec<_>>());
        let runs = RunArray::try_new(&ends, &Int32Array::from(vec![7; 1_000])).unwrap();
        assert_eq!(full_bytes(&runs, 0..1_000, 100), 104);
    }
}
