//! [`StatisticsRun`]: starting, ending and listing runs.
//!
//! ```text
//! obj 25|database|table   ids of the table's runs, the newest first, and which of them is under way
//! obj 26|id               StatisticsRun, in the default catalog; the newest comes first
//! obj 27|id               empty; there as long as the run is under way, in the default catalog
//! ```

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Tree};

use super::id::StatisticsRunId;
use crate::catalog::{Page, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::{Table, Timestamp};
use crate::name::fold;
use crate::scope::{Scope, Transaction};
use crate::statistics::{ColumnStatistics, StatisticsOf};
use crate::stored;
use crate::table::full_name;

/// Runs of one table that are remembered.
const RUNS_OF_TABLE: usize = 100;

/// Characters of a reason, at most: as many as Glue has.
const REASON_CHARS: usize = 2048;

/// Old runs removed in one transaction.
const PRUNED_AT_ONCE: usize = 1000;

/// What a run is to find out, and for whom.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatisticsRunInput {
    /// The database.
    pub database_name: String,
    /// The table.
    pub table_name: String,
    /// About these columns; about all that can have statistics when it is empty.
    #[serde(default)]
    pub column_name_list: Vec<String>,
    /// In which role, as it came.
    pub role: String,
    /// Of the rows, in percent; of all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_size: Option<f64>,
    /// How what it writes is encrypted, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_configuration: Option<String>,
}

/// A run that finds out statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatisticsRun {
    /// A [`StatisticsRunId`] as text.
    pub column_statistics_task_run_id: String,
    /// The nested catalog that the table is in, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_name: Option<String>,
    /// What it is about; names in lower case.
    #[serde(flatten)]
    pub input: StatisticsRunInput,
    /// How far it is.
    pub status: StatisticsRunStatus,
    /// When it was asked for.
    pub creation_time: Timestamp,
    /// When its status last changed.
    pub last_updated: Timestamp,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatisticsRunStatus {
    /// It waits for its turn.
    Starting,
    /// It reads the table.
    Running,
    /// What it found out is kept.
    Succeeded,
    /// Nothing of it is kept; its message says why.
    Failed,
    /// Somebody ended it; nothing of it is kept.
    Stopped,
}

impl StatisticsRunStatus {
    /// Whether it goes on.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

/// The runs of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TableRuns {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    under_way: Option<String>,
    /// The newest first.
    #[serde(default)]
    runs: Vec<String>,
}

/// A run whose state is about to change.
struct Found {
    run: StatisticsRun,
    id: StatisticsRunId,
    unchanged: Expected,
}

impl Found {
    fn table(&self) -> Key {
        stored::table(&self.run.input.database_name, &self.run.input.table_name)
    }

    fn full_name(&self) -> String {
        full_name(&self.run.input.database_name, &self.run.input.table_name)
    }

    /// The run after it ended.
    fn ended(
        &self,
        status: StatisticsRunStatus,
        at: Timestamp,
        reason: Option<&str>,
    ) -> StatisticsRun {
        StatisticsRun {
            status,
            last_updated: at,
            end_time: Some(at),
            error_message: reason.map(|reason| reason.chars().take(REASON_CHARS).collect()),
            ..self.run.clone()
        }
    }

    /// Adds to a transaction on any catalog that the run ended so.
    fn put_ended(&self, transaction: Transaction, run: &StatisticsRun) -> Result<Transaction> {
        let key = self.id.key(stored::statistics_runs());
        Ok(transaction
            .within(Scope::default())
            .expect(Tree::Object, key.clone(), self.unchanged)
            .put(Tree::Object, key, stored::SCHEMA, stored::encode(run)?)
            .delete(
                Tree::Object,
                self.id.key(stored::statistics_runs_under_way()),
            ))
    }
}

impl TenantCatalog {
    /// Makes a run that waits for its turn. At most `limit` runs of the tenant may be under way. `random` becomes part of
    /// its id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::InvalidState`] when the table has a run under way,
    /// [`Error::LimitExceeded`], [`Error::InvalidInput`] for a column that is not there or a sample that is none,
    /// [`Error::Conflict`], [`Error::Store`].
    pub fn start_statistics_run(
        &self,
        random: [u8; 10],
        input: StatisticsRunInput,
        limit: usize,
    ) -> Result<StatisticsRun> {
        let now = self.timestamp();
        let id = StatisticsRunId::new(now, random);
        let run = StatisticsRun {
            column_statistics_task_run_id: id.to_string(),
            catalog_name: self.name().map(str::to_owned),
            input: StatisticsRunInput {
                database_name: fold("database", &input.database_name)?,
                table_name: fold("table", &input.table_name)?,
                ..input
            },
            status: StatisticsRunStatus::Starting,
            creation_time: now,
            last_updated: now,
            start_time: None,
            end_time: None,
            error_message: None,
        };
        let name = full_name(&run.input.database_name, &run.input.table_name);
        self.retry(Kind::StatisticsRun, &name, || {
            self.try_start(id, &run, limit)
        })?;
        Ok(run)
    }

    fn try_start(&self, id: StatisticsRunId, run: &StatisticsRun, limit: usize) -> Result<()> {
        let (database, name) = (&run.input.database_name, &run.input.table_name);
        let table = self.read_table(database, name)?.value;
        check_what_is_asked(&table, &run.input.column_name_list, run.input.sample_size)?;
        let (key, table) = (
            id.key(stored::statistics_runs()),
            stored::table(database, name),
        );
        let (mut runs, unchanged) = self.table_runs(&table)?;
        if let Some(id) = runs.under_way {
            return Err(Error::InvalidState {
                reason: format!(
                    "table {} has a run under way: {id}",
                    full_name(database, name)
                ),
            });
        }
        let under_way = stored::statistics_runs_under_way();
        if self.root().keys(Tree::Object, &under_way, limit)?.0.len() >= limit {
            return Err(Error::LimitExceeded {
                reason: format!(
                    "{limit} runs are under way and more may not be; wait for one of them to end"
                ),
            });
        }
        runs.runs.insert(0, id.to_string());
        let forgotten = runs.runs.split_off(runs.runs.len().min(RUNS_OF_TABLE));
        runs.under_way = Some(id.to_string());
        let transaction = self
            .transaction()
            .expect(Tree::Object, table.clone(), Expected::Present);
        let mut transaction = put_table_runs(transaction, &table, unchanged, &runs)?
            .within(Scope::default())
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .put(Tree::Object, key, stored::SCHEMA, stored::encode(run)?)
            .put(Tree::Object, id.key(under_way), stored::SCHEMA, Vec::new());
        for id in forgotten {
            let key = StatisticsRunId::parse(&id)?.key(stored::statistics_runs());
            transaction = transaction.delete(Tree::Object, key);
        }
        self.commit(transaction)
    }

    /// Says that a run's turn has come. `None` when it ended before, so that there is nothing to do.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Store`].
    pub fn begin_statistics_run(&self, id: &str) -> Result<Option<StatisticsRun>> {
        self.retry(Kind::StatisticsRun, id, || {
            let found = self.find_run(id)?;
            if found.run.status != StatisticsRunStatus::Starting {
                return Ok(None);
            }
            let now = self.timestamp();
            let run = StatisticsRun {
                status: StatisticsRunStatus::Running,
                start_time: Some(now),
                last_updated: now,
                ..found.run
            };
            let key = found.id.key(stored::statistics_runs());
            let root = self.root();
            let transaction = root
                .transaction()
                .expect(Tree::Object, key.clone(), found.unchanged)
                .put(Tree::Object, key, stored::SCHEMA, stored::encode(&run)?);
            root.commit(transaction).map(|()| Some(run))
        })
    }

    /// Ends a run with what it found out, which is kept in the same transaction. When it cannot be kept, such as of a
    /// table that is gone, the run has failed. A run that ended before stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the run, [`Error::Conflict`], [`Error::Store`].
    pub fn succeed_statistics_run(
        &self,
        id: &str,
        statistics: &[ColumnStatistics],
    ) -> Result<StatisticsRun> {
        let outcome = self.retry(Kind::StatisticsRun, id, || self.try_succeed(id, statistics));
        match outcome {
            Err(
                error @ (Error::NotFound { .. }
                | Error::InvalidInput { .. }
                | Error::InvalidState { .. }),
            ) => self.fail_statistics_run(id, &error.to_string()),
            outcome => outcome,
        }
    }

    fn try_succeed(&self, id: &str, statistics: &[ColumnStatistics]) -> Result<StatisticsRun> {
        let found = self.find_run(id)?;
        if !found.run.status.is_under_way() {
            return Ok(found.run);
        }
        let catalog = self.catalog_of(&found.run)?;
        let (mut runs, unchanged) = catalog.table_runs(&found.table())?;
        if runs.under_way.as_deref() != Some(id) {
            return Err(Error::InvalidState {
                reason: format!("table {} was deleted meanwhile", found.full_name()),
            });
        }
        runs.under_way = None;
        let of = StatisticsOf {
            database: &found.run.input.database_name,
            table: &found.run.input.table_name,
            partition: None,
        };
        let transaction = catalog.with_statistics(catalog.transaction(), of, statistics)?;
        let transaction = put_table_runs(transaction, &found.table(), unchanged, &runs)?;
        let run = found.ended(StatisticsRunStatus::Succeeded, self.timestamp(), None);
        catalog.commit(found.put_ended(transaction, &run)?)?;
        Ok(run)
    }

    /// Ends a run that found nothing out, for a reason. A run that ended before stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Store`].
    pub fn fail_statistics_run(&self, id: &str, reason: &str) -> Result<StatisticsRun> {
        self.abandon(id, StatisticsRunStatus::Failed, Some(reason))
    }

    /// Ends the run of a table that is under way.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::InvalidState`] when no run of it is under way,
    /// [`Error::InvalidInput`] for a bad name, [`Error::Conflict`], [`Error::Store`].
    pub fn stop_statistics_run(&self, database: &str, table: &str) -> Result<StatisticsRun> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.read_table(&database, &table)?;
        let none = || Error::InvalidState {
            reason: format!(
                "no run of table {} is under way",
                full_name(&database, &table)
            ),
        };
        let (runs, _) = self.table_runs(&stored::table(&database, &table))?;
        let id = runs.under_way.ok_or_else(none)?;
        let run = self.abandon(&id, StatisticsRunStatus::Stopped, None)?;
        match run.status {
            StatisticsRunStatus::Stopped => Ok(run),
            // It came to its own end just now.
            _ => Err(none()),
        }
    }

    fn abandon(
        &self,
        id: &str,
        status: StatisticsRunStatus,
        reason: Option<&str>,
    ) -> Result<StatisticsRun> {
        self.retry(Kind::StatisticsRun, id, || {
            let found = self.find_run(id)?;
            if !found.run.status.is_under_way() {
                return Ok(found.run);
            }
            let run = found.ended(status, self.timestamp(), reason);
            let (catalog, transaction) = self.without_run(&found)?;
            catalog.commit(found.put_ended(transaction, &run)?)?;
            Ok(run)
        })
    }

    /// A transaction after which the run's table has none under way, as far as there is such a table; and the catalog
    /// to commit it in.
    fn without_run(&self, found: &Found) -> Result<(Self, Transaction)> {
        let catalog = match self.catalog_of(&found.run) {
            Err(Error::NotFound { .. }) => {
                let root = self.root();
                let transaction = root.transaction();
                return Ok((root, transaction));
            }
            catalog => catalog?,
        };
        let (mut runs, unchanged) = catalog.table_runs(&found.table())?;
        let transaction = catalog.transaction();
        let transaction = match runs.under_way.take() {
            Some(id) if id == found.run.column_statistics_task_run_id => {
                put_table_runs(transaction, &found.table(), unchanged, &runs)?
            }
            // A table that is gone, or another one of its name.
            _ => transaction,
        };
        Ok((catalog, transaction))
    }

    /// The run with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn get_statistics_run(&self, id: &str) -> Result<StatisticsRun> {
        Ok(self.find_run(id)?.run)
    }

    /// Ids of at most `limit` runs (1 to 1000) in all of the tenant's catalogs, the newest first; `token` is a page's
    /// `next`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a token that is no id, [`Error::Store`].
    pub fn list_statistics_runs(&self, token: Option<&str>, limit: usize) -> Result<Page<String>> {
        let below = stored::statistics_runs();
        let after = match token {
            Some(token) => Some(StatisticsRunId::parse(token)?.key(below.clone())),
            None => None,
        };
        let page = self
            .root()
            .scan(Tree::Object, &below, after.as_ref(), limit.clamp(1, 1000))?;
        let ids = page
            .records
            .iter()
            .map(|(key, _)| StatisticsRunId::of_key(key));
        let items: Vec<String> = ids
            .map(|id| id.map(|id| id.to_string()))
            .collect::<Result<_>>()?;
        let next = page.next.and_then(|_| items.last().cloned());
        Ok(Page { items, next })
    }

    /// At most `limit` runs of a table, the newest first; `token` is a page's `next`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn list_statistics_runs_of_table(
        &self,
        database: &str,
        table: &str,
        token: Option<&str>,
        limit: usize,
    ) -> Result<Page<StatisticsRun>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.read_table(&database, &table)?;
        let (runs, _) = self.table_runs(&stored::table(&database, &table))?;
        let at = token.and_then(|token| runs.runs.iter().position(|id| id == token));
        let is_older = |id: &String| match (token, at) {
            // A run that was forgotten meanwhile still has its place: ids of later runs are greater.
            (Some(token), None) => id.as_str() < token,
            _ => true,
        };
        let skipped = at.map_or(0, |at| at + 1);
        let mut older = runs.runs.into_iter().skip(skipped).filter(is_older);
        let mut items = Vec::new();
        for id in older.by_ref() {
            match self.get_statistics_run(&id) {
                Ok(run) => items.push(run),
                // Forgotten because of its age.
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            if items.len() == limit.max(1) {
                break;
            }
        }
        let last = items
            .last()
            .map(|run| run.column_statistics_task_run_id.clone());
        let next = last.filter(|_| older.next().is_some());
        Ok(Page { items, next })
    }

    /// Ids of all runs of the tenant that are under way.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn statistics_runs_under_way(&self) -> Result<Vec<String>> {
        let below = stored::statistics_runs_under_way();
        let (keys, _) = self.root().keys(Tree::Object, &below, usize::MAX)?;
        let ids = keys.iter().map(|(key, _)| StatisticsRunId::of_key(key));
        ids.map(|id| id.map(|id| id.to_string())).collect()
    }

    /// Forgets runs of the tenant that were asked for before `oldest` and are not under way.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn prune_statistics_runs(&self, oldest: Timestamp) -> Result<()> {
        let root = self.root();
        let below = stored::statistics_runs();
        let mut after = StatisticsRunId::new(oldest, [0; 10]).key(below.clone());
        loop {
            let page = root.scan(Tree::Object, &below, Some(&after), PRUNED_AT_ONCE)?;
            let mut transaction = root.transaction();
            let mut any = false;
            for (key, record) in &page.records {
                let run: StatisticsRun = stored::decode(Tree::Object, key, record)?;
                if !run.status.is_under_way() {
                    transaction = transaction.delete(Tree::Object, key.clone());
                    any = true;
                }
            }
            if any {
                root.commit(transaction)?;
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }

    fn find_run(&self, id: &str) -> Result<Found> {
        let run_id = StatisticsRunId::parse(id)?;
        let key = run_id.key(stored::statistics_runs());
        let found: Stored<StatisticsRun> = self
            .root()
            .read(Tree::Object, &key)?
            .ok_or_else(|| Error::not_found(Kind::StatisticsRun, id))?;
        Ok(Found {
            unchanged: found.unchanged(),
            run: found.value,
            id: run_id,
        })
    }

    /// The catalog that a run's table is in.
    fn catalog_of(&self, run: &StatisticsRun) -> Result<Self> {
        match &run.catalog_name {
            None => Ok(self.root()),
            Some(name) => self.nested(name),
        }
    }

    fn table_runs(&self, table: &Key) -> Result<(TableRuns, Expected)> {
        let found = self.read::<TableRuns>(Tree::Object, &stored::statistics_runs_of(table))?;
        Ok(match found {
            Some(found) => {
                let unchanged = found.unchanged();
                (found.value, unchanged)
            }
            None => (TableRuns::default(), Expected::Absent),
        })
    }
}

fn put_table_runs(
    transaction: Transaction,
    table: &Key,
    unchanged: Expected,
    runs: &TableRuns,
) -> Result<Transaction> {
    let key = stored::statistics_runs_of(table);
    Ok(transaction
        .expect(Tree::Object, key.clone(), unchanged)
        .put(Tree::Object, key, stored::SCHEMA, stored::encode(runs)?))
}

/// Whether a table has these columns and a sample is one.
pub(super) fn check_what_is_asked(
    table: &Table,
    columns: &[String],
    sample_size: Option<f64>,
) -> Result<()> {
    let described = table.storage_descriptor.iter().flat_map(|d| &d.columns);
    let all: Vec<_> = described.chain(&table.partition_keys).collect();
    for name in columns {
        let folded = name.to_lowercase();
        if !all
            .iter()
            .any(|column| column.name.to_lowercase() == folded)
        {
            let table = full_name(
                table.database_name.as_deref().unwrap_or_default(),
                &table.name,
            );
            return Err(Error::invalid(format!(
                "table {table} has no column {name}"
            )));
        }
    }
    match sample_size {
        Some(percent) if !(percent > 0.0 && percent <= 100.0) => Err(Error::invalid(format!(
            "a sample of {percent} percent: give a number above 0 and at most 100"
        ))),
        _ => Ok(()),
    }
}
