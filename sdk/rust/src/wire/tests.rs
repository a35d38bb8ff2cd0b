//! Batches through [`Sender`] and [`Receiver`] without a host between: what arrives is what left, for every layout.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryViewBuilder, FixedSizeBinaryBuilder, FixedSizeListBuilder, Int32Builder,
    LargeListViewBuilder, ListViewBuilder, MapBuilder, StringBuilder, StringViewBuilder,
};
use arrow_array::types::{Int8Type, Int16Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array, DictionaryArray,
    Float16Array, Float64Array, Int8Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    LargeListArray, LargeStringArray, ListArray, NullArray, RecordBatch, RecordBatchOptions,
    RunArray, StringArray, StructArray, TimestampMicrosecondArray, UnionArray,
};
use arrow_buffer::{IntervalMonthDayNano, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, Fields, Schema, UnionFields};

use super::{Receiver, Sender};
use crate::bindings::base::tenon::plugin::types as wit;
use crate::error::Result;

/// Six rows of every layout that can cross, with nulls where the layout has them.
fn columns() -> Vec<ArrayRef> {
    let numbers = Int32Array::from(vec![Some(1), None, Some(3), Some(-4), None, Some(i32::MAX)]);
    let text = || {
        vec![
            Some("one"),
            None,
            Some(""),
            Some("größer"),
            Some("a text longer than twelve bytes"),
            None,
        ]
    };
    let keys = Int8Array::from(vec![Some(0), None, Some(2), Some(1), Some(0), Some(2)]);
    let mut columns = nested(&numbers);
    columns.extend([
        Arc::new(NullArray::new(6)) as ArrayRef,
        Arc::new(BooleanArray::from(vec![
            Some(true),
            None,
            Some(false),
            Some(true),
            None,
            None,
        ])),
        Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6])),
        Arc::new(Float16Array::from_iter((0..6_u8).map(half))),
        Arc::new(Float64Array::from(vec![
            Some(0.5),
            None,
            Some(f64::NAN),
            Some(-0.0),
            None,
            Some(1e300),
        ])),
        Arc::new(Decimal128Array::from(vec![
            Some(1),
            None,
            Some(-3),
            Some(4),
            None,
            Some(i128::from(i64::MAX)),
        ])),
        Arc::new(Decimal256Array::from(vec![
            Some(i256::ONE),
            None,
            None,
            Some(i256::MINUS_ONE),
            None,
            Some(i256::ZERO),
        ])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![
                Some(0),
                None,
                Some(-1),
                Some(2),
                Some(3),
                Some(4),
            ])
            .with_timezone("Europe/Zurich"),
        ),
        Arc::new(IntervalMonthDayNanoArray::from(
            vec![IntervalMonthDayNano::new(1, -2, 3); 6],
        )),
        Arc::new(StringArray::from(text())),
        Arc::new(LargeStringArray::from(text())),
        Arc::new(BinaryArray::from_opt_vec(vec![
            Some(&b"\xff\x00"[..]),
            None,
            Some(b""),
            Some(b"x"),
            None,
            Some(b"yz"),
        ])),
        Arc::new(DictionaryArray::<Int8Type>::new(
            keys,
            Arc::new(StringArray::from(vec!["a", "b", "c"])),
        )),
        Arc::new(
            vec![Some("x"), Some("x"), None, None, Some("y"), Some("y")]
                .into_iter()
                .collect::<RunArray<Int16Type>>(),
        ),
        Arc::new(numbers),
    ]);
    columns
}

fn half(
    n: u8,
) -> Option<<arrow_array::types::Float16Type as arrow_array::ArrowPrimitiveType>::Native> {
    let zero =
        <arrow_array::types::Float16Type as arrow_array::ArrowPrimitiveType>::default_value();
    n.is_multiple_of(2).then_some(zero)
}

/// Lists, maps, structs, views and unions over six rows.
fn nested(numbers: &Int32Array) -> Vec<ArrayRef> {
    let lists = || {
        vec![
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            Some(vec![Some(2)]),
            Some(vec![Some(3), Some(4), Some(5)]),
            None,
        ]
    };
    let (mut fixed, mut views, mut large_views) = (
        FixedSizeListBuilder::new(Int32Builder::new(), 2),
        ListViewBuilder::new(Int32Builder::new()),
        LargeListViewBuilder::new(Int32Builder::new()),
    );
    let (mut strings, mut binaries) = (StringViewBuilder::new(), BinaryViewBuilder::new());
    let mut ids = FixedSizeBinaryBuilder::new(3);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..6_i32 {
        let is_there = row % 3 != 1;
        fixed.values().append_slice(&[row, -row]);
        fixed.append(is_there);
        views
            .values()
            .append_slice(&vec![row; row.unsigned_abs() as usize]);
        views.append(is_there);
        large_views
            .values()
            .append_slice(&vec![row; 6 - row.unsigned_abs() as usize]);
        large_views.append(true);
        strings.append_option(
            is_there.then(|| format!("{row}: and as many more bytes as a view holds not")),
        );
        binaries.append_option(is_there.then(|| vec![0xff; row.unsigned_abs() as usize * 5]));
        ids.append_value([row.to_le_bytes()[0]; 3]).unwrap();
        for key in 0..row % 3 {
            maps.keys().append_value(format!("k{key}"));
            maps.values().append_option((key == 0).then_some(row));
        }
        maps.append(is_there).unwrap();
    }
    let fields = Fields::from(vec![
        Field::new("n", DataType::Int32, true),
        Field::new("t", DataType::Utf8, false),
    ]);
    let members: Vec<ArrayRef> = vec![
        Arc::new(numbers.clone()),
        Arc::new(StringArray::from(vec!["a", "b", "", "d", "e", "f"])),
    ];
    let missing = vec![true, true, false, true, true, false].into();
    let kinds = UnionFields::try_new(
        [3, 7],
        [
            Field::new("n", DataType::Int32, true),
            Field::new("t", DataType::Utf8, false),
        ],
    )
    .unwrap();
    let ids_of_rows = ScalarBuffer::from(vec![3_i8, 7, 7, 3, 3, 7]);
    let dense = UnionArray::try_new(
        kinds.clone(),
        ids_of_rows.clone(),
        Some(ScalarBuffer::from(vec![0, 0, 1, 1, 2, 2])),
        vec![Arc::new(numbers.slice(0, 3)), members[1].slice(2, 3)],
    );
    vec![
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists())),
        Arc::new(LargeListArray::from_iter_primitive::<Int32Type, _, _>(
            lists(),
        )),
        Arc::new(fixed.finish()),
        Arc::new(views.finish()),
        Arc::new(large_views.finish()),
        Arc::new(strings.finish()),
        Arc::new(binaries.finish()),
        Arc::new(ids.finish()),
        Arc::new(maps.finish()),
        Arc::new(dense.unwrap()),
        Arc::new(UnionArray::try_new(kinds, ids_of_rows, None, members.clone()).unwrap()),
        Arc::new(StructArray::new(fields, members, Some(missing))),
    ]
}

fn batch(columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let field = |(i, column): (usize, &ArrayRef)| {
        Field::new(format!("c{i}"), column.data_type().clone(), true)
    };
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options).unwrap()
}

fn arrives_as_it_left(sender: &mut Sender, receiver: &mut Receiver, batch: &RecordBatch) {
    let back = receiver
        .batch(sender.batch(batch.clone()).unwrap())
        .unwrap();
    assert_eq!(back.num_rows(), batch.num_rows());
    for (column, back) in batch.columns().iter().zip(back.columns()) {
        back.to_data().validate_full().unwrap();
        assert_eq!(column.to_data(), back.to_data(), "{}", column.data_type());
    }
}

#[test]
fn every_layout_arrives_whole_and_as_any_slice() {
    let whole = batch(columns(), 6);
    let (mut sender, mut receiver) = (Sender::default(), Receiver::new(whole.schema()));
    for start in 0..=6 {
        for length in 0..=6 - start {
            arrives_as_it_left(&mut sender, &mut receiver, &whole.slice(start, length));
        }
    }
    arrives_as_it_left(&mut sender, &mut receiver, &whole);
}

#[test]
fn rows_without_columns_are_counted() {
    let rows = batch(vec![], 17);
    arrives_as_it_left(
        &mut Sender::default(),
        &mut Receiver::new(rows.schema()),
        &rows,
    );
}

#[test]
fn the_schema_arrives_as_it_left() {
    let schema = batch(columns(), 6).schema();
    let wire = super::schema_to(&schema).unwrap();
    assert_eq!(super::schema_from(&wire).unwrap(), schema);
}

#[test]
fn the_values_of_a_dictionary_leave_once() {
    let values: ArrayRef = Arc::new(StringArray::from(vec!["red", "blue"]));
    let column = |keys: Vec<i8>, values: &ArrayRef| -> ArrayRef {
        Arc::new(DictionaryArray::<Int8Type>::new(
            keys.into(),
            Arc::clone(values),
        ))
    };
    let first = batch(vec![column(vec![0, 1, 1], &values)], 3);
    let (mut sender, mut receiver) = (Sender::default(), Receiver::new(first.schema()));
    let mut sent = |batch: &RecordBatch| -> Result<bool> {
        let wire = sender.batch(batch.clone())?;
        let reused = wire
            .nodes
            .iter()
            .any(|node| matches!(node.encoding, wit::Encoding::Reuse(_)));
        assert_eq!(
            receiver.batch(wire)?.column(0).to_data(),
            batch.column(0).to_data()
        );
        Ok(reused)
    };
    assert!(!sent(&first).unwrap());
    assert!(sent(&batch(vec![column(vec![1, 0], &values)], 2)).unwrap());
    let others: ArrayRef = Arc::new(StringArray::from(vec!["green", "blue"]));
    assert!(!sent(&batch(vec![column(vec![0, 1], &others)], 2)).unwrap());
    assert!(
        !sent(&first).unwrap(),
        "the last one is remembered, no other"
    );
}

#[test]
fn a_batch_with_parts_missing_is_an_error() {
    let whole = batch(columns(), 6);
    let wire = || Sender::default().batch(whole.clone()).unwrap();
    let (nodes, buffers) = (wire().nodes.len(), wire().buffers.len());
    for (nodes, buffers) in [
        (nodes - 1, buffers),
        (0, buffers),
        (nodes, buffers - 1),
        (nodes, 0),
    ] {
        let mut cut = wire();
        cut.nodes.truncate(nodes);
        cut.buffers.truncate(buffers);
        let error = Receiver::new(whole.schema()).batch(cut).unwrap_err();
        assert!(error.to_string().contains("fewer parts"), "{error}");
    }
}
