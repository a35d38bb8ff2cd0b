//! Databases, tables, versions; Glue types and Arrow schemas.
//!
//! The catalog is Glue's data model, field for field, in the store's transactions. [`Catalog`] hands out a
//! [`TenantCatalog`] for each tenant, which can reach nothing else.
//!
//! ```text
//! obj  1|database                      Database
//! obj  2|database|table                Table, with its VersionId
//! obj  3|database                      empty; written whenever a table or function is created there
//! obj  4|database|table                empty; written whenever a partition or index entry is written there
//! obj  5|database|function             UserDefinedFunction
//! obj  6|database|table                ColumnStatistics by column
//! obj  8|database|table                definitions of partition indexes
//! obj  9|database|table|digest         StorageDescriptor that partitions share
//! obj  16|connection                   Connection, without secrets
//! obj  17|key of an object             its tags
//! obj  18, 19                          resource policy, encryption settings
//! obj  20|name                         SecurityConfiguration
//! obj  21 to 24                        nested catalogs: see the module
//! obj  25|database|table               ids of runs that find out statistics
//! obj  26|id, 27|id                    StatisticsRun; those under way
//! obj  28|database|table, 29           StatisticsSettings; schedules in force
//! *    255|number|key                  the same keys, of a nested catalog
//! part 2|database|table|value|...      Partition, without what the key and the shared descriptor say
//! part 7|database|table|value|...      ColumnStatistics by column
//! idx  2|database|table|index|...      empty; entries of partition indexes
//! ver  2|database|table|MAX - version  Table, replaced by an update; newest first
//! secret 16|connection                 encrypted secrets of a connection
//! ```
//!
//! | module | what |
//! |---|---|
//! | `model` | [`Database`], [`Table`] and what they consist of, as in Glue's JSON |
//! | `catalog`, `database`, `table`, `partition` | the operations |
//! | `function`, `statistics`, `index` | what lies in a database or beside tables and partitions |
//! | `statistics_task` | runs that find out statistics: their states, settings and schedules |
//! | `fsck`, `transfer` | checking and mending, export and import |
//! | `publish` | tables and partitions that are registered together, also in somebody else's transaction |
//! | `connection`, `tag`, `policy`, `settings`, `nested` | as many nouns, each with its model and operations |
//! | `scope` | which of a tenant's catalogs an operation is about |
//! | `expression` | filters over partitions |
//! | `stored` | keys and payloads |
//! | `name` | which names are allowed, and their folding |
//! | `hive` | [`HiveType`]: parser and printer of Glue's type strings |
//! | `arrow` | types to and from Arrow |
//! | `layout` | [`table_from_schema`], [`schema_of`], [`TableFormat`] |
//!
//! # Rules
//!
//! * Names of databases and tables are folded to lower case when they are stored and when they are asked for.
//! * An update replaces the whole definition: what is left out is gone. It counts up `VersionId`, from `"0"`,
//!   also when nothing differs, and keeps the old definition unless told to skip the archive.
//! * A `VersionId` given with an update must be the current one, else [`Error::Conflict`].
//! * Deleting a database takes its tables and their versions and partitions along, and a table created again never meets its
//!   past. Up to some thousands of tables and versions that is one transaction; beyond, see
//!   [`TenantCatalog::delete_database`].
//!
//! **Chosen: reads decide, the store confirms.** Every operation reads what it needs and writes with the
//! object versions it read as preconditions; when someone was faster, it starts again. The empty
//! records are such preconditions: "no table was created since I looked" is something a transaction can ask.
//!
//! **Refused: validating what only the wire knows.** Lengths of descriptions and parameters are checked by the
//! server from the service model; here is checked what would break keys, versions or schemas.
//!
//! Everything blocks on the store; async callers use `spawn_blocking`.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails should say so at once"
    )
)]

mod arrow;
mod catalog;
mod connection;
mod database;
mod error;
mod expression;
mod fsck;
mod function;
mod hive;
mod index;
mod layout;
mod model;
mod name;
mod nested;
mod partition;
mod policy;
mod publish;
mod scope;
mod settings;
mod statistics;
mod statistics_task;
mod stored;
mod table;
mod tag;
mod transfer;

#[cfg(test)]
mod tests;

pub use arrow::UnsupportedType;
pub use catalog::{Catalog, Page, TenantCatalog};
pub use connection::{
    AuthenticationConfiguration, Connection, ConnectionDefinition, ConnectionInput,
    ConnectionWrite, OAuth2ClientApplication, OAuth2Properties, PhysicalConnectionRequirements,
    SealedSecrets, is_secret_name,
};
pub use error::{Error, Kind, Result};
pub use fsck::{Finding, FsckReport, Remedy};
pub use function::{ResourceUri, UserDefinedFunction, UserDefinedFunctionInput};
pub use hive::{HiveType, MAX_TYPE_DEPTH, ParseTypeError};
pub use index::{
    BackfillError, IndexStatus, KeySchemaElement, PartitionIndex, PartitionIndexDescriptor,
    PartitionValueList, UnfinishedIndex,
};
pub use layout::{TableFormat, schema_of, table_from_schema};
pub use model::{
    Column, Database, DatabaseIdentifier, DatabaseInput, FederatedDatabase, FederatedTable, Order,
    Partition, PartitionInput, Principal, PrincipalPermissions, SchemaId, SchemaReference,
    SerDeInfo, SkewedInfo, StorageDescriptor, Table, TableIdentifier, TableInput, TableVersion,
    Timestamp,
};
pub use nested::{NestedCatalog, NestedCatalogInput};
pub use partition::{ListPartitions, Segment};
pub use policy::{PolicyCondition, ResourcePolicy};
pub use publish::{PublishedPartition, PublishedTable, TableChange};
pub use settings::{
    ConnectionPasswordEncryption, EncryptionAtRest, EncryptionSettings, SecurityConfiguration,
};
pub use statistics::{
    BooleanStatistics, ColumnStatistics, ColumnStatisticsData, DecimalNumber, LengthStatistics,
    RangeStatistics, StatisticsOf,
};
pub use statistics_task::{
    CronExpression, DueStatistics, ExecutionAttempt, ScheduleState, StatisticsRun, StatisticsRunId,
    StatisticsRunInput, StatisticsRunStatus, StatisticsSchedule, StatisticsSettings,
    StatisticsSettingsInput,
};
pub use table::UpdateTable;
pub use tag::{MAX_TAGS, Resource, Tags, check as check_tags};
pub use tenon_store::{Clock, Tenant};
pub use transfer::{Counts, ImportReport, TransferError};
