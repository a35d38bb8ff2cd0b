//! Quotas on what an account has: [`Usage`] knows how much that is without counting at each request.
//!
//! For everything that is counted there is a number that the true one never exceeds. Whoever creates raises it first and
//! takes it back when nothing was created; deletions leave it. Only when it would pass the quota is the catalog asked,
//! while nobody of that tenant creates, and only if something was deleted since it was asked last. So accounts below
//! their quotas pay an addition, creations run side by side, and exactly as many happen as the quota allows.
//!
//! The numbers are in memory: the first creation after a start counts, up to the quota. An account without quotas
//! pays nothing. Setting quotas forgets the numbers, since what was created without one was not added.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::Value;
use tenon_catalog::TenantCatalog;
use tenon_jobs::TenantJobs;
use tenon_store::Tenant;

use crate::fault::Fault;
use crate::identity::{Quotas, lock};

/// Tables of which a tenant's numbers are kept, about; then they are counted again.
const MAX_KEPT: usize = 10_000;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Databases,
    Tables,
    Functions,
    Connections,
    MlTransforms,
    Partitions,
    PartitionsOf(TableName),
    VersionsOf(TableName),
}

/// A table as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TableName {
    /// The nested catalog it is in.
    nested: Option<String>,
    database: String,
    table: String,
}

/// What a request would add to.
#[derive(Debug)]
pub(crate) struct Wanted {
    counted: Counted,
    more: u64,
    limit: u64,
}

impl Wanted {
    /// What a request adds to what has a quota; nothing for most.
    pub(crate) fn of(operation: &str, input: &Value, quotas: &Quotas) -> Vec<Self> {
        let table = |table: &Value| TableName::of(input, table);
        let of_table = || table(&input["TableName"]);
        let (more, limits) = match operation {
            "CreateDatabase" => (1, vec![(quotas.databases, Some(Counted::Databases))]),
            "CreateTable" => (1, vec![(quotas.tables, Some(Counted::Tables))]),
            "CreateUserDefinedFunction" => (1, vec![(quotas.functions, Some(Counted::Functions))]),
            "CreateConnection" => (1, vec![(quotas.connections, Some(Counted::Connections))]),
            "CreateMLTransform" => {
                let counted = Some(Counted::MlTransforms);
                (1, vec![(quotas.ml_transforms, counted)])
            }
            "CreatePartition" | "BatchCreatePartition" => (
                input["PartitionInputList"].as_array().map_or(1, Vec::len),
                vec![
                    (quotas.partitions, Some(Counted::Partitions)),
                    (
                        quotas.partitions_per_table,
                        of_table().map(Counted::PartitionsOf),
                    ),
                ],
            ),
            "UpdateTable" if input["SkipArchive"] != true => (
                1,
                vec![(
                    quotas.versions_per_table,
                    table(&input["TableInput"]["Name"]).map(Counted::VersionsOf),
                )],
            ),
            _ => return Vec::new(),
        };
        let wanted = limits.into_iter().filter_map(|(limit, counted)| {
            Some(Self {
                counted: counted?,
                more: more as u64,
                limit: u64::from(limit?),
            })
        });
        wanted.collect()
    }

    fn refuse(&self, count: u64) -> Fault {
        let (limit, what) = (self.limit, self.counted.words());
        Fault::new(
            "ResourceNumberLimitExceededException",
            format!(
                "the quota is {limit} {what}: there are {count}, and {} more are asked for",
                self.more
            ),
        )
    }
}

impl TableName {
    /// What is not named so is refused elsewhere.
    fn of(input: &Value, table: &Value) -> Option<Self> {
        let catalog = input["CatalogId"].as_str().unwrap_or_default();
        Some(Self {
            nested: catalog.split_once(':').map(|(_, name)| name.to_lowercase()),
            database: input["DatabaseName"].as_str()?.to_lowercase(),
            table: table.as_str()?.to_lowercase(),
        })
    }
}

impl Counted {
    fn words(&self) -> &'static str {
        match self {
            Self::Databases => "databases",
            Self::Tables => "tables",
            Self::Functions => "functions",
            Self::Connections => "connections",
            Self::MlTransforms => "ML transforms",
            Self::Partitions => "partitions in all tables together",
            Self::PartitionsOf(_) => "partitions of a table",
            Self::VersionsOf(_) => "versions of a table",
        }
    }

    /// How many there are, counted up to `limit`. `catalog` and `jobs` are the account's own.
    fn count(
        &self,
        (catalog, jobs): (&TenantCatalog, &TenantJobs),
        limit: u64,
    ) -> Result<u64, Fault> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let in_catalog = |name: &TableName| match &name.nested {
            None => Ok(catalog.clone()),
            Some(nested) => catalog.nested(nested),
        };
        let count = match self {
            Self::Databases => catalog.count_databases(limit)?,
            Self::Tables => catalog.count_tables(limit)?,
            Self::Functions => catalog.count_functions(limit)?,
            Self::Connections => catalog.count_connections(limit)?,
            Self::MlTransforms => jobs.count_transforms(limit)?,
            Self::Partitions => catalog.count_partitions(limit)?,
            Self::PartitionsOf(table) => {
                in_catalog(table)?.count_partitions_of(&table.database, &table.table, limit)?
            }
            Self::VersionsOf(table) => {
                in_catalog(table)?.count_versions_of(&table.database, &table.table, limit)?
            }
        };
        Ok(count as u64)
    }
}

/// Numbers of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Usage(Mutex<HashMap<Tenant, Arc<OfTenant>>>);

/// Numbers of one tenant.
#[derive(Debug, Default)]
pub(crate) struct OfTenant {
    /// Held for reading while something is created, and for writing while it is counted.
    numbers: RwLock<HashMap<Counted, Number>>,
    /// Rises with every deletion.
    deletions: AtomicU64,
}

#[derive(Debug)]
struct Number {
    /// There are not more, with what is being created.
    at_most: AtomicU64,
    /// `deletions` when it was counted.
    as_of: u64,
}

impl Number {
    fn raise(&self, wanted: &Wanted) -> bool {
        let raised = |number: u64| {
            number
                .checked_add(wanted.more)
                .filter(|sum| *sum <= wanted.limit)
        };
        self.at_most
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, raised)
            .is_ok()
    }

    fn lower(&self, less: u64) {
        self.at_most.fetch_sub(less, Ordering::AcqRel);
    }
}

impl Usage {
    pub(crate) fn of(&self, tenant: Tenant) -> Arc<OfTenant> {
        Arc::clone(lock(&self.0).entry(tenant).or_default())
    }

    /// After its quotas were set.
    pub(crate) fn forget(&self, tenant: Tenant) {
        lock(&self.0).remove(&tenant);
    }
}

/// The numbers while something is created; dropped, it takes back what was added.
#[derive(Debug)]
pub(crate) struct Reserved<'a> {
    numbers: RwLockReadGuard<'a, HashMap<Counted, Number>>,
    wanted: &'a [Wanted],
    /// How many of each were not created after all.
    unused: u64,
}

impl Reserved<'_> {
    /// All was created but `unused` of each.
    pub(crate) fn keep(mut self, unused: u64) {
        self.unused = unused;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        for wanted in self.wanted {
            if let Some(number) = self.numbers.get(&wanted.counted) {
                number.lower(self.unused.min(wanted.more));
            }
        }
    }
}

impl OfTenant {
    /// Something was deleted, or may have been.
    pub(crate) fn deleted(&self) {
        self.deletions.fetch_add(1, Ordering::AcqRel);
    }

    /// Adds what a request wants, if the quotas allow all of it.
    pub(crate) fn reserve<'a>(
        &'a self,
        owned: (&TenantCatalog, &TenantJobs),
        wanted: &'a [Wanted],
    ) -> Result<Reserved<'a>, Fault> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        let reserved = |numbers| Reserved {
            numbers,
            wanted,
            unused: u64::MAX,
        };
        if raise_all(&numbers, wanted) {
            return Ok(reserved(numbers));
        }
        drop(numbers);
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        if numbers.len() > MAX_KEPT {
            numbers.clear();
        }
        // Read before counting: what is deleted meanwhile is looked for again.
        let deletions = self.deletions.load(Ordering::Acquire);
        for wanted in wanted {
            let fits = |number: &Number| {
                let at_most = number.at_most.load(Ordering::Acquire);
                at_most.saturating_add(wanted.more) <= wanted.limit
            };
            let known = numbers.get(&wanted.counted);
            if known.is_some_and(|number| fits(number) || number.as_of == deletions) {
                continue;
            }
            // One more than the quota tells that there are too many.
            let count = wanted
                .counted
                .count(owned, wanted.limit.saturating_add(1))?;
            let number = Number {
                at_most: AtomicU64::new(count),
                as_of: deletions,
            };
            numbers.insert(wanted.counted.clone(), number);
        }
        if raise_all(&numbers, wanted) {
            return Ok(reserved(RwLockWriteGuard::downgrade(numbers)));
        }
        let full = wanted.iter().find_map(|wanted| {
            let count = numbers
                .get(&wanted.counted)?
                .at_most
                .load(Ordering::Acquire);
            (count.saturating_add(wanted.more) > wanted.limit).then(|| wanted.refuse(count))
        });
        Err(full.unwrap_or_else(|| Fault::internal("a quota refused and none is full")))
    }
}

/// Adds to all numbers or to none.
fn raise_all(numbers: &HashMap<Counted, Number>, wanted: &[Wanted]) -> bool {
    for (done, wish) in wanted.iter().enumerate() {
        if !numbers
            .get(&wish.counted)
            .is_some_and(|number| number.raise(wish))
        {
            for undo in &wanted[..done] {
                if let Some(number) = numbers.get(&undo.counted) {
                    number.lower(undo.more);
                }
            }
            return false;
        }
    }
    true
}
