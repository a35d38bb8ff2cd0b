//! Nodes of jobs that name a transform: `DynamicTransform` nodes of the plugin with a parameter `transform_id`.
//!
//! ```text
//! Parameters: transform_id   ──>  Parameters: id, precision_recall, accuracy_cost, enforce_labels, labels, model, retrain
//! Inputs: records                 Inputs: records, <node>.labels, <node>.model       what these are comes with the run
//! ```
//!
//! `<node>.labels` are those of all labels whose records the node reads: often few, so a model that knows all labels is not
//! trained again with them. They come with it only where they are enforced.
//!
//! What the node says itself wins over what the transform says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tenon_store::Tree;

use super::graph::{self, ENFORCE_LABELS, MODEL, accuracy_cost, free_name, parameter, tradeoffs};
use super::transform::{MlTransform, StoredTransform};
use super::{Given, MlTask, Model, PLUGIN, TaskWork};
use crate::error::{Error, Result};
use crate::job::{JobDefinition, Nodes};
use crate::jobs::TenantJobs;
use crate::stored;

/// The parameter that names a transform.
const TRANSFORM_ID: &str = "transform_id";

/// Parameters that name an input by its position, from 0.
const ROLES: [&str; 3] = [TaskWork::LABELS, MODEL, "previous"];

/// Whether a model is trained again with the labels that come with it.
const RETRAIN: &str = "retrain";

/// Functions that take it.
const MATCH: &str = "find-matches";
const ADD: &str = "find-incremental-matches";

/// A graph that can run.
pub(crate) struct Prepared {
    pub(crate) nodes: Nodes,
    /// Rows that stand for nodes.
    pub(crate) given: BTreeMap<String, Given>,
    /// What it does instead of writing.
    pub(crate) work: Option<TaskWork>,
}

/// The database of nodes that stand for what comes with the run: no other can be called so.
const GIVEN: &str = "\u{1}given";

/// A node that stands for what comes with the run.
pub(super) fn given(name: &str) -> Value {
    json!({"CatalogSource": {"Name": name, "Database": GIVEN, "Table": name}})
}

/// Whether a node stands for what comes with the run, and not for a table of the catalog.
#[must_use]
pub fn is_given(node: &Value) -> bool {
    node["CatalogSource"]["Database"] == GIVEN
}

/// A node that stands for something of a transform.
struct Standing {
    node: String,
    transform: String,
    role: &'static str,
}

impl TenantJobs {
    /// The definition with what its nodes say of transforms in the plugin's words, as it runs.
    ///
    /// # Errors
    /// [`Error::InvalidInput`], naming the node, for a transform that there is not or that is not ready; [`Error::Store`].
    pub(crate) fn with_transforms<'a>(
        &self,
        definition: &'a JobDefinition,
    ) -> Result<Cow<'a, JobDefinition>> {
        let mut nodes = definition.nodes().into_iter().flatten();
        if !nodes.any(|(_, node)| transform_of(&node["DynamicTransform"]).is_some()) {
            return Ok(Cow::Borrowed(definition));
        }
        let mut definition = definition.clone();
        if let Some(nodes) = &mut definition.code_gen_configuration_nodes {
            self.resolve(nodes)?;
        }
        Ok(Cow::Owned(definition))
    }

    /// A graph with what it needs to run. `task` is what it does for which transform.
    pub(crate) fn prepared(&self, nodes: Nodes, task: Option<(&str, &MlTask)>) -> Result<Prepared> {
        let Some((transform, task)) = task else {
            let mut nodes = nodes;
            let standing = self.resolve(&mut nodes)?;
            let given = standing.into_iter().map(|standing| {
                let stored = self.stored_transform(&standing.transform)?.value;
                Ok((standing.node, self.given_by_key(&stored, standing.role)?))
            });
            return Ok(Prepared {
                given: given.collect::<Result<_>>()?,
                nodes,
                work: None,
            });
        };
        let stored = self.stored_transform(transform)?.value;
        let work = task.work(&stored.transform)?;
        let roles = match work {
            // The worker reads them.
            Some(TaskWork::ReadLabels { .. }) => &[][..],
            _ => &[TaskWork::LABELS, MODEL],
        };
        let is_given = |role: &&&str| nodes.get(**role).is_some_and(|node| *node == given(role));
        let given = roles.iter().filter(is_given).map(|role| {
            let given = match task {
                // Out they go as they are, also to be mended.
                MlTask::ExportLabels { .. } => self.given(&stored, role)?,
                _ => self.given_by_key(&stored, role)?,
            };
            Ok(((*role).to_owned(), given))
        });
        Ok(Prepared {
            given: given.collect::<Result<_>>()?,
            nodes,
            work,
        })
    }

    /// The same for what finds records by their primary key.
    fn given_by_key(&self, stored: &StoredTransform, role: &str) -> Result<Given> {
        let given = self.given(stored, role)?;
        if let Given::Labels(labels) = &given {
            let transform = &stored.transform;
            let checked = labels.check_ids(graph::id(transform)?);
            checked.map_err(|why| Error::NotReady {
                reason: format!("ML transform {}: {why}", transform.transform_id),
            })?;
        }
        Ok(given)
    }

    fn given(&self, stored: &StoredTransform, role: &str) -> Result<Given> {
        if role == TaskWork::LABELS {
            let columns = stored.transform.columns();
            let labels = self.kept_labels(stored.number, &columns)?;
            return Ok(Given::Labels(Arc::new(labels)));
        }
        let absent = || Error::NotReady {
            reason: format!(
                "ML transform {} has no model any more",
                stored.transform.transform_id
            ),
        };
        let model = stored.model.as_ref().ok_or_else(absent)?;
        let key = stored::model(stored.number, &model.digest);
        let record = self.jobs.store.get(self.tenant, Tree::Run, &key)?;
        Ok(Given::Model(Model::new(record.ok_or_else(absent)?.payload)))
    }

    fn resolve(&self, nodes: &mut Nodes) -> Result<Vec<Standing>> {
        let ids: Vec<String> = nodes.keys().cloned().collect();
        let mut standing = Vec::new();
        for id in ids {
            let node = &nodes[&id]["DynamicTransform"];
            if let Some(transform) = transform_of(node) {
                let at = |why: String| Error::invalid(format!("node {id:?}: {why}"));
                let transform = transform.map_err(at)?;
                let stored = match self.stored_transform(&transform) {
                    Ok(stored) => stored.value,
                    Err(error @ Error::NotFound { .. }) => return Err(at(error.to_string())),
                    Err(error) => return Err(error),
                };
                standing.extend(add_transform(nodes, &id, &stored).map_err(at)?);
            }
        }
        Ok(standing)
    }
}

/// The transform that a node names, if it is one of the plugin.
fn transform_of(node: &Value) -> Option<Result<String, String>> {
    let path = node["Path"].as_str()?;
    let plugin = path.split('@').next().unwrap_or_default();
    if plugin != PLUGIN {
        return None;
    }
    let named = node["Parameters"].as_array()?.iter();
    let named = named
        .into_iter()
        .find(|given| given["Name"] == TRANSFORM_ID)?;
    let function = node["FunctionName"].as_str().unwrap_or_default();
    if ![MATCH, ADD].contains(&function) {
        return Some(Err(format!(
            "{TRANSFORM_ID} is a parameter of {MATCH} and {ADD}, not of {function:?}"
        )));
    }
    match named["Value"].as_array().map(Vec::as_slice) {
        Some([Value::String(transform)]) => Some(Ok(transform.clone())),
        _ => Some(Err(format!(
            "{TRANSFORM_ID} takes one text, the id of an ML transform"
        ))),
    }
}

/// Says in the plugin's words what the transform says.
fn add_transform(
    nodes: &mut Nodes,
    id: &str,
    stored: &StoredTransform,
) -> Result<Vec<Standing>, String> {
    let transform = &stored.transform;
    let key = graph::id(transform).map_err(|error| error.to_string())?;
    let function = nodes[id]["DynamicTransform"]["FunctionName"].clone();
    let own = own_parameters(nodes, id);
    let has = |name: &str| own.iter().any(|own| own == name);
    let mut more = vec![parameter("id", "str", key)];
    let mut roles = Vec::new();
    if function == ADD {
        if stored.model.is_none() {
            return Err(format!(
                "{ADD} needs the model of ML transform {0}, which has none yet: evaluate it first (StartMLEvaluationTaskRun)",
                transform.transform_id
            ));
        }
        roles.push(MODEL);
    } else {
        // One that does not know the newest labels is trained again.
        let is_taught = has(MODEL) || stored.has_current_model();
        let has_labels = stored.labels.pieces > 0 && !has(TaskWork::LABELS);
        if has_labels && (!is_taught || enforces(nodes, id, transform)) {
            roles.push(TaskWork::LABELS);
            more.extend(is_taught.then(|| parameter(RETRAIN, "bool", "false")));
        }
        if stored.has_current_model() {
            roles.push(MODEL);
        }
    }
    match function == MATCH {
        true => more.extend(tradeoffs(transform)),
        false => more.extend(accuracy_cost(transform)),
    }
    if !has(TaskWork::LABELS) && !roles.contains(&TaskWork::LABELS) {
        more.retain(|parameter| parameter["Name"] != ENFORCE_LABELS);
    }
    let (tables, count) = tables_of(nodes, id);
    let mut standing = Vec::new();
    let mut inputs = Vec::new();
    for role in roles.into_iter().filter(|role| !has(role)) {
        let name = free_name(nodes, &format!("{id}.{role}"));
        more.push(parameter(role, "int", &(count + inputs.len()).to_string()));
        inputs.push(json!(name));
        let node = if role == TaskWork::LABELS {
            let all = free_name(nodes, &format!("{id}.all_labels"));
            let tables: Vec<_> = tables.iter().map(String::as_str).collect();
            nodes.insert(name.clone(), graph::known(&name, &all, &tables, key));
            all
        } else {
            name
        };
        nodes.insert(node.clone(), given(&node));
        standing.push(Standing {
            node,
            transform: transform.transform_id.clone(),
            role,
        });
    }
    more.retain(|parameter| !parameter["Name"].as_str().is_some_and(has));
    let node = nodes
        .get_mut(id)
        .and_then(|node| node["DynamicTransform"].as_object_mut());
    if let Some(node) = node {
        change(node, "Parameters", |parameters| {
            parameters.retain(|parameter| parameter["Name"] != TRANSFORM_ID);
            parameters.extend(more);
        });
        change(node, "Inputs", |all| all.extend(inputs));
    }
    Ok(standing)
}

/// Whether labels overrule what is found: what the node says itself wins.
fn enforces(nodes: &Nodes, id: &str, transform: &MlTransform) -> bool {
    let parameters = nodes[id]["DynamicTransform"]["Parameters"].as_array();
    let mut parameters = parameters.into_iter().flatten();
    match parameters.find(|parameter| parameter["Name"] == ENFORCE_LABELS) {
        Some(own) => own["Value"][0] == "true",
        None => {
            let said = transform.find_matches();
            said.and_then(|said| said.enforce_provided_labels) == Some(true)
        }
    }
}

/// The inputs of a node that are tables, those whose position no parameter names; and how many inputs there are.
fn tables_of(nodes: &Nodes, id: &str) -> (Vec<String>, usize) {
    let node = &nodes[id]["DynamicTransform"];
    let parameters = node["Parameters"].as_array().into_iter().flatten();
    let roles = parameters.filter(|parameter| ROLES.iter().any(|role| parameter["Name"] == *role));
    let roles: Vec<usize> = roles
        .filter_map(|parameter| parameter["Value"][0].as_str()?.parse().ok())
        .collect();
    let inputs = node["Inputs"].as_array().map_or(&[][..], Vec::as_slice);
    let tables = inputs.iter().enumerate();
    let tables = tables.filter(|(at, _)| !roles.contains(at));
    let tables = tables.filter_map(|(_, input)| input.as_str().map(str::to_owned));
    (tables.collect(), inputs.len())
}

/// Names of the parameters that a node has itself.
fn own_parameters(nodes: &Nodes, id: &str) -> Vec<String> {
    let parameters = nodes[id]["DynamicTransform"]["Parameters"].as_array();
    let names = parameters.into_iter().flatten();
    let names = names.filter_map(|parameter| parameter["Name"].as_str());
    names.map(str::to_owned).collect()
}

/// Changes a member that is a list.
fn change(node: &mut Map<String, Value>, member: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let mut list = match node.remove(member) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    change(&mut list);
    node.insert(member.to_owned(), list.into());
}
