//! Task runs of ML transforms in a worker: labels are read and checked, an evaluation is told; and the rows that stand for
//! nodes of a graph.
//!
//! ```text
//! ReadLabels   files ──checked──> labels ──those of no record: none──> told
//! Evaluate     the graph up to `learned`, one row: model, quality ──> told
//! ```
//!
//! Chosen: labels are read here and not in the server, which parses nothing of tenants but JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use tenon_connect::{FileSelection, Listing, Place};
use tenon_engine::{Engine, Job, Node, Progress};
use tenon_jobs::{
    EvaluationMetrics, Given, LabelFile, LabelTable, Learned, Model, Nodes, Problem, TaskWork,
    is_given,
};

use crate::error::Failure;

/// Rows of one file of labels that are read: more are refused by what checks them.
const MAX_ROWS: usize = 100_000;

/// Ids of labels that an error names.
const SHOWN_IDS: usize = 3;

/// Nodes that stand for rows which come with a run, without these.
pub(crate) fn standing(nodes: &Nodes) -> BTreeMap<String, RecordBatch> {
    let standing = nodes.iter().filter(|(_, node)| is_given(node));
    let none = || RecordBatch::new_empty(Arc::new(Schema::empty()));
    standing.map(|(id, _)| (id.clone(), none())).collect()
}

/// The rows that stand for nodes.
pub(crate) fn rows(
    given: &BTreeMap<String, Given>,
) -> Result<BTreeMap<String, RecordBatch>, Failure> {
    let rows = given.iter().map(|(node, given)| {
        let batch = match given {
            Given::Labels(labels) => batch_of(labels)?,
            Given::Model(model) => {
                let column: ArrayRef = Arc::new(BinaryArray::from_vec(vec![model.bytes()]));
                RecordBatch::try_from_iter([("model", column)])?
            }
        };
        Ok((node.clone(), batch))
    });
    rows.collect()
}

/// Labels as rows of text: set, label, and the columns of the table. What is empty is null.
fn batch_of(labels: &LabelTable) -> Result<RecordBatch, arrow::error::ArrowError> {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let rows = labels.rows.iter();
    let sets: StringArray = rows.clone().map(|row| some(&row.set)).collect();
    let said: StringArray = rows.map(|row| some(&row.label)).collect();
    let mut fields = vec![text_field("labeling_set_id"), text_field("label")];
    let mut columns: Vec<ArrayRef> = vec![Arc::new(sets), Arc::new(said)];
    for (at, name) in labels.columns.iter().enumerate() {
        let values: StringArray = labels.column(at).collect();
        fields.push(text_field(name));
        columns.push(Arc::new(values));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// Finds out what a task run is for.
///
/// # Errors
/// What is wrong with the labels, with file and line; what the graph fails with.
pub(crate) async fn learn(
    engine: Engine,
    job: &Job,
    work: &TaskWork,
    place: &Place,
    progress: &Progress,
) -> Result<Learned, Problem> {
    match work {
        TaskWork::ReadLabels { id } => {
            let columns = columns(&engine, job).await?;
            let files = read(&engine, job, place).await?;
            let labels = LabelTable::read(&files, &columns, id).map_err(mend)?;
            check_ids(engine, job, (&labels, &files, id), progress).await?;
            Ok(Learned::Labels(labels))
        }
        TaskWork::Evaluate => evaluate(&engine, job, progress).await,
    }
}

/// What to try about a file that is not as it must be.
fn mend(why: String) -> Problem {
    let hint = "mend the file: a CSV file in UTF-8 with the columns labeling_set_id,label and those of the table, as \
                StartMLLabelingSetGenerationTaskRun writes it";
    Problem::new(why, hint)
}

fn failed(error: tenon_engine::Error) -> Problem {
    Problem::new(error.to_string(), error.remedy())
}

fn broken(why: impl std::fmt::Display) -> Problem {
    Problem::new(why.to_string(), "run the task again")
}

/// The columns that the transform's table has now.
async fn columns(engine: &Engine, job: &Job) -> Result<Vec<String>, Problem> {
    let (part, records) = job.up_to(TaskWork::RECORDS).map_err(failed)?;
    let nodes = engine.columns(&part).await.map_err(failed)?;
    let table = nodes.into_iter().find(|node| node.id == records);
    let table = table.and_then(|node| node.outputs.into_iter().next());
    let table = table.ok_or_else(|| broken("the table has no columns"))?;
    let names = table.fields().iter().map(|field| field.name().clone());
    Ok(names.collect())
}

/// The files of labels, each read by itself, so that its lines can be named.
async fn read(engine: &Engine, job: &Job, place: &Place) -> Result<Vec<LabelFile>, Problem> {
    let Some(Node::S3CsvSource(source)) = job.nodes.get(TaskWork::FILE) else {
        return Err(broken("the task run names no file of labels"));
    };
    let mut files = Vec::new();
    for path in paths(&source.paths, place).await? {
        let mut one = source.clone();
        one.paths = vec![path.clone()];
        let mut part = job.clone();
        let node = Node::S3CsvSource(one);
        part.nodes.insert(TaskWork::FILE.to_owned(), node);
        let unwatched = Progress::default();
        let read = engine
            .collect(&part, TaskWork::FILE, MAX_ROWS, &unwatched)
            .await;
        let (batches, more) = read.map_err(|error| mend(error.to_string()))?;
        if more {
            return Err(mend(format!(
                "{path}: there are more than {MAX_ROWS} rows of labels"
            )));
        }
        files.push(file_of(path, &batches).map_err(broken)?);
    }
    Ok(files)
}

/// Paths of single files; what a URL leads to is one.
async fn paths(given: &[String], place: &Place) -> Result<Vec<String>, Problem> {
    if given.iter().any(|path| path.contains("://")) {
        return Ok(given.to_vec());
    }
    let folders: Vec<PathBuf> = given.iter().map(PathBuf::from).collect();
    let listed = Listing::of(place, &folders, &FileSelection::default()).await;
    let listed = listed.map_err(|error| mend(error.to_string()))?;
    Ok(listed.files().map(|file| file.path).collect())
}

fn file_of(path: String, batches: &[RecordBatch]) -> Result<LabelFile, arrow::error::ArrowError> {
    let mut file = LabelFile {
        path,
        ..LabelFile::default()
    };
    for batch in batches {
        let fields = batch.schema();
        file.header = fields
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let texts: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Utf8))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = texts.iter().map(|column| text(column, row));
            file.rows.push(cells.collect());
        }
    }
    Ok(file)
}

/// A cell of a column of text; an empty one is absent.
fn text(column: &ArrayRef, row: usize) -> Option<String> {
    let texts = column.as_string::<i32>();
    let is_there = texts.is_valid(row) && !texts.value(row).is_empty();
    is_there.then(|| texts.value(row).to_owned())
}

/// Refuses labels of what is no record.
async fn check_ids(
    engine: Engine,
    job: &Job,
    (labels, files, id): (&LabelTable, &[LabelFile], &str),
    progress: &Progress,
) -> Result<(), Problem> {
    let batch = batch_of(labels).map_err(broken)?;
    let engine = engine.with_given(BTreeMap::from([(TaskWork::LABELS.to_owned(), batch)]));
    let found = engine
        .collect(job, TaskWork::UNKNOWN, SHOWN_IDS, progress)
        .await;
    let (batches, more) = found.map_err(failed)?;
    let unknown = file_of(String::new(), &batches).map_err(broken)?;
    let ids: Vec<_> = unknown
        .rows
        .into_iter()
        .filter_map(|row| row.into_iter().next()?)
        .collect();
    let Some(first) = ids.first() else {
        return Ok(());
    };
    let (at, _) = LabelTable::place_of(files, id, first).unwrap_or_default();
    let others = match (ids.len(), more) {
        (1, _) => String::new(),
        (count, false) => format!("; so are {}", listed(&ids[1..count])),
        (count, true) => format!("; so are {} and others", listed(&ids[1..count])),
    };
    Err(Problem::new(
        format!("{at}: record {id} = {first:?} is not in the table{others}"),
        "leave these rows out, or label the records that the table has now",
    ))
}

fn listed(ids: &[String]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| format!("{id:?}")).collect();
    ids.join(", ")
}

async fn evaluate(engine: &Engine, job: &Job, progress: &Progress) -> Result<Learned, Problem> {
    let found = engine.collect(job, TaskWork::LEARNED, 1, progress).await;
    let (batches, _) = found.map_err(failed)?;
    let row = batches.iter().find(|batch| batch.num_rows() > 0);
    let row = row.ok_or_else(|| broken("the plugin says nothing of its quality"))?;
    let column = |name: &str, kind: &DataType| {
        let column = row.column_by_name(name);
        let column = column.ok_or_else(|| broken(format!("the plugin gives no {name}")))?;
        cast(column, kind).map_err(broken)
    };
    let model = column("model", &DataType::Binary)?;
    let quality = text(&column("quality", &DataType::Utf8)?, 0).unwrap_or_default();
    Ok(Learned::Evaluation {
        metrics: EvaluationMetrics::of_quality(&quality).map_err(broken)?,
        model: Model::new(model.as_binary::<i32>().value(0)),
    })
}

#[cfg(test)]
mod tests {
    use tenon_jobs::LabelRow;

    use super::*;

    #[test]
    fn labels_become_rows_and_rows_a_file() {
        let labels = LabelTable {
            columns: vec!["id".to_owned(), "name".to_owned()],
            rows: vec![LabelRow {
                set: "s".to_owned(),
                label: String::new(),
                values: vec![Some("1".to_owned()), None],
            }],
        };
        let batch = batch_of(&labels).unwrap();
        let file = file_of("f.csv".to_owned(), &[batch]).unwrap();
        assert_eq!(file.header, ["labeling_set_id", "label", "id", "name"]);
        assert_eq!(
            file.rows,
            [[Some("s".to_owned()), None, Some("1".to_owned()), None]]
        );
        assert_eq!(
            LabelTable::read(&[file], &labels.columns, "id").unwrap(),
            labels
        );
    }

    #[test]
    fn a_model_is_one_row() {
        let given = BTreeMap::from([("m".to_owned(), Given::Model(Model::new(vec![1, 2])))]);
        let rows = rows(&given).unwrap();
        assert_eq!(rows["m"].num_rows(), 1);
        assert_eq!(rows["m"].column(0).as_binary::<i32>().value(0), [1, 2]);
    }
}
