//! `tenon catalog`: what there is.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};
use tenon_catalog::{ColumnStatistics, Counts, Error, StatisticsOf, Table, TenantCatalog};
use tenon_connect::Place;
use tenon_engine::{Analyzed, MAX_PARTITIONS, SamplePercent, column_statistics};
use tenon_store::{Clock, SystemClock};

use super::setup;
use crate::error::{Explain, Failure};
use crate::exit::Exit;
use crate::report::{Cell, Report, cell, cell_as};
use crate::shell::Shell;

/// Arguments of `tenon catalog`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Work in this nested catalog instead of the account's own.
    #[arg(long, value_name = "NAME", global = true)]
    catalog: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List databases and tables.
    #[command(visible_alias = "list")]
    Ls {
        /// Only this database.
        #[arg(value_name = "DATABASE")]
        database: Option<String>,
        /// Print at most this many.
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
    },
    /// Show a table: its columns and where it lies.
    Show {
        /// database.table
        #[arg(value_name = "TABLE")]
        table: String,
        /// Show this version instead of the current one.
        #[arg(long, value_name = "ID")]
        version: Option<String>,
    },
    /// Look for records that nothing leads to and for missing ones.
    Fsck {
        /// Delete the first and write the others.
        #[arg(long)]
        mend: bool,
    },
    /// Write all there is, without the secrets of connections, into one file, a JSON object a line.
    Export {
        /// The file to write; it must not exist.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Create what an exported file holds; what is there already stays as it is.
    Import {
        /// What `tenon catalog export` wrote.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Find out statistics of a table's columns, and keep them for those who plan queries.
    Analyze {
        /// database.table
        #[arg(value_name = "TABLE")]
        table: String,
        /// Only these columns.
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        columns: Vec<String>,
        /// Look at this part of the rows, in percent.
        #[arg(long, value_name = "PERCENT", default_value_t = 100.0)]
        sample: f64,
    },
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let catalog = setup::catalog(shell)?;
    let catalog = match &args.catalog {
        None => catalog,
        Some(name) => catalog.nested(name).map_err(failure)?,
    };
    match &args.verb {
        Verb::Ls { database, limit } => list(shell, &catalog, database.as_deref(), *limit),
        Verb::Show { table, version } => show(shell, &catalog, table, version.as_deref()),
        Verb::Fsck { mend } => fsck(shell, &catalog, *mend),
        Verb::Export { file } => export(shell, &catalog, file),
        Verb::Import { file } => import(shell, &catalog, file),
        Verb::Analyze {
            table,
            columns,
            sample,
        } => analyze(shell, &catalog, table, columns, *sample),
    }
}

fn fsck(shell: &Shell, catalog: &TenantCatalog, mend: bool) -> Result<(), Failure> {
    let progress = shell.progress("checking");
    let found = catalog.fsck(mend).map_err(failure)?;
    drop(progress);
    let mut report = Report::list(&["catalog", "tree", "key", "problem", "mended"])
        .when_empty("no fault was found");
    for finding in &found.findings {
        report.row([
            cell(finding.catalog.clone().map_or(Value::Null, Value::String)),
            cell(finding.tree),
            cell(finding.key.to_string()),
            cell(finding.problem.as_str()),
            cell(finding.mended),
        ]);
    }
    shell.print(&report)?;
    let left = found.findings.iter().filter(|f| !f.mended).count();
    match left {
        0 => Ok(()),
        _ => Err(Failure::new(format!("{left} faults are left"))
            .with_hint("`tenon catalog fsck --mend` mends what can be mended")),
    }
}

fn export(shell: &Shell, catalog: &TenantCatalog, path: &Path) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let file = File::create_new(path).what(|| format!("cannot create {shown}"))?;
    let progress = shell.progress("exporting");
    let mut writer = BufWriter::new(file);
    let written = catalog
        .export(&mut writer)
        .map_err(Failure::from)
        .and_then(|counts| {
            let file = writer.into_inner().map_err(|e| e.into_error())?;
            file.sync_all()?;
            Ok(counts)
        });
    drop(progress);
    if written.is_err() {
        // Half a file would be refused; none is clearer.
        let _ = std::fs::remove_file(path);
    }
    let counts = written.what(move || format!("cannot export to {shown}"))?;
    shell.print(&Report::record().field("exported", counted(&counts)))
}

fn import(shell: &Shell, catalog: &TenantCatalog, path: &Path) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let file = File::open(path).what(move || format!("cannot read {shown}"))?;
    let progress = shell.progress("importing");
    let imported = catalog.import(&mut BufReader::new(file))?;
    drop(progress);
    let report = Report::record()
        .field("created", counted(&imported.created))
        .field("existing", counted(&imported.existing))
        .field("failed", counted(&imported.failed));
    shell.print(&match imported.created.get("Connection") {
        None => report,
        Some(count) => report.field(
            "secrets",
            cell(format!(
                "no file has them: give them to {count} connections again"
            )),
        ),
    })?;
    match imported.reasons.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(imported.reasons.join("\n"))),
    }
}

fn counted(counts: &Counts) -> Cell {
    let lines: Vec<String> = counts
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    match lines.is_empty() {
        true => cell_as(json!(counts), "-"),
        false => cell_as(json!(counts), lines.join("\n")),
    }
}

fn analyze(
    shell: &Shell,
    catalog: &TenantCatalog,
    name: &str,
    columns: &[String],
    sample: f64,
) -> Result<(), Failure> {
    let (database, table) = split(name)?;
    let found = catalog.get_table(database, table).map_err(failure)?;
    let sample = SamplePercent::new(sample).map_err(setup::failure)?;
    let partitions = catalog
        .partitions_of(&found, MAX_PARTITIONS)
        .map_err(failure)?;
    let config = setup::config(shell, &setup::Resources::default())?;
    let analyzed = Analyzed {
        table: &found,
        partitions: &partitions,
        columns,
        sample,
    };
    let now = SystemClock.now().into();
    let statistics = setup::block_on(async {
        column_statistics(&config, &Place::ambient(), analyzed, now)
            .await
            .map_err(setup::failure)
    })?;
    let of = StatisticsOf {
        database,
        table,
        partition: None,
    };
    for outcome in catalog
        .update_statistics(of, &statistics)
        .map_err(failure)?
    {
        outcome.map_err(failure)?;
    }
    let mut report = Report::list(&["column", "type", "nulls", "distinct", "least", "greatest"])
        .when_empty("no column has a type that statistics are made of");
    for column in &statistics {
        report.row(statistics_row(column));
    }
    shell.print(&report)
}

/// A row of what was found out; lengths of texts and bytes stand for their values.
fn statistics_row(column: &ColumnStatistics) -> [Cell; 6] {
    let data = serde_json::to_value(&column.statistics_data).unwrap_or_default();
    let members = data
        .as_object()
        .and_then(|members| members.values().find(|member| member.is_object()));
    let of = |names: &[&str]| {
        let found = names
            .iter()
            .find_map(|name| members.and_then(|members| members.get(*name)));
        found.cloned().unwrap_or(Value::Null)
    };
    [
        cell(column.column_name.as_str()),
        cell(column.statistics_data.r#type.as_str()),
        cell(of(&["NumberOfNulls"])),
        cell(of(&["NumberOfDistinctValues"])),
        cell(of(&["MinimumValue", "NumberOfFalses"])),
        cell(of(&["MaximumValue", "MaximumLength", "NumberOfTrues"])),
    ]
}

fn list(
    shell: &Shell,
    catalog: &TenantCatalog,
    database: Option<&str>,
    limit: usize,
) -> Result<(), Failure> {
    let mut report = Report::list(&[
        "database", "table", "format", "columns", "version", "location",
    ])
    .when_empty("no tables yet: `tenon run JOB` registers what it writes");
    for database in databases(catalog, database)? {
        let mut token: Option<String> = None;
        loop {
            let page = catalog
                .list_tables(&database, token.as_deref(), limit.clamp(1, 1_000))
                .map_err(failure)?;
            for table in &page.items {
                report.cells(table_row(&database, table));
            }
            token = page.next;
            if token.is_none() || report.len() >= limit {
                break;
            }
        }
    }
    report.truncate(limit);
    shell.print(&report)
}

fn databases(catalog: &TenantCatalog, one: Option<&str>) -> Result<Vec<String>, Failure> {
    if let Some(one) = one {
        return Ok(vec![catalog.get_database(one).map_err(failure)?.name]);
    }
    let (mut names, mut token) = (Vec::new(), None);
    loop {
        let page = catalog
            .list_databases(token.as_deref(), 1_000)
            .map_err(failure)?;
        names.extend(page.items.into_iter().map(|database| database.name));
        match page.next {
            Some(next) => token = Some(next),
            None => return Ok(names),
        }
    }
}

fn table_row(database: &str, table: &Table) -> Vec<Cell> {
    let descriptor = table.storage_descriptor.as_ref();
    vec![
        cell(database),
        cell(table.name.as_str()),
        cell(
            table
                .parameters
                .get("classification")
                .cloned()
                .map_or(Value::Null, Value::String),
        ),
        cell(descriptor.map_or(0, |d| d.columns.len()) as u64),
        cell(table.version_id.clone().map_or(Value::Null, Value::String)),
        cell(
            descriptor
                .and_then(|d| d.location.clone())
                .map_or(Value::Null, Value::String),
        ),
    ]
}

fn split(name: &str) -> Result<(&str, &str), Failure> {
    name.split_once('.').ok_or_else(|| {
        Failure::new(format!("{name:?} is not database.table"))
            .with_exit(Exit::Usage)
            .with_hint("see `tenon catalog ls`")
    })
}

fn show(
    shell: &Shell,
    catalog: &TenantCatalog,
    name: &str,
    version: Option<&str>,
) -> Result<(), Failure> {
    let (database, table) = split(name)?;
    let table = match version {
        None => catalog.get_table(database, table).map_err(failure)?,
        Some(_) => catalog
            .get_table_version(database, table, version)
            .map_err(failure)?
            .table
            .unwrap_or_default(),
    };
    let descriptor = table.storage_descriptor.clone().unwrap_or_default();
    let columns = descriptor
        .columns
        .iter()
        .map(|c| json!({ "name": c.name, "type": c.r#type, "comment": c.comment }))
        .collect::<Vec<_>>();
    let shown = descriptor
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.r#type.as_deref().unwrap_or("?")))
        .collect::<Vec<_>>()
        .join("\n");
    let report = Report::record()
        .field("database", cell(database))
        .field("table", cell(table.name.as_str()))
        .field(
            "version",
            cell(table.version_id.clone().map_or(Value::Null, Value::String)),
        )
        .field(
            "location",
            cell(descriptor.location.map_or(Value::Null, Value::String)),
        )
        .field(
            "format",
            cell(
                table
                    .parameters
                    .get("classification")
                    .cloned()
                    .map_or(Value::Null, Value::String),
            ),
        )
        .field("columns", cell_as(columns, shown));
    shell.print(&report)
}

fn failure(error: Error) -> Failure {
    let exit = match &error {
        Error::NotFound { .. } => Exit::NotFound,
        Error::Conflict { .. } | Error::AlreadyExists { .. } => Exit::Conflict,
        Error::InvalidInput { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    let missing = matches!(error, Error::NotFound { .. });
    let failure = Failure::from(error).with_exit(exit);
    if missing {
        failure.with_hint("see what there is: `tenon catalog ls`")
    } else {
        failure
    }
}
