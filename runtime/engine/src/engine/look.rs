//! Looking at a job without running it: the columns behind each node, and the first rows of one.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::execute_stream;

use super::plan::physical;
use super::{Engine, Progress, first_rows};
use crate::error::{Error, Result};
use crate::graph::Job;
use crate::usage::RunUsage;

/// A node as its plan shows it.
#[derive(Debug, Clone)]
pub struct NodeColumns {
    /// Its id in the job.
    pub id: String,
    /// The columns of each of its outputs; of a target those that it writes.
    pub outputs: Vec<SchemaRef>,
}

impl Engine {
    /// Plans every node of a job and says which columns it has. Sources are looked at as far as their columns need it;
    /// nodes that have to know their whole input, such as `DropNullFields`, read it.
    ///
    /// # Errors
    /// What [`Engine::run`] would find before it runs, naming the node.
    pub async fn columns(&self, job: &Job) -> Result<Vec<NodeColumns>> {
        let planned = self.plan(job, &Progress::default(), None).await?;
        let columns = |id: &str| NodeColumns {
            id: id.to_owned(),
            outputs: planned.columns(id),
        };
        Ok(job.order()?.into_iter().map(columns).collect())
    }

    /// All rows behind a node, at most `rows`, and whether there are more: as [`Engine::preview`], of a run whose
    /// progress is watched and whose use of the process is measured.
    ///
    /// # Errors
    /// As [`Engine::preview`].
    pub async fn collect(
        &self,
        job: &Job,
        node: &str,
        rows: usize,
        progress: &Progress,
    ) -> Result<(Vec<RecordBatch>, bool)> {
        let usage = RunUsage::begin();
        *progress.usage.lock() = Some(usage.clone());
        usage.during(self.preview(job, node, rows, progress)).await
    }

    /// The first rows behind a node that is given by its id or name, at most `rows`; of a target those that it would
    /// write. Only what the node needs is run, and nothing is written. Whether there are more rows is said too.
    ///
    /// # Errors
    /// There is no such node, or what is before it fails.
    pub async fn preview(
        &self,
        job: &Job,
        node: &str,
        rows: usize,
        progress: &Progress,
    ) -> Result<(Vec<RecordBatch>, bool)> {
        let (part, id) = job.up_to(node)?;
        let planned = self.plan(&part, progress, None).await?;
        let plan = planned.first_rows(&id, rows.saturating_add(1))?;
        let physical = physical(&planned.context, &id, &plan).await?;
        let stream = execute_stream(physical, planned.context.task_ctx());
        let stream = stream.map_err(|e| Error::of_datafusion(&id, &e))?;
        first_rows(stream, rows)
            .await
            .map_err(|e| e.at(part.nodes[&id].name()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, StringArray};
    use serde_json::{Value, json};
    use tenon_connect::Place;
    use tenon_host::{Host, HostConfig};
    use tenon_registry::Registry;

    use super::*;
    use crate::engine::EngineConfig;

    fn engine(folder: &Path) -> Engine {
        let config = HostConfig {
            cache_dir: Some(folder.join("compiled")),
            ..HostConfig::default()
        };
        let host = Host::new(&config).unwrap();
        let registry = Registry::open(folder.join("registry")).unwrap();
        let place = Place::rooted(folder).unwrap();
        Engine::new(EngineConfig::default(), host, registry, None, place)
    }

    fn job(nodes: &Value) -> Job {
        let nodes = nodes.as_object().unwrap().iter();
        let nodes = nodes.map(|(id, node)| (id.clone(), node.clone()));
        Job::without_target("task", nodes).unwrap()
    }

    fn query(inputs: &[&str], sql: &str) -> Value {
        let aliases: Vec<_> = inputs
            .iter()
            .map(|input| json!({"From": input, "Alias": input}))
            .collect();
        json!({"SparkSQL": {"Name": "q", "Inputs": inputs, "SqlQuery": sql, "SqlAliases": aliases}})
    }

    /// A node that says nothing that is true.
    fn given(name: &str) -> Value {
        json!({"CatalogSource": {"Name": name, "Database": "\u{1}given", "Table": name}})
    }

    fn texts(batches: &[RecordBatch]) -> Vec<String> {
        let columns = batches.iter().map(|batch| batch.column(0));
        let texts = columns.flat_map(|column| column.as_string::<i32>().iter());
        texts.flatten().map(str::to_owned).collect()
    }

    /// The queries are those of task runs of ML transforms: ids of labels are text, those of records whatever they are.
    #[tokio::test]
    async fn rows_that_are_given_stand_for_their_nodes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("r.csv"), "id,name\n1,a\n2,b\n3,c\n").unwrap();
        let known =
            r#"select * from labels where "id" in (select cast("id" as varchar) from records)"#;
        let unknown = r#"select distinct l."id" as id from labels l left anti join records r on l."id" = cast(r."id" as varchar) order by id"#;
        let job = job(&json!({
            "records": {"S3CsvSource": {"Name": "records", "Paths": ["r.csv"], "Separator": "comma", "QuoteChar": "quote", "WithHeader": true}},
            "labels": given("labels"),
            "known": query(&["labels", "records"], known),
            "unknown": query(&["labels", "records"], unknown),
        }));
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["9", "1", "3", "7"]));
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let engine =
            engine(folder.path()).with_given(BTreeMap::from([("labels".to_owned(), rows)]));
        let progress = Progress::default();
        let collect = |node| engine.collect(&job, node, 10, &progress);
        let (batches, more) = collect("unknown").await.unwrap();
        assert_eq!(
            (texts(&batches), more),
            (vec!["7".to_owned(), "9".to_owned()], false)
        );
        assert!(progress.used().cpu > std::time::Duration::ZERO);
        let mut found = texts(&collect("known").await.unwrap().0);
        found.sort();
        assert_eq!(found, ["1", "3"]);
        let (first, more) = engine.collect(&job, "labels", 1, &progress).await.unwrap();
        assert_eq!((texts(&first), more), (vec!["9".to_owned()], true));
        // Nobody gave it: it is a table that is not there.
        let absent = super::tests::engine(folder.path());
        absent
            .collect(&job, "labels", 1, &progress)
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn sets_are_called_after_their_run_and_stand_together() {
        let folder = tempfile::tempdir().unwrap();
        let sets = "select * replace ('abc-' || labeling_set_id as labeling_set_id) from questions \
                    order by character_length(labeling_set_id), labeling_set_id";
        let job =
            job(&json!({"questions": given("questions"), "sets": query(&["questions"], sets)}));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["10", "2", "10", "1"]));
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
        let rows = RecordBatch::try_from_iter([("labeling_set_id", names), ("id", ids)]).unwrap();
        let engine =
            engine(folder.path()).with_given(BTreeMap::from([("questions".to_owned(), rows)]));
        let progress = Progress::default();
        let (batches, _) = engine.collect(&job, "sets", 10, &progress).await.unwrap();
        assert_eq!(texts(&batches), ["abc-1", "abc-2", "abc-10", "abc-10"]);
        assert_eq!(batches[0].schema().field(1).name(), "id");
    }

    #[tokio::test]
    async fn two_single_rows_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let job = job(&json!({
            "model": given("model"),
            "quality": given("quality"),
            "learned": query(&["model", "quality"], "select model.model, quality.quality from model cross join quality"),
        }));
        let model: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"]));
        let quality: ArrayRef = Arc::new(StringArray::from(vec!["{}"]));
        let batch = |name: &str, column| RecordBatch::try_from_iter([(name, column)]).unwrap();
        let engine = engine(folder.path()).with_given(BTreeMap::from([
            ("model".to_owned(), batch("model", model)),
            ("quality".to_owned(), batch("quality", quality)),
        ]));
        let progress = Progress::default();
        let collected = engine.collect(&job, "learned", 1, &progress).await;
        let (batches, _) = collected.unwrap();
        let row = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
        assert_eq!(
            row.column_by_name("model")
                .unwrap()
                .as_binary::<i32>()
                .value(0),
            b"\x00\xff"
        );
        assert_eq!(
            row.column_by_name("quality")
                .unwrap()
                .as_string::<i32>()
                .value(0),
            "{}"
        );
    }
}
