//! Columns of every type through an identity guest: what comes back is what went, in values, types and metadata.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;
use tenon_host::{Column, FixedBudget, Host, HostConfig, Limits, MapInstance, Plugin, Selection};
use tenon_tests::random::{Random, leaves};
use tenon_tests::{compiler, component};

const GUEST: &str = "tests/conformance/guest";

fn plugin() -> (Host, Plugin) {
    let host = Host::new(&HostConfig {
        cache_dir: Some(std::env::temp_dir().join("tenon-test-cache")),
        compiler: compiler(),
        ..HostConfig::default()
    })
    .unwrap();
    let plugin = host.load(&component(GUEST)).unwrap();
    (host, plugin)
}

async fn open(plugin: &Plugin, function: &str, schema: &Schema) -> MapInstance {
    let (limits, budget) = (Limits::default(), Arc::new(FixedBudget::new(1 << 30)));
    let binding = plugin
        .bind_map(function, "{}", schema, &limits, Arc::clone(&budget) as _)
        .await
        .unwrap();
    plugin.open_map(&binding, &limits, budget).await.unwrap()
}

fn same(column: &ArrayRef, back: &ArrayRef) {
    back.to_data().validate_full().unwrap();
    assert_eq!(column.data_type(), back.data_type());
    assert_eq!(column.to_data(), back.to_data(), "{}", column.data_type());
}

async fn comes_back(plugin: &Plugin, batch: &RecordBatch) {
    let mut instance = open(plugin, "identity", &batch.schema()).await;
    // The second time dictionaries are named only; the third time they are others.
    let rows = batch.num_rows();
    for part in [
        batch.clone(),
        batch.slice(rows / 2, rows - rows / 2),
        batch.clone(),
    ] {
        let mapped = instance.apply(&part).await.unwrap();
        assert!(matches!(mapped.selection, Selection::All));
        assert_eq!(mapped.columns.num_rows(), part.num_rows());
        assert_eq!(mapped.columns.schema().fields(), part.schema().fields());
        for (column, back) in part.columns().iter().zip(mapped.columns.columns()) {
            same(column, back);
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[test]
fn random_batches_come_back_as_they_went() {
    let (_host, plugin) = plugin();
    let runtime = runtime();
    proptest!(ProptestConfig::with_cases(300), |(seed in any::<u64>())| {
        let batch = Random::new(seed).batch();
        runtime.block_on(comes_back(&plugin, &batch));
    });
}

#[test]
fn every_leaf_comes_back_alone_empty_and_missing() {
    let (_host, plugin) = plugin();
    let mut random = Random::new(7);
    for data_type in leaves() {
        let schema = Arc::new(Schema::new(vec![Field::new("c", data_type.clone(), true)]));
        let missing = arrow::array::new_null_array(&data_type, 9);
        for column in [
            random.array(&data_type, true, 33),
            missing.slice(0, 0),
            missing,
        ] {
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
            runtime().block_on(comes_back(&plugin, &batch));
        }
    }
}

/// The plain form of a type, as `wit/types.wit` says.
fn plain(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Utf8View => T::Utf8,
        T::BinaryView => T::Binary,
        T::Dictionary(_, values) => plain(values)?,
        T::RunEndEncoded(_, values) => plain(values.data_type())?,
        other if other.is_nested() => return None,
        other => other.clone(),
    })
}

#[test]
fn a_guest_of_plain_columns_gets_plain_columns() {
    let (_host, plugin) = plugin();
    let runtime = runtime();
    proptest!(ProptestConfig::with_cases(100), |(seed in any::<u64>())| {
        let mut random = Random::new(seed);
        let data_type = random.data_type(2);
        let Some(plain) = plain(&data_type) else { return Ok(()) };
        let column = random.array(&data_type, true, 20);
        let schema = Arc::new(Schema::new(vec![Field::new("c", data_type, true)]));
        let batch = RecordBatch::try_new(schema, vec![Arc::clone(&column)]).unwrap();
        runtime.block_on(async {
            let mut instance = open(&plugin, "plain", &batch.schema()).await;
            let mapped = instance.apply(&batch).await.unwrap();
            same(&cast(&column, &plain).unwrap(), mapped.columns.column(0));
        });
    });
}

#[test]
fn constants_stand_for_every_row() {
    let (_host, plugin) = plugin();
    let mut random = Random::new(11);
    for data_type in leaves() {
        for column in [
            random.array(&data_type, false, 1),
            arrow::array::new_null_array(&data_type, 1),
        ] {
            let schema = Schema::new(vec![Field::new("c", data_type.clone(), true)]);
            runtime().block_on(async {
                let mut instance = open(&plugin, "identity", &schema).await;
                for rows in [3, 3, 0, 100] {
                    let constant = [Column::Constant(Arc::clone(&column))];
                    let mapped = instance.apply_columns(rows, &constant).await.unwrap();
                    let zeros = arrow::array::UInt32Array::from(vec![0; rows]);
                    let expected = arrow::compute::take(&column, &zeros, None).unwrap();
                    same(&expected, mapped.columns.column(0));
                }
            });
        }
    }
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart() {
    let (_host, plugin) = plugin();
    let keys = arrow::array::StringArray::from(vec!["a", "a", "b", "b"]);
    let numbers = arrow::array::Int64Array::from(vec![1, 2, 3, 4]);
    let batch = RecordBatch::try_from_iter([
        ("k", Arc::new(keys) as ArrayRef),
        ("n", Arc::new(numbers) as ArrayRef),
    ])
    .unwrap();
    let (limits, budget) = (Limits::default(), Arc::new(FixedBudget::new(1 << 30)));
    let binding = plugin
        .bind_stream(
            "running-sum",
            "{}",
            &[batch.schema()],
            &limits,
            Arc::clone(&budget) as _,
        )
        .await
        .unwrap();
    let mut whole = plugin
        .open_stream(&binding, None, &limits, Arc::clone(&budget) as _)
        .await
        .unwrap();
    let expected = whole.push(0, &batch).await.unwrap().output.unwrap();
    for cut in 0..=4 {
        let mut first = plugin
            .open_stream(&binding, None, &limits, Arc::clone(&budget) as _)
            .await
            .unwrap();
        first.push(0, &batch.slice(0, cut)).await.unwrap();
        let snapshot = first.snapshot().await.unwrap();
        drop(first);
        let mut second = plugin
            .open_stream(&binding, Some(&snapshot), &limits, Arc::clone(&budget) as _)
            .await
            .unwrap();
        let rest = second.push(0, &batch.slice(cut, 4 - cut)).await.unwrap();
        if cut < 4 {
            assert_eq!(
                rest.output.unwrap(),
                expected.slice(cut, 4 - cut),
                "cut at {cut}"
            );
        }
    }
    assert_ne!(budget.used(), 0);
    drop(whole);
    assert_eq!(budget.used(), 0);
}
