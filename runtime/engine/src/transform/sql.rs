//! SparkSQL: one query over the node's inputs, on DataFusion's SQL.
//!
//! Only the inputs exist for the query, under their aliases; it can write and define nothing.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::common::config::Dialect;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;

use super::query::passed_over;
use super::{Clashes, closest};
use crate::error::{Error, Result, plain_text};
use crate::graph::SparkSql;
use crate::session;

/// The session of one query, in which its inputs exist and nothing else.
pub(crate) fn sql_session() -> SessionContext {
    session::context(SessionConfig::new(), Arc::new(RuntimeEnv::default()))
}

/// `clashes` are names that stand for none of the inputs.
pub(crate) async fn sql(
    node: &SparkSql,
    clashes: &Clashes,
    context: &SessionContext,
    inputs: &[Arc<dyn TableProvider>],
) -> Result<LogicalPlan> {
    for alias in &node.sql_aliases {
        let Some(position) = node.inputs.iter().position(|input| *input == alias.from) else {
            return Err(Error::node(
                &node.name,
                format!(
                    "the alias {:?} is from {:?}, which is not among its inputs {}",
                    alias.alias,
                    alias.from,
                    node.inputs.join(", ")
                ),
            ));
        };
        let registered = context.register_table(
            TableReference::bare(alias.alias.as_str()),
            Arc::clone(&inputs[position]),
        );
        registered.map_err(|e| Error::of_datafusion(&node.name, &e))?;
    }
    let state = context.state();
    let statement = state
        .sql_to_statement(&node.sql_query, &Dialect::Generic)
        .map_err(|e| Error::node(&node.name, plain_text(&e)))?;
    heard(node, &statement)?;
    let plan = state
        .statement_to_plan(statement)
        .await
        .map_err(|e| explain(node, clashes, &plain_text(&e)))?;
    let only_queries = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    only_queries
        .verify_plan(&plan)
        .map_err(|e| Error::node(&node.name, plain_text(&e)))?;
    unique_names(node, &plan)?;
    Ok(plan)
}

/// Refuses what would be passed over without a word, such as a sample of a table.
fn heard(node: &SparkSql, statement: &Statement) -> Result<()> {
    let Statement::Statement(statement) = statement else {
        return Ok(());
    };
    match passed_over(statement) {
        None => Ok(()),
        Some(said) => Err(Error::node(&node.name, said)),
    }
}

/// DataFusion's message, and which alias was probably meant.
fn explain(node: &SparkSql, clashes: &Clashes, message: &str) -> Error {
    let aliases: Vec<&str> = node.sql_aliases.iter().map(|a| a.alias.as_str()).collect();
    let unknown = message
        .strip_prefix("table 'datafusion.public.")
        .and_then(|rest| rest.split('\'').next());
    let clash = unknown.and_then(|unknown| clashes.get_key_value(unknown));
    if let Some((name, ids)) = clash {
        return Error::Node {
            node: node.name.clone(),
            message: format!(
                "the query names {name:?}, and several of its inputs are called so: {}",
                ids.join(", ")
            ),
            hint: Some("call each by its id".to_owned()),
        };
    }
    match unknown {
        Some(unknown) => Error::Node {
            node: node.name.clone(),
            message: format!("the query names {unknown:?}; it has {}", aliases.join(", ")),
            hint: closest(unknown, &aliases).map(|near| format!("did you mean {near:?}?")),
        },
        None => Error::node(&node.name, message),
    }
}

fn unique_names(node: &SparkSql, plan: &LogicalPlan) -> Result<()> {
    let mut names: Vec<&str> = plan
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::Node {
            node: node.name.clone(),
            message: format!("two columns of its result are named {:?}", pair[0]),
            hint: Some("give one of them another name with `as`".to_owned()),
        }),
        None => Ok(()),
    }
}
