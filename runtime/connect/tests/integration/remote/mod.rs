//! Buckets and web addresses: against a real server of S3, and against servers that fail as a test wants.

mod faults;
mod moto;
mod reach;
mod s3;
mod secrets;
mod server;
mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use tenon_connect::{
    Connection, Connections, CsvOptions, Error, FileSink, Format, JsonOptions, Place,
    RemoteOptions, StagedOutput, Target, WriteMode, table,
};

/// A connection to a store on loopback, whose secrets can be recognised.
fn connection(url: &str, endpoint: &str, more: &[(&str, &str)]) -> Connections {
    let own = [
        ("URL", url),
        ("ENDPOINT", endpoint),
        ("ACCESS_KEY_ID", "me"),
        ("SECRET_ACCESS_KEY", SECRET),
    ];
    let all = own.iter().chain(more).copied();
    [Connection::from_properties("lake", all).unwrap()]
        .into_iter()
        .collect()
}

/// What no text may show.
const SECRET: &str = "canary/Secret+Key";

/// Small ranges and parts, and no pauses, so that little data does much.
fn options() -> RemoteOptions {
    RemoteOptions {
        range_bytes: 1000,
        part_bytes: 5 << 20,
        retry_pause: Duration::from_millis(1),
        ..RemoteOptions::default()
    }
}

fn place(endpoint: &str) -> Place {
    Place::ambient()
        .with_connections(connection("s3://", endpoint, &[]))
        .with_remote_options(options())
}

fn csv() -> Format {
    Format::Csv(CsvOptions::default())
}

fn json() -> Format {
    Format::Json(JsonOptions::default())
}

fn rows(from: i64, to: i64) -> RecordBatch {
    let names = (from..to).map(|n| format!("name-{n}"));
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(from..to)) as _),
        ("name", Arc::new(StringArray::from_iter_values(names)) as _),
    ])
    .unwrap()
}

/// The rows of a path, by SQL over table `t`, or the error.
async fn query(place: &Place, path: &str, format: &Format, sql: &str) -> Result<String, String> {
    let table = table(place, &[PathBuf::from(path)], format)
        .await
        .map_err(|e| e.to_string())?;
    let context = SessionContext::new();
    context.register_table("t", table).unwrap();
    let frame = context.sql(sql).await.map_err(|e| e.to_string())?;
    let batches = frame.collect().await;
    let batches = batches.map_err(|e| e.find_root().to_string().replace("External error: ", ""))?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

async fn error_of(place: &Place, path: &str, format: &Format) -> Error {
    table(place, &[PathBuf::from(path)], format)
        .await
        .unwrap_err()
}

/// Owns what it is given, so that it can be awaited later.
fn stage(
    place: &Place,
    target: &str,
    format: &Format,
    mode: WriteMode,
    run: &'static str,
    partitions: Vec<RecordBatch>,
) -> impl Future<Output = Result<StagedOutput, Error>> + use<> {
    let (place, format) = (place.clone(), format.clone());
    let target = Target::from_path(&place, target.as_ref());
    async move {
        let sink = FileSink::open(&place, &target, &format, mode, run)?;
        let schema = partitions[0].schema();
        let streams = partitions
            .into_iter()
            .map(|batch| crate::stream(vec![batch]));
        sink.write(schema, streams.collect()).await
    }
}
