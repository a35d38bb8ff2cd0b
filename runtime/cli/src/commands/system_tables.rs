//! `system.runs` and `system.nodes`: the runs that `tenon serve` keeps, as tables for `tenon sql`.
//!
//! ```text
//! system.runs    a row for each attempt of a run      system.nodes   a row for each node of each attempt
//! ```
//!
//! Times are timestamps in UTC, amounts carry their unit in their name. What is not known, such as the end of a run that
//! has not ended, is null. Only runs of one account are there. Runs of `tenon run` are not kept: they print what they did.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use tenon_engine::{LoadRows, SystemTable};
use tenon_jobs::{
    JobDefinition, JobRun, Jobs, NodeMetrics, Planner, Prices, RunMetrics, TenantJobs, Timestamp,
};
use tenon_store::{SledStore, SystemClock, Tenant};

const UTC: &str = "UTC";

/// A column: its name, its type, and its values of all rows.
struct Column<R> {
    name: &'static str,
    kind: DataType,
    values: fn(&[R]) -> ArrayRef,
}

/// A run with what it did.
type RunRow = (JobRun, RunMetrics);

/// A node with its run.
struct NodeRow {
    job: String,
    run: String,
    node: NodeMetrics,
}

/// Accepts nothing: jobs are only read here.
struct Nobody;

impl Planner for Nobody {
    fn check(&self, _: Tenant, _: &str, _: &JobDefinition) -> Result<(), String> {
        Err("jobs are only read here".to_owned())
    }
}

/// Both tables, of the runs of one account in a store.
pub(crate) fn tables(store: &Arc<SledStore>, tenant: Tenant, prices: Prices) -> Vec<SystemTable> {
    let store = Arc::clone(store);
    let jobs = Jobs::open(store, Arc::new(SystemClock), Arc::new(Nobody));
    tables_of(&jobs.tenant(tenant), prices)
}

fn tables_of(jobs: &TenantJobs, prices: Prices) -> Vec<SystemTable> {
    vec![
        table("runs", run_columns(), loader(jobs, prices, run_rows)),
        table("nodes", node_columns(), loader(jobs, prices, node_rows)),
    ]
}

fn table<R: 'static>(
    name: &'static str,
    columns: Vec<Column<R>>,
    rows: impl Fn() -> Result<Vec<R>, String> + Send + Sync + 'static,
) -> SystemTable {
    let fields = columns
        .iter()
        .map(|column| Field::new(column.name, column.kind.clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let of_batch = Arc::clone(&schema);
    let load: LoadRows = Arc::new(move || {
        let rows = rows()?;
        let values = columns.iter().map(|column| (column.values)(&rows));
        RecordBatch::try_new(Arc::clone(&of_batch), values.collect()).map_err(|e| e.to_string())
    });
    SystemTable::new(name, schema, load)
}

/// What makes rows of a run.
type Rows<R> = fn(JobRun, RunMetrics) -> Vec<R>;

fn loader<R>(
    jobs: &TenantJobs,
    prices: Prices,
    rows: Rows<R>,
) -> impl Fn() -> Result<Vec<R>, String> + Send + Sync + use<R> {
    let jobs = jobs.clone();
    move || {
        let mut all = Vec::new();
        let visited = jobs.visit_runs(|run, metrics| {
            all.extend(rows(run, metrics.priced(&prices)));
        });
        visited.map_err(|error| error.to_string())?;
        Ok(all)
    }
}

fn run_rows(run: JobRun, metrics: RunMetrics) -> Vec<RunRow> {
    vec![(run, metrics)]
}

fn node_rows(run: JobRun, metrics: RunMetrics) -> Vec<NodeRow> {
    let nodes = metrics.nodes.into_iter();
    let nodes = nodes.map(|node| NodeRow {
        job: run.job_name.clone(),
        run: run.id.clone(),
        node,
    });
    nodes.collect()
}

fn texts<R>(rows: &[R], of: impl Fn(&R) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<StringArray>())
}

fn numbers<R>(rows: &[R], of: impl Fn(&R) -> Option<u64>) -> ArrayRef {
    let number = |row| of(row).map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    Arc::new(rows.iter().map(number).collect::<Int64Array>())
}

fn amounts<R>(rows: &[R], of: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<Float64Array>())
}

fn times<R>(rows: &[R], of: impl Fn(&R) -> Option<Timestamp>) -> ArrayRef {
    let millis = |row| of(row).map(|time| i64::try_from(time.unix_millis()).unwrap_or(i64::MAX));
    let times: TimestampMillisecondArray = rows.iter().map(millis).collect();
    Arc::new(times.with_timezone(UTC))
}

fn text<R>(name: &'static str, values: fn(&[R]) -> ArrayRef) -> Column<R> {
    Column {
        name,
        kind: DataType::Utf8,
        values,
    }
}

fn number<R>(name: &'static str, values: fn(&[R]) -> ArrayRef) -> Column<R> {
    Column {
        name,
        kind: DataType::Int64,
        values,
    }
}

fn amount<R>(name: &'static str, values: fn(&[R]) -> ArrayRef) -> Column<R> {
    Column {
        name,
        kind: DataType::Float64,
        values,
    }
}

fn time<R>(name: &'static str, values: fn(&[R]) -> ArrayRef) -> Column<R> {
    Column {
        name,
        kind: DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        values,
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn gb_seconds(byte_seconds: f64) -> f64 {
    byte_seconds / 1e9
}

fn run_columns() -> Vec<Column<RunRow>> {
    vec![
        text("job", |rows| {
            texts(rows, |(run, _)| Some(run.job_name.clone()))
        }),
        text("run", |rows| texts(rows, |(run, _)| Some(run.id.clone()))),
        number("attempt", |rows| {
            numbers(rows, |(run, _)| Some(run.attempt.into()))
        }),
        text("previous_run", |rows| {
            texts(rows, |(run, _)| run.previous_run_id.clone())
        }),
        text("state", |rows| {
            texts(rows, |(run, _)| Some(run.job_run_state.to_string()))
        }),
        time("started", |rows| {
            times(rows, |(run, _)| Some(run.started_on))
        }),
        time("completed", |rows| times(rows, |(run, _)| run.completed_on)),
        number("execution_seconds", |rows| {
            numbers(rows, |(run, _)| Some(run.execution_time))
        }),
        amount("dpu_seconds", |rows| {
            amounts(rows, |(run, _)| run.dpu_seconds)
        }),
        text("error", |rows| {
            texts(rows, |(run, _)| run.error_message.clone())
        }),
        number("bytes_read", |rows| {
            numbers(rows, |(_, did)| Some(did.bytes_read()))
        }),
        number("rows_written", |rows| {
            numbers(rows, |(_, did)| Some(did.rows_written()))
        }),
        number("bytes_written", |rows| {
            numbers(rows, |(_, did)| Some(did.bytes_written()))
        }),
        number("spilled_bytes", |rows| {
            numbers(rows, |(_, did)| Some(did.spilled_bytes))
        }),
        amount("cpu_seconds", |rows| {
            amounts(rows, |(_, did)| Some(seconds(did.cpu_micros)))
        }),
        amount("memory_gb_seconds", |rows| {
            amounts(rows, |(_, did)| Some(gb_seconds(did.memory_byte_seconds)))
        }),
        number("peak_memory_bytes", |rows| {
            numbers(rows, |(_, did)| did.peak_memory_bytes)
        }),
        amount("cost", |rows| amounts(rows, |(_, did)| did.cost)),
    ]
}

fn node_columns() -> Vec<Column<NodeRow>> {
    vec![
        text("job", |rows| texts(rows, |row| Some(row.job.clone()))),
        text("run", |rows| texts(rows, |row| Some(row.run.clone()))),
        text("node", |rows| {
            texts(rows, |row| Some(row.node.node.clone()))
        }),
        text("kind", |rows| {
            texts(rows, |row| {
                Some(row.node.kind.clone()).filter(|kind| !kind.is_empty())
            })
        }),
        number("rows_in", |rows| {
            numbers(rows, |row| Some(row.node.rows_in))
        }),
        number("rows_out", |rows| {
            numbers(rows, |row| Some(row.node.rows_out))
        }),
        number("rows_dropped", |rows| {
            numbers(rows, |row| Some(row.node.rows_dropped))
        }),
        number("rows_quarantined", |rows| {
            numbers(rows, |row| Some(row.node.rows_quarantined))
        }),
        number("retries", |rows| {
            numbers(rows, |row| Some(row.node.retries))
        }),
        number("bytes_read", |rows| {
            numbers(rows, |row| row.node.bytes_read)
        }),
        number("bytes_written", |rows| {
            numbers(rows, |row| row.node.bytes_written)
        }),
        number("spilled_bytes", |rows| {
            numbers(rows, |row| Some(row.node.spilled_bytes))
        }),
        amount("cpu_seconds", |rows| {
            amounts(rows, |row| Some(seconds(row.node.cpu_micros)))
        }),
        number("memory_bytes", |rows| {
            numbers(rows, |row| Some(row.node.memory_bytes))
        }),
        amount("memory_gb_seconds", |rows| {
            amounts(rows, |row| Some(gb_seconds(row.node.memory_byte_seconds)))
        }),
        text("plugin", |rows| {
            texts(rows, |row| {
                row.node.plugin.as_ref().map(|plugin| plugin.name.clone())
            })
        }),
        text("plugin_digest", |rows| {
            texts(rows, |row| {
                row.node.plugin.as_ref().map(|plugin| plugin.digest.clone())
            })
        }),
        amount("plugin_cpu_seconds", |rows| {
            amounts(rows, |row| {
                row.node
                    .plugin
                    .as_ref()
                    .map(|plugin| seconds(plugin.cpu_micros))
            })
        }),
        number("plugin_calls", |rows| {
            numbers(rows, |row| {
                row.node.plugin.as_ref().map(|plugin| plugin.calls)
            })
        }),
        number("plugin_memory_bytes", |rows| {
            numbers(rows, |row| {
                row.node.plugin.as_ref().map(|plugin| plugin.memory_bytes)
            })
        }),
        amount("cost", |rows| amounts(rows, |row| row.node.cost)),
    ]
}
