//! The graphs of task runs, in Glue's nodes.
//!
//! ```text
//! LABELING_SET_GENERATION  records [known] [model] ─> find-questions ─> in the order of their sets ─> a CSV file
//! EVALUATION               records known ─> find-matches ─┬─ model ───┐
//!                                                         └─ quality ─┴─> learned, told and not written
//! IMPORT_LABELS            file, told and not written;  labels without those of records ─> unknown
//! EXPORT_LABELS            labels ─> a CSV file
//! ```
//!
//! `known` are the labels of records that the table has: records come and go, and what was said of others is no fault.
//!
//! Nodes that stand for what comes with the run look like tables of the catalog; nobody looks them up there.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::node::given;
use super::transform::{MlTransform, StoredTransform};
use super::{MlTask, PLUGIN, TaskWork};
use crate::error::{Error, Result};
use crate::job::{ExecutionProperty, Job, JobDefinition, Nodes};

/// The output of `find-matches` that is the model, and the one that says how good it is.
const MODEL_OUTPUT: usize = 3;
const QUALITY_OUTPUT: usize = 4;

/// Characters of a run's id that its labelling sets are called after.
const RUN_CHARS: usize = 8;

/// Labels of records that there are.
const KNOWN: &str = "known";

/// The model, where there is one.
pub(super) const MODEL: &str = "model";

/// A task run as a job that runs.
///
/// # Errors
/// [`Error::NotReady`] without a primary key.
pub(crate) fn job(stored: &StoredTransform, task: &MlTask, run: &str) -> Result<Job> {
    let transform = &stored.transform;
    let definition = &transform.definition;
    let table = definition.input_record_tables.first();
    let connection = table.and_then(|table| table.connection_name.clone());
    Ok(Job {
        name: transform.transform_id.clone(),
        created_on: transform.created_on,
        last_modified_on: transform.last_modified_on,
        definition: JobDefinition {
            execution_property: Some(ExecutionProperty {
                max_concurrent_runs: 1,
            }),
            connections: connection.map(|name| json!({"Connections": [name]})),
            code_gen_configuration_nodes: Some(nodes(stored, task, run)?),
            ..JobDefinition::default()
        },
    })
}

fn nodes(stored: &StoredTransform, task: &MlTask, run: &str) -> Result<Nodes> {
    let transform = &stored.transform;
    let id = id(transform)?;
    let nodes = match task {
        MlTask::LabelingSetGeneration { output } => questions(stored, id, output, run)?,
        MlTask::Evaluation => evaluation(transform, id)?,
        MlTask::ImportLabels { input, .. } => import(transform, id, input)?,
        MlTask::ExportLabels { output } => vec![
            (TaskWork::LABELS, given(TaskWork::LABELS)),
            ("out", csv(TaskWork::LABELS, output)),
        ],
    };
    let nodes = nodes.into_iter();
    Ok(nodes.map(|(id, node)| (id.to_owned(), node)).collect())
}

/// Ids and nodes.
type Graph = Vec<(&'static str, Value)>;

fn questions(stored: &StoredTransform, id: &str, output: &str, run: &str) -> Result<Graph> {
    let mut roles = Vec::new();
    let mut graph = vec![(TaskWork::RECORDS, records(&stored.transform)?)];
    if stored.labels.pieces > 0 {
        roles.push((TaskWork::LABELS, KNOWN));
        graph.push((TaskWork::LABELS, given(TaskWork::LABELS)));
        graph.push((
            KNOWN,
            known(KNOWN, TaskWork::LABELS, &[TaskWork::RECORDS], id),
        ));
    }
    if stored.has_current_model() {
        roles.push((MODEL, MODEL));
        graph.push((MODEL, given(MODEL)));
    }
    let mut questions = plugin("questions", "find-questions", id, &roles);
    say(
        &mut questions,
        accuracy_cost(&stored.transform).into_iter().collect(),
    );
    graph.extend([
        ("questions", questions),
        ("sets", query("sets", &["questions"], &sets(run))),
        ("out", csv("sets", output)),
    ]);
    Ok(graph)
}

/// Sets are called after the run too: what is imported of two files never meets in one set.
fn sets(run: &str) -> String {
    let digits = run.trim_start_matches("tsk-").chars();
    let run: String = digits.take(RUN_CHARS).collect();
    format!(
        "select * replace ('{run}-' || labeling_set_id as labeling_set_id) from questions \
         order by character_length(labeling_set_id), labeling_set_id"
    )
}

fn evaluation(transform: &MlTransform, id: &str) -> Result<Graph> {
    let mut matches = plugin("matches", "find-matches", id, &[(TaskWork::LABELS, KNOWN)]);
    say(&mut matches, tradeoffs(transform));
    let learned = "select model.model, quality.quality from model cross join quality";
    Ok(vec![
        (TaskWork::RECORDS, records(transform)?),
        (TaskWork::LABELS, given(TaskWork::LABELS)),
        (
            KNOWN,
            known(KNOWN, TaskWork::LABELS, &[TaskWork::RECORDS], id),
        ),
        ("matches", matches),
        (MODEL, chosen(MODEL, MODEL_OUTPUT)),
        ("quality", chosen("quality", QUALITY_OUTPUT)),
        (
            TaskWork::LEARNED,
            query(TaskWork::LEARNED, &[MODEL, "quality"], learned),
        ),
    ])
}

fn import(transform: &MlTransform, id: &str, input: &str) -> Result<Graph> {
    let file = json!({"S3CsvSource": {
        "Name": TaskWork::FILE, "Paths": [input], "Separator": "comma", "QuoteChar": "quote", "WithHeader": true, "AllText": true,
    }});
    let key = quoted(id);
    let unknown = format!(
        "select distinct l.{key} as id from labels l left anti join records r on l.{key} = cast(r.{key} as varchar) \
         order by id"
    );
    Ok(vec![
        (TaskWork::FILE, file),
        (TaskWork::RECORDS, records(transform)?),
        (TaskWork::LABELS, given(TaskWork::LABELS)),
        (
            TaskWork::UNKNOWN,
            query(
                TaskWork::UNKNOWN,
                &[TaskWork::LABELS, TaskWork::RECORDS],
                &unknown,
            ),
        ),
    ])
}

/// The name of the key as the table has it.
pub(super) fn id(transform: &MlTransform) -> Result<&str> {
    let key = transform
        .primary_key()
        .ok_or_else(|| not_ready(transform))?;
    let columns = transform
        .schema
        .iter()
        .filter_map(|column| column.name.as_deref());
    let mut same = columns
        .into_iter()
        .filter(|column| column.eq_ignore_ascii_case(key));
    Ok(same.next().unwrap_or(key))
}

fn not_ready(transform: &MlTransform) -> Error {
    Error::NotReady {
        reason: format!(
            "ML transform {} is NOT_READY: it has no PrimaryKeyColumnName; give it one (UpdateMLTransform)",
            transform.transform_id
        ),
    }
}

fn records(transform: &MlTransform) -> Result<Value> {
    let table = transform.definition.input_record_tables.first();
    let table = table.ok_or_else(|| Error::invalid("the transform has no table"))?;
    Ok(json!({"CatalogSource": {
        "Name": TaskWork::RECORDS, "Database": table.database_name, "Table": table.table_name,
    }}))
}

/// A node of the plugin over the records, with inputs that have a role, which are named by their positions.
fn plugin(name: &str, function: &str, id: &str, roles: &[(&str, &str)]) -> Value {
    let (mut inputs, mut parameters) = (vec![TaskWork::RECORDS], vec![parameter("id", "str", id)]);
    for (role, input) in roles {
        parameters.push(parameter(role, "int", &inputs.len().to_string()));
        inputs.push(input);
    }
    json!({"DynamicTransform": {
        "Name": name, "TransformName": name, "Inputs": inputs, "Parameters": parameters, "FunctionName": function,
        "Path": PLUGIN,
    }})
}

/// The labels of records that the tables have: those of others are left out.
pub(super) fn known(name: &str, labels: &str, tables: &[&str], id: &str) -> Value {
    let key = quoted(id);
    let (mut inputs, mut aliases) = (
        vec![labels],
        vec![json!({"From": labels, "Alias": "labels"})],
    );
    let mut ids = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        inputs.push(table);
        aliases.push(json!({"From": table, "Alias": format!("records{at}")}));
        ids.push(format!("select cast({key} as varchar) from records{at}"));
    }
    let sql = format!(
        "select * from labels where {key} in ({})",
        ids.join(" union all ")
    );
    json!({"SparkSQL": {"Name": name, "Inputs": inputs, "SqlQuery": sql, "SqlAliases": aliases}})
}

/// Adds settings to a node of the plugin.
fn say(node: &mut Value, more: Vec<Value>) {
    if let Some(parameters) = node["DynamicTransform"]["Parameters"].as_array_mut() {
        parameters.extend(more);
    }
}

/// A setting of a plugin in Glue's JSON.
pub(super) fn parameter(name: &str, kind: &str, value: &str) -> Value {
    json!({"Name": name, "Type": kind, "Value": [value]})
}

/// How many pairs are compared, as the transform says.
pub(super) fn accuracy_cost(transform: &MlTransform) -> Option<Value> {
    let cost = transform.find_matches()?.accuracy_cost_tradeoff?;
    Some(parameter("accuracy_cost", "float", &cost.to_string()))
}

/// Whether labels overrule what is found: only where there are some.
pub(super) const ENFORCE_LABELS: &str = "enforce_labels";

/// What the transform says of how matches are found.
pub(super) fn tradeoffs(transform: &MlTransform) -> Vec<Value> {
    let Some(said) = transform.find_matches() else {
        return Vec::new();
    };
    let precision = said.precision_recall_tradeoff;
    let parameters = [
        precision.map(|value| parameter("precision_recall", "float", &value.to_string())),
        accuracy_cost(transform),
        said.enforce_provided_labels
            .map(|enforce| parameter(ENFORCE_LABELS, "bool", &enforce.to_string())),
    ];
    parameters.into_iter().flatten().collect()
}

fn chosen(name: &str, output: usize) -> Value {
    json!({"SelectFromCollection": {"Name": name, "Inputs": ["matches"], "Index": output}})
}

fn query(name: &str, inputs: &[&str], sql: &str) -> Value {
    let alias = |input: &&str| json!({"From": input, "Alias": input});
    let aliases: Vec<_> = inputs.iter().map(alias).collect();
    json!({"SparkSQL": {"Name": name, "Inputs": inputs, "SqlQuery": sql, "SqlAliases": aliases}})
}

/// One CSV file; in a folder it stands beside what is there.
fn csv(input: &str, path: &str) -> Value {
    let is_file = Path::new(path).extension().is_some();
    json!({"S3DirectTarget": {
        "Name": "out", "Inputs": [input], "Path": path, "Format": "csv", "NumberTargetPartitions": "1",
        "Mode": if is_file { "replace" } else { "append" },
    }})
}

/// A column's name in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name, or one like it that no node has.
pub(super) fn free_name(nodes: &Map<String, Value>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    while nodes.contains_key(&name) {
        name.push('_');
    }
    name
}
