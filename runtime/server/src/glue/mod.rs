//! The operations of Glue: the table of what is supported, and what all of them share.
//!
//! **Adding an operation**: its shapes, by `cargo run --release -p tenon-server --example glue_model -- <service
//! model> <operation>`; a function `(&Context, Request) -> Result<Response, Fault>` in its family's file; one line in
//! [`OPERATIONS`]; and its line in the documentation, by the example again, without arguments.

mod catalog;
mod connection;
mod database;
mod endpoint;
mod function;
mod index;
mod job;
mod job_bookmark;
mod job_run;
mod ml_task;
mod ml_transform;
mod partition;
mod policy;
mod settings;
mod shapes;
mod shown;
mod statistics;
mod statistics_task;
mod table;
mod tag;
mod unfiltered;
mod version;

pub(crate) use index::take_up as take_up_indexes;

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tenon_catalog::{Page, TenantCatalog};
use tenon_jobs::TenantJobs;

use crate::fault::Fault;
use crate::identity::{Identity, Principal};
use crate::model::Model;
use crate::reach::Reach;
use crate::tasks::Tasks;
use crate::token::Tokens;
use crate::wire::{self, Output};

use shapes::Answer;

/// What an operation works with, made for each request: the caller's own and nothing else.
#[derive(Clone)]
pub(crate) struct Context {
    /// The catalog of the caller's tenant, or the nested one that the request names; every change of it writes
    /// the request's audit entry.
    pub(crate) catalog: TenantCatalog,
    /// The jobs of the caller's tenant; every change of them writes the request's audit entry.
    pub(crate) jobs: TenantJobs,
    /// The same for all repetitions of one call, when its client says so.
    pub(crate) invocation: Option<String>,
    /// What callers call it: `<account>` or `<account>:<name>`.
    pub(crate) catalog_id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// Makes tokens that are good for the caller's tenant only.
    pub(crate) tokens: Tokens,
    pub(crate) model: Arc<Model>,
    pub(crate) principal: Principal,
    pub(crate) request_id: String,
    /// What encrypts secrets.
    pub(crate) identity: Identity,
    pub(crate) reach: Arc<Reach>,
    pub(crate) tasks: Tasks,
}

type Operation = fn(&Context, Value) -> Result<Output, Fault>;

macro_rules! operations {
    ($($name:literal => $function:path,)*) => {
        /// What is supported, in the order of the names.
        const OPERATIONS: &[(&str, Operation)] = &[
            $(($name, |context, input| write(&$function(context, read(input)?)?)),)*
        ];

        /// The same, with the names of what goes in and comes out.
        #[cfg(test)]
        fn signatures() -> Vec<(&'static str, [&'static str; 2])> {
            vec![$(($name, tests::signature($function))),*]
        }
    };
}

operations! {
    "BatchCreatePartition" => partition::batch_create,
    "BatchDeleteConnection" => connection::batch_delete,
    "BatchDeletePartition" => partition::batch_delete,
    "BatchDeleteTable" => table::batch_delete,
    "BatchDeleteTableVersion" => version::batch_delete,
    "BatchGetJobs" => job::batch_get,
    "BatchGetPartition" => partition::batch_get,
    "BatchStopJobRun" => job_run::batch_stop,
    "BatchUpdatePartition" => partition::batch_update,
    "CancelMLTaskRun" => ml_task::cancel,
    "CreateCatalog" => catalog::create,
    "CreateColumnStatisticsTaskSettings" => statistics_task::create_settings,
    "CreateConnection" => connection::create,
    "CreateDatabase" => database::create,
    "CreateJob" => job::create,
    "CreateMLTransform" => ml_transform::create,
    "CreatePartition" => partition::create,
    "CreatePartitionIndex" => index::create,
    "CreateSecurityConfiguration" => settings::create_security,
    "CreateTable" => table::create,
    "CreateUserDefinedFunction" => function::create,
    "DeleteCatalog" => catalog::delete,
    "DeleteColumnStatisticsForPartition" => statistics::delete_of_partition,
    "DeleteColumnStatisticsForTable" => statistics::delete_of_table,
    "DeleteColumnStatisticsTaskSettings" => statistics_task::delete_settings,
    "DeleteConnection" => connection::delete,
    "DeleteDatabase" => database::delete,
    "DeleteJob" => job::delete,
    "DeleteMLTransform" => ml_transform::delete,
    "DeletePartition" => partition::delete,
    "DeletePartitionIndex" => index::delete,
    "DeleteResourcePolicy" => policy::delete,
    "DeleteSecurityConfiguration" => settings::delete_security,
    "DeleteTable" => table::delete,
    "DeleteTableVersion" => version::delete,
    "DeleteUserDefinedFunction" => function::delete,
    "GetCatalog" => catalog::get,
    "GetCatalogImportStatus" => unfiltered::import_status,
    "GetCatalogs" => catalog::list,
    "GetColumnStatisticsForPartition" => statistics::get_of_partition,
    "GetColumnStatisticsForTable" => statistics::get_of_table,
    "GetColumnStatisticsTaskRun" => statistics_task::get,
    "GetColumnStatisticsTaskRuns" => statistics_task::list_of_table,
    "GetColumnStatisticsTaskSettings" => statistics_task::get_settings,
    "GetConnection" => connection::get,
    "GetConnections" => connection::list,
    "GetDataCatalogEncryptionSettings" => settings::get_encryption,
    "GetDatabase" => database::get,
    "GetDatabases" => database::list,
    "GetJob" => job::get,
    "GetJobBookmark" => job_bookmark::get,
    "GetJobRun" => job_run::get,
    "GetJobRuns" => job_run::list,
    "GetJobs" => job::get_all,
    "GetMLTaskRun" => ml_task::get,
    "GetMLTaskRuns" => ml_task::list,
    "GetMLTransform" => ml_transform::get,
    "GetMLTransforms" => ml_transform::get_all,
    "GetPartition" => partition::get,
    "GetPartitionIndexes" => index::list,
    "GetPartitions" => partition::list,
    "GetResourcePolicies" => policy::list,
    "GetResourcePolicy" => policy::get,
    "GetSecurityConfiguration" => settings::get_security,
    "GetSecurityConfigurations" => settings::list_security,
    "GetTable" => table::get,
    "GetTableVersion" => version::get,
    "GetTableVersions" => version::list,
    "GetTables" => table::list,
    "GetTags" => tag::get,
    "GetUnfilteredPartitionMetadata" => unfiltered::partition,
    "GetUnfilteredPartitionsMetadata" => unfiltered::partitions,
    "GetUnfilteredTableMetadata" => unfiltered::table,
    "GetUserDefinedFunction" => function::get,
    "GetUserDefinedFunctions" => function::list,
    "ListColumnStatisticsTaskRuns" => statistics_task::list,
    "ListJobs" => job::list,
    "ListMLTransforms" => ml_transform::list,
    "PutDataCatalogEncryptionSettings" => settings::put_encryption,
    "PutResourcePolicy" => policy::put,
    "ResetJobBookmark" => job_bookmark::reset,
    "SearchTables" => table::search,
    "StartColumnStatisticsTaskRun" => statistics_task::start,
    "StartColumnStatisticsTaskRunSchedule" => statistics_task::start_schedule,
    "StartExportLabelsTaskRun" => ml_task::export_labels,
    "StartImportLabelsTaskRun" => ml_task::import_labels,
    "StartJobRun" => job_run::start,
    "StartMLEvaluationTaskRun" => ml_task::evaluate,
    "StartMLLabelingSetGenerationTaskRun" => ml_task::generate,
    "StopColumnStatisticsTaskRun" => statistics_task::stop,
    "StopColumnStatisticsTaskRunSchedule" => statistics_task::stop_schedule,
    "TagResource" => tag::add,
    "TestConnection" => connection::test,
    "UntagResource" => tag::remove,
    "UpdateCatalog" => catalog::update,
    "UpdateColumnStatisticsForPartition" => statistics::update_of_partition,
    "UpdateColumnStatisticsForTable" => statistics::update_of_table,
    "UpdateColumnStatisticsTaskSettings" => statistics_task::update_settings,
    "UpdateConnection" => connection::update,
    "UpdateDatabase" => database::update,
    "UpdateJob" => job::update,
    "UpdateMLTransform" => ml_transform::update,
    "UpdatePartition" => partition::update,
    "UpdateTable" => table::update,
    "UpdateUserDefinedFunction" => function::update,
}

/// Names of the supported operations, sorted.
#[must_use]
pub fn supported() -> Vec<&'static str> {
    OPERATIONS.iter().map(|(name, _)| *name).collect()
}

/// The page of the documentation that says what is supported, out of all operations of the service.
#[must_use]
pub fn coverage() -> String {
    let all = Model::glue()
        .map(|model| model.operations)
        .unwrap_or_default();
    let supported = supported();
    let mut page = format!(
        "# Glue operations\n\n{} of {} operations of Glue are supported. The others answer \
         `UnknownOperationException`.\nThis page is made by `runtime/server/examples/glue_model.rs`.\n\n\
         | operation | supported |\n|---|---|\n",
        supported.len(),
        all.len(),
    );
    for name in all.keys() {
        let mark = if supported.contains(&name.as_str()) {
            "yes"
        } else {
            ""
        };
        page.push_str(&format!("| {name} | {mark} |\n"));
    }
    page
}

fn find(operation: &str) -> Option<Operation> {
    let found = OPERATIONS.binary_search_by_key(&operation, |(name, _)| *name);
    found.ok().map(|at| OPERATIONS[at].1)
}

/// Checks the input and performs the operation.
pub(crate) fn perform(context: &Context, operation: &str, input: Value) -> Result<Output, Fault> {
    let function = find(operation).ok_or_else(|| wire::unknown(operation))?;
    context.model.check(operation, &input)?;
    refuse_transactions(&input)?;
    let id = CATALOG.iter().find_map(|name| input.get(name)?.as_str());
    let context = match id.filter(|_| !ABOUT_CATALOGS.contains(&operation)) {
        Some(id) => context.in_catalog(id)?,
        None => Cow::Borrowed(context),
    };
    function(&context, input)
}

/// Whether an operation is one that changes something.
pub(crate) fn is_mutation(operation: &str) -> bool {
    const READS: [&str; 6] = ["BatchGet", "Check", "Describe", "Get", "List", "Search"];
    find(operation).is_some() && !READS.iter().any(|read| operation.starts_with(read))
}

/// Whether an operation may leave less of what quotas count.
pub(crate) fn deletes(operation: &str) -> bool {
    operation.starts_with("Delete") || operation.starts_with("BatchDelete")
}

/// Whether an operation may change things in several transactions, of which only the first may happen.
pub(crate) fn has_steps(operation: &str) -> bool {
    operation.starts_with("Batch") || ["DeleteCatalog", "DeleteDatabase"].contains(&operation)
}

/// Members about governed tables, which AWS gave up: an answer from now would not be what was asked for.
fn refuse_transactions(input: &Value) -> Result<(), Fault> {
    for member in ["TransactionId", "QueryAsOfTime"] {
        if input.get(member).is_some_and(|value| !value.is_null()) {
            return Err(Fault::invalid(format!(
                "{member} is about governed tables, which do not exist here; leave it out"
            )));
        }
    }
    Ok(())
}

/// What the member is called that names a catalog: the second by operations about runs.
const CATALOG: [&str; 2] = ["CatalogId", "CatalogID"];

/// Operations whose `CatalogId` is not where something lies but what they are about.
const ABOUT_CATALOGS: [&str; 3] = ["DeleteCatalog", "GetCatalog", "UpdateCatalog"];

impl Context {
    /// The same in the catalog with this identifier. Those of other accounts do not exist for the caller.
    fn in_catalog(&self, id: &str) -> Result<Cow<'_, Self>, Fault> {
        let Some(name) = self.nested_name(id)? else {
            return Ok(Cow::Borrowed(self));
        };
        Ok(Cow::Owned(Self {
            catalog: self.catalog.nested(name)?,
            catalog_id: format!("{}:{}", self.account, name.to_lowercase()),
            ..self.clone()
        }))
    }

    /// The name in a catalog's identifier; `None` for the account's own.
    fn nested_name<'a>(&self, id: &'a str) -> Result<Option<&'a str>, Fault> {
        match id.split_once(':') {
            None if id == self.account => Ok(None),
            Some((account, name)) if account == self.account => Ok(Some(name)),
            _ => Err(Fault::not_found(format!("catalog {id} does not exist"))),
        }
    }

    /// The ARN of something in the catalog; a nested catalog's name stands first in the path.
    fn arn(&self, kind: &str, path: &str) -> String {
        let (region, account) = (&self.region, &self.account);
        let nested = self.catalog_id.split_once(':');
        let nested = nested.map_or(String::new(), |(_, name)| format!("{name}/"));
        format!("arn:aws:glue:{region}:{account}:{kind}/{nested}{path}")
    }

    /// Encrypts a secret of the connection called `name`.
    fn seal(&self, name: &str, property: &str, secret: &str) -> Result<String, Fault> {
        let tenant = self.catalog.tenant();
        let sealed = self
            .identity
            .seal_connection(tenant, name, property, secret);
        sealed.map_err(|error| {
            tracing::error!(%error, "a secret cannot be encrypted");
            Fault::new(
                "GlueEncryptionException",
                "secrets cannot be encrypted at the moment; the server's log says why",
            )
        })
    }

    /// The cursor of a request's token, if it has one.
    fn cursor(&self, scope: &[&str], token: Option<&str>) -> Result<Option<String>, Fault> {
        token
            .filter(|token| !token.is_empty())
            .map(|token| self.tokens.open(&self.scope(scope), token))
            .transpose()
    }

    /// An answer's `NextToken`, when there is more.
    fn next_token(&self, scope: &[&str], next: Option<String>) -> Option<String> {
        next.map(|cursor| self.tokens.seal(&self.scope(scope), &cursor))
    }

    fn scope<'a>(&'a self, scope: &[&'a str]) -> Vec<&'a str> {
        [&[self.catalog_id.as_str(), self.region.as_str()], scope].concat()
    }
}

/// What a checked input says. What still does not fit is a member whose rules the model does not tell.
fn read<T: DeserializeOwned>(mut input: Value) -> Result<T, Fault> {
    drop_nulls(&mut input);
    serde_json::from_value(input)
        .map_err(|error| Fault::new("SerializationException", error.to_string()))
}

/// `null` counts as absent, at every depth.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => members.retain(|_, member| {
            drop_nulls(member);
            !member.is_null()
        }),
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The text of an answer.
fn write(answer: &impl Answer) -> Result<Output, Fault> {
    let body =
        serde_json::to_string(answer).map_err(|error| Fault::internal(&error.to_string()))?;
    Ok(Output {
        body,
        failures: answer.failures(),
    })
}

/// What `AttributesToGet` asks for: everything when it is absent.
struct Attributes(Option<Vec<String>>);

impl Attributes {
    /// `NAME` must be among them.
    fn read(wanted: Option<Vec<String>>) -> Result<Self, Fault> {
        let attributes = Self(wanted);
        if attributes.are_all() || attributes.contain("NAME") {
            return Ok(attributes);
        }
        Err(Fault::invalid("AttributesToGet must include NAME"))
    }

    fn are_all(&self) -> bool {
        self.0.is_none()
    }

    fn contain(&self, name: &str) -> bool {
        self.0.iter().flatten().any(|wanted| wanted == name)
    }
}

/// Whether `ResourceShareType` asks for an object of the caller's. Nothing of other accounts is shared.
fn is_shared(wanted: Option<&str>, federated: bool) -> bool {
    match wanted {
        Some("FOREIGN") => false,
        Some("FEDERATED") => federated,
        _ => true,
    }
}

/// Items a page has unless the request says how many.
fn page_size(wanted: Option<i32>, default: usize) -> usize {
    wanted
        .and_then(|wanted| usize::try_from(wanted).ok())
        .unwrap_or(default)
}

/// Items that [`fill`] reads at once, at most.
const FETCHED_AT_ONCE: usize = 100;

/// Fills a page from a list of which only some items are wanted. `key` names an item for the next cursor.
fn fill<T>(
    limit: usize,
    cursor: Option<String>,
    mut list: impl FnMut(Option<&str>, usize) -> Result<Page<T>, Fault>,
    wanted: impl Fn(&T) -> bool,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, Fault> {
    let (mut items, mut cursor) = (Vec::new(), cursor);
    // One more than fits tells whether there is a next page; when few are wanted, the others are read at once.
    let mut size = limit.saturating_add(1).min(FETCHED_AT_ONCE);
    loop {
        let page = list(cursor.as_deref(), size)?;
        let more = page.next;
        size = FETCHED_AT_ONCE;
        for item in page.items.into_iter().filter(&wanted) {
            if items.len() == limit {
                return Ok(Page {
                    next: items.last().map(&key),
                    items,
                });
            }
            items.push(item);
        }
        match more {
            Some(next) => cursor = Some(next),
            None => return Ok(Page { items, next: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Names of the types of what an operation is asked and what it answers.
    pub(super) fn signature<I, O>(_: fn(&Context, I) -> Result<O, Fault>) -> [&'static str; 2] {
        [std::any::type_name::<I>(), std::any::type_name::<O>()]
            .map(|path| path.rsplit("::").next().unwrap_or(path))
    }

    #[test]
    fn operations_take_and_give_what_the_model_says() {
        let read = |text| serde_json::from_str::<Value>(text).unwrap();
        let requests = read(include_str!("../model/glue.json"));
        let answers = read(include_str!("../model/answers.json"));
        for (operation, signature) in signatures() {
            let said = [&requests, &answers].map(|model| &model["operations"][operation]);
            assert_eq!(
                signature,
                said.map(|name| name.as_str().unwrap()),
                "{operation}"
            );
        }
    }

    #[test]
    fn null_is_absent_at_every_depth_of_members() {
        let mut input = json!({"A": null, "B": [null, {"C": null, "D": 1}], "E": {"F": null}});
        drop_nulls(&mut input);
        assert_eq!(input, json!({"B": [null, {"D": 1}], "E": {}}));
    }

    #[test]
    fn what_changes_something_is_told_from_the_name() {
        let reads = supported().into_iter().filter(|name| !is_mutation(name));
        for read in reads {
            let first = ["Get", "BatchGet", "List", "Search", "Check", "Describe"];
            assert!(
                first.iter().any(|prefix| read.starts_with(prefix)),
                "{read}"
            );
        }
        assert!(is_mutation("BatchDeleteTable") && !is_mutation("CreateUnicorn"));
    }

    #[test]
    fn the_table_is_sorted_and_its_page_is_the_committed_one() {
        assert!(OPERATIONS.is_sorted_by_key(|(name, _)| *name));
        let committed = include_str!("../../../../docs/glue-operations.md");
        assert!(coverage() == committed, "run the example glue_model again");
    }
}
