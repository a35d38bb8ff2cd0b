//! Calling the `plan` world. What comes back is only shaped here: which names its SQL may use is
//! the engine's to enforce.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::bindings::exports::tenon::plugin::plan;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::guest::{clip, guest_error};
use crate::limits::Limits;
use crate::plugin::{Plugin, link_error};
use crate::schema::{AS_IT_IS, FlatSchema, wire_schema};

const MAX_STEPS: usize = 64;
const MAX_OUTPUTS: usize = 16;
const MAX_SQL_BYTES: usize = 64 << 10;
const MAX_OUTPUT_NAME_BYTES: usize = 255;
const MAX_INPUTS: usize = 64;
const MAX_CONFIG_BYTES: usize = 1 << 20;
/// Bytes of a wrong name that an error shows.
const MAX_SHOWN: usize = 80;

/// A plan, as its guest wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// Steps, each using only the inputs and the steps before it.
    pub steps: Vec<PlanStep>,
    /// What the plan gives back; the first one is the result.
    pub outputs: Vec<PlanOutput>,
}

/// One named step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep {
    /// `[a-z][a-z0-9_]*`, unique.
    pub name: String,
    /// What it computes.
    pub body: PlanBody,
}

/// What a step computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanBody {
    /// One query over inputs and earlier steps.
    Sql(String),
    /// A call of one of the plugin's own functions.
    Apply {
        /// The function.
        function: String,
        /// A JSON object.
        config: String,
        /// Names of inputs or earlier steps.
        inputs: Vec<String>,
    },
}

/// One table that a plan gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOutput {
    /// What the user calls it.
    pub name: String,
    /// The step that makes it.
    pub step: String,
}

impl Plugin {
    /// Asks a `plan` function for its plan over named inputs.
    ///
    /// # Errors
    /// The function does not exist, refuses, crashes, or answers nonsense.
    pub async fn expand(
        &self,
        function: &str,
        config: &str,
        inputs: &[(String, SchemaRef)],
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<Expansion> {
        let export = self.plan_export()?;
        let mut guest = self.start(limits, budget).await?;
        let instance = *guest.instance();
        let plan = export
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let whole = |schema: &SchemaRef| {
            let all: Vec<usize> = (0..schema.fields().len()).collect();
            wire_schema(schema, &all, AS_IT_IS)
        };
        let wire: Vec<SchemaRef> = inputs.iter().map(|(_, schema)| whole(schema)).collect();
        let flat = wire
            .iter()
            .map(|schema| FlatSchema::of(schema))
            .collect::<Result<Vec<_>>>()?;
        let params: Vec<_> = flat.iter().map(FlatSchema::params).collect();
        let named = inputs.iter().zip(&params);
        let named: Vec<_> = named
            .map(|((name, _), schema)| plan::Input { name, schema })
            .collect();
        let answer = guest
            .call(async |store| plan.call_expand(store, function, config, &named).await)
            .await?;
        let answer = answer.map_err(|e| guest_error(e, limits))?;
        checked(answer, inputs)
    }
}

fn checked(answer: plan::Expansion, inputs: &[(String, SchemaRef)]) -> Result<Expansion> {
    if answer.steps.len() > MAX_STEPS
        || answer.outputs.len() > MAX_OUTPUTS
        || answer.outputs.is_empty()
    {
        return Err(Error::contract(format!(
            "its plan has {} steps and {} outputs; at most {MAX_STEPS} and 1 to {MAX_OUTPUTS} are allowed",
            answer.steps.len(),
            answer.outputs.len()
        )));
    }
    let mut names: Vec<String> = inputs.iter().map(|(name, _)| name.clone()).collect();
    let mut steps = Vec::with_capacity(answer.steps.len());
    for step in answer.steps {
        let step = checked_step(step, &names)?;
        names.push(step.name.clone());
        steps.push(step);
    }
    let known = |o: &plan::Output| steps.iter().any(|s| s.name == o.step);
    if let Some(lost) = answer.outputs.iter().find(|o| !known(o)) {
        return Err(Error::contract(format!(
            "its plan has no step {:?} for the output {:?}",
            clip(&lost.step, MAX_SHOWN),
            clip(&lost.name, MAX_SHOWN)
        )));
    }
    let long = |o: &&plan::Output| o.name.len() > MAX_OUTPUT_NAME_BYTES;
    if let Some(output) = answer.outputs.iter().find(long) {
        return Err(Error::contract(format!(
            "its plan names an output in {} bytes; {MAX_OUTPUT_NAME_BYTES} are allowed",
            output.name.len()
        )));
    }
    let outputs = answer
        .outputs
        .into_iter()
        .map(|o| PlanOutput {
            name: o.name,
            step: o.step,
        })
        .collect();
    Ok(Expansion { steps, outputs })
}

fn checked_step(step: plan::Step, names: &[String]) -> Result<PlanStep> {
    if !is_table_name(&step.name) || names.contains(&step.name) {
        return Err(Error::contract(format!(
            "its plan names a step {:?}; names are like scored_pairs and unique",
            clip(&step.name, MAX_SHOWN)
        )));
    }
    let body = match step.body {
        plan::Body::Sql(sql) if sql.len() <= MAX_SQL_BYTES => PlanBody::Sql(sql),
        plan::Body::Sql(sql) => {
            return Err(Error::contract(format!(
                "step {:?} has {} bytes of SQL; {MAX_SQL_BYTES} are allowed",
                step.name,
                sql.len()
            )));
        }
        plan::Body::Apply(call) => {
            if let Some(unknown) = call.inputs.iter().find(|i| !names.contains(i)) {
                return Err(Error::contract(format!(
                    "step {:?} reads {:?}, which is neither an input nor an earlier step",
                    step.name,
                    clip(unknown, MAX_SHOWN)
                )));
            }
            if call.inputs.len() > MAX_INPUTS || call.config.len() > MAX_CONFIG_BYTES {
                return Err(Error::contract(format!(
                    "step {:?} has {} inputs and {} bytes of configuration; {MAX_INPUTS} and {MAX_CONFIG_BYTES} are allowed",
                    step.name,
                    call.inputs.len(),
                    call.config.len()
                )));
            }
            PlanBody::Apply {
                function: call.function,
                config: call.config,
                inputs: call.inputs,
            }
        }
    };
    Ok(PlanStep {
        name: step.name,
        body,
    })
}

fn is_table_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(legal)
}
