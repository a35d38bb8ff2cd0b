//! `tenon catalog`: what there is.

use clap::Subcommand;
use serde_json::{Value, json};
use tenon_catalog::{Error, Table, TenantCatalog};

use super::setup;
use crate::error::Failure;
use crate::exit::Exit;
use crate::report::{Report, cell, cell_as};
use crate::shell::Shell;

/// Arguments of `tenon catalog`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
}

/// Does what the verb says.
pub(crate) fn run(shell: &Shell, args: &Args) -> Result<(), Failure> {
    let catalog = setup::catalog(shell)?;
    match &args.verb {
        Verb::Ls { database, limit } => list(shell, &catalog, database.as_deref(), *limit),
        Verb::Show { table, version } => show(shell, &catalog, table, version.as_deref()),
    }
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

fn table_row(database: &str, table: &Table) -> Vec<crate::report::Cell> {
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

fn show(
    shell: &Shell,
    catalog: &TenantCatalog,
    name: &str,
    version: Option<&str>,
) -> Result<(), Failure> {
    let Some((database, table)) = name.split_once('.') else {
        return Err(Failure::new(format!("{name:?} is not database.table"))
            .with_exit(Exit::Usage)
            .with_hint("see `tenon catalog ls`"));
    };
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
