//! The operations of Glue: the table of what is supported, and what all of them share.
//!
//! **Adding an operation**: a function `(&Context, I) -> Result<Value, Fault>` in its family's file, one line in
//! [`OPERATIONS`], and `cargo run --release -p tenon-server --example glue_model -- <service model>`.

mod database;
mod partition;
mod table;
mod version;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tenon_catalog::{Page, TenantCatalog};

use crate::fault::Fault;
use crate::model::Model;
use crate::token::Tokens;
use crate::wire;

/// What operations work with.
pub(crate) struct Context {
    pub(crate) catalog: TenantCatalog,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) tokens: Tokens,
    pub(crate) model: Model,
}

type Operation = fn(&Context, &Value) -> Result<Value, Fault>;

macro_rules! operations {
    ($($name:literal => $function:path,)*) => {
        /// What is supported, in the order of the names.
        const OPERATIONS: &[(&str, Operation)] = &[
            $(($name, |context, input| $function(context, read(input)?)),)*
        ];
    };
}

operations! {
    "BatchCreatePartition" => partition::batch_create,
    "BatchDeletePartition" => partition::batch_delete,
    "BatchDeleteTable" => table::batch_delete,
    "BatchDeleteTableVersion" => version::batch_delete,
    "BatchGetPartition" => partition::batch_get,
    "BatchUpdatePartition" => partition::batch_update,
    "CreateDatabase" => database::create,
    "CreatePartition" => partition::create,
    "CreateTable" => table::create,
    "DeleteDatabase" => database::delete,
    "DeletePartition" => partition::delete,
    "DeleteTable" => table::delete,
    "DeleteTableVersion" => version::delete,
    "GetDatabase" => database::get,
    "GetDatabases" => database::list,
    "GetPartition" => partition::get,
    "GetPartitions" => partition::list,
    "GetTable" => table::get,
    "GetTableVersion" => version::get,
    "GetTableVersions" => version::list,
    "GetTables" => table::list,
    "SearchTables" => table::search,
    "UpdateDatabase" => database::update,
    "UpdatePartition" => partition::update,
    "UpdateTable" => table::update,
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

/// Checks the input and performs the operation.
pub(crate) fn perform(context: &Context, operation: &str, input: &Value) -> Result<Value, Fault> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let (_, function) = found.ok_or_else(|| wire::unknown(operation))?;
    context.model.check(operation, input)?;
    context.check_catalog_id(input)?;
    function(context, input)
}

impl Context {
    /// Other catalogs than the account's own do not exist for the caller.
    fn check_catalog_id(&self, input: &Value) -> Result<(), Fault> {
        match input.get("CatalogId").and_then(Value::as_str) {
            Some(id) if id != self.account => {
                Err(Fault::not_found(format!("catalog {id} does not exist")))
            }
            _ => Ok(()),
        }
    }

    /// The cursor of a request's token, if it has one.
    fn cursor(&self, scope: &[&str], token: Option<&str>) -> Result<Option<String>, Fault> {
        token
            .filter(|token| !token.is_empty())
            .map(|token| self.tokens.open(&self.scope(scope), token))
            .transpose()
    }

    /// Adds a `NextToken` to an answer when there is more.
    fn with_next(&self, mut answer: Value, scope: &[&str], next: Option<String>) -> Value {
        if let Some(cursor) = next {
            answer["NextToken"] = json!(self.tokens.seal(&self.scope(scope), &cursor));
        }
        answer
    }

    fn scope<'a>(&'a self, scope: &[&'a str]) -> Vec<&'a str> {
        [&[self.account.as_str(), self.region.as_str()], scope].concat()
    }

    /// A stored object as callers see it: in their account.
    fn show(&self, object: &impl serde::Serialize) -> Result<Value, Fault> {
        let mut shown =
            serde_json::to_value(object).map_err(|error| Fault::internal(&error.to_string()))?;
        if let Some(id) = shown.get_mut("CatalogId") {
            *id = json!(self.account);
        }
        Ok(shown)
    }

    fn show_all<T: serde::Serialize>(&self, objects: &[T]) -> Result<Vec<Value>, Fault> {
        objects.iter().map(|object| self.show(object)).collect()
    }
}

/// What a checked input says. What still does not fit is a member whose rules the model does not tell.
fn read<T: DeserializeOwned>(input: &Value) -> Result<T, Fault> {
    serde_json::from_value(without_nulls(input.clone()))
        .map_err(|error| Fault::new("SerializationException", error.to_string()))
}

/// `null` counts as absent, at every depth.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                present
                    .map(|(name, value)| (name, without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Only the members that were asked for; all when nothing was.
fn only(object: Value, names: &[&str]) -> Value {
    match object {
        Value::Object(members) if !names.is_empty() => {
            let kept = members
                .into_iter()
                .filter(|(name, _)| names.contains(&name.as_str()));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        other => other,
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
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_page_is_the_committed_one() {
        assert!(OPERATIONS.is_sorted_by_key(|(name, _)| *name));
        let committed = include_str!("../../../../docs/glue-operations.md");
        assert!(coverage() == committed, "run the example glue_model again");
    }
}
