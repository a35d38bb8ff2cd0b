//! What the benchmarks share: the rows, the two plans that differ in one node, and rounds that alternate.
//!
//! ```text
//! native   ProjectionExec: a function of DataFusion that calls the kernel ─┐
//! plugin   MapExec: the same kernel in the sandbox ────────────────────────┴─ DataSourceExec: batches in memory
//! ```
//!
//! Both run in sessions of equal settings, on the calling thread when there is one partition. What is timed is from the start
//! of the streams to their last batch: the instance that the plugin's plan makes is part of it, planning is not.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "each benchmark uses a part, and one that cannot go on should stop"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, LogicalPlan, Volatility, create_udf};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use tenon_bench_guest::Kernel;
use tenon_tests::World;

/// Where the kernels are.
pub const GUEST: &str = "tests/bench-guest";
/// How a plan names them.
pub const PLUGIN: &str = "tenon:bench-guest@0";
/// Batches that differ; more rows are these again.
const DISTINCT: usize = 16;

/// Rows `start..start + rows` of a kernel's input. No value is missing. The peers make the same rows.
pub fn input(kernel: &str, start: usize, rows: usize) -> RecordBatch {
    let range = start..start + rows;
    let floats = |f: &dyn Fn(usize) -> f64| {
        Arc::new(Float64Array::from_iter_values(range.clone().map(f))) as ArrayRef
    };
    let text = |f: &dyn Fn(usize) -> String| {
        Arc::new(StringArray::from_iter_values(range.clone().map(f))) as ArrayRef
    };
    let degrees =
        |by: usize, width: usize| floats(&move |i| (i * by % width) as f64 - width as f64 / 2.0);
    let ints = |by: i32| {
        let values = range.clone().map(|i| i32::try_from(i).unwrap() * by);
        Arc::new(Int32Array::from_iter_values(values)) as ArrayRef
    };
    let columns = match kernel {
        // The pairs of arrow-udf's own benchmark: two divisions each.
        "gcd" => vec![("a", ints(1)), ("b", ints(2))],
        "add-one" => {
            let values = Int64Array::from_iter_values(range.clone().map(|i| i as i64));
            vec![("a", Arc::new(values) as ArrayRef)]
        }
        "substring" | "upper" => vec![("s", text(&|i| format!("Abcdefgh-{i:011}")))],
        "shout" => vec![("s", text(&|i| format!("  abcdefgh {i:07}  ")))],
        // All are read to the end; every other one matches.
        "regex-match" => vec![(
            "s",
            text(&|i| {
                format!(
                    "user.{i:07}@example.{}",
                    if i % 2 == 0 { "com" } else { "net" }
                )
            }),
        )],
        "haversine" => vec![
            ("lat1", degrees(1, 160)),
            ("lon1", degrees(7, 340)),
            ("lat2", degrees(13, 160)),
            ("lon2", degrees(29, 340)),
        ],
        "blend" => vec![
            ("a", floats(&|i| i as f64 * 1.5)),
            ("b", floats(&|i| i as f64 * 0.25)),
        ],
        other => panic!("no input for {other}"),
    };
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Batches of `rows` rows, at least `total` in each partition.
pub fn table(kernel: &str, rows: usize, total: usize, partitions: usize) -> Arc<dyn TableProvider> {
    let distinct: Vec<RecordBatch> = (0..DISTINCT)
        .map(|i| input(kernel, i * rows, rows))
        .collect();
    let schema = distinct[0].schema();
    let batches = |_| {
        let cycle = distinct.iter().cycle();
        cycle.take(total.div_ceil(rows)).cloned().collect()
    };
    Arc::new(MemTable::try_new(schema, (0..partitions).map(batches).collect()).unwrap())
}

/// A plan that may run again and again.
pub struct Lane {
    context: SessionContext,
    plan: LogicalPlan,
}

/// What one run of a plan was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    /// From the start of its streams to the last batch.
    pub elapsed: Duration,
    /// Rows that came out.
    pub rows: usize,
    /// Calls into guests.
    pub calls: usize,
}

impl Run {
    /// Nanoseconds a row.
    pub fn nanos_per_row(self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.rows as f64
    }
}

impl Lane {
    /// The kernel as a function of DataFusion.
    pub async fn native(kernel: &str, table: Arc<dyn TableProvider>, batch_rows: usize) -> Self {
        let context = session(&table, batch_rows).await;
        let found = Kernel::named(kernel).unwrap();
        let call = move |arguments: &[ColumnarValue]| {
            let columns = ColumnarValue::values_to_arrays(arguments)?;
            let column = found.native(&columns);
            let column = column.map_err(|e| DataFusionError::Execution(e.to_string()))?;
            Ok(ColumnarValue::Array(column))
        };
        context.register_udf(create_udf(
            "kernel",
            found.input.to_vec(),
            found.output.clone(),
            Volatility::Immutable,
            Arc::new(call),
        ));
        let schema = table.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let sql = format!("SELECT kernel({}) AS out FROM input", columns.join(", "));
        Self::sql(context, table, &sql).await
    }

    /// The kernel as a plugin.
    pub async fn plugin(
        world: &World,
        kernel: &str,
        table: Arc<dyn TableProvider>,
        batch_rows: usize,
    ) -> Self {
        let context = session(&table, batch_rows).await;
        let inputs = [table];
        let mapped = world.engine.apply(PLUGIN, kernel, "{}", &inputs).await;
        Self::sql(context, mapped.unwrap(), "SELECT out FROM input").await
    }

    /// An expression of DataFusion's own over the kernel's columns.
    pub async fn built_in(
        expression: &str,
        table: Arc<dyn TableProvider>,
        batch_rows: usize,
    ) -> Self {
        let context = session(&table, batch_rows).await;
        let sql = format!("SELECT {expression} AS out FROM input");
        Self::sql(context, table, &sql).await
    }

    /// The rows as they are: what both of the others pay before they begin.
    pub async fn source(table: Arc<dyn TableProvider>, batch_rows: usize) -> Self {
        let context = session(&table, batch_rows).await;
        Self::sql(context, table, "SELECT * FROM input").await
    }

    async fn sql(context: SessionContext, table: Arc<dyn TableProvider>, sql: &str) -> Self {
        context.register_table("input", table).unwrap();
        let plan = context.sql(sql).await.unwrap().into_unoptimized_plan();
        Self { context, plan }
    }

    /// The physical plan.
    pub async fn physical(&self) -> Arc<dyn ExecutionPlan> {
        let state = self.context.state();
        state.create_physical_plan(&self.plan).await.unwrap()
    }

    /// Runs it once, each partition in a task of its own when there are several.
    pub async fn run(&self) -> Run {
        let plan = self.physical().await;
        let partitions = plan.output_partitioning().partition_count();
        let start = Instant::now();
        let rows = if partitions == 1 {
            drain(&plan, 0, &self.context).await
        } else {
            let tasks: Vec<_> = (0..partitions)
                .map(|partition| {
                    let (plan, context) = (Arc::clone(&plan), self.context.clone());
                    tokio::spawn(async move { drain(&plan, partition, &context).await })
                })
                .collect();
            let mut rows = 0;
            for task in tasks {
                rows += task.await.unwrap();
            }
            rows
        };
        Run {
            elapsed: start.elapsed(),
            rows,
            calls: calls(plan.as_ref()),
        }
    }

    /// The first batch that comes out.
    pub async fn first(&self) -> RecordBatch {
        let plan = self.physical().await;
        let mut stream = plan.execute(0, self.context.task_ctx()).unwrap();
        stream.try_next().await.unwrap().unwrap()
    }
}

/// Equal settings for both lanes. The source cuts batches at the session's batch size.
async fn session(table: &Arc<dyn TableProvider>, batch_rows: usize) -> SessionContext {
    let plain = SessionContext::new();
    let scan = table.scan(&plain.state(), None, &[], None).await.unwrap();
    let partitions = scan.output_partitioning().partition_count();
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(batch_rows);
    SessionContext::new_with_config(config)
}

async fn drain(plan: &Arc<dyn ExecutionPlan>, partition: usize, context: &SessionContext) -> usize {
    let mut stream = plan.execute(partition, context.task_ctx()).unwrap();
    let mut rows = 0;
    while let Some(batch) = stream.try_next().await.unwrap() {
        rows += black_box(batch).num_rows();
    }
    rows
}

fn calls(plan: &dyn ExecutionPlan) -> usize {
    let own = plan.metrics().and_then(|metrics| {
        let calls = metrics.sum_by_name("guest_calls");
        calls.map(|calls| calls.as_usize())
    });
    let below = plan
        .children()
        .into_iter()
        .map(|child| calls(child.as_ref()));
    own.unwrap_or(0) + below.sum::<usize>()
}

/// Stops unless both lanes give the same first batch.
pub async fn assert_same(native: &Lane, plugin: &Lane) {
    let (native, plugin) = (native.first().await, plugin.first().await);
    let rows = native.num_rows().min(plugin.num_rows());
    let (native, plugin) = (
        native.column(0).slice(0, rows),
        plugin.column(0).slice(0, rows),
    );
    if let Some(native) = arrow::array::AsArray::as_primitive_opt(&native) {
        // The sandbox has sines of its own; the last bit may differ.
        let plugin: &Float64Array = arrow::array::AsArray::as_primitive(&plugin);
        let native: &Float64Array = native;
        for (a, b) in native.values().iter().zip(plugin.values()) {
            assert!((a - b).abs() <= a.abs() * 1e-12, "{a} and {b}");
        }
        return;
    }
    assert_eq!(&native, &plugin);
}

/// The middle one, or between the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (below, above) = ((values.len() - 1) / 2, values.len() / 2);
    f64::midpoint(values[below], values[above])
}

/// Runs of two lanes in turns, each pair in the other order than the last, so that what else the machine does meets both.
pub async fn alternating(first: &Lane, second: &Lane, rounds: usize) -> Vec<[Run; 2]> {
    // One of each to warm up.
    first.run().await;
    second.run().await;
    let mut pairs = Vec::with_capacity(rounds);
    for round in 0..rounds {
        pairs.push(if round % 2 == 0 {
            let run = first.run().await;
            [run, second.run().await]
        } else {
            let run = second.run().await;
            [first.run().await, run]
        });
    }
    pairs
}

/// How long `work` takes, as the median of `rounds` rounds of `calls` calls, in nanoseconds a call.
pub fn nanos_per_call(rounds: usize, calls: usize, mut work: impl FnMut()) -> f64 {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / calls as f64
    });
    median(times.collect::<Vec<_>>())
}

/// A runtime on the calling thread alone.
pub fn one_thread() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A batch of one binary value that holds the batch as an IPC stream.
pub fn wrapped(batch: &RecordBatch) -> RecordBatch {
    let bytes = tenon_bench_guest::to_ipc(batch).unwrap();
    let column = Arc::new(arrow::array::BinaryArray::from_vec(vec![&bytes])) as ArrayRef;
    let field = Field::new("ipc", column.data_type().clone(), false);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

/// The load of the machine over the last minute, and its cores.
pub fn machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    format!("{cores} cores, load {load} at the start")
}
