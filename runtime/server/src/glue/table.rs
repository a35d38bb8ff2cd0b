//! Tables. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-tables.html>

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{Error, PartitionIndex, Table, TableInput, UpdateTable};

use super::{Context, attributes, fill, is_shared, only, page_size};
use crate::fault::Fault;

/// Memory a compiled expression may take, in bytes.
const EXPRESSION_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Write {
    database_name: String,
    name: Option<String>,
    table_input: Option<TableInput>,
    #[serde(default)]
    partition_indexes: Vec<PartitionIndex>,
    version_id: Option<String>,
    #[serde(default)]
    skip_archive: bool,
    open_table_format_input: Option<Value>,
    update_open_table_format_input: Option<Value>,
}

impl Write {
    fn table_input(&mut self) -> Result<TableInput, Fault> {
        if self.open_table_format_input.is_some() || self.update_open_table_format_input.is_some() {
            return Err(Fault::invalid(
                "OpenTableFormatInput is not served: metadata of Iceberg tables is written by Iceberg's clients",
            ));
        }
        let input = self.table_input.take();
        let input = input.ok_or_else(|| Fault::invalid("TableInput is missing"))?;
        match &self.name {
            Some(name) if name.to_lowercase() != input.name.to_lowercase() => Err(Fault::invalid(
                format!("Name {name} and TableInput.Name {} differ", input.name),
            )),
            _ => Ok(input),
        }
    }
}

pub(super) fn create(context: &Context, mut input: Write) -> Result<Value, Fault> {
    let table = input.table_input()?;
    context.catalog.create_table_with_indexes(
        &input.database_name,
        table,
        &input.partition_indexes,
    )?;
    Ok(json!({}))
}

pub(super) fn update(context: &Context, mut input: Write) -> Result<Value, Fault> {
    let table = input.table_input()?;
    let options = UpdateTable {
        expected_version: input.version_id,
        skip_archive: input.skip_archive,
    };
    context
        .catalog
        .update_table(&input.database_name, table, &options)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    database_name: String,
    name: String,
    attributes_to_get: Option<Vec<String>>,
}

const ATTRIBUTES: [(&str, &str); 2] = [("NAME", "Name"), ("TABLE_TYPE", "TableType")];

/// `AuditContext` and `IncludeStatusDetails` ask for what only AWS has; they change nothing.
pub(super) fn get(context: &Context, input: Named) -> Result<Value, Fault> {
    let attributes = attributes(input.attributes_to_get.as_deref(), &ATTRIBUTES)?;
    let table = context
        .catalog
        .get_table(&input.database_name, &input.name)?;
    Ok(json!({"Table": only(context.show(&table)?, &attributes)}))
}

pub(super) fn delete(context: &Context, input: Named) -> Result<Value, Fault> {
    context
        .catalog
        .delete_table(&input.database_name, &input.name)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchDelete {
    database_name: String,
    tables_to_delete: Vec<String>,
}

pub(super) fn batch_delete(context: &Context, input: BatchDelete) -> Result<Value, Fault> {
    context.catalog.get_database(&input.database_name)?;
    let mut errors = Vec::new();
    for name in input.tables_to_delete {
        if let Err(error) = context.catalog.delete_table(&input.database_name, &name) {
            errors.push(json!({"TableName": name, "ErrorDetail": Fault::from(error).detail()}));
        }
    }
    Ok(if errors.is_empty() {
        json!({})
    } else {
        json!({"Errors": errors})
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    database_name: String,
    expression: Option<String>,
    next_token: Option<String>,
    max_results: Option<i32>,
    attributes_to_get: Option<Vec<String>>,
    resource_share_type: Option<String>,
}

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let database = input.database_name.to_lowercase();
    let text = input.expression.unwrap_or_default();
    let share = input.resource_share_type.as_deref();
    let attributes = attributes(input.attributes_to_get.as_deref(), &ATTRIBUTES)?;
    let scope = ["GetTables", &database, &text, share.unwrap_or_default()];
    let expression = name_expression(&text)?;
    let page = fill(
        page_size(input.max_results, 100),
        context.cursor(&scope, input.next_token.as_deref())?,
        |cursor, limit| Ok(context.catalog.list_tables(&database, cursor, limit)?),
        |table: &Table| {
            is_shared(share, table.federated_table.is_some())
                && expression
                    .as_ref()
                    .is_none_or(|regex| regex.is_match(&table.name))
        },
        |table| table.name.clone(),
    )?;
    let list = context
        .show_all(&page.items)?
        .into_iter()
        .map(|item| only(item, &attributes));
    let answer = json!({"TableList": list.collect::<Vec<_>>()});
    Ok(context.with_next(answer, &scope, page.next))
}

/// A regular expression over whole names, in which a star that has no group, class or dot to repeat stands for any
/// characters: Hive's and awswrangler's `orders*`, `*old` and `*mid*` beside `orders.*` and `[ab]*`.
pub(super) fn name_expression(text: &str) -> Result<Option<Regex>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let text = with_wildcards(text);
    let regex = RegexBuilder::new(&format!(r"\A(?:{text})\z"))
        .case_insensitive(true)
        .size_limit(EXPRESSION_BYTES)
        .build();
    regex
        .map(Some)
        .map_err(|error| Fault::invalid(format!("the expression cannot be used: {error}")))
}

/// The star repeats what ends with one of these; after anything else it is a wildcard.
const REPEATABLE: [char; 4] = ['.', ')', ']', '}'];

fn with_wildcards(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    let mut before = None;
    for character in text.chars() {
        if character == '*' && !before.is_some_and(|before| REPEATABLE.contains(&before)) {
            pattern.push('.');
        }
        pattern.push(character);
        before = Some(character);
    }
    pattern
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Search {
    search_text: Option<String>,
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    sort_criteria: Vec<Sort>,
    next_token: Option<String>,
    max_results: Option<i32>,
    resource_share_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: Option<String>,
    value: Option<String>,
    comparator: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sort {
    field_name: Option<String>,
    sort: Option<String>,
}

/// Where a table stands among those found; the last parts make it unique.
type Position = (String, String, String);

pub(super) fn search(context: &Context, input: Search) -> Result<Value, Fault> {
    let criteria: Vec<_> = input
        .filters
        .iter()
        .map(|f| format!("{:?}{:?}{:?}", f.key, f.value, f.comparator))
        .collect();
    let sort = input.sort_criteria.first();
    let field = sort
        .and_then(|sort| sort.field_name.as_deref())
        .unwrap_or_default();
    let descending = sort.and_then(|sort| sort.sort.as_deref()) == Some("DESC");
    let direction = if descending { "down" } else { "up" };
    let text = input.search_text.unwrap_or_default().to_lowercase();
    let criteria = criteria.concat();
    let share = input.resource_share_type.as_deref();
    let scope = [
        "SearchTables",
        &text,
        &criteria,
        field,
        direction,
        share.unwrap_or_default(),
    ];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let after: Option<Position> = cursor.and_then(|cursor| serde_json::from_str(&cursor).ok());
    let mut found = Found {
        tables: BTreeMap::new(),
        after,
        descending,
        // One more than fits tells whether there is a next page.
        limit: page_size(input.max_results, 100) + 1,
    };
    for_each_table(context, |table| {
        if is_shared(share, table.federated_table.is_some())
            && has_text(&table, &text)
            && input.filters.iter().all(|filter| passes(&table, filter))
        {
            found.offer(field, table);
        }
    })?;
    let limit = found.limit - 1;
    let mut page = found.in_order();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page
        .last()
        .filter(|_| more)
        .map(|(position, _)| json!(position).to_string());
    let list = page
        .iter()
        .map(|(_, table)| context.show(table))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(context.with_next(json!({"TableList": list}), &scope, next))
}

/// The first tables after a position, no more of them than a page needs.
struct Found {
    tables: BTreeMap<Position, Table>,
    after: Option<Position>,
    descending: bool,
    limit: usize,
}

impl Found {
    fn offer(&mut self, field: &str, table: Table) {
        let position = (
            property(&table, field).unwrap_or_default(),
            table.database_name.clone().unwrap_or_default(),
            table.name.clone(),
        );
        let is_after = self.after.as_ref().is_none_or(|after| {
            if self.descending {
                position < *after
            } else {
                position > *after
            }
        });
        if !is_after {
            return;
        }
        self.tables.insert(position, table);
        if self.tables.len() > self.limit {
            // The last in the order of the list.
            if self.descending {
                self.tables.pop_first();
            } else {
                self.tables.pop_last();
            }
        }
    }

    fn in_order(self) -> Vec<(Position, Table)> {
        if self.descending {
            self.tables.into_iter().rev().collect()
        } else {
            self.tables.into_iter().collect()
        }
    }
}

/// Every table of the catalog, some at a time.
fn for_each_table(context: &Context, mut visit: impl FnMut(Table)) -> Result<(), Fault> {
    let mut token = None::<String>;
    loop {
        let page = context.catalog.list_databases(token.as_deref(), 100)?;
        for database in &page.items {
            match for_each_table_of(context, &database.name, &mut visit) {
                // It was deleted meanwhile.
                Err(Error::NotFound { .. }) => {}
                outcome => outcome?,
            }
        }
        match page.next {
            Some(next) => token = Some(next),
            None => return Ok(()),
        }
    }
}

fn for_each_table_of(
    context: &Context,
    database: &str,
    visit: &mut impl FnMut(Table),
) -> tenon_catalog::Result<()> {
    let mut token = None::<String>;
    loop {
        let page = context
            .catalog
            .list_tables(database, token.as_deref(), 100)?;
        page.items.into_iter().for_each(&mut *visit);
        match page.next {
            Some(next) => token = Some(next),
            None => return Ok(()),
        }
    }
}

/// Texts are found in names, descriptions, columns and parameters.
fn has_text(table: &Table, text: &str) -> bool {
    let columns = table
        .storage_descriptor
        .iter()
        .flat_map(|descriptor| &descriptor.columns);
    let columns = columns.chain(&table.partition_keys);
    let column_texts = columns
        .flat_map(|column| [Some(&column.name), column.comment.as_ref()])
        .flatten();
    let parameters = table
        .parameters
        .iter()
        .flat_map(|(key, value)| [key, value]);
    let mut texts = [
        Some(&table.name),
        table.description.as_ref(),
        table.database_name.as_ref(),
    ]
    .into_iter()
    .flatten()
    .chain(column_texts)
    .chain(parameters);
    text.is_empty() || texts.any(|candidate| candidate.to_lowercase().contains(text))
}

fn passes(table: &Table, filter: &Filter) -> bool {
    let wanted = filter.value.as_deref().unwrap_or_default();
    let Some(found) = property(table, filter.key.as_deref().unwrap_or_default()) else {
        return false;
    };
    match filter.comparator.as_deref() {
        None | Some("EQUALS") => found.eq_ignore_ascii_case(wanted),
        Some("GREATER_THAN") => found.as_str() > wanted,
        Some("LESS_THAN") => found.as_str() < wanted,
        Some("GREATER_THAN_EQUALS") => found.as_str() >= wanted,
        Some("LESS_THAN_EQUALS") => found.as_str() <= wanted,
        Some(_) => false,
    }
}

/// A property as text whose order is its own: times have a fixed width.
fn property(table: &Table, key: &str) -> Option<String> {
    let time = |time: Option<tenon_catalog::Timestamp>| {
        time.map(|time| format!("{:016}", time.unix_millis()))
    };
    match key.to_lowercase().as_str() {
        "name" | "tablename" => Some(table.name.clone()),
        "databasename" => table.database_name.clone(),
        "description" => table.description.clone(),
        "owner" => table.owner.clone(),
        "tabletype" => table.table_type.clone(),
        "createtime" => time(table.create_time),
        "updatetime" => time(table.update_time),
        _ => table.parameters.get(key).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_a_wildcard_unless_it_repeats() {
        let finds = |expression: &str, name: &str| {
            let regex = name_expression(expression).unwrap().unwrap();
            regex.is_match(name)
        };
        for expression in [
            "orders",
            "ord*",
            "*ers",
            "*rde*",
            "o*s",
            "ord.*",
            "[a-z]*",
            "(or|ders)*",
            "ORDERS",
            "*",
            ".{2}*",
            "o*",
            "ord.+",
        ] {
            assert!(finds(expression, "orders"), "{expression}");
        }
        for expression in ["order", "x*", "*x", "[a-c]*", "order_*", "ord.", "orders.+"] {
            assert!(!finds(expression, "orders"), "{expression}");
        }
        assert_eq!(
            name_expression("(").unwrap_err().name,
            "InvalidInputException"
        );
    }
}
