//! Sessions of DataFusion that know plugins: calls of their table functions are planned, and the functions that a
//! query names are found in the registry.
//!
//! A query names `shout(name)`, not a plugin. The name is looked up among the functions of the newest version of every
//! plugin in the registry; a built-in function of the same name comes first, and a name that two plugins have is an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use tenon_host::LimitSettings;
use tenon_registry::{FunctionKind, Record};

use crate::engine::Engine;
use crate::error::{Error, Result, plain_text};
use crate::guest::{
    Cancellation, GuestNode, LateralCalls, RunLog, TableCallPlanner, register, sql_name,
};

/// A session in which plugins' functions can be called once they are registered.
pub(crate) fn context(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(Planner))
        .with_analyzer_rule(Arc::new(LateralCalls))
        .build();
    let context = SessionContext::new_with_state(state);
    crate::bounded::register(&context);
    context
}

/// DataFusion's planner, and ours for calls of table functions.
#[derive(Debug)]
struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        state: &dyn Session,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let planner =
            DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(TableCallPlanner)]);
        planner.create_physical_plan(plan, state).await
    }
}

/// What the guests of one run or query share.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The run's memory.
    pub(crate) pool: Arc<dyn MemoryPool>,
    /// Says when nobody wants the run any more.
    pub(crate) cancellation: Cancellation,
    /// What plugins say.
    pub(crate) log: RunLog,
    /// What the job and the run hold their plugins to.
    pub(crate) job_limits: LimitSettings,
    pub(crate) run_limits: LimitSettings,
}

impl Scope {
    pub(crate) fn of(context: &SessionContext) -> Self {
        Self {
            pool: Arc::clone(&context.runtime_env().memory_pool),
            cancellation: Cancellation::default(),
            log: RunLog::default(),
            job_limits: LimitSettings::default(),
            run_limits: LimitSettings::default(),
        }
    }
}

impl Engine {
    /// Registers the plugins' functions that a query names. `node` is named in their errors.
    ///
    /// # Errors
    /// Two plugins have a function of that name, or one cannot be loaded.
    pub(crate) async fn add_functions(
        &self,
        context: &SessionContext,
        query: &str,
        node: &str,
        scope: &Scope,
    ) -> Result<()> {
        let unknown: Vec<String> = called(query)
            .into_iter()
            .filter(|name| !is_known(context, name))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let plugins = self
            .registry()
            .list()
            .map_err(|e| Error::Io(e.to_string()))?;
        let newest = newest(&plugins);
        for name in unknown {
            let having: Vec<&Record> = newest
                .iter()
                .copied()
                .filter(|plugin| has(plugin, &name))
                .collect();
            match having.as_slice() {
                [] => {}
                [plugin] => {
                    self.add_function(context, plugin, &name, node, scope)
                        .await?
                }
                several => {
                    let names: Vec<&str> =
                        several.iter().map(|p| p.manifest.name.as_str()).collect();
                    return Err(Error::Query(format!(
                        "the function {name} is in several plugins: {}",
                        names.join(", ")
                    )));
                }
            }
        }
        Ok(())
    }

    async fn add_function(
        &self,
        context: &SessionContext,
        plugin: &Record,
        name: &str,
        node: &str,
        scope: &Scope,
    ) -> Result<()> {
        let reference = format!("{}@={}", plugin.manifest.name, plugin.manifest.version);
        let guest = self.guest(&reference, node, scope).await?;
        let functions = guest.functions().await;
        let mut functions = functions.map_err(|e| Error::Query(e.to_string()))?;
        functions.retain(|function| sql_name(&function.name) == name);
        register(context, &guest, &functions).map_err(|e| Error::Query(plain_text(&e)))
    }
}

impl GuestNode {
    /// Everything that the plugin offers.
    pub(crate) async fn functions(
        &self,
    ) -> Result<Vec<tenon_host::Function>, crate::error::PluginError> {
        let functions = self.plugin.functions(&self.limits).await;
        functions.map_err(|e| self.error("describe", e))
    }
}

/// The newest version of each plugin.
fn newest(plugins: &[Record]) -> Vec<&Record> {
    let mut newest: Vec<&Record> = Vec::new();
    for plugin in plugins {
        let same = newest
            .iter_mut()
            .find(|known| known.manifest.name == plugin.manifest.name);
        match same {
            Some(known) if known.manifest.version < plugin.manifest.version => *known = plugin,
            Some(_) => {}
            None => newest.push(plugin),
        }
    }
    newest
}

fn has(plugin: &Record, name: &str) -> bool {
    let callable = [
        FunctionKind::Map,
        FunctionKind::Aggregate,
        FunctionKind::TableFunction,
    ];
    plugin
        .manifest
        .functions
        .iter()
        .any(|function| sql_name(&function.name) == name && callable.contains(&function.kind))
}

fn is_known(context: &SessionContext, name: &str) -> bool {
    let state = context.state_ref();
    let state = state.read();
    state.scalar_functions().contains_key(name)
        || state.aggregate_functions().contains_key(name)
        || state.window_functions().contains_key(name)
        || state.table_functions().contains_key(name)
}

/// The names in a query that an opening parenthesis follows. More than functions may be among them; nothing is lost by
/// looking those up.
fn called(query: &str) -> BTreeSet<String> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, query).tokenize();
    let tokens: Vec<Token> = tokens
        .unwrap_or_default()
        .into_iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .collect();
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let names = pairs.filter_map(|pair| match pair {
        (Token::Word(word), Token::LParen) if word.quote_style.is_none() => {
            Some(word.value.to_lowercase())
        }
        (Token::Word(word), Token::LParen) => Some(word.value.clone()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_front_of_parentheses_are_functions() {
        let names = called("select Shout (a), f(x) from t, lateral g(t.a) where b in (1) -- h(1)");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(names, ["f", "g", "in", "shout"]);
        assert!(called("select 'f(").is_empty());
    }
}
