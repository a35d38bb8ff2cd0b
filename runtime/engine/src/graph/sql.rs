//! A job as SQL: a view for each node, and a `COPY` for each target.
//!
//! ```sql
//! -- name: adults
//! CREATE VIEW people AS SELECT * FROM read_csv('people.csv', with_header => true);
//! CREATE VIEW towns AS SELECT * FROM geo.towns;
//! CREATE VIEW adults AS SELECT p.id, t.name FROM people p JOIN towns t ON t.id = p.town WHERE p.age >= 18;
//! COPY adults TO 'out' (FORMAT parquet);
//! ```
//!
//! A view of a function that reads files is a source, one of a table with a database in front a [`CatalogSource`], any other
//! one a [`SparkSql`] node. Only what these nodes can say has this form: [`Job::to_sql`] reads back what it wrote, and refuses
//! a job that would not be the same but for the ids of targets.
//!
//! [`CatalogSource`]: super::CatalogSource
//! [`SparkSql`]: super::SparkSql

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    CopyOption, CopySource, CopyTarget, CreateTableOptions, CreateView, Expr, FunctionArg,
    FunctionArgExpr, Ident, ObjectName, Query, SetExpr, Statement, TableFactor, TableFunctionArgs,
    Value as SqlValue,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use serde_json::{Map, Value, json};

use super::{Job, Node};
use crate::error::{Error, Result};
use crate::transform::is_plain;

/// Functions that read files, and the kinds of nodes that they are.
const READERS: [(&str, &str); 5] = [
    ("read_csv", "S3CsvSource"),
    ("read_json", "S3JsonSource"),
    ("read_parquet", "S3ParquetSource"),
    ("read_excel", "S3ExcelSource"),
    ("read_files", "S3DirectSource"),
];

/// What stands before the job's name.
const NAME: &str = "-- name:";

/// Suffixes of files, and their formats.
const SUFFIXES: [(&str, &str); 9] = [
    ("parquet", "parquet"),
    ("csv", "csv"),
    ("tsv", "tsv"),
    ("json", "json"),
    ("jsonl", "json"),
    ("ndjson", "json"),
    ("avro", "avro"),
    ("orc", "orc"),
    ("arrow", "arrow"),
];

impl Job {
    /// Reads a job from SQL.
    ///
    /// # Errors
    /// [`Error::Definition`]: what is no SQL with line and column, a statement that makes no node with what it says.
    pub fn from_sql(text: &str) -> Result<Self> {
        let mut job = Self {
            name: name(text).unwrap_or("job").to_owned(),
            ..Self::default()
        };
        let statements = Parser::parse_sql(&GenericDialect {}, text);
        let statements = statements.map_err(|e| Error::Definition(e.to_string()))?;
        for statement in statements {
            job.add(statement).map_err(Error::Definition)?;
        }
        job.validated()
    }

    /// The job as SQL. Its targets are called after their paths.
    ///
    /// # Errors
    /// [`Error::Definition`]: something of the job itself that has no such form. [`Error::Node`] of the first node that has
    /// none, or would not be the same when it is read back.
    pub fn to_sql(&self) -> Result<String> {
        if let Some(member) = self.unsayable() {
            return Err(Error::Definition(format!(
                "the job's {member} has no form in SQL; write the job as TOML or JSON"
            )));
        }
        let mut text = format!("{NAME} {}\n", self.name);
        for id in self.order()? {
            let node = &self.nodes[id];
            let line = statement(id, node).ok_or_else(|| lost(node, "its kind"))?;
            text += &line;
        }
        let back = Self::from_sql(&text)?;
        for (id, node) in &self.nodes {
            let is_kept = match node.is_target() {
                // Nobody reads a target, so that its id and name are for people alone.
                true => back
                    .nodes
                    .values()
                    .any(|other| renamed(other, node) == *node),
                false => back.nodes.get(id) == Some(&normalized(node)),
            };
            if !is_kept {
                return Err(lost(
                    node,
                    "a Name that is not its id, or one of its members,",
                ));
            }
        }
        Ok(text)
    }

    /// What is set for the job, not for one of its nodes, and SQL has no word for.
    fn unsayable(&self) -> Option<&'static str> {
        let Self {
            name: called,
            description,
            nodes: _,
            connections,
            limits,
            // Of a run, not of what its author wrote.
            run_limits: _,
            folder: _,
        } = self;
        let is_name = name(&format!("{NAME} {called}\n")) == Some(called.as_str());
        let members = [
            ("name", is_name),
            ("description", description.is_empty()),
            ("connections", connections.is_empty()),
            ("limits", limits.is_empty()),
        ];
        let lost = members.into_iter().find(|(_, is_sayable)| !is_sayable);
        lost.map(|(member, _)| member)
    }

    fn add(&mut self, statement: Statement) -> Result<(), String> {
        match statement {
            Statement::CreateView(view) => {
                let id = word(&view.name)?;
                if let Some(what) = unheeded(&view) {
                    return Err(format!(
                        "view {id:?}: {what} is not acted on here; a view is CREATE VIEW … AS …"
                    ));
                }
                let node = viewed(&id, &view.query)?;
                self.insert(id, node)
            }
            Statement::Copy {
                source,
                to: true,
                target: CopyTarget::File { filename },
                options,
                legacy_options,
                ..
            } if legacy_options.is_empty() => self.copy(source, &filename, &options),
            other => Err(format!(
                "a job is made of CREATE VIEW … AS … and COPY … TO 'path' (FORMAT …), not of: {}",
                other.to_string().chars().take(80).collect::<String>()
            )),
        }
    }

    fn insert(&mut self, id: String, node: Node) -> Result<(), String> {
        match self.nodes.insert(id, node) {
            None => Ok(()),
            Some(node) => Err(format!("there are two views {:?}", node.name())),
        }
    }

    fn copy(
        &mut self,
        source: CopySource,
        path: &str,
        options: &[CopyOption],
    ) -> Result<(), String> {
        let format = match options {
            [] => by_suffix(path)?.to_owned(),
            [CopyOption::Format(format)] => format.value.to_lowercase(),
            _ => return Err(format!("COPY TO '{path}' takes FORMAT and no other option")),
        };
        let id = self.free_id(path);
        let input = match source {
            CopySource::Table {
                table_name,
                columns,
            } if columns.is_empty() => word(&table_name)?,
            CopySource::Table { .. } => {
                return Err(format!("COPY TO '{path}': choose columns in a view"));
            }
            CopySource::Query(query) => {
                let rows = format!("{id}_rows");
                let node = viewed(&rows, &query)?;
                self.insert(rows.clone(), node)?;
                rows
            }
        };
        let (kind, mut members) = match format.as_str() {
            "parquet" => ("S3GlueParquetTarget", json!({})),
            other => ("S3DirectTarget", json!({"Format": other})),
        };
        members["Name"] = json!(id);
        members["Inputs"] = json!([input]);
        members["Path"] = json!(path);
        let node = made(&id, kind, members)?;
        self.insert(id, node)
    }

    /// What a target is called: as its file or folder, with a number where that is taken.
    fn free_id(&self, path: &str) -> String {
        let stem = Path::new(path)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let is_of_ids = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let stem = stem.replace(|c: char| !is_of_ids(c), "_");
        let ids = (1..).map(|i| match i {
            1 => format!("to_{stem}"),
            i => format!("to_{stem}_{i}"),
        });
        let mut free = ids.filter(|id| !self.nodes.contains_key(id));
        free.next().unwrap_or(stem)
    }
}

/// The job's name, from a comment at the beginning.
fn name(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty())?;
    line.strip_prefix(NAME)
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// A name of one part, in small letters unless it is quoted.
fn word(name: &ObjectName) -> Result<String, String> {
    let mut parts = name.0.iter().filter_map(|part| part.as_ident());
    match (parts.next(), parts.next()) {
        (Some(ident), None) => Ok(plain(ident)),
        _ => Err(format!("{name} is not the name of a view")),
    }
}

fn plain(ident: &Ident) -> String {
    match ident.quote_style {
        None => ident.value.to_lowercase(),
        Some(_) => ident.value.clone(),
    }
}

/// What stands in the definition of a view besides its name and its query.
fn unheeded(view: &CreateView) -> Option<&'static str> {
    let CreateView {
        or_alter,
        or_replace,
        materialized,
        secure,
        name: _,
        name_before_not_exists: _,
        columns,
        query: _,
        options,
        cluster_by,
        comment,
        with_no_schema_binding,
        if_not_exists,
        temporary,
        copy_grants,
        to,
        params,
    } = view;
    let parts = [
        ("OR ALTER", *or_alter),
        ("OR REPLACE", *or_replace),
        ("MATERIALIZED", *materialized),
        ("SECURE", *secure),
        ("TEMPORARY", *temporary),
        ("IF NOT EXISTS", *if_not_exists),
        ("a list of columns", !columns.is_empty()),
        ("a list of options", *options != CreateTableOptions::None),
        ("CLUSTER BY", !cluster_by.is_empty()),
        ("COMMENT", comment.is_some()),
        ("WITH NO SCHEMA BINDING", *with_no_schema_binding),
        ("COPY GRANTS", *copy_grants),
        ("TO", to.is_some()),
        ("ALGORITHM, DEFINER or SQL SECURITY", params.is_some()),
    ];
    let found = parts.into_iter().find(|(_, is_set)| *is_set);
    found.map(|(what, _)| what)
}

/// The node that a view is.
fn viewed(id: &str, query: &Query) -> Result<Node, String> {
    match whole_table(query) {
        Some((name, Some(args))) => reader(id, &name, &args),
        Some((name, None)) if name.0.len() == 2 => {
            let part = |i: usize| name.0[i].as_ident().map(plain).unwrap_or_default();
            let members = json!({"Name": id, "Database": part(0), "Table": part(1)});
            made(id, "CatalogSource", members)
        }
        _ => query_node(id, query),
    }
}

/// The table, or the function with its arguments, of `SELECT * FROM it`, and nothing else.
fn whole_table(query: &Query) -> Option<(ObjectName, Option<TableFunctionArgs>)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [from] = select.from.as_slice() else {
        return None;
    };
    let TableFactor::Table {
        name, alias, args, ..
    } = &from.relation
    else {
        return None;
    };
    let is_whole = alias.is_none()
        && is_plain(&from.relation)
        && query.to_string() == format!("SELECT * FROM {}", from.relation);
    is_whole.then(|| (name.clone(), args.clone()))
}

/// A source of files: paths first, then members by their names in small letters.
fn reader(id: &str, name: &ObjectName, args: &TableFunctionArgs) -> Result<Node, String> {
    let called = word(name)?;
    let Some((_, kind)) = READERS.iter().find(|(reader, _)| *reader == called) else {
        let known: Vec<&str> = READERS.iter().map(|(reader, _)| *reader).collect();
        return Err(format!(
            "view {id:?}: there is no function {called}; files are read by {}",
            known.join(", ")
        ));
    };
    let (mut paths, mut members) = (Vec::new(), Map::new());
    for argument in &args.args {
        let (member, value) = match argument {
            FunctionArg::Unnamed(value) => (None, value),
            FunctionArg::Named { name, arg, .. } => (Some(name.value.clone()), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (Some(name.to_string()), arg),
        };
        let value =
            constant(value).ok_or_else(|| format!("view {id:?}: {argument} is no constant"))?;
        match member {
            None => paths.push(value),
            Some(member) => drop(members.insert(pascal(&member), value)),
        }
    }
    members.insert("Name".to_owned(), json!(id));
    members.insert("Paths".to_owned(), Value::Array(paths));
    made(id, kind, Value::Object(members))
}

fn constant(value: &FunctionArgExpr) -> Option<Value> {
    let FunctionArgExpr::Expr(Expr::Value(value)) = value else {
        return None;
    };
    match &value.value {
        SqlValue::SingleQuotedString(text) => Some(json!(text)),
        SqlValue::Boolean(value) => Some(json!(value)),
        SqlValue::Number(text, _) => serde_json::from_str(&text.to_string()).ok(),
        _ => None,
    }
}

/// One query over other views.
fn query_node(id: &str, query: &Query) -> Result<Node, String> {
    let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query.clone()))));
    let found = resolve_table_references(&statement, true);
    let (tables, _) = found.map_err(|e| format!("view {id:?}: {e}"))?;
    let mut inputs = BTreeSet::new();
    for table in tables {
        match table {
            TableReference::Bare { table } => drop(inputs.insert(table.to_string())),
            other => {
                return Err(format!(
                    "view {id:?}: give {other} a view of its own: CREATE VIEW … AS SELECT * FROM {other}"
                ));
            }
        }
    }
    let readers = READERS.iter().map(|(reader, _)| *reader);
    if let Some(reader) = readers.into_iter().find(|reader| inputs.contains(*reader)) {
        return Err(format!(
            "view {id:?}: give {reader} a view of its own: CREATE VIEW … AS SELECT * FROM {reader}(…)"
        ));
    }
    let aliases = inputs
        .iter()
        .map(|input| json!({"From": input, "Alias": input}));
    let members = json!({
        "Name": id,
        "Inputs": inputs,
        "SqlQuery": query.to_string(),
        "SqlAliases": aliases.collect::<Vec<_>>(),
    });
    made(id, "SparkSQL", members)
}

fn made(id: &str, kind: &str, members: Value) -> Result<Node, String> {
    let node = serde_json::from_value(json!({ kind: members }));
    node.map_err(|e| format!("{id:?}: {e}"))
}

/// `with_header` is `WithHeader`.
fn pascal(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

/// `WithHeader` is `with_header`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// The format of a target that names none: Parquet where its path has no suffix either.
fn by_suffix(path: &str) -> Result<&'static str, String> {
    let Some(suffix) = Path::new(path).extension() else {
        return Ok("parquet");
    };
    let mut known = SUFFIXES.iter();
    let found = known.find(|(known, _)| suffix.eq_ignore_ascii_case(known));
    found.map(|(_, format)| *format).ok_or_else(|| {
        let suffix = suffix.display();
        format!(
            "COPY TO '{path}': .{suffix} is the suffix of no format here; say which, as in (FORMAT csv)"
        )
    })
}

/// The statement of a node; none of a kind that has no such form.
fn statement(id: &str, node: &Node) -> Option<String> {
    let view = |query: &str| Some(format!("CREATE VIEW {} AS {query};\n", quoted(id)));
    let copy = |path: &str, format: &str| {
        let input = node.inputs().first()?;
        let (input, path) = (quoted(input), text_of(path));
        Some(format!("COPY {input} TO {path} (FORMAT {format});\n"))
    };
    match node {
        Node::SparkSQL(sql) => view(&normal_query(&sql.sql_query)),
        Node::CatalogSource(source) => view(&format!(
            "SELECT * FROM {}.{}",
            quoted(&source.database),
            quoted(&source.table)
        )),
        Node::S3GlueParquetTarget(target) => copy(&target.path, "parquet"),
        Node::S3DirectTarget(target) => copy(&target.path, &target.format),
        _ => {
            let (_, reader) = READERS
                .iter()
                .find(|(_, kind)| *kind == node.kind())
                .map(|(reader, kind)| (kind, reader))?;
            view(&format!("SELECT * FROM {reader}({})", arguments(node)?))
        }
    }
}

/// Paths and members of a source that are constants.
fn arguments(node: &Node) -> Option<String> {
    let value = serde_json::to_value(node).ok()?;
    let members = value.get(node.kind())?.as_object()?;
    let paths = members.get("Paths")?.as_array()?.iter();
    let mut text: Vec<String> = paths.filter_map(constant_text).collect();
    for (member, value) in members {
        if member != "Name" && member != "Paths" {
            text.push(format!("{} => {}", snake(member), constant_text(value)?));
        }
    }
    Some(text.join(", "))
}

fn constant_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text_of(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

fn text_of(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    // Writing to a string cannot fail.
    let _ = write!(text, "{}", Ident::with_quote('"', name));
    text
}

/// A target with the name of another one.
fn renamed(target: &Node, like: &Node) -> Node {
    let mut target = target.clone();
    match &mut target {
        Node::S3GlueParquetTarget(n) => like.name().clone_into(&mut n.name),
        Node::S3DirectTarget(n) => like.name().clone_into(&mut n.name),
        _ => {}
    }
    target
}

/// The node with its query as the parser writes it.
fn normalized(node: &Node) -> Node {
    let mut node = node.clone();
    if let Node::SparkSQL(sql) = &mut node {
        sql.sql_query = normal_query(&sql.sql_query);
        sql.inputs.sort();
        sql.sql_aliases.sort_by(|a, b| a.alias.cmp(&b.alias));
    }
    node
}

fn normal_query(query: &str) -> String {
    match Parser::parse_sql(&GenericDialect {}, query).as_deref() {
        Ok([one]) => one.to_string(),
        _ => query.to_owned(),
    }
}

fn lost(node: &Node, what: &str) -> Error {
    let kind = node.kind();
    Error::node(
        node.name(),
        format!("{what} has no form in SQL, which has files, tables, queries and targets ({kind})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "\
-- name: adults
CREATE VIEW people AS SELECT * FROM read_csv('a.csv', 'it''s.csv', separator => 'pipe', with_header => false);
CREATE VIEW \"The Towns\" AS SELECT * FROM geo.towns;
create view Adults as with old as (select * from people where age >= 18)
  select o.id, t.name from old o join \"The Towns\" t on t.id = o.town;
COPY adults TO 'out' (FORMAT parquet);
COPY (select id from adults) TO 'x/ids.csv';
COPY adults TO 'y/out/' (FORMAT json);
";

    #[test]
    fn statements_are_nodes() {
        let job = Job::from_sql(SQL).unwrap();
        assert_eq!(job.name, "adults");
        let kinds: Vec<_> = job
            .nodes
            .iter()
            .map(|(id, n)| (id.as_str(), n.kind()))
            .collect();
        assert_eq!(
            kinds,
            [
                ("The Towns", "CatalogSource"),
                ("adults", "SparkSQL"),
                ("people", "S3CsvSource"),
                ("to_ids", "S3DirectTarget"),
                ("to_ids_rows", "SparkSQL"),
                ("to_out", "S3GlueParquetTarget"),
                ("to_out_2", "S3DirectTarget"),
            ]
        );
        let Node::S3CsvSource(people) = &job.nodes["people"] else {
            panic!("{:?}", job.nodes["people"]);
        };
        assert_eq!(people.paths, ["a.csv", "it's.csv"]);
        assert_eq!(people.with_header, Some(false));
        assert_eq!(job.nodes["adults"].inputs(), ["The Towns", "people"]);
    }

    #[test]
    fn sql_json_and_toml_are_the_same_job() {
        let job = Job::from_sql(SQL).unwrap();
        let sql = job.to_sql().unwrap();
        assert_eq!(Job::from_sql(&sql).unwrap(), job);
        assert_eq!(Job::from_sql(&sql).unwrap().to_sql().unwrap(), sql);
        let json = serde_json::to_string(&job).unwrap();
        assert_eq!(Job::from_json(&json).unwrap(), job);
        assert_eq!(Job::from_toml(&job.to_toml().unwrap()).unwrap(), job);
        let renamed = json.replace("to_out\"", "result\"");
        assert_ne!(renamed, json);
        let renamed = Job::from_json(&renamed).unwrap().to_sql().unwrap();
        assert_eq!(Job::from_sql(&renamed).unwrap(), job);
    }

    fn refused(statement: &str) -> String {
        Job::from_sql(&format!("{SQL}{statement}"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_makes_no_node_is_told() {
        for (statement, said) in [
            ("select 1", "not of: SELECT 1"),
            (
                "copy adults to 'x.csv.gz'",
                "COPY TO 'x.csv.gz': .gz is the suffix of no format here",
            ),
            ("drop view people", "not of: DROP VIEW people"),
            (
                "create view people as select 1 as a from adults",
                "two views \"people\"",
            ),
            (
                "create view x as select a from read_csv('p')",
                "give read_csv a view",
            ),
            (
                "create view x as select a from geo.towns",
                "give geo.towns a view",
            ),
            (
                "create view x as select * from read_cvs('p')",
                "there is no function read_cvs",
            ),
            (
                "create view x as select * from read_csv(a)",
                "a is no constant",
            ),
            (
                "create view x as select * from read_csv('p', wth => 1)",
                "Wth",
            ),
            (
                "create view x as select * from nobody",
                "reads \"nobody\", which is no node",
            ),
            (
                "copy adults to 'p' (format csv, header true)",
                "no other option",
            ),
            ("copy adults to 'p' (format docx)", "docx"),
            ("copy adults (id) to 'p'", "choose columns in a view"),
            ("create view", "sql parser error"),
            (
                "create view x (a, b) as select * from people",
                "view \"x\": a list of columns is not acted on",
            ),
            (
                "create temporary view x as select * from people",
                "TEMPORARY",
            ),
            (
                "create materialized view x as select * from people",
                "MATERIALIZED",
            ),
            (
                "create or replace view x as select * from people",
                "OR REPLACE",
            ),
            (
                "create view if not exists x as select * from people",
                "IF NOT EXISTS",
            ),
            (
                "create view x with (a = 1) as select * from people",
                "a list of options",
            ),
            (
                "create view x as select * from read_csv('p') tablesample (10 percent)",
                "give read_csv a view",
            ),
            (
                "create view x as select * from geo.towns as t (a, b)",
                "give geo.towns a view",
            ),
        ] {
            let text = refused(statement);
            assert!(text.contains(said), "{statement}: {text}");
        }
    }

    #[test]
    fn what_is_set_for_the_whole_job_is_not_lost() {
        let job = Job::from_sql(SQL).unwrap();
        let mut limits = tenon_host::LimitSettings::default();
        limits.set("memory_bytes", "64 MiB").unwrap();
        let with = |change: &dyn Fn(&mut Job)| {
            let mut other = job.clone();
            change(&mut other);
            other.to_sql().unwrap_err().to_string()
        };
        for (error, member) in [
            (with(&|job| job.name = "a\nDROP VIEW b".to_owned()), "name"),
            (
                with(&|job| job.description = "why".to_owned()),
                "description",
            ),
            (
                with(&|job| job.connections = vec!["lake".to_owned()]),
                "connections",
            ),
            (with(&|job| job.limits = limits.clone()), "limits"),
        ] {
            let said = format!("the job's {member} has no form in SQL");
            assert!(error.starts_with(&said), "{error}");
        }
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        let job = Job::from_sql(SQL).unwrap();
        let json = serde_json::to_string(&job).unwrap();
        for (from, to, said) in [
            (
                "\"Name\":\"adults\"",
                "\"Name\":\"The adults\"",
                "The adults",
            ),
            (
                "\"Path\":\"out\"",
                "\"Path\":\"out\",\"Mode\":\"append\"",
                "to_out",
            ),
            (
                "\"Separator\":\"pipe\"",
                "\"Separator\":\"pipe\",\"Exclusions\":[\"x\"]",
                "people",
            ),
        ] {
            let other = json.replace(from, to);
            assert_ne!(other, json);
            let error = Job::from_json(&other)
                .unwrap()
                .to_sql()
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(said) && error.contains("no form in SQL"),
                "{error}"
            );
        }
    }
}
