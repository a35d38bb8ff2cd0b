//! `tenon analyze-worker`: the process that reads one table for a server and finds out statistics of its columns. The
//! server starts it, see `analyst`; people never do, so it is not in the help.
//!
//! ```text
//! stdin   one line: Order          then nothing, until the server is gone or wants no more
//! stdout  one line: Answer
//! ```
//!
//! **Chosen: a process of its own.** What tenants keep in files is parsed by code that may abort the process or ask for all
//! memory there is: that ends this process and no other. It reads below one folder only, which the kernel sees to where it
//! can (`wall`), has no environment, and ends with the server.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

use rustix::process::Resource;
use serde::{Deserialize, Serialize};
use tenon_catalog::{ColumnStatistics, Partition, Table, Timestamp};
use tenon_connect::Place;
use tenon_engine::{Analyzed, EngineConfig, SamplePercent, column_statistics};

use super::child;
use super::wall::Wall;
use crate::error::{Explain, Failure};

/// How the command is called.
pub(crate) const NAME: &str = "analyze-worker";

/// An order's bytes, at most.
const MAX_ORDER_BYTES: u64 = 256 << 20;

/// Address space beside what operators may hold: the program, its threads, files that are read.
const SPARE_BYTES: u64 = 4 << 30;

/// What is to be found out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The folder below which the table lies.
    pub(crate) root: PathBuf,
    /// The table; its location is below the root.
    pub(crate) table: Table,
    /// All of its partitions; their locations are below the root.
    pub(crate) partitions: Vec<Partition>,
    /// Of these columns.
    pub(crate) columns: Vec<String>,
    /// Of the rows.
    pub(crate) sample_percent: f64,
    /// When it counts as found out.
    pub(crate) analyzed_time: Timestamp,
    /// Memory that operators may hold.
    pub(crate) memory_bytes: u64,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The statistics.
    Found(Vec<ColumnStatistics>),
    /// Why there are none, for whoever asked.
    Failed(String),
}

/// Does what the order on standard input says.
pub(crate) fn run() -> Result<(), Failure> {
    let mut line = String::new();
    let mut stdin = std::io::stdin().lock().take(MAX_ORDER_BYTES);
    stdin
        .read_line(&mut line)
        .what(|| "this command is for tenon itself: it reads an order from standard input")?;
    let order: Order = serde_json::from_str(&line)
        .what(|| "this command is for tenon itself: standard input holds no order")?;
    drop(stdin);
    confine(&order).what(|| "cannot lower the limits of this process")?;
    let wall = Wall::new().reads(&order.root).writes(&std::env::temp_dir());
    wall.raise().what(|| "cannot confine this process")?;
    std::thread::spawn(end_with_the_server);
    let answer = match find_out(&order) {
        Ok(statistics) => Answer::Found(statistics),
        Err(failure) => Answer::Failed(failure.to_string()),
    };
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, &answer)?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

/// Nothing more is said on standard input: when it ends, there is nobody to answer to.
fn end_with_the_server() {
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    std::process::exit(1);
}

fn confine(order: &Order) -> rustix::io::Result<()> {
    child::lower(Resource::Core, 0)?;
    child::lower(Resource::As, order.memory_bytes.saturating_add(SPARE_BYTES))
}

fn find_out(order: &Order) -> Result<Vec<ColumnStatistics>, Failure> {
    let place =
        Place::rooted(&order.root).map_err(|_| Failure::new("the folder cannot be opened"))?;
    let analyzed = Analyzed {
        table: &order.table,
        partitions: &order.partitions,
        columns: &order.columns,
        sample: SamplePercent::new(order.sample_percent)?,
    };
    let config = EngineConfig {
        memory_bytes: usize::try_from(order.memory_bytes)?,
        ..EngineConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let found = column_statistics(&config, &place, analyzed, order.analyzed_time);
    Ok(runtime.block_on(found)?)
}
