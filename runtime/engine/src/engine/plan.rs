//! From a job's nodes to plans: what each node computes, metered, and computed once where it is read more than once.
//!
//! ```text
//! order ──node──> plans of its outputs ──boundary──> tables that the nodes after it read
//!            └─ ask: what some nodes have to know of their input first (DropNullFields, FillMissingValues)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use tenon_connect::{ListedFile, Listing};
use tenon_host::LogLine;

use super::files::{Places, Sample};
use super::plugin_node::{dynamic, missing_plugin};
use super::{Engine, IsNew, Progress};
use crate::error::{Error, Result};
use crate::graph::{
    DropNullFields, DynamicTransform, FillMissingValues, Job, Merge, Node, SparkSql,
};
use crate::guest::CancelOnDrop;
use crate::node::{Meter, NodeProvider};
use crate::report::{PluginReport, Usage};
use crate::session::Scope;
use crate::shared::SharedProvider;
use crate::target::TargetSpec;
use crate::transform::{self, Clashes, Code, CodeNode, Filling, NullColumns};

/// A job whose nodes are plans. Whoever drops it does not want the run any more.
pub(super) struct Planned {
    pub(super) context: SessionContext,
    pub(super) meters: BTreeMap<String, Arc<Meter>>,
    pub(super) targets: Vec<(String, TargetSpec, LogicalPlan)>,
    pub(super) samples: Vec<Sample>,
    pub(super) plugins: BTreeMap<String, PluginReport>,
    pub(super) places: Places,
    scope: Scope,
    outputs: BTreeMap<String, Outputs>,
    /// Plans that ran while others were made, with the nodes that asked.
    asked: Vec<(String, Arc<dyn ExecutionPlan>)>,
    is_metered: bool,
    /// Which files are to be read; all without it.
    pub(super) is_new: Option<IsNew>,
    /// Files that sources read, when only some are to be read.
    pub(super) read: BTreeMap<String, Vec<ListedFile>>,
    _cancels: CancelOnDrop,
}

/// The outputs of a node: the result first.
type Outputs = Vec<Arc<dyn TableProvider>>;

impl Engine {
    /// Plans the nodes of a job. Nodes that have to know their input read it now.
    pub(super) async fn plan(
        &self,
        job: &Job,
        progress: &Progress,
        is_new: Option<IsNew>,
    ) -> Result<Planned> {
        let mut planned = self.nothing_planned(job, is_new)?;
        *progress.log.lock() = planned.scope.log.clone();
        for id in job.order()? {
            let node = &job.nodes[id];
            let inputs = planned.inputs(node);
            if let Some(mut spec) = self.target(job, id, node, &mut planned.places).await? {
                if planned.is_new.is_some() {
                    spec.append();
                    spec.check_for_new()?;
                }
                self.find_table(node, &mut spec).await?;
                let plan = scan(id, inputs.first().and_then(|outputs| outputs.first()))?;
                if let Some(said) = spec.check_schema(plan.schema().as_arrow())? {
                    planned.note(node.name(), said);
                }
                planned.targets.push((id.to_owned(), spec, plan));
                continue;
            }
            let plans = self.node(job, id, node, &inputs, &mut planned).await?;
            let made = plans
                .into_iter()
                .enumerate()
                .map(|(i, plan)| planned.boundary(job, id, i, plan, progress));
            let made = made.collect::<Result<_>>()?;
            planned.outputs.insert(id.to_owned(), made);
        }
        Ok(planned)
    }

    fn nothing_planned(&self, job: &Job, is_new: Option<IsNew>) -> Result<Planned> {
        let context = self.session()?;
        let scope = Scope {
            job_limits: job.limits.clone(),
            run_limits: job.run_limits.clone(),
            ..Scope::of(&context)
        };
        Ok(Planned {
            _cancels: scope.cancellation.guard(),
            scope,
            context,
            meters: BTreeMap::new(),
            targets: Vec::new(),
            samples: Vec::new(),
            plugins: BTreeMap::new(),
            places: Places::new(&self.place, &job.connections),
            outputs: BTreeMap::new(),
            asked: Vec::new(),
            is_metered: self.config.is_metered,
            is_new,
            read: BTreeMap::new(),
        })
    }

    /// The plans of a node's outputs.
    async fn node(
        &self,
        job: &Job,
        id: &str,
        node: &Node,
        inputs: &[Outputs],
        planned: &mut Planned,
    ) -> Result<Vec<LogicalPlan>> {
        if let Some(rows) = self.given.get(id) {
            return Ok(vec![scan(id, Some(&table_of(id, rows)?))?]);
        }
        let results: Outputs = inputs
            .iter()
            .filter_map(|outputs| outputs.first().cloned())
            .collect();
        let input = || scan(id, results.first());
        // Two inputs have names of their own, so that a column of both can be told apart.
        let both = || {
            Ok::<_, Error>((
                scan("left", results.first())?,
                scan("right", results.get(1))?,
            ))
        };
        let plan = match node {
            Node::ApplyMapping(node) => transform::apply_mapping(node, input()?)?,
            Node::SelectFields(node) => transform::select_fields(node, input()?)?,
            Node::DropFields(node) => transform::drop_fields(node, input()?)?,
            Node::RenameField(node) => transform::rename_field(node, input()?)?,
            Node::SplitFields(node) => return Ok(transform::split_fields(node, input()?)?.into()),
            Node::Filter(node) => transform::filter(node, input()?)?,
            Node::Route(node) => return transform::route(node, &input()?),
            Node::DropDuplicates(node) => transform::drop_duplicates(node, input()?)?,
            Node::Aggregate(node) => transform::aggregate(node, input()?)?,
            Node::DropNullFields(node) => planned.without_nulls(id, node, input()?).await?,
            Node::FillMissingValues(node) => planned.filled(id, node, input()?).await?,
            Node::Spigot(spigot) => {
                let sample = self
                    .sample(job, id, node, spigot, input()?, planned)
                    .await?;
                planned.samples.push(sample);
                input()?
            }
            Node::Join(node) => {
                let (left, right) = both()?;
                transform::join(node, left, right)?
            }
            Node::Union(node) => {
                let (first, second) = both()?;
                transform::union(node, first, second)?
            }
            Node::Merge(node) => merged(node, both()?)?,
            Node::SparkSQL(node) => {
                let none = Clashes::new();
                self.query(node, &none, &results, planned).await?
            }
            Node::CustomCode(node) => match Code::node(node, job)? {
                CodeNode::Query(query, clashes) => {
                    let plan = self.query(&query, &clashes, &results, planned).await?;
                    transform::check_columns(node, plan.schema().as_arrow())?;
                    plan
                }
                CodeNode::Plugin(plugin) => {
                    let outputs = self.called(id, &plugin, &results, planned).await?;
                    if let Some(plan) = outputs.first() {
                        transform::check_columns(node, plan.schema().as_arrow())?;
                    }
                    return Ok(outputs);
                }
            },
            Node::DynamicTransform(node) => return self.called(id, node, &results, planned).await,
            Node::SelectFromCollection(node) => {
                let outputs = inputs.first().map_or(&[][..], |outputs| outputs.as_slice());
                let Some(chosen) = outputs.get(node.index) else {
                    return Err(Error::node(
                        &node.name,
                        format!(
                            "its input has {} outputs; there is no number {}",
                            outputs.len(),
                            node.index
                        ),
                    ));
                };
                scan(id, Some(chosen))?
            }
            Node::S3CsvSource(_)
            | Node::S3JsonSource(_)
            | Node::S3ParquetSource(_)
            | Node::S3ExcelSource(_)
            | Node::S3DirectSource(_) => self.files(job, id, node, planned).await?,
            Node::CatalogSource(source) | Node::S3CatalogSource(source) => {
                self.table(id, node, source, &mut planned.places).await?
            }
            Node::S3GlueParquetTarget(_)
            | Node::S3DirectTarget(_)
            | Node::CatalogTarget(_)
            | Node::S3CatalogTarget(_) => {
                return Err(Error::node(node.name(), "a target has no output"));
            }
        };
        Ok(vec![plan])
    }

    async fn query(
        &self,
        node: &SparkSql,
        clashes: &Clashes,
        inputs: &Outputs,
        planned: &Planned,
    ) -> Result<LogicalPlan> {
        let context = transform::sql_session();
        self.add_functions(&context, &node.sql_query, &node.name, &planned.scope)
            .await
            .map_err(|e| e.at(&node.name))?;
        transform::sql(node, clashes, &context, inputs).await
    }

    /// The outputs of a plugin's function.
    async fn called(
        &self,
        id: &str,
        node: &DynamicTransform,
        inputs: &Outputs,
        planned: &mut Planned,
    ) -> Result<Vec<LogicalPlan>> {
        let guest = self.guest_of(&node.path, &node.name, &planned.scope).await;
        let (guest, report) = guest.map_err(|e| missing_plugin(e, &node.name))?;
        planned.plugins.insert(id.to_owned(), report);
        dynamic(id, node, inputs, &guest).await
    }
}

/// Rows in memory as a table.
fn table_of(id: &str, rows: &RecordBatch) -> Result<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]);
    Ok(Arc::new(table.map_err(|e| Error::of_datafusion(id, &e))?))
}

fn merged(node: &Merge, (first, second): (LogicalPlan, LogicalPlan)) -> Result<LogicalPlan> {
    match node.inputs.first() == Some(&node.source) {
        true => transform::merge(node, first, second),
        false => transform::merge(node, second, first),
    }
}

impl Planned {
    /// The outputs of the nodes that a node reads.
    fn inputs(&self, node: &Node) -> Vec<Outputs> {
        let inputs = node.inputs().iter();
        inputs
            .filter_map(|input| self.outputs.get(input).cloned())
            .collect()
    }

    /// The columns of a node's outputs; of a target those that it writes.
    pub(super) fn columns(&self, id: &str) -> Vec<SchemaRef> {
        let written = self.targets.iter().filter(|(target, ..)| target == id);
        let written = written.map(|(_, _, plan)| Arc::new(plan.schema().as_arrow().clone()));
        let outputs = self.outputs.get(id).into_iter().flatten();
        written
            .chain(outputs.map(|output| output.schema()))
            .collect()
    }

    /// The plan of a node's first rows.
    pub(super) fn first_rows(&self, id: &str, rows: usize) -> Result<LogicalPlan> {
        let output = self.outputs.get(id).and_then(|outputs| outputs.first());
        let limited = LogicalPlanBuilder::from(scan(id, output)?).limit(0, Some(rows));
        let limited = limited.and_then(LogicalPlanBuilder::build);
        limited.map_err(|e| Error::of_datafusion(id, &e))
    }

    /// Runs what a node has to know before it is planned. One batch, of few rows.
    async fn ask(&mut self, id: &str, question: &LogicalPlan) -> Result<RecordBatch> {
        let fail = |e| Error::of_datafusion(id, &e);
        let physical = physical(&self.context, id, question).await?;
        let running = collect(Arc::clone(&physical), self.context.task_ctx());
        let batches = running.await.map_err(fail)?;
        let answer = concat_batches(&physical.schema(), &batches);
        self.asked.push((id.to_owned(), physical));
        answer.map_err(|e| fail(e.into()))
    }

    /// Says something in the log of the run.
    pub(super) fn note(&self, node: &str, message: String) {
        let line = LogLine {
            level: "info",
            message,
        };
        self.scope.log.append(&node.into(), vec![line]);
    }

    async fn without_nulls(
        &mut self,
        id: &str,
        node: &DropNullFields,
        input: LogicalPlan,
    ) -> Result<LogicalPlan> {
        let columns = NullColumns::of(node, &input)?;
        let answer = self.ask(id, &columns.question(input.clone())?).await?;
        let dropped = columns.answer(&answer);
        if !dropped.is_empty() {
            let paths: Vec<String> = dropped.iter().map(|path| path.join(".")).collect();
            self.note(&node.name, format!("drops {}", paths.join(", ")));
        }
        columns.plan(input, &dropped)
    }

    async fn filled(
        &mut self,
        id: &str,
        node: &FillMissingValues,
        input: LogicalPlan,
    ) -> Result<LogicalPlan> {
        let filling = Filling::of(node, input)?;
        let summary = self.ask(id, &filling.summary()?).await?;
        let products = match filling.products(&summary)? {
            Some(question) => Some(self.ask(id, &question).await?),
            None => None,
        };
        let model = filling.model(&summary, products.as_ref());
        self.note(&node.name, model.sentence.clone());
        filling.plan(&model)
    }

    /// Adds what nodes used while others were planned.
    pub(super) fn add_usage(&self, usage: &mut Usage) {
        for (id, plan) in &self.asked {
            usage.add(id, plan);
        }
    }

    /// Whether sources read only what is new, and none of them has anything.
    pub(super) fn has_nothing_new(&self) -> bool {
        !self.read.is_empty() && self.read.values().all(Vec::is_empty)
    }

    /// Leaves the files that a source is to read, and notes them. When there are none, one stays to tell the columns.
    pub(super) fn choose(&mut self, id: &str, listing: &mut Listing) -> bool {
        let Some(is_new) = &self.is_new else {
            return true;
        };
        let new: Vec<_> = listing.files().filter(|file| is_new(id, file)).collect();
        let has_new = !new.is_empty();
        match has_new {
            true => listing.retain(|file| is_new(id, file)),
            false => {
                let newest = listing.files().max_by_key(|file| file.modified);
                listing.retain(|file| Some(file) == newest.as_ref());
            }
        }
        self.read.insert(id.to_owned(), new);
        has_new
    }

    /// Makes a node's plan a table: metered, and computed once when several nodes read it.
    fn boundary(
        &mut self,
        job: &Job,
        id: &str,
        output: usize,
        plan: LogicalPlan,
        progress: &Progress,
    ) -> Result<Arc<dyn TableProvider>> {
        let meter = self.meter(&job.nodes[id], id, output, progress);
        let meter = self.is_metered.then_some(meter);
        let node: Arc<dyn TableProvider> = Arc::new(NodeProvider::new(id, plan, meter));
        if job.readers(id, output) < 2 {
            return Ok(node);
        }
        Ok(Arc::new(SharedProvider::new(id, scan(id, Some(&node))?)))
    }

    /// The counter of an output. Those of a node count together; of a plugin only the result counts, since its other
    /// outputs say something about it.
    fn meter(&mut self, node: &Node, id: &str, output: usize, progress: &Progress) -> Arc<Meter> {
        if let Some(meter) = self.meters.get(id) {
            return match node.outputs() {
                Some(_) => Arc::clone(meter),
                None => Arc::default(),
            };
        }
        let meter: Arc<Meter> = Arc::default();
        debug_assert_eq!(output, 0, "the first output comes first");
        self.meters.insert(id.to_owned(), Arc::clone(&meter));
        let metered = (id.to_owned(), Arc::clone(&meter));
        progress.nodes.lock().push(metered);
        meter
    }
}

/// A table as the plan that reads it, under the name `id`.
pub(super) fn scan(id: &str, provider: Option<&Arc<dyn TableProvider>>) -> Result<LogicalPlan> {
    let provider = provider.ok_or_else(|| Error::node(id, "it has no input"))?;
    let plan = LogicalPlanBuilder::scan(id, provider_as_source(Arc::clone(provider)), None)
        .and_then(LogicalPlanBuilder::build);
    plan.map_err(|e| Error::of_datafusion(id, &e))
}

/// The plan that is run for a logical one.
pub(super) async fn physical(
    context: &SessionContext,
    id: &str,
    plan: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    context
        .state()
        .create_physical_plan(plan)
        .await
        .map_err(|e| Error::of_datafusion(id, &e))
}
