//! [`StatisticsSettings`]: what the runs of a table are to do, and when.
//!
//! ```text
//! obj 28|database|table           StatisticsSettings
//! obj 29|number of tenant|table   when the table's schedule is due next, in the default catalog; only while in force
//! ```
//!
//! The second kind is an index over the first of all catalogs. It is written in the same transactions but for one: what
//! a deleted table leaves in it goes when it would be due.

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Tree};

use super::cron::CronExpression;
use super::run::{StatisticsRunInput, check_what_is_asked};
use crate::catalog::{MAX_PAGE, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::Timestamp;
use crate::name::fold;
use crate::scope::{Scope, Transaction};
use crate::stored;
use crate::table::full_name;
use crate::tag::Tags;

/// What the runs of a table are to do, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatisticsSettings {
    /// What they are about; names in lower case.
    #[serde(flatten)]
    pub input: StatisticsRunInput,
    /// When they are started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<StatisticsSchedule>,
    /// How it went when one was to be started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_execution_attempt: Option<ExecutionAttempt>,
}

/// When runs are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatisticsSchedule {
    /// A [`CronExpression`].
    pub schedule_expression: String,
    /// Whether it is in force.
    pub state: ScheduleState,
}

/// Whether a schedule is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScheduleState {
    /// It is.
    Scheduled,
    /// It is not.
    NotScheduled,
}

/// What happened when a schedule was due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExecutionAttempt {
    /// `STARTED` or `FAILED`.
    pub status: String,
    /// The run, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column_statistics_task_run_id: Option<String>,
    /// When.
    pub execution_timestamp: Timestamp,
    /// Why there is no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// What a caller says about the runs of a table. What an update leaves out stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatisticsSettingsInput {
    /// In which role.
    pub role: Option<String>,
    /// A [`CronExpression`]; an empty text is no schedule.
    pub schedule: Option<String>,
    /// About these columns; about all when it is empty.
    pub column_name_list: Option<Vec<String>>,
    /// Of the rows, in percent.
    pub sample_size: Option<f64>,
    /// How what they write is encrypted.
    pub security_configuration: Option<String>,
}

impl StatisticsSettingsInput {
    fn apply(self, settings: &mut StatisticsSettings) {
        let input = &mut settings.input;
        if let Some(role) = self.role {
            input.role = role;
        }
        if let Some(columns) = self.column_name_list {
            input.column_name_list = columns;
        }
        input.sample_size = self.sample_size.or(input.sample_size);
        if self.security_configuration.is_some() {
            input.security_configuration = self.security_configuration;
        }
        match self.schedule {
            None => {}
            Some(text) if text.is_empty() => settings.schedule = None,
            Some(text) => {
                let before = settings.schedule.as_ref();
                settings.schedule = Some(StatisticsSchedule {
                    state: before.map_or(ScheduleState::Scheduled, |before| before.state),
                    schedule_expression: text,
                });
            }
        }
    }
}

/// A table whose schedule was due.
#[derive(Debug, Clone, PartialEq)]
pub struct DueStatistics {
    /// The nested catalog that the table is in, if it is in one.
    pub catalog_name: Option<String>,
    /// What is to be found out about it.
    pub input: StatisticsRunInput,
}

/// When a schedule is due.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Scheduled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    catalog_name: Option<String>,
    database_name: String,
    table_name: String,
    next: Timestamp,
}

impl TenantCatalog {
    /// Says what the runs of a table are to do. A schedule is in force at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::AlreadyExists`], [`Error::InvalidInput`] for a column, a sample or a
    /// schedule that is none, [`Error::Conflict`], [`Error::Store`].
    pub fn create_statistics_settings(
        &self,
        database: &str,
        table: &str,
        input: &StatisticsSettingsInput,
        tags: &Tags,
    ) -> Result<()> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let name = full_name(&database, &table);
        self.retry(Kind::StatisticsSettings, &name, || {
            let key = stored::statistics_settings_of(&stored::table(&database, &table));
            self.read_table(&database, &table)?;
            if self.object_version(Tree::Object, &key)?.is_some() {
                return Err(Error::AlreadyExists {
                    kind: Kind::StatisticsSettings,
                    name: name.clone(),
                });
            }
            let mut settings = StatisticsSettings {
                input: StatisticsRunInput {
                    database_name: database.clone(),
                    table_name: table.clone(),
                    ..StatisticsRunInput::default()
                },
                schedule: None,
                last_execution_attempt: None,
            };
            input.clone().apply(&mut settings);
            let transaction = self.transaction().put_tags(&key, tags)?;
            self.put_settings(transaction, Expected::Absent, &settings)
        })
    }

    /// Changes what the runs of a table are to do.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or its settings, [`Error::InvalidInput`] as for creating them,
    /// [`Error::Conflict`], [`Error::Store`].
    pub fn update_statistics_settings(
        &self,
        database: &str,
        table: &str,
        input: &StatisticsSettingsInput,
    ) -> Result<()> {
        self.change_settings(database, table, |settings| {
            input.clone().apply(settings);
            Ok(())
        })
    }

    /// Puts the schedule of a table in force, or out of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or its settings, [`Error::InvalidInput`] when there is no schedule,
    /// [`Error::Conflict`], [`Error::Store`].
    pub fn set_statistics_schedule(
        &self,
        database: &str,
        table: &str,
        state: ScheduleState,
    ) -> Result<()> {
        self.change_settings(database, table, |settings| match &mut settings.schedule {
            Some(schedule) => {
                schedule.state = state;
                Ok(())
            }
            None => Err(Error::invalid(
                "the settings have no schedule: update them with one first",
            )),
        })
    }

    /// What the runs of a table are to do.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or its settings, [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn get_statistics_settings(
        &self,
        database: &str,
        table: &str,
    ) -> Result<StatisticsSettings> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        self.read_table(&database, &table)?;
        Ok(self.read_settings(&database, &table)?.value)
    }

    /// Forgets what the runs of a table are to do, with the schedule. A run that is under way goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or its settings, [`Error::InvalidInput`] for a bad name, [`Error::Conflict`],
    /// [`Error::Store`].
    pub fn delete_statistics_settings(&self, database: &str, table: &str) -> Result<()> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let name = full_name(&database, &table);
        self.retry(Kind::StatisticsSettings, &name, || {
            self.read_table(&database, &table)?;
            let found = self.read_settings(&database, &table)?;
            let table = stored::table(&database, &table);
            let key = stored::statistics_settings_of(&table);
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), found.unchanged())
                .delete_tagged(key)
                .within(Scope::default())
                .delete(Tree::Object, self.schedule_key(&table));
            self.commit(transaction)
        })
    }

    /// Keeps how it went when a schedule was due. Settings that are gone meanwhile are no fault.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Store`].
    pub fn note_statistics_attempt(
        &self,
        database: &str,
        table: &str,
        attempt: &ExecutionAttempt,
    ) -> Result<()> {
        self.retry(
            Kind::StatisticsSettings,
            &full_name(database, table),
            || {
                let mut found = match self.read_settings(database, table) {
                    Err(Error::NotFound { .. }) => return Ok(()),
                    found => found?,
                };
                found.value.last_execution_attempt = Some(attempt.clone());
                let key = stored::statistics_settings_of(&stored::table(database, table));
                let transaction = self
                    .transaction()
                    .expect(Tree::Object, key.clone(), found.unchanged())
                    .put(
                        Tree::Object,
                        key,
                        stored::SCHEMA,
                        stored::encode(&found.value)?,
                    );
                self.commit(transaction)
            },
        )
    }

    /// Tables in any of the tenant's catalogs whose schedule is due, each of which counts as done with this. Times that
    /// passed while nobody asked are made up for once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn take_due_statistics(&self) -> Result<Vec<DueStatistics>> {
        let (root, now) = (self.root(), self.timestamp());
        let (mut due, mut after) = (Vec::new(), None);
        loop {
            let below = stored::statistics_schedules();
            let page = root.scan(Tree::Object, &below, after.as_ref(), MAX_PAGE)?;
            for (key, record) in &page.records {
                let scheduled: Scheduled = stored::decode(Tree::Object, key, record)?;
                if scheduled.next <= now {
                    due.extend(root.take(key, record.version, &scheduled, now)?);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(due);
            }
        }
    }

    /// Moves a schedule to its next time; `None` when it is none any more, or somebody else was faster.
    fn take(
        &self,
        key: &Key,
        version: u64,
        scheduled: &Scheduled,
        now: Timestamp,
    ) -> Result<Option<DueStatistics>> {
        let settings = self.settings_of(scheduled)?;
        let transaction =
            self.transaction()
                .expect(Tree::Object, key.clone(), Expected::Version(version));
        let next = settings
            .as_ref()
            .and_then(|settings| next(settings, now).ok());
        let transaction = match next.flatten() {
            Some(next) => {
                let scheduled = Scheduled {
                    next,
                    ..scheduled.clone()
                };
                put_schedule(transaction, key.clone(), &scheduled)?
            }
            None => transaction.delete(Tree::Object, key.clone()),
        };
        match self.commit(transaction) {
            Ok(()) => Ok(settings.map(|settings| DueStatistics {
                catalog_name: scheduled.catalog_name.clone(),
                input: settings.input,
            })),
            Err(error) if error.is_store_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The settings that a schedule is about, as long as it is in force.
    fn settings_of(&self, scheduled: &Scheduled) -> Result<Option<StatisticsSettings>> {
        let catalog = match &scheduled.catalog_name {
            None => Ok(self.root()),
            Some(name) => self.nested(name),
        };
        let found = catalog.and_then(|catalog| {
            catalog.read_settings(&scheduled.database_name, &scheduled.table_name)
        });
        match found {
            Ok(found) => Ok(Some(found.value).filter(is_in_force)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn change_settings(
        &self,
        database: &str,
        table: &str,
        change: impl Fn(&mut StatisticsSettings) -> Result<()>,
    ) -> Result<()> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let name = full_name(&database, &table);
        self.retry(Kind::StatisticsSettings, &name, || {
            self.read_table(&database, &table)?;
            let mut found = self.read_settings(&database, &table)?;
            change(&mut found.value)?;
            self.put_settings(self.transaction(), found.unchanged(), &found.value)
        })
    }

    /// Writes settings and what follows from them for the index of schedules.
    fn put_settings(
        &self,
        transaction: Transaction,
        unchanged: Expected,
        settings: &StatisticsSettings,
    ) -> Result<()> {
        let (database, name) = (&settings.input.database_name, &settings.input.table_name);
        let found = self.read_table(database, name)?.value;
        check_what_is_asked(
            &found,
            &settings.input.column_name_list,
            settings.input.sample_size,
        )?;
        let next = next(settings, self.timestamp())?;
        if next.is_none() && is_in_force(settings) {
            return Err(Error::invalid(
                "the schedule has no time left that it is due at",
            ));
        }
        let table = stored::table(database, name);
        let key = stored::statistics_settings_of(&table);
        let transaction = transaction
            .expect(Tree::Object, table.clone(), Expected::Present)
            .expect(Tree::Object, key.clone(), unchanged)
            .put(Tree::Object, key, stored::SCHEMA, stored::encode(settings)?)
            .within(Scope::default());
        let key = self.schedule_key(&table);
        let transaction = match next {
            Some(next) => {
                let scheduled = Scheduled {
                    catalog_name: self.name().map(str::to_owned),
                    database_name: database.clone(),
                    table_name: name.clone(),
                    next,
                };
                put_schedule(transaction, key, &scheduled)?
            }
            None => transaction.delete(Tree::Object, key),
        };
        self.commit(transaction)
    }

    fn read_settings(&self, database: &str, table: &str) -> Result<Stored<StatisticsSettings>> {
        let key = stored::statistics_settings_of(&stored::table(database, table));
        self.read(Tree::Object, &key)?
            .ok_or_else(|| Error::not_found(Kind::StatisticsSettings, full_name(database, table)))
    }

    fn schedule_key(&self, table: &Key) -> Key {
        stored::statistics_schedule_of(&self.own_key(table))
    }
}

fn is_in_force(settings: &StatisticsSettings) -> bool {
    let schedule = settings.schedule.as_ref();
    schedule.is_some_and(|schedule| schedule.state == ScheduleState::Scheduled)
}

/// When settings are due next; `None` without a schedule in force, or one that has no time left.
fn next(settings: &StatisticsSettings, after: Timestamp) -> Result<Option<Timestamp>> {
    let Some(schedule) = &settings.schedule else {
        return Ok(None);
    };
    let expression: CronExpression = schedule.schedule_expression.parse()?;
    Ok(match schedule.state {
        ScheduleState::Scheduled => expression.next_after(after),
        ScheduleState::NotScheduled => None,
    })
}

fn put_schedule(transaction: Transaction, key: Key, scheduled: &Scheduled) -> Result<Transaction> {
    let payload = stored::encode(scheduled)?;
    Ok(transaction.put(Tree::Object, key, stored::SCHEMA, payload))
}
