//! Tables. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-tables.html>

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{Table, TableInput, UpdateTable};

use super::{Context, fill, only, page_size};
use crate::fault::Fault;

/// Memory a compiled expression may take, in bytes.
const EXPRESSION_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Write {
    database_name: String,
    name: Option<String>,
    table_input: Option<TableInput>,
    version_id: Option<String>,
    #[serde(default)]
    skip_archive: bool,
}

impl Write {
    fn table_input(&mut self) -> Result<TableInput, Fault> {
        let input = self.table_input.take();
        let input = input.ok_or_else(|| {
            Fault::invalid("TableInput is missing: table formats are not created here")
        })?;
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
    context.catalog.create_table(&input.database_name, table)?;
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
}

pub(super) fn get(context: &Context, input: Named) -> Result<Value, Fault> {
    let table = context
        .catalog
        .get_table(&input.database_name, &input.name)?;
    Ok(json!({"Table": context.show(&table)?}))
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
    #[serde(default)]
    attributes_to_get: Vec<String>,
}

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let database = input.database_name.to_lowercase();
    let text = input.expression.unwrap_or_default();
    let scope = ["GetTables", &database, &text];
    let expression = name_expression(&text)?;
    let page = fill(
        page_size(input.max_results, 100),
        context.cursor(&scope, input.next_token.as_deref())?,
        |cursor, limit| Ok(context.catalog.list_tables(&database, cursor, limit)?),
        |table: &Table| {
            expression
                .as_ref()
                .is_none_or(|regex| regex.is_match(&table.name))
        },
        |table| table.name.clone(),
    )?;
    let attributes = attributes(&input.attributes_to_get);
    let list = context
        .show_all(&page.items)?
        .into_iter()
        .map(|item| only(item, &attributes));
    let answer = json!({"TableList": list.collect::<Vec<_>>()});
    Ok(context.with_next(answer, &scope, page.next))
}

fn attributes(wanted: &[String]) -> Vec<&'static str> {
    let member = |name: &String| match name.as_str() {
        "TABLE_TYPE" => "TableType",
        _ => "Name",
    };
    wanted.iter().map(member).collect()
}

/// A regular expression over whole names, in which a star that has no group, class or dot to repeat stands for any
/// characters: Hive's and awswrangler's `orders*`, `*old` and `*mid*` beside `orders.*` and `[ab]*`.
fn name_expression(text: &str) -> Result<Option<Regex>, Fault> {
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
    let scope = ["SearchTables", &text, &criteria, field, direction];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let after: Option<Position> = cursor.and_then(|cursor| serde_json::from_str(&cursor).ok());
    let order = |a: &Position, b: &Position| if descending { b.cmp(a) } else { a.cmp(b) };

    let mut found: Vec<(Position, Table)> = Vec::new();
    for table in all_tables(context)? {
        let position = (
            property(&table, field).unwrap_or_default(),
            table.database_name.clone().unwrap_or_default(),
            table.name.clone(),
        );
        let is_after = after
            .as_ref()
            .is_none_or(|after| order(&position, after) == Ordering::Greater);
        if is_after
            && has_text(&table, &text)
            && input.filters.iter().all(|filter| passes(&table, filter))
        {
            found.push((position, table));
        }
    }
    found.sort_by(|(a, _), (b, _)| order(a, b));
    let limit = page_size(input.max_results, 100);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|(position, _)| json!(position).to_string());
    let list = found
        .iter()
        .map(|(_, table)| context.show(table))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(context.with_next(json!({"TableList": list}), &scope, next))
}

fn all_tables(context: &Context) -> Result<Vec<Table>, Fault> {
    let (mut tables, mut token) = (Vec::new(), None::<String>);
    loop {
        let page = context.catalog.list_databases(token.as_deref(), 1000)?;
        for database in &page.items {
            match tables_of(context, &database.name) {
                Ok(of_database) => tables.extend(of_database),
                // It was deleted meanwhile.
                Err(fault) if fault.name == "EntityNotFoundException" => {}
                Err(fault) => return Err(fault),
            }
        }
        match page.next {
            Some(next) => token = Some(next),
            None => return Ok(tables),
        }
    }
}

fn tables_of(context: &Context, database: &str) -> Result<Vec<Table>, Fault> {
    let list =
        |cursor: Option<&str>, limit| Ok(context.catalog.list_tables(database, cursor, limit)?);
    Ok(fill(usize::MAX, None, list, |_| true, |table| table.name.clone())?.items)
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
