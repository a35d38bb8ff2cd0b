//! `table-function`s in SQL's FROM clause, alone and lateral.
//!
//! ```text
//! from f(1, 'x')              TableCall(1, 'x')                       one row of arguments
//! from t, lateral f(t.a)      Join(t, Subquery(TableCall(outer t.a)))
//!                             ── LateralCalls ──> TableCall(t.a) over t      a batch of arguments at a time
//! TableCall                   ── TableCallPlanner ──> ExpandExec
//! ```
//!
//! DataFusion has table functions of constants only, and decorrelates lateral subqueries that are plain queries. The
//! relation planner therefore makes a node of its own, and one analyzer rule puts what stands left of it
//! below it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, TableReference, plan_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Extension, Join, JoinType, LogicalPlan, SubqueryAlias,
    UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ColumnarValue, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    Partitioning, PlanProperties,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, TableFactor};
use futures::{StreamExt, TryStreamExt};
use tenon_host::{Column, Expander, FixedBudget, TableFunctionBinding, TableStep};

use super::functions::{SqlFunction, arguments};
use super::map::{GuestMetrics, cut};
use super::pieces::{Pieces, Source};
use super::timing::timed;

/// The table functions of a session, by their names in SQL.
#[derive(Debug)]
pub(super) struct TableFunctions(Vec<SqlFunction>);

impl TableFunctions {
    pub(super) fn new(functions: Vec<SqlFunction>) -> Self {
        Self(functions)
    }
}

impl RelationPlanner for TableFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (name, args, alias) = match &relation {
            TableFactor::Function {
                name, args, alias, ..
            } => (name, args.as_slice(), alias),
            TableFactor::Table {
                name,
                args: Some(args),
                alias,
                ..
            } => (name, args.args.as_slice(), alias),
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let called = name.to_string().to_lowercase();
        let Some(function) = self.0.iter().find(|f| *called == *f.name) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let empty = DFSchema::empty();
        let args = args.iter().map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                context.sql_to_expr(expr.clone(), &empty)
            }
            other => plan_err!("{called} takes its arguments by position, not {other}"),
        });
        let args = args.collect::<Result<Vec<_>>>()?;
        let call = TableCall::new(function.clone(), args)?;
        let plan = LogicalPlan::Extension(Extension {
            node: Arc::new(call),
        });
        let planned = PlannedRelation::new(plan, alias.clone());
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}

/// A call of a table function: alone, or once for each row of an input.
///
/// Schema: the columns of the input, then those of the function.
#[derive(Debug, Clone)]
pub(crate) struct TableCall {
    function: SqlFunction,
    binding: Arc<TableFunctionBinding>,
    args: Vec<Expr>,
    input: Option<LogicalPlan>,
    /// The function's columns, under the name that the query gives them.
    rows: DFSchemaRef,
    schema: DFSchemaRef,
}

impl TableCall {
    fn new(function: SqlFunction, args: Vec<Expr>) -> Result<Self> {
        let nothing = DFSchema::empty();
        let fields = args
            .iter()
            .map(|arg| Ok(arg.to_field(&nothing)?.1))
            .collect::<Result<Vec<FieldRef>>>()?;
        let guest = &function.guest;
        let budget = Arc::new(FixedBudget::new(guest.limits.memory_bytes));
        let schema = arguments(&fields);
        let binding = function.drive(guest.plugin.bind_table_function(
            &function.function,
            "{}",
            &schema,
            &guest.limits,
            budget,
        ))?;
        let qualifier = TableReference::bare(&*function.name);
        let rows = DFSchema::try_from_qualified_schema(qualifier, &binding.output)?;
        let rows = Arc::new(rows);
        Ok(Self {
            function,
            binding: Arc::new(binding),
            args,
            input: None,
            schema: Arc::clone(&rows),
            rows,
        })
    }

    /// The same call for each row of `input`, its columns called `alias`.
    fn over(&self, input: LogicalPlan, alias: Option<&TableReference>) -> Result<Self> {
        let rows = match alias {
            Some(alias) => {
                DFSchema::try_from_qualified_schema(alias.clone(), &self.binding.output)?
            }
            None => self.rows.as_ref().clone(),
        };
        let args = self.args.iter().cloned().map(without_outer);
        Ok(Self {
            args: args.collect::<Result<_>>()?,
            schema: Arc::new(input.schema().join(&rows)?),
            rows: Arc::new(rows),
            input: Some(input),
            ..self.clone()
        })
    }

    fn identity(&self) -> (&SqlFunction, &[Expr], Option<&LogicalPlan>, &DFSchemaRef) {
        (
            &self.function,
            &self.args,
            self.input.as_ref(),
            &self.schema,
        )
    }
}

/// Columns of the other side of a join are columns of the input now.
fn without_outer(expr: Expr) -> Result<Expr> {
    let plain = expr.transform(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            other => Transformed::no(other),
        })
    })?;
    Ok(plain.data)
}

impl PartialEq for TableCall {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for TableCall {}

impl Hash for TableCall {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for TableCall {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for TableCall {
    fn name(&self) -> &'static str {
        "TableCall"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.input.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.args.clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<String> = self.args.iter().map(ToString::to_string).collect();
        write!(f, "TableCall: {}({})", self.function.name, args.join(", "))
    }

    fn with_exprs_and_inputs(&self, args: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.into_iter().next();
        let schema = match &input {
            Some(input) => Arc::new(input.schema().join(&self.rows)?),
            None => Arc::clone(&self.rows),
        };
        Ok(Self {
            args,
            input,
            schema,
            ..self.clone()
        })
    }
}

/// Puts the left side of a lateral join below the table function on its right side.
#[derive(Debug)]
pub(crate) struct LateralCalls;

impl AnalyzerRule for LateralCalls {
    fn name(&self) -> &'static str {
        "lateral_calls"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| match &plan {
            LogicalPlan::Join(join) => rewrite(join, &plan),
            _ => Ok(Transformed::no(plan)),
        })?;
        Ok(rewritten.data)
    }
}

fn rewrite(join: &Join, plan: &LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let Some((call, alias)) = lateral_call(&join.right) else {
        return Ok(Transformed::no(plan.clone()));
    };
    let always = match &join.filter {
        None => true,
        Some(Expr::Literal(value, _)) => *value == datafusion::common::ScalarValue::from(true),
        Some(_) => false,
    };
    if join.join_type != JoinType::Inner || !join.on.is_empty() || !always {
        return plan_err!(
            "a lateral call of {} is joined with CROSS JOIN, a comma, or JOIN ... ON TRUE; filter in WHERE",
            call.function.name
        );
    }
    let call = call.over(join.left.as_ref().clone(), alias)?;
    Ok(Transformed::yes(LogicalPlan::Extension(Extension {
        node: Arc::new(call),
    })))
}

/// The call on the right side of a lateral join, and the name that its columns go by.
fn lateral_call(right: &LogicalPlan) -> Option<(&TableCall, Option<&TableReference>)> {
    let (inner, alias) = match right {
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            (input.as_ref(), Some(alias))
        }
        other => (other, None),
    };
    let LogicalPlan::Subquery(subquery) = inner else {
        return None;
    };
    match subquery.subquery.as_ref() {
        LogicalPlan::Extension(extension) => {
            let call = extension.node.as_any().downcast_ref::<TableCall>()?;
            Some((call, alias))
        }
        _ => None,
    }
}

/// Makes operators of [`TableCall`]s.
#[derive(Debug)]
pub(crate) struct TableCallPlanner;

#[async_trait]
impl ExtensionPlanner for TableCallPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        state: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(call) = node.as_any().downcast_ref::<TableCall>() else {
            return Ok(None);
        };
        let nothing = Arc::new(DFSchema::empty());
        let known = call.input.as_ref().map_or(&nothing, LogicalPlan::schema);
        let args = call
            .args
            .iter()
            .map(|arg| planner.create_physical_expr(arg, known, state, context))
            .collect::<Result<Vec<_>>>()?;
        let input: Arc<dyn ExecutionPlan> = match physical_inputs.first() {
            Some(input) => Arc::clone(input),
            None => Arc::new(PlaceholderRowExec::new(Arc::new(Schema::empty()))),
        };
        // The one row of a call alone has a column that is not the query's.
        let carries = call.input.is_some();
        let exec = ExpandExec::new(call, args, input, carries);
        Ok(Some(Arc::new(exec)))
    }
}

/// Runs a table function: one instance for each partition of its input.
///
/// Output: the columns of the input, repeated for each row that the function made of theirs, then those of the function;
/// in the order of the input.
#[derive(Debug)]
struct ExpandExec {
    function: SqlFunction,
    binding: Arc<TableFunctionBinding>,
    args: Vec<Arc<dyn PhysicalExpr>>,
    input: Arc<dyn ExecutionPlan>,
    carries: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ExpandExec {
    fn new(
        call: &TableCall,
        args: Vec<Arc<dyn PhysicalExpr>>,
        input: Arc<dyn ExecutionPlan>,
        carries: bool,
    ) -> Self {
        Self::over(
            call.function.clone(),
            Arc::clone(&call.binding),
            args,
            input,
            carries,
        )
    }

    fn over(
        function: SqlFunction,
        binding: Arc<TableFunctionBinding>,
        args: Vec<Arc<dyn PhysicalExpr>>,
        input: Arc<dyn ExecutionPlan>,
        carries: bool,
    ) -> Self {
        let mut fields: Vec<FieldRef> = Vec::new();
        if carries {
            fields.extend(input.schema().fields().iter().cloned());
        }
        fields.extend(binding.output.fields().iter().cloned());
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(Schema::new(fields))),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            function,
            binding,
            args,
            input,
            carries,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for ExpandExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<String> = self.args.iter().map(ToString::to_string).collect();
        write!(
            f,
            "ExpandExec: plugin={}, function={}, arguments=[{}]",
            self.function.guest.reference,
            self.function.function,
            args.join(", ")
        )
    }
}

impl ExecutionPlan for ExpandExec {
    fn name(&self) -> &'static str {
        "ExpandExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![self.carries]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for arg in &self.args {
            if f(arg)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::over(
            self.function.clone(),
            Arc::clone(&self.binding),
            self.args.clone(),
            children.swap_remove(0),
            self.carries,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let expansion = Expansion {
            function: self.function.clone(),
            binding: Arc::clone(&self.binding),
            args: self.args.clone(),
            carries: self.carries,
            schema: self.schema(),
            input: self.input.execute(partition, context)?,
            parts: Vec::new(),
            current: None,
            output: None,
            instance: None,
            metrics: GuestMetrics::new(&self.metrics, partition),
        };
        let rows = futures::stream::try_unfold(expansion, |mut expansion| async move {
            let batch = expansion.next().await?;
            Ok(batch.map(|batch| (batch, expansion)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            rows.boxed(),
        )))
    }
}

/// The work of one partition.
struct Expansion {
    function: SqlFunction,
    binding: Arc<TableFunctionBinding>,
    args: Vec<Arc<dyn PhysicalExpr>>,
    carries: bool,
    schema: SchemaRef,
    input: SendableRecordBatchStream,
    /// Parts of a batch that was too large, last part first.
    parts: Vec<RecordBatch>,
    /// The rows whose expansion is under way.
    current: Option<RecordBatch>,
    /// What is left of the last call's output.
    output: Option<Pieces>,
    instance: Option<Expander>,
    metrics: GuestMetrics,
}

impl Expansion {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(piece) = self.next_piece().await? {
                self.metrics.baseline.record_output(piece.num_rows());
                return Ok(Some(piece));
            }
            let step = match &self.current {
                Some(_) => self.call(None).await?,
                None => {
                    let Some(rows) = self.next_input().await? else {
                        return Ok(None);
                    };
                    let args = self.arguments(&rows)?;
                    let count = rows.num_rows();
                    self.current = Some(rows);
                    self.call(Some((count, args))).await?
                }
            };
            let more = step.more;
            self.output = self.pieces(step);
            if !more {
                self.current = None;
            }
        }
    }

    /// More of the last call's output, while there is any.
    async fn next_piece(&mut self) -> Result<Option<RecordBatch>> {
        let Some(pieces) = &mut self.output else {
            return Ok(None);
        };
        let piece = pieces.next()?;
        match piece {
            None => self.output = None,
            // There may be a million of them: the run can be cancelled in between.
            Some(_) if !pieces.is_over() => tokio::task::yield_now().await,
            Some(_) => {}
        }
        Ok(piece)
    }

    async fn next_input(&mut self) -> Result<Option<RecordBatch>> {
        if self.parts.is_empty()
            && let Some(batch) = self.input.try_next().await?
        {
            let all: Vec<usize> = (0..batch.num_columns()).collect();
            self.parts = cut(batch, &all, self.function.guest.limits.batch_bytes());
        }
        Ok(self.parts.pop())
    }

    fn arguments(&self, rows: &RecordBatch) -> Result<Vec<Column>> {
        let evaluated = self.args.iter().map(|arg| {
            Ok(match arg.evaluate(rows)? {
                ColumnarValue::Array(array) => Column::Array(array),
                ColumnarValue::Scalar(value) => Column::Constant(value.to_array()?),
            })
        });
        evaluated.collect()
    }

    /// Expands rows of arguments, or goes on with those in hand.
    async fn call(&mut self, rows: Option<(usize, Vec<Column>)>) -> Result<TableStep> {
        let time = self.metrics.baseline.elapsed_compute().clone();
        let step = timed(&time, self.call_guest(rows)).await;
        step.map_err(|e| self.function.error(e))
    }

    async fn call_guest(
        &mut self,
        rows: Option<(usize, Vec<Column>)>,
    ) -> tenon_host::Result<TableStep> {
        let guest = &self.function.guest;
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => {
                let budget = self.function.budget();
                let opened = guest
                    .plugin
                    .open_table_function(&self.binding, &guest.limits, budget);
                opened.await?
            }
        };
        let step = match rows {
            Some((rows, args)) => instance.expand(rows, &args).await,
            None => instance.pull().await,
        };
        self.metrics
            .record(instance.bytes(), instance.memory_bytes(), instance.fuel());
        guest.log.append(&guest.node, instance.take_log());
        self.instance = Some(instance);
        step
    }

    /// The rows that came out, each beside the row that it belongs to.
    fn pieces(&self, step: TableStep) -> Option<Pieces> {
        let (rows, input) = (step.output?, self.current.as_ref()?);
        let carried: &[ArrayRef] = if self.carries { input.columns() } else { &[] };
        let carried = carried.iter().cloned().map(Source::Carried);
        let made = rows.columns.columns().iter().cloned().map(Source::Made);
        let columns = carried.chain(made).collect();
        let schema = Arc::clone(&self.schema);
        Some(Pieces::new(schema, columns, rows.origins, input.num_rows()))
    }
}
