//! `plan` functions: SQL and calls, turned into plans that can name nothing else.
//!
//! A plan's SQL is parsed in a session of its own, in which only the plan's inputs, the steps before
//! and the built-in functions exist. It must be one query: no statement, no definition of anything,
//! no write. An input or a step that is read more than once, by steps or outputs, is computed once. An input whose rows are
//! numbered comes in its own order.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use tenon_host::{Expansion, FixedBudget, Kind, PlanBody, PlanStep};

use super::source::SourceProvider;
use super::weight::{self, Weights};
use super::{GuestNode, MapProvider, StreamProvider, register};
use crate::error::{Error, Result, plain_text};
use crate::in_order::InOrderProvider;
use crate::shared::SharedProvider;
use crate::transform::{mentions, passed_over};

/// Expands a `plan` function over its inputs. Returns its outputs by name, the result first.
pub(crate) async fn expand(
    guest: &GuestNode,
    function: &str,
    config: &str,
    inputs: &[Arc<dyn TableProvider>],
) -> Result<Vec<(String, LogicalPlan)>> {
    let named: Vec<(String, _)> = inputs
        .iter()
        .enumerate()
        .map(|(i, input)| (format!("input{i}"), input.schema()))
        .collect();
    let budget = Arc::new(FixedBudget::new(guest.limits.memory_bytes));
    let expansion = guest
        .plugin
        .expand(function, config, &named, &guest.limits, budget)
        .await;
    let expansion = expansion.map_err(|e| node_error(guest, function, e))?;
    let functions = guest
        .functions()
        .await
        .map_err(|e| Error::of_datafusion(&guest.node, &e.into()))?;
    let mut steps = Steps::new(guest, function, functions);
    steps.offer_functions()?;
    for (name, schema) in &named {
        steps.weighs(name, schema.fields().len() as u64);
    }
    for step in &expansion.steps {
        steps.weigh(step)?;
    }
    steps.readers = readers(&steps.context, &expansion);
    let numbered = numbered(&steps.context, &expansion);
    for ((name, _), input) in named.iter().zip(inputs) {
        steps.offer(name, input, numbered.contains(name))?;
    }
    for step in &expansion.steps {
        // Once more, with what is known by now of the tables before it.
        steps.weigh(step)?;
        let plan = steps.plan(step).await?;
        steps.keep(&step.name, plan)?;
    }
    let outputs = expansion
        .outputs
        .iter()
        .map(|output| Ok((output.name.clone(), steps.table(&output.step)?)));
    outputs.collect()
}

fn node_error(guest: &GuestNode, function: &str, source: tenon_host::Error) -> Error {
    Error::of_datafusion(
        &guest.node,
        &DataFusionError::from(guest.error(function, source)),
    )
}

/// The tables that the next step may name.
struct Steps<'a> {
    guest: &'a GuestNode,
    function: &'a str,
    context: SessionContext,
    providers: HashMap<String, Arc<dyn TableProvider>>,
    readers: HashMap<String, usize>,
    weights: Weights,
    functions: Vec<tenon_host::Function>,
}

impl<'a> Steps<'a> {
    fn new(guest: &'a GuestNode, function: &'a str, functions: Vec<tenon_host::Function>) -> Self {
        Self {
            guest,
            function,
            readers: HashMap::new(),
            weights: Weights::new(),
            context: session(),
            providers: HashMap::new(),
            functions,
        }
    }

    /// Makes the plugin's own functions callable in its queries.
    fn offer_functions(&self) -> Result<()> {
        let registered = register(&self.context, self.guest, &self.functions);
        registered.map_err(|e| Error::of_datafusion(&self.guest.node, &e))
    }

    fn define(&mut self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        let registered = self
            .context
            .register_table(TableReference::bare(name), Arc::clone(&provider));
        registered.map_err(|e| self.refuse(name, plain_text(&e)))?;
        self.weighs(name, provider.schema().fields().len() as u64);
        self.providers.insert(name.to_owned(), provider);
        Ok(())
    }

    /// Refuses queries that become too much, before anybody plans or even looks up one of their names.
    fn weigh(&mut self, step: &PlanStep) -> Result<()> {
        let weight = match &step.body {
            PlanBody::Sql(sql) => match self.parsed(sql) {
                Ok(Statement::Statement(statement)) => weight::of(&statement, &self.weights)
                    .map_err(|why| self.refuse(&step.name, why))?,
                // Planning says what is wrong with it.
                _ => 1,
            },
            // It is planned where it stands, with what it reads.
            PlanBody::Apply { inputs, .. } => {
                let weights = inputs.iter().filter_map(|input| self.weights.get(input));
                weights.copied().fold(1, u64::saturating_add)
            }
        };
        self.weighs(&step.name, weight);
        Ok(())
    }

    fn weighs(&mut self, name: &str, weight: u64) {
        let known = self.weights.entry(name.to_owned()).or_default();
        *known = weight.max(*known).max(1);
    }

    fn parsed(&self, sql: &str) -> datafusion::error::Result<Statement> {
        parsed(&self.context, sql)
    }

    /// Makes an input a table: computed once when steps read it more than once, whoever else reads it; in its own order
    /// when some step numbers its rows.
    fn offer(
        &mut self,
        name: &str,
        input: &Arc<dyn TableProvider>,
        is_numbered: bool,
    ) -> Result<()> {
        let table: Arc<dyn TableProvider> = if is_numbered {
            Arc::new(InOrderProvider::new(Arc::clone(input)))
        } else {
            Arc::clone(input)
        };
        self.define(name, table)?;
        let is_kept = (input.as_ref() as &dyn Any).is::<SharedProvider>();
        if is_kept || !self.is_read_often(name) {
            return Ok(());
        }
        let plan = self.table(name)?;
        self.context
            .deregister_table(TableReference::bare(name))
            .map_err(|e| self.refuse(name, plain_text(&e)))?;
        self.keep(name, plan)
    }

    fn is_read_often(&self, name: &str) -> bool {
        self.readers.get(name).copied().unwrap_or(0) > 1
    }

    /// Makes a step's plan a table: computed once when several read it.
    fn keep(&mut self, name: &str, plan: LogicalPlan) -> Result<()> {
        let many = self.is_read_often(name);
        let provider: Arc<dyn TableProvider> = if many {
            Arc::new(SharedProvider::new(
                &format!("{}.{name}", self.guest.node),
                plan,
            ))
        } else {
            Arc::new(datafusion::datasource::ViewTable::new(plan, None))
        };
        self.define(name, provider)
    }

    fn table(&self, name: &str) -> Result<LogicalPlan> {
        let provider = self
            .providers
            .get(name)
            .ok_or_else(|| self.refuse(name, "there is no such table"))?;
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::clone(provider)), None)
            .and_then(LogicalPlanBuilder::build);
        plan.map_err(|e| self.refuse(name, plain_text(&e)))
    }

    async fn plan(&mut self, step: &PlanStep) -> Result<LogicalPlan> {
        match &step.body {
            PlanBody::Sql(sql) => self.query(&step.name, sql).await,
            PlanBody::Apply {
                function,
                config,
                inputs,
            } => self.apply(&step.name, function, config, inputs).await,
        }
    }

    async fn query(&self, name: &str, sql: &str) -> Result<LogicalPlan> {
        let refuse =
            |e: DataFusionError| self.refuse(name, format!("{} in {sql:?}", plain_text(&e)));
        let statement = self.parsed(sql).map_err(refuse)?;
        match planned(&self.context, statement).await.map_err(refuse)? {
            Some(plan) => Ok(plan),
            None => Err(self.refuse(name, format!("only a query is allowed, not {sql:?}"))),
        }
    }

    async fn apply(
        &mut self,
        name: &str,
        function: &str,
        config: &str,
        inputs: &[String],
    ) -> Result<LogicalPlan> {
        let kind = self.kind_of(name, function)?;
        let plans = inputs
            .iter()
            .map(|input| self.table(input))
            .collect::<Result<Vec<_>>>()?;
        let provider = bound(self.guest, function, kind, config, plans)
            .await
            .map_err(|e| node_error(self.guest, function, e))?;
        let Some(provider) = provider else {
            return Err(self.refuse(
                name,
                format!("it applies {function} to {} inputs", inputs.len()),
            ));
        };
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(provider), None)
            .and_then(LogicalPlanBuilder::build);
        plan.map_err(|e| self.refuse(name, plain_text(&e)))
    }

    fn kind_of(&self, name: &str, function: &str) -> Result<Kind> {
        let found = self.functions.iter().find(|f| f.name == function);
        match found.map(|f| f.kind) {
            Some(kind @ (Kind::Map | Kind::Stream)) => Ok(kind),
            Some(other) => Err(self.refuse(
                name,
                format!(
                    "{function} is of the world {other}; a step applies map and stream functions"
                ),
            )),
            None => Err(self.refuse(name, format!("the plugin has no function {function:?}"))),
        }
    }

    fn refuse(&self, step: &str, message: impl std::fmt::Display) -> Error {
        let text = format!("step {step:?} of its plan: {message}");
        node_error(self.guest, self.function, tenon_host::Error::Contract(text))
    }
}

/// A `map` or `stream` function bound to its inputs; `None` when a `map` is given other than one.
pub(crate) async fn bound(
    guest: &GuestNode,
    function: &str,
    kind: Kind,
    config: &str,
    mut inputs: Vec<LogicalPlan>,
) -> tenon_host::Result<Option<Arc<dyn TableProvider>>> {
    let budget = Arc::new(FixedBudget::new(guest.limits.memory_bytes));
    if kind == Kind::Source {
        if !inputs.is_empty() {
            return Ok(None);
        }
        let binding = guest
            .plugin
            .bind_source(function, config, &guest.limits, budget)
            .await?;
        let provider = SourceProvider::new(guest.clone(), binding);
        return Ok(Some(Arc::new(provider)));
    }
    if kind == Kind::Stream {
        let schemas: Vec<_> = inputs
            .iter()
            .map(|plan| Arc::new(plan.schema().as_arrow().clone()))
            .collect();
        let binding = guest
            .plugin
            .bind_stream(function, config, &schemas, &guest.limits, budget)
            .await?;
        return Ok(Some(Arc::new(StreamProvider::new(
            guest.clone(),
            binding,
            inputs,
        ))));
    }
    let Some(input) = inputs.pop().filter(|_| inputs.is_empty()) else {
        return Ok(None);
    };
    let binding = guest
        .plugin
        .bind_map(
            function,
            config,
            input.schema().as_arrow(),
            &guest.limits,
            budget,
        )
        .await?;
    Ok(Some(Arc::new(MapProvider::new(
        guest.clone(),
        binding,
        input,
    ))))
}

fn parsed(context: &SessionContext, sql: &str) -> datafusion::error::Result<Statement> {
    let dialect = &datafusion::common::config::Dialect::Generic;
    context.state().sql_to_statement(sql, dialect)
}

/// The plan of a query that only reads; `None` where the statement is something else.
async fn planned(
    context: &SessionContext,
    statement: Statement,
) -> datafusion::error::Result<Option<LogicalPlan>> {
    if !is_query(&statement) {
        return Ok(None);
    }
    if let Statement::Statement(query) = &statement
        && let Some(said) = passed_over(query)
    {
        return Err(DataFusionError::Plan(said));
    }
    let plan = context.state().statement_to_plan(statement).await?;
    let only_queries = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    only_queries.verify_plan(&plan)?;
    Ok(Some(plan))
}

/// The session in which a plan's queries are planned: nothing is in it.
fn session() -> SessionContext {
    let config = SessionConfig::new().with_information_schema(false);
    crate::session::context(config, Arc::new(RuntimeEnv::default()))
}

/// What becomes of a query over one table: for fuzzing.
pub(crate) async fn plan_sql(sql: &str, input: RecordBatch) -> std::result::Result<(), String> {
    let (context, columns) = (session(), input.num_columns() as u64);
    let text = |e: DataFusionError| e.to_string();
    context.register_batch("input0", input).map_err(text)?;
    let statement = parsed(&context, sql).map_err(text)?;
    if let Statement::Statement(statement) = &statement {
        weight::of(statement, &Weights::from([("input0".to_owned(), columns)]))?;
    }
    match planned(&context, statement).await.map_err(text)? {
        Some(_) => Ok(()),
        None => Err("only a query is allowed".to_owned()),
    }
}

fn is_query(statement: &Statement) -> bool {
    matches!(statement, Statement::Statement(inner) if matches!(inner.as_ref(), SqlStatement::Query(_)))
}

/// Tables whose rows some step counts in the order in which they come: those of queries with a window that has no order.
fn numbered(context: &SessionContext, expansion: &Expansion) -> HashSet<String> {
    let queries = expansion.steps.iter().filter_map(|step| match &step.body {
        PlanBody::Sql(sql) => Some(sql),
        PlanBody::Apply { .. } => None,
    });
    let counting = queries.filter(|sql| {
        let folded: String = sql.split_whitespace().collect();
        folded.to_ascii_lowercase().contains("over()")
    });
    counting.flat_map(|sql| tables_of(context, sql)).collect()
}

/// How often each table is read by steps and outputs. A query that cannot be parsed counts none:
/// planning it says why.
fn readers(context: &SessionContext, expansion: &Expansion) -> HashMap<String, usize> {
    let mut readers: HashMap<String, usize> = HashMap::new();
    let mut count =
        |name: &str, times: usize| *readers.entry(name.to_owned()).or_default() += times;
    for step in &expansion.steps {
        match &step.body {
            PlanBody::Apply { inputs, .. } => inputs.iter().for_each(|input| count(input, 1)),
            PlanBody::Sql(sql) => {
                for table in tables_of(context, sql) {
                    count(&table, mentions(sql, &table));
                }
            }
        }
    }
    expansion
        .outputs
        .iter()
        .for_each(|output| count(&output.step, 1));
    readers
}

fn tables_of(context: &SessionContext, sql: &str) -> Vec<String> {
    let state = context.state();
    let references =
        parsed(context, sql).and_then(|statement| state.resolve_table_references(&statement));
    references
        .map(|r| r.iter().map(|table| table.table().to_owned()).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tenon_host::PlanOutput;

    use super::*;

    #[test]
    fn windows_without_an_order_number_rows_as_they_come() {
        let step = |sql: &str| PlanStep {
            name: "numbered".to_owned(),
            body: PlanBody::Sql(sql.to_owned()),
        };
        let expansion = Expansion {
            steps: vec![
                step("select *, row_number() OVER ( ) as n from input0"),
                step("select *, row_number() over (order by x) as n from input1"),
            ],
            outputs: Vec::new(),
        };
        let numbered = numbered(&session(), &expansion);
        assert_eq!(numbered, HashSet::from(["input0".to_owned()]));
    }

    #[test]
    fn what_a_query_repeats_is_read_more_than_once() {
        let step = |name: &str, sql: &str| PlanStep {
            name: name.to_owned(),
            body: PlanBody::Sql(sql.to_owned()),
        };
        let twice = "with f as (select * from input0) select a.x from f a join f b using (x)";
        let expansion = Expansion {
            steps: vec![
                step("pairs", twice),
                step("all_rows", "select * from pairs, input1"),
            ],
            outputs: vec![PlanOutput {
                name: "rows".to_owned(),
                step: "all_rows".to_owned(),
            }],
        };
        assert!(numbered(&session(), &expansion).is_empty());
        let readers = readers(&session(), &expansion);
        assert_eq!(readers["input0"], 2);
        assert_eq!(
            (readers["input1"], readers["pairs"], readers["all_rows"]),
            (1, 1, 1)
        );
    }
}
