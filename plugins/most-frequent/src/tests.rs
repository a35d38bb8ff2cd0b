//! Natively: the rule, every type, and that the way in which rows are spread and states travel changes nothing.

use super::*;
use proptest::prelude::*;
use tenon_sdk::arrow_array::{Date32Array, Int8Array, TimestampMillisecondArray, UInt64Array};

fn batch(column: ArrayRef) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("arg0", column.data_type().clone(), true)]);
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

fn open(batch: &RecordBatch) -> MostFrequent {
    MostFrequent::bind(&Config::default(), &batch.schema()).unwrap();
    MostFrequent::open(&Config::default(), &batch.schema()).unwrap()
}

/// The one value of a column that is one group.
fn of(column: ArrayRef) -> ArrayRef {
    let batch = batch(column);
    let mut this = open(&batch);
    let groups = vec![0; batch.num_rows()];
    this.update(batch, &groups, 1).unwrap();
    Arc::clone(this.evaluate(Emit::All).unwrap().column(0))
}

#[test]
fn the_most_frequent_wins_and_the_first_of_several() {
    let texts = |texts: Vec<Option<&str>>| of(Arc::new(StringArray::from(texts)));
    let value = |column: ArrayRef| {
        column
            .as_string::<i32>()
            .iter()
            .next()
            .flatten()
            .map(str::to_owned)
    };
    assert_eq!(
        value(texts(vec![
            Some("b"),
            None,
            Some("a"),
            Some("b"),
            None,
            None
        ])),
        Some("b".into())
    );
    assert_eq!(
        value(texts(vec![Some("b"), Some("a"), Some("ab")])),
        Some("a".into())
    );
    assert_eq!(value(texts(vec![None, None])), None);
    assert_eq!(value(texts(vec![])), None);
}

#[test]
fn every_type_has_its_own_order() {
    let columns: [(ArrayRef, ArrayRef); 6] = [
        (
            Arc::new(Int64Array::from(vec![3, -5, 0])),
            Arc::new(Int64Array::from(vec![-5])),
        ),
        (
            Arc::new(Int8Array::from(vec![1, 1, -128])),
            Arc::new(Int8Array::from(vec![1])),
        ),
        (
            Arc::new(UInt64Array::from(vec![u64::MAX, 1])),
            Arc::new(UInt64Array::from(vec![1])),
        ),
        (
            Arc::new(Date32Array::from(vec![20_000, -1])),
            Arc::new(Date32Array::from(vec![-1])),
        ),
        (
            Arc::new(BooleanArray::from(vec![true, false, true])),
            Arc::new(BooleanArray::from(vec![true])),
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![7, 7, 1]).with_timezone("UTC")),
            Arc::new(TimestampMillisecondArray::from(vec![7]).with_timezone("UTC")),
        ),
    ];
    for (column, expected) in columns {
        assert_eq!(&of(column), &expected);
    }
}

#[test]
fn types_without_equality_and_foreign_states_are_refused() {
    let floats = batch(Arc::new(Float64Array::from(vec![1.0])));
    let error = MostFrequent::bind(&Config::default(), &floats.schema()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it takes text, integers, dates, timestamps and booleans, not Float64"
    );
    let mut this = open(&batch(Arc::new(Int64Array::from(vec![1]))));
    let state = Arc::new(BinaryArray::from(vec![&b"\xff\0\0\0\0\0\0\0abc"[..]]));
    let states = RecordBatch::try_new(state_schema(), vec![state]).unwrap();
    assert!(this.merge(states, &[0], 1).is_err());
}

/// What the rule says, without any of the machinery.
fn plain(rows: &[(u32, Option<i64>)], groups: u32) -> Vec<Option<i64>> {
    let best = |group| {
        let values = rows
            .iter()
            .filter(|(of, _)| *of == group)
            .filter_map(|(_, value)| *value);
        let values: Vec<i64> = values.collect();
        let count = |value: i64| values.iter().filter(|v| **v == value).count();
        values
            .iter()
            .copied()
            .max_by_key(|value| (count(*value), std::cmp::Reverse(*value)))
    };
    (0..groups).map(best).collect()
}

proptest! {
    /// Rows in any instances, states taken out at any point, first groups first: always the same answer.
    #[test]
    fn the_spread_of_rows_changes_nothing(
        rows in proptest::collection::vec((0_u32..4, proptest::option::of(-3_i64..3), 0_usize..3), 0..60),
        first in 0_usize..5,
    ) {
        let values = |part: &[(u32, Option<i64>)]| batch(Arc::new(part.iter().map(|row| row.1).collect::<Int64Array>()));
        let mut last = open(&values(&[]));
        for instance in 0..3 {
            let part: Vec<_> = rows.iter().filter(|row| row.2 == instance).map(|row| (row.0, row.1)).collect();
            let mut one = open(&values(&[]));
            for piece in part.chunks(5) {
                let groups: Vec<u32> = piece.iter().map(|row| row.0).collect();
                one.update(values(piece), &groups, 4).unwrap();
            }
            one.update(values(&[]), &[], 4).unwrap();
            let start = one.state(Emit::First(first.min(4))).unwrap();
            let rest = one.state(Emit::All).unwrap();
            let cut = start.num_rows() as u32;
            last.merge(start, &(0..cut).collect::<Vec<_>>(), 4).unwrap();
            last.merge(rest, &(cut..4).collect::<Vec<_>>(), 4).unwrap();
        }
        let rows: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
        let mut found: Vec<Option<i64>> = Vec::new();
        for emit in [Emit::First(first.min(4)), Emit::All] {
            let part = last.evaluate(emit).unwrap();
            found.extend(part.column(0).as_primitive::<tenon_sdk::arrow_array::types::Int64Type>());
        }
        prop_assert_eq!(found, plain(&rows, 4));
    }
}
