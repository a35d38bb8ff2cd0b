//! Partitions of one large table: how fast they come in, and how long the first page of a filter takes.
//!
//! Model: a partition costs one entry in the store and one for each index, whatever its table's columns; a filter
//! on the first keys or on an index costs its page, not the table. Usage: `cargo bench -p tenon-catalog --bench
//! partitions -- [PARTITIONS] [CLIENTS]`; one million partitions and four clients by default.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on should stop"
)]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tenon_catalog::{
    Catalog, Column, DatabaseInput, ListPartitions, PartitionIndex, PartitionInput, SerDeInfo,
    StorageDescriptor, TableInput, Tenant, TenantCatalog,
};
use tenon_store::{SledStore, StoreConfig, SystemClock};

const BATCH: usize = 100;
const REPEATS: usize = 20;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let partitions = numbers.next().unwrap_or(1_000_000);
    let clients = numbers.next().unwrap_or(4);
    let dir = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(SystemClock);
    let config = StoreConfig::default();
    let store = SledStore::open(dir.path(), &config, clock.as_ref()).expect("a store");
    let catalog = Catalog::open(Arc::new(store), clock).tenant(Tenant::new(1));
    let database = DatabaseInput {
        name: "d".to_owned(),
        ..DatabaseInput::default()
    };
    catalog.create_database(database).expect("a database");
    catalog.create_table("d", table("t")).expect("a table");

    println!("| what | measured |\n|---|---|");
    let rate = import(&catalog, "t", partitions, clients);
    println!("| import, {clients} clients, batches of {BATCH} | {rate:.0} partitions/s |");
    catalog.create_table("d", table("u")).expect("a table");
    catalog
        .create_partition_index("d", "u", &index("by_day"))
        .expect("an index");
    let rate = import(&catalog, "u", partitions / 10, clients);
    println!("| the same into a table with an index, a tenth | {rate:.0} partitions/s |");
    catalog.delete_table("d", "u").expect("gone");

    let day = &key(partitions / 2)[1];
    let hour = &key(partitions / 2)[2];
    let filters = [
        (
            "the first key, a text".to_owned(),
            format!("region = '{}'", key(partitions / 2)[0]),
        ),
        (
            "the first two keys".to_owned(),
            format!("region = 'r3' and day = {day}"),
        ),
        (
            "a range of the second".to_owned(),
            format!(
                "region = 'r3' and day between {day} and {}",
                day.parse::<i64>().unwrap_or(0) + 3
            ),
        ),
        (
            "the second key, a number".to_owned(),
            format!("day = {day}"),
        ),
        (
            "all three keys".to_owned(),
            format!("region = 'r3' and day = {day} and hour = {hour}"),
        ),
        ("nothing".to_owned(), String::new()),
    ];
    measure(&catalog, &filters, "");
    let started = Instant::now();
    catalog
        .create_partition_index("d", "t", &index("by_day"))
        .expect("an index");
    catalog
        .finish_partition_index("d", "t", "by_day", None)
        .expect("active");
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "| backfill of an index | {:.0} partitions/s |",
        partitions as f64 / seconds
    );
    measure(&catalog, &filters[3..5], ", with an index on day");
    let started = Instant::now();
    catalog.delete_table("d", "t").expect("gone");
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "| delete the table | {:.0} partitions/s |",
        partitions as f64 / seconds
    );
}

/// Ten regions, and hours of as many days as it takes.
fn key(number: usize) -> Vec<String> {
    let (region, rest) = (number % 10, number / 10);
    vec![
        format!("r{region}"),
        (20_000 + rest / 24).to_string(),
        (rest % 24).to_string(),
    ]
}

fn index(name: &str) -> PartitionIndex {
    PartitionIndex {
        index_name: name.to_owned(),
        keys: vec!["day".to_owned()],
    }
}

fn columns(names: &[(&str, &str)]) -> Vec<Column> {
    let column = |(name, r#type): &(&str, &str)| Column {
        name: (*name).to_owned(),
        r#type: Some((*r#type).to_owned()),
        ..Column::default()
    };
    names.iter().map(column).collect()
}

fn descriptor(location: String) -> StorageDescriptor {
    let names: Vec<_> = (0..20).map(|number| format!("column_{number}")).collect();
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "string")).collect();
    StorageDescriptor {
        columns: columns(&pairs),
        location: Some(location),
        input_format: Some(
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat".to_owned(),
        ),
        output_format: Some(
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat".to_owned(),
        ),
        serde_info: Some(SerDeInfo {
            serialization_library: Some(
                "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe".to_owned(),
            ),
            ..SerDeInfo::default()
        }),
        ..StorageDescriptor::default()
    }
}

fn table(name: &str) -> TableInput {
    TableInput {
        name: name.to_owned(),
        storage_descriptor: Some(descriptor("s3://bucket/t".to_owned())),
        partition_keys: columns(&[("region", "string"), ("day", "int"), ("hour", "int")]),
        ..TableInput::default()
    }
}

fn partition(number: usize) -> PartitionInput {
    let values = key(number);
    let location = format!(
        "s3://bucket/t/region={}/day={}/hour={}",
        values[0], values[1], values[2]
    );
    PartitionInput {
        values,
        storage_descriptor: Some(descriptor(location)),
        ..PartitionInput::default()
    }
}

fn import(catalog: &TenantCatalog, table: &str, partitions: usize, clients: usize) -> f64 {
    let started = Instant::now();
    thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let batches = (0..partitions).step_by(BATCH).skip(client).step_by(clients);
                for from in batches {
                    let inputs = (from..partitions.min(from + BATCH))
                        .map(partition)
                        .collect();
                    let outcomes = catalog
                        .create_partitions("d", table, inputs)
                        .expect("a batch");
                    assert!(
                        outcomes.iter().all(Result::is_ok),
                        "a partition was refused"
                    );
                }
            });
        }
    });
    partitions as f64 / started.elapsed().as_secs_f64()
}

fn measure(catalog: &TenantCatalog, filters: &[(String, String)], with: &str) {
    for (name, expression) in filters {
        for limit in [100, 1000] {
            let mut times: Vec<Duration> = Vec::new();
            let mut found = 0;
            for _ in 0..REPEATS {
                let options = ListPartitions {
                    expression,
                    limit,
                    ..ListPartitions::default()
                };
                let started = Instant::now();
                let page = catalog.list_partitions("d", "t", &options).expect("a page");
                times.push(started.elapsed());
                found = page.items.len();
            }
            times.sort();
            let millis = |time: Duration| time.as_secs_f64() * 1000.0;
            println!(
                "| first page of {limit}, filter on {name}{with} | {:.2} ms median, {:.2} ms worst, {found} found |",
                millis(times[REPEATS / 2]),
                millis(times[REPEATS - 1]),
            );
        }
    }
}
