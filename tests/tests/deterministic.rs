//! Where fuel is the meter, equal calls give equal bytes and use equal fuel.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::Float64Type;
use tenon_host::{Error, FixedBudget, Host, HostConfig, Limits, Meter, Plugin};
use tenon_tests::random::Random;
use tenon_tests::{compiler, component};

fn plugin(folder: &str) -> (Host, Plugin) {
    let host = Host::new(&HostConfig {
        cache_dir: Some(std::env::temp_dir().join("tenon-test-cache")),
        compiler: compiler(),
        meter: Meter::Fuel,
        ..HostConfig::default()
    })
    .unwrap();
    let plugin = host.load(&component(folder)).unwrap();
    (host, plugin)
}

/// What a function makes of these batches in a new instance, and the fuel after each.
async fn run(
    plugin: &Plugin,
    function: &str,
    batches: &[RecordBatch],
    limits: &Limits,
) -> Result<(Vec<RecordBatch>, Vec<u64>), Error> {
    let budget = Arc::new(FixedBudget::new(1 << 30));
    let schema = batches[0].schema();
    let binding = plugin
        .bind_map(
            function,
            "{}",
            &schema,
            &Limits::default(),
            Arc::clone(&budget) as _,
        )
        .await?;
    let mut instance = plugin.open_map(&binding, limits, budget).await?;
    let (mut outputs, mut fuel) = (Vec::new(), Vec::new());
    for batch in batches {
        outputs.push(instance.apply(batch).await?.columns);
        fuel.push(instance.fuel());
    }
    Ok((outputs, fuel))
}

#[tokio::test]
async fn equal_calls_use_equal_fuel_and_give_equal_bytes() {
    let (_host, plugin) = plugin("tests/conformance/guest");
    for seed in 0..20 {
        let batch = Random::new(seed).batch();
        let batches = [batch.clone(), batch.slice(0, batch.num_rows() / 2), batch];
        let limits = Limits::default();
        let first = run(&plugin, "identity", &batches, &limits).await.unwrap();
        let second = run(&plugin, "identity", &batches, &limits).await.unwrap();
        assert!(first.1[0] > 0 && first.1[0] < first.1[2]);
        assert_eq!(first, second, "seed {seed}");
    }
}

#[tokio::test]
async fn every_nan_is_the_same() {
    let (_host, plugin) = plugin("tests/bench-guest");
    let odd = f64::from_bits(0xfff8_0000_dead_beef);
    assert!(odd.is_nan());
    let column = |value: f64| Arc::new(Float64Array::from(vec![value; 3])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", column(odd)), ("b", column(1.0))]).unwrap();
    let limits = Limits::default();
    let (outputs, _) = run(&plugin, "blend", &[batch], &limits).await.unwrap();
    let bits = |value: f64| value.to_bits();
    let values = outputs[0].column(0).as_primitive::<Float64Type>().values();
    assert_eq!(
        values.iter().copied().map(bits).collect::<Vec<_>>(),
        [0x7ff8_0000_0000_0000; 3]
    );
}

#[tokio::test]
async fn fuel_runs_out() {
    let (_host, plugin) = plugin("tests/conformance/guest");
    let limits = Limits {
        call_fuel: 1_000,
        ..Limits::default()
    };
    let batch = Random::new(1).batch();
    let error = run(&plugin, "identity", &[batch], &limits)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "limit call_fuel reached: allowed 1000 units in one call, asked for more"
    );
}
