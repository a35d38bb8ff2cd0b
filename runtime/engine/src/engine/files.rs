//! What nodes read and write: each node's own place, with the keys of the connection that it names.
//!
//! A node's place counts what the node sent and received; the budget of retries is the run's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlanProperties;
use tenon_catalog::{Error as CatalogError, Table};
use tenon_connect::{Error as ConnectError, Listing, Place, Quarantine};

use super::plan::{Planned, physical, scan};
use super::{Engine, no_table};
use crate::bridge::Bridge;
use crate::error::{Error, Result, plain_text};
use crate::graph::{CatalogSource, Job, Node, Spigot};
use crate::source::FileReading;
use crate::target::{Staged, TargetSpec};
use crate::transform::Sampling;

/// The places of a run's nodes, and the rows that its sources put in quarantine.
pub(super) struct Places {
    whole: Place,
    /// Those of the job, by name.
    connections: Vec<String>,
    of_nodes: BTreeMap<String, Place>,
    quarantines: Vec<Quarantined>,
}

struct Quarantined {
    id: String,
    rows: Quarantine,
    target: TargetSpec,
}

/// What a spigot writes.
pub(super) struct Sample {
    id: String,
    target: TargetSpec,
    /// The rows that it is drawn from.
    rows: LogicalPlan,
    sampling: Sampling,
}

impl Places {
    pub(super) fn new(place: &Place, connections: &[String]) -> Self {
        Self {
            whole: place.for_run(),
            connections: connections.to_vec(),
            of_nodes: BTreeMap::new(),
            quarantines: Vec::new(),
        }
    }

    /// That of a node which has one.
    pub(super) fn of(&self, id: &str) -> Option<&Place> {
        self.of_nodes.get(id)
    }
}

impl Engine {
    /// The place in which a node finds `paths`.
    async fn place(
        &self,
        places: &mut Places,
        id: &str,
        node: &Node,
        paths: &[PathBuf],
    ) -> Result<Place> {
        let opened = self
            .connections
            .of_node(node.connection(), &places.connections, paths)
            .await;
        let opened = opened.map_err(|e| e.at(node.name()))?;
        let connections = opened.map(|opened| [opened].into_iter().collect());
        let place = places.whole.for_part(connections);
        places.of_nodes.insert(id.to_owned(), place.clone());
        Ok(place)
    }

    /// The plan of a source of files.
    pub(super) async fn files(
        &self,
        job: &Job,
        id: &str,
        node: &Node,
        planned: &mut Planned,
    ) -> Result<LogicalPlan> {
        let reading = FileReading::of(node)?;
        let paths: Vec<PathBuf> = reading.paths.iter().map(|path| job.path(path)).collect();
        let is_added = planned.is_new.is_some();
        let places = &mut planned.places;
        let place = self.place(places, id, node, &paths).await?;
        if let Some((rows, path)) = reading.quarantine {
            let mut target = TargetSpec::of_quarantine(node.name(), job.path(path));
            if is_added {
                target.append();
            }
            places.quarantines.push(Quarantined {
                id: id.to_owned(),
                rows,
                target,
            });
        }
        let fail = |e: ConnectError| match e {
            ConnectError::NotFound { .. } => Error::not_found(e).at(node.name()),
            _ => Error::node(node.name(), e),
        };
        let listing = Listing::of(&place, &paths, &reading.selection).await;
        let mut listing = listing.map_err(fail)?;
        let has_new = planned.choose(id, &mut listing);
        let table = listing.table(&reading.format).await.map_err(fail)?;
        let plan = scan(id, Some(&table))?;
        if has_new {
            return Ok(plan);
        }
        planned.note(node.name(), "no file is new".to_owned());
        let none = LogicalPlanBuilder::from(plan).limit(0, Some(0));
        let none = none.and_then(LogicalPlanBuilder::build);
        none.map_err(|e| Error::of_datafusion(node.name(), &e))
    }

    /// The plan of a source that is a table of the catalog.
    pub(super) async fn table(
        &self,
        id: &str,
        node: &Node,
        source: &CatalogSource,
        places: &mut Places,
    ) -> Result<LogicalPlan> {
        let table = async {
            let (database, name) = (source.database.as_str(), source.table.as_str());
            let definition = self.definition(database, name).await?;
            let predicate = source.partition_predicate.as_deref().unwrap_or_default();
            if !predicate.trim().is_empty() && definition.partition_keys.is_empty() {
                return Err(Error::Definition(format!(
                    "PartitionPredicate: table {database}.{name} has no partition keys; filter in a Filter node"
                )));
            }
            let descriptor = definition.storage_descriptor.as_ref();
            let location = descriptor.and_then(|descriptor| descriptor.location.clone());
            let paths: Vec<PathBuf> = location.into_iter().map(PathBuf::from).collect();
            let place = self.place(places, id, node, &paths).await?;
            self.readable(&place, database, name, predicate).await
        };
        scan(id, Some(&table.await.map_err(|e| e.at(node.name()))?))
    }

    async fn readable(
        &self,
        place: &Place,
        database: &str,
        name: &str,
        predicate: &str,
    ) -> Result<Arc<dyn TableProvider>> {
        let bridge = self.bridge(place)?;
        let table = bridge.table(database, name, predicate).await;
        let table = table.map_err(|e| Error::Query(plain_text(&e)))?;
        table.ok_or_else(|| no_table(&format!("{database}.{name}"), &bridge))
    }

    fn bridge(&self, place: &Place) -> Result<Bridge> {
        let Some(catalog) = &self.connections.catalog else {
            return Err(Error::not_found("there is no catalog"));
        };
        Ok(Bridge::new(catalog.clone(), place.clone()))
    }

    /// A table as the catalog defines it.
    async fn definition(&self, database: &str, name: &str) -> Result<Table> {
        let bridge = self.bridge(&self.place)?;
        match bridge.definition(database, name).await {
            Ok(table) => Ok(table),
            Err(CatalogError::NotFound { .. }) => {
                Err(no_table(&format!("{database}.{name}"), &bridge))
            }
            Err(e) => Err(Error::Io(e.to_string())),
        }
    }

    /// What a target node says, with its place; none for a node of another kind.
    pub(super) async fn target(
        &self,
        job: &Job,
        id: &str,
        node: &Node,
        places: &mut Places,
    ) -> Result<Option<TargetSpec>> {
        let spec = match node {
            Node::CatalogTarget(target) | Node::S3CatalogTarget(target) => {
                let table = self.definition(&target.database, &target.table).await;
                TargetSpec::of_table(node, table.map_err(|e| e.at(node.name()))?)?
            }
            _ => match TargetSpec::of_files(node, job)? {
                Some(spec) => spec,
                None => return Ok(None),
            },
        };
        let path = [spec.path().clone()];
        self.place(places, id, node, &path).await?;
        Ok(Some(spec))
    }

    /// Tells a target of files which table there is of those that it registers.
    pub(super) async fn find_table(&self, node: &Node, spec: &mut TargetSpec) -> Result<()> {
        let is_of_table = matches!(node, Node::CatalogTarget(_) | Node::S3CatalogTarget(_));
        let Some(registration) = spec.registration().filter(|_| !is_of_table) else {
            return Ok(());
        };
        let bridge = self.bridge(&self.place).map_err(|e| e.at(node.name()))?;
        let (database, table) = (&registration.database, &registration.table);
        match bridge.definition(database, table).await {
            Ok(table) => spec.found(table),
            Err(CatalogError::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::Io(e.to_string())),
        }
    }

    /// What a spigot is to write of `rows`, with its place.
    pub(super) async fn sample(
        &self,
        job: &Job,
        id: &str,
        node: &Node,
        spigot: &Spigot,
        rows: LogicalPlan,
        planned: &mut Planned,
    ) -> Result<Sample> {
        let path = job.path(&spigot.path);
        let mut target = TargetSpec::of_sample(&spigot.name, path.clone());
        if planned.is_new.is_some() {
            target.append();
        }
        self.place(&mut planned.places, id, node, &[path]).await?;
        Ok(Sample {
            id: id.to_owned(),
            target,
            rows,
            sampling: Sampling::of(spigot),
        })
    }

    /// Draws a sample and stages it.
    pub(super) async fn stage_sample(
        &self,
        planned: &Planned,
        sample: &Sample,
        run: &str,
    ) -> Result<Staged> {
        let (id, target) = (sample.id.as_str(), &sample.target);
        let plan = physical(&planned.context, id, &sample.rows).await?;
        let task = planned.context.task_ctx();
        let partitions = 0..plan.output_partitioning().partition_count();
        let partitions = partitions.map(|i| plan.execute(i, Arc::clone(&task)));
        let partitions = partitions.collect::<Result<Vec<_>, _>>();
        let partitions = partitions.map_err(|e| Error::of_datafusion(id, &e))?;
        let schema = plan.schema();
        let rows = sample.sampling.sampled(Arc::clone(&schema), partitions);
        let sink = target.open(planned.places.of(id).unwrap_or(&self.place), run)?;
        let preview = self.config.preview_rows;
        target.stage(id, sink, schema, vec![rows], preview).await
    }

    /// Stages the rows that the sources put in quarantine, once everything is read.
    pub(super) async fn stage_quarantines(
        &self,
        places: &Places,
        run: &str,
    ) -> Result<Vec<Staged>> {
        let mut staged = Vec::with_capacity(places.quarantines.len());
        for quarantined in &places.quarantines {
            if quarantined.target.is_added() && quarantined.rows.rows().is_empty() {
                continue;
            }
            let (id, target) = (quarantined.id.as_str(), &quarantined.target);
            let place = places.of(id).unwrap_or(&places.whole);
            let sink = target.open(place, run)?;
            let rows = self.config.preview_rows;
            staged.push(
                target
                    .stage_quarantine(id, sink, &quarantined.rows, rows)
                    .await?,
            );
        }
        Ok(staged)
    }
}
