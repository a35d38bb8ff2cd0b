//! Tables. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-tables.html>

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde_json::json;
use tenon_catalog::{Error, Table, TableInput, UpdateTable};

use super::shapes::{
    self, BatchDeleteTableRequest, BatchDeleteTableResponse, CreateTableRequest,
    CreateTableResponse, DeleteTableRequest, DeleteTableResponse, GetTableRequest,
    GetTableResponse, GetTablesRequest, GetTablesResponse, PropertyPredicate, SearchTablesRequest,
    SearchTablesResponse, TableError, UpdateTableRequest, UpdateTableResponse,
};
use super::shown::{detail, some_errors};
use super::{Attributes, Context, fill, is_shared, page_size};
use crate::fault::Fault;

/// Memory a compiled expression may take, in bytes.
const EXPRESSION_BYTES: usize = 1 << 20;

pub(super) fn create(
    context: &Context,
    input: CreateTableRequest,
) -> Result<CreateTableResponse, Fault> {
    refuse_open_format(input.open_table_format_input.is_some())?;
    let table = named(input.table_input, input.name.as_deref())?;
    let indexes = input.partition_indexes.unwrap_or_default();
    context
        .catalog
        .create_table_with_indexes(&input.database_name, table, &indexes)?;
    Ok(CreateTableResponse {})
}

pub(super) fn update(
    context: &Context,
    input: UpdateTableRequest,
) -> Result<UpdateTableResponse, Fault> {
    refuse_open_format(input.update_open_table_format_input.is_some())?;
    let table = named(input.table_input, input.name.as_deref())?;
    let options = UpdateTable {
        expected_version: input.version_id,
        skip_archive: input.skip_archive.unwrap_or_default(),
    };
    context
        .catalog
        .update_table(&input.database_name, table, &options)?;
    Ok(UpdateTableResponse {})
}

fn refuse_open_format(is_given: bool) -> Result<(), Fault> {
    if is_given {
        return Err(Fault::invalid(
            "OpenTableFormatInput is not served: metadata of Iceberg tables is written by Iceberg's clients",
        ));
    }
    Ok(())
}

/// The definition of the table that a request is about, which it may name twice.
fn named(input: Option<TableInput>, name: Option<&str>) -> Result<TableInput, Fault> {
    let input = input.ok_or_else(|| Fault::invalid("TableInput is missing"))?;
    match name {
        Some(name) if name.to_lowercase() != input.name.to_lowercase() => Err(Fault::invalid(
            format!("Name {name} and TableInput.Name {} differ", input.name),
        )),
        _ => Ok(input),
    }
}

/// `AuditContext` and `IncludeStatusDetails` ask for what only AWS has; they change nothing.
pub(super) fn get(context: &Context, input: GetTableRequest) -> Result<GetTableResponse, Fault> {
    let attributes = Attributes::read(input.attributes_to_get)?;
    let table = context
        .catalog
        .get_table(&input.database_name, &input.name)?;
    Ok(GetTableResponse {
        table: Some(shown(context, table, &attributes)),
    })
}

fn shown(context: &Context, table: Table, attributes: &Attributes) -> shapes::Table {
    if attributes.are_all() {
        return context.owner().table(table);
    }
    let has_type = attributes.contain("TABLE_TYPE");
    shapes::Table {
        name: Some(table.name),
        table_type: table.table_type.filter(|_| has_type),
        ..shapes::Table::default()
    }
}

pub(super) fn delete(
    context: &Context,
    input: DeleteTableRequest,
) -> Result<DeleteTableResponse, Fault> {
    context
        .catalog
        .delete_table(&input.database_name, &input.name)?;
    Ok(DeleteTableResponse {})
}

pub(super) fn batch_delete(
    context: &Context,
    input: BatchDeleteTableRequest,
) -> Result<BatchDeleteTableResponse, Fault> {
    context.catalog.get_database(&input.database_name)?;
    let mut errors = Vec::new();
    for name in input.tables_to_delete {
        if let Err(error) = context.catalog.delete_table(&input.database_name, &name) {
            errors.push(TableError {
                table_name: Some(name),
                error_detail: Some(detail(error)),
            });
        }
    }
    Ok(BatchDeleteTableResponse {
        errors: some_errors(errors),
    })
}

pub(super) fn list(context: &Context, input: GetTablesRequest) -> Result<GetTablesResponse, Fault> {
    let database = input.database_name.to_lowercase();
    let text = input.expression.unwrap_or_default();
    let share = input.resource_share_type.as_deref();
    let attributes = Attributes::read(input.attributes_to_get)?;
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
    let list = page.items.into_iter();
    Ok(GetTablesResponse {
        table_list: Some(list.map(|item| shown(context, item, &attributes)).collect()),
        next_token: context.next_token(&scope, page.next),
    })
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

/// Where a table stands among those found; the last parts make it unique.
type Position = (String, String, String);

pub(super) fn search(
    context: &Context,
    input: SearchTablesRequest,
) -> Result<SearchTablesResponse, Fault> {
    let filters = input.filters.unwrap_or_default();
    let criteria: Vec<_> = filters
        .iter()
        .map(|f| format!("{:?}{:?}{:?}", f.key, f.value, f.comparator))
        .collect();
    let sort = input.sort_criteria.as_deref().and_then(<[_]>::first);
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
            && filters.iter().all(|filter| passes(&table, filter))
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
        .into_iter()
        .map(|(_, table)| context.owner().table(table));
    Ok(SearchTablesResponse {
        table_list: Some(list.collect()),
        next_token: context.next_token(&scope, next),
    })
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

fn passes(table: &Table, filter: &PropertyPredicate) -> bool {
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
