//! A plugin at a node of a job: its settings as JSON, and the plans of its outputs.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use tenon_host::Kind;

use super::plan::scan;
use crate::error::{Error, Result};
use crate::graph::{DynamicTransform, ParameterType};
use crate::guest::{GuestNode, expand};

/// The error of a plugin that is not there.
pub(super) fn missing_plugin(error: Error, node: &str) -> Error {
    let hint = "see what there is: `tenon plugin ls`; `tenon plugin install` adds one";
    error.at(node).or_hint(Some(hint.to_owned()))
}

/// The plans of a plugin's outputs.
pub(super) async fn dynamic(
    id: &str,
    node: &DynamicTransform,
    inputs: &[Arc<dyn TableProvider>],
    guest: &GuestNode,
) -> Result<Vec<LogicalPlan>> {
    let config = parameters(node)?;
    let name = Some(node.function_name.as_str()).filter(|name| !name.is_empty());
    let fail = |e: DataFusionError| Error::of_datafusion(&node.name, &e);
    let function = guest.function(name).await.map_err(|e| fail(e.into()))?;
    if inputs.is_empty() && function.kind != Kind::Source {
        let kind = function.kind;
        return Err(Error::node(
            &node.name,
            format!("a {kind} function reads other nodes: name them in Inputs"),
        ));
    }
    if function.kind == Kind::Plan {
        let outputs = expand(guest, &function.name, &config, inputs).await?;
        return Ok(outputs.into_iter().map(|(_, plan)| plan).collect());
    }
    let plans = inputs
        .iter()
        .map(|input| scan(id, Some(input)))
        .collect::<Result<Vec<_>>>()?;
    let count = plans.len();
    let bound = crate::guest::bound(guest, &function.name, function.kind, &config, plans).await;
    let provider = bound.map_err(|e| fail(guest.error(&function.name, e).into()))?;
    let provider = provider.ok_or_else(|| {
        Error::node(
            &node.name,
            match function.kind {
                Kind::Source => format!("a source function takes no input, not {count}"),
                kind => format!("a {kind} function takes one input, not {count}"),
            },
        )
    })?;
    Ok(vec![scan(id, Some(&provider))?])
}

/// A node's settings as one JSON object.
fn parameters(node: &DynamicTransform) -> Result<String> {
    let mut object = serde_json::Map::new();
    for parameter in &node.parameters {
        let value = parameter_value(parameter.r#type, &parameter.value);
        let value = value.ok_or_else(|| {
            Error::node(
                &node.name,
                format!(
                    "parameter {:?}: {:?} is not of type {:?}",
                    parameter.name, parameter.value, parameter.r#type
                ),
            )
        })?;
        object.insert(parameter.name.clone(), value);
    }
    Ok(serde_json::Value::Object(object).to_string())
}

fn parameter_value(kind: ParameterType, value: &[String]) -> Option<serde_json::Value> {
    let one = match value {
        [one] => Some(one.as_str()),
        _ => None,
    };
    match kind {
        ParameterType::Null => Some(serde_json::Value::Null),
        ParameterType::List => Some(value.into()),
        ParameterType::Str => one.map(Into::into),
        ParameterType::Int => one?.parse::<i64>().ok().map(Into::into),
        ParameterType::Float => one?.parse::<f64>().ok().map(Into::into),
        ParameterType::Bool => one?.parse::<bool>().ok().map(Into::into),
    }
}
