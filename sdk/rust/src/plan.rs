//! The `plan` world for plugin authors, and its adapter to the contract.

use arrow_schema::SchemaRef;

use crate::bindings::base::tenon::plugin::types as wit;
use crate::bindings::plan::exports::tenon::plugin::plan as world;
use crate::config::Config;
use crate::error::Result;
use crate::wire;

/// A function that answers with SQL and calls of the plugin's own functions.
///
/// The plugin keeps what is clever about rows and pairs; joins, sorts and grouping are the
/// host's, which spills and distributes them.
pub trait Plan {
    /// `[a-z][a-z0-9-]*`: how jobs name it.
    const NAME: &'static str;
    /// One or two sentences for a person.
    const DOCS: &'static str;

    /// Plans the work over these inputs. Pure.
    ///
    /// # Errors
    /// The configuration is wrong, or the inputs do not fit.
    fn expand(config: &Config, inputs: &[NamedInput]) -> Result<Expansion>;
}

/// A table that a plan may read.
#[derive(Debug, Clone)]
pub struct NamedInput {
    /// The name by which steps refer to it.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
}

/// The plan: steps in order, and which of them are the outputs.
#[derive(Debug, Clone, Default)]
pub struct Expansion {
    steps: Vec<world::Step>,
    outputs: Vec<world::Output>,
}

impl Expansion {
    /// Adds a query over inputs and earlier steps.
    #[must_use]
    pub fn sql(mut self, name: &str, query: impl Into<String>) -> Self {
        self.steps.push(world::Step {
            name: name.to_owned(),
            body: world::Body::Sql(query.into()),
        });
        self
    }

    /// Adds a call of one of the plugin's own functions. `config` is a JSON object.
    #[must_use]
    pub fn apply(
        mut self,
        name: &str,
        function: &str,
        config: &serde_json::Value,
        inputs: &[&str],
    ) -> Self {
        let inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
        let call = world::Call {
            function: function.to_owned(),
            config: config.to_string(),
            inputs,
        };
        self.steps.push(world::Step {
            name: name.to_owned(),
            body: world::Body::Apply(call),
        });
        self
    }

    /// Declares a step to be an output; the first one is the result.
    #[must_use]
    pub fn output(mut self, name: &str, step: &str) -> Self {
        self.outputs.push(world::Output {
            name: name.to_owned(),
            step: step.to_owned(),
        });
        self
    }
}

/// Adapter of `expand`.
#[doc(hidden)]
pub fn expand<P: Plan>(
    config: &str,
    inputs: Vec<world::Input>,
) -> Result<world::Expansion, wit::Error> {
    let mut named = Vec::with_capacity(inputs.len());
    for input in inputs {
        named.push(NamedInput {
            schema: wire::schema_from(&input.schema)?,
            name: input.name,
        });
    }
    let expansion = P::expand(&Config::from_json(config)?, &named)?;
    Ok(world::Expansion {
        steps: expansion.steps,
        outputs: expansion.outputs,
    })
}
