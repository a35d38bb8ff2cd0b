//! CustomCode: what stands there in the place of Glue's script.
//!
//! ```text
//! Code = "select city, count(*) as people from people group by city"   one query; its tables are the inputs
//! Code = "plugin: tenon:clean@1"   ClassName = "trim"                   a plugin's function, as in DynamicTransform
//! ```
//!
//! A query knows an input by its id and by its name, each also in small letters, so that both `people` and
//! `"People of 2026"` find theirs. A name that several inputs have stands for none of them, unless it is an id.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use tenon_catalog::HiveType;

use super::query::{mentions, mentions_of};
use crate::error::{Error, Result};
use crate::graph::{CustomCode, DynamicTransform, Job, Node, OutputColumn, SparkSql, SqlAlias};

/// What the code is.
#[derive(Debug)]
pub(crate) enum Code<'a> {
    /// One query.
    Query(&'a str),
    /// A plugin: `tenon:clean@1`.
    Plugin(&'a str),
}

impl<'a> Code<'a> {
    /// # Errors
    /// It is neither: says what to do.
    pub(crate) fn of(node: &'a CustomCode) -> Result<Self, String> {
        let code = node.code.trim();
        if let Some(plugin) = code.strip_prefix("plugin:") {
            let plugin = plugin.trim();
            if plugin.is_empty() || plugin.contains(char::is_whitespace) {
                return Err(
                    "Code names no plugin; write plugin: NAME@VERSION, and the function in ClassName"
                        .to_owned(),
                );
            }
            return Ok(Self::Plugin(plugin));
        }
        let first = without_comments(code)
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default();
        let is_query = ["select", "with"]
            .iter()
            .any(|word| first.eq_ignore_ascii_case(word));
        match is_query {
            true => Ok(Self::Query(code)),
            false => Err(
                "Code is neither one query, which begins with SELECT or WITH, nor plugin: NAME@VERSION; scripts for \
                 Spark in Python or Scala cannot run here: write it as a query over its inputs, or as a plugin \
                 (`tenon plugin new`)"
                    .to_owned(),
            ),
        }
    }

    /// The node that the code stands for.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub(crate) fn node(node: &CustomCode, job: &Job) -> Result<CodeNode> {
        let code = Code::of(node).map_err(|e| Error::node(&node.name, e))?;
        Ok(match code {
            Code::Query(query) => {
                let (sql_aliases, clashes) = aliases(node, job);
                let query = SparkSql {
                    name: node.name.clone(),
                    inputs: node.inputs.clone(),
                    sql_query: query.trim_end_matches([';', ' ', '\n']).to_owned(),
                    sql_aliases,
                };
                CodeNode::Query(query, clashes)
            }
            Code::Plugin(plugin) => CodeNode::Plugin(DynamicTransform {
                name: node.name.clone(),
                transform_name: node.class_name.clone(),
                inputs: node.inputs.clone(),
                parameters: Vec::new(),
                function_name: node.class_name.clone(),
                path: plugin.to_owned(),
            }),
        })
    }

    /// How often the code reads an input that has this id and name.
    pub(crate) fn reads(node: &'a CustomCode, id: &str, name: &str) -> usize {
        match (node.inputs.iter().any(|input| input == id), Self::of(node)) {
            (false, _) => 0,
            (true, Ok(Self::Query(query))) if !id.eq_ignore_ascii_case(name) => {
                mentions_of(query, &[id, name])
            }
            (true, Ok(Self::Query(query))) => mentions(query, id),
            (true, _) => 1,
        }
    }
}

/// A node of the kind that the code stands for.
pub(crate) enum CodeNode {
    Query(SparkSql, Clashes),
    Plugin(DynamicTransform),
}

/// Names that stand for none of a query's inputs since several have them, with the ids of those.
pub(crate) type Clashes = BTreeMap<String, Vec<String>>;

/// The names of the inputs. What two of them would have is nobody's, unless it is an id.
fn aliases(node: &CustomCode, job: &Job) -> (Vec<SqlAlias>, Clashes) {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in &node.inputs {
        let name = job.nodes.get(id).map_or(id.as_str(), Node::name);
        for name in [id.to_lowercase(), name.to_owned(), name.to_lowercase()] {
            let ids = owners.entry(name).or_default();
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
    }
    let own = node.inputs.iter().map(|id| (id.clone(), vec![id.clone()]));
    owners.extend(own);
    owners.remove("");
    let (mut aliases, mut clashes) = (Vec::new(), Clashes::new());
    for (alias, mut ids) in owners {
        match (ids.pop(), ids.is_empty()) {
            (Some(from), true) => aliases.push(SqlAlias { from, alias }),
            (last, _) => {
                ids.extend(last);
                clashes.insert(alias, ids);
            }
        }
    }
    (aliases, clashes)
}

/// The query behind comments at its beginning.
fn without_comments(mut query: &str) -> &str {
    loop {
        query = query.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        let rest = match (query.strip_prefix("--"), query.strip_prefix("/*")) {
            (Some(rest), _) => rest.split_once('\n').map(|(_, rest)| rest),
            (_, Some(rest)) => rest.split_once("*/").map(|(_, rest)| rest),
            _ => return query,
        };
        query = rest.unwrap_or_default();
    }
}

/// Refuses a result that has not the columns of `OutputSchemas`, where there are some.
pub(crate) fn check_columns(node: &CustomCode, found: &Schema) -> Result<()> {
    let Some(wanted) = node
        .output_schemas
        .first()
        .filter(|s| !s.columns.is_empty())
    else {
        return Ok(());
    };
    let mut columns = wanted.columns.iter();
    columns
        .try_for_each(|column| fits(column, found))
        .and_then(|()| nothing_else(&wanted.columns, found))
        .map_err(|why| Error::node(&node.name, format!("OutputSchemas: {why}")))
}

fn fits(wanted: &OutputColumn, found: &Schema) -> Result<(), String> {
    let name = &wanted.name;
    let Ok(field) = found.field_with_name(name) else {
        let known: Vec<&str> = found.fields().iter().map(|f| f.name().as_str()).collect();
        return Err(format!(
            "there is no column {name:?}; the result has {}",
            known.join(", ")
        ));
    };
    let Some(word) = &wanted.r#type else {
        return Ok(());
    };
    let hive: HiveType = super::apply_mapping::hive_word(word)
        .parse()
        .map_err(|e| format!("column {name:?}: {e}"))?;
    match is_alike(&hive.to_arrow(), field) {
        true => Ok(()),
        false => Err(format!(
            "column {name:?} is to be {word} and is {}",
            field.data_type()
        )),
    }
}

/// Text is text, however it is laid out.
fn is_alike(wanted: &DataType, found: &Field) -> bool {
    let is_text =
        |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    wanted == found.data_type() || is_text(wanted) && is_text(found.data_type())
}

fn nothing_else(wanted: &[OutputColumn], found: &Schema) -> Result<(), String> {
    let is_wanted =
        |field: &&std::sync::Arc<Field>| !wanted.iter().any(|w| w.name == *field.name());
    match found.fields().iter().find(is_wanted) {
        None => Ok(()),
        Some(field) => Err(format!(
            "the result has a column {:?} that is not among them",
            field.name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(code: &str) -> CustomCode {
        CustomCode {
            name: "c".to_owned(),
            inputs: vec!["a".to_owned()],
            code: code.to_owned(),
            class_name: "f".to_owned(),
            output_schemas: Vec::new(),
        }
    }

    #[test]
    fn code_is_a_query_or_a_plugin_and_nothing_else() {
        for query in [
            "select 1",
            "-- why\n/* and how */ (With x as (select 1) select * from x)",
        ] {
            let node = node(query);
            assert!(matches!(Code::of(&node), Ok(Code::Query(_))), "{query}");
        }
        let plugin = node("plugin:  tenon:clean@1 ");
        assert!(matches!(
            Code::of(&plugin),
            Ok(Code::Plugin("tenon:clean@1"))
        ));
        for code in [
            "def MyTransform(glueContext, dfc):",
            "selection",
            "plugin:",
            "plugin: a b",
            "",
            "drop table x",
        ] {
            assert!(Code::of(&node(code)).is_err(), "{code}");
        }
    }

    #[test]
    fn an_input_is_read_as_often_as_it_is_named() {
        let twice = node("select * from a join \"The A\" on true");
        assert!(Code::reads(&twice, "a", "The A") >= 2);
        let by_both = node("select x.id from a x join orders y on x.id = y.id");
        assert_eq!(Code::reads(&by_both, "a", "orders"), 2);
        assert_eq!(Code::reads(&by_both, "y", "z"), 0);
        let by_one = node("select id from orders");
        assert_eq!(Code::reads(&by_one, "a", "orders"), 1);
        assert_eq!(Code::reads(&twice, "b", "a"), 0);
    }

    #[test]
    fn a_name_that_two_inputs_have_is_nobodys_unless_it_is_an_id() {
        let source = |id: &str, name: &str| {
            format!("[nodes.{id}.S3CsvSource]\nName = '{name}'\nPaths = ['p']\n")
        };
        let nodes = [("a", "Orders"), ("b", "Orders"), ("c", "a"), ("d", "Own")];
        let nodes = nodes.map(|(id, name)| source(id, name)).concat();
        let target = "[nodes.out.S3GlueParquetTarget]\nName = 'out'\nInputs = ['a']\nPath = 'o'\n";
        let job = Job::from_toml(&format!("name = 'j'\n{nodes}{target}")).unwrap();
        let mut code = node("select 1");
        code.inputs = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let (aliases, clashes) = aliases(&code, &job);
        let aliases: Vec<_> = aliases
            .iter()
            .map(|alias| (alias.alias.as_str(), alias.from.as_str()))
            .collect();
        let expected = [
            ("Own", "d"),
            ("a", "a"),
            ("b", "b"),
            ("c", "c"),
            ("d", "d"),
            ("own", "d"),
        ];
        assert_eq!(aliases, expected);
        let names: Vec<_> = clashes.keys().collect();
        assert_eq!(names, ["Orders", "orders"]);
        assert_eq!(clashes["orders"], ["a", "b"]);
    }
}
