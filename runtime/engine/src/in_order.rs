//! [`InOrderProvider`]: a table whose partitions come one after the other, as one.
//!
//! Partitions of a file follow its order, but whoever merges them takes what is ready first. A plan that numbers its rows
//! would number them differently in every run; what plugins' plans read is therefore in order.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt};

/// A table in the order of its partitions.
#[derive(Debug)]
pub(crate) struct InOrderProvider(Arc<dyn TableProvider>);

impl InOrderProvider {
    pub(crate) fn new(table: Arc<dyn TableProvider>) -> Self {
        Self(table)
    }
}

#[async_trait]
impl TableProvider for InOrderProvider {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.0.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = self.0.scan(state, projection, filters, limit).await?;
        if input.output_partitioning().partition_count() < 2 {
            return Ok(input);
        }
        Ok(Arc::new(InOrderExec::new(input)))
    }
}

/// Reads the partitions of its input one after the other.
#[derive(Debug)]
struct InOrderExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl InOrderExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for InOrderExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = self.input.output_partitioning().partition_count();
        write!(f, "InOrderExec: partitions={partitions}")
    }
}

impl ExecutionPlan for InOrderExec {
    fn name(&self) -> &'static str {
        "InOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(input) => Arc::new(Self::new(input)),
            None => self,
        })
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let partitions = self.input.output_partitioning().partition_count();
        let input = Arc::clone(&self.input);
        let streams = futures::stream::iter(0..partitions)
            .map(move |partition| input.execute(partition, Arc::clone(&context)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            streams.try_flatten().boxed(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{Int64Type, UInt64Type};
    use datafusion::catalog::streaming::StreamingTable;
    use datafusion::physical_plan::streaming::PartitionStream;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// Partitions of which the first takes longest.
    #[derive(Debug)]
    struct Hurried(SchemaRef, i64);

    impl PartitionStream for Hurried {
        fn schema(&self) -> &SchemaRef {
            &self.0
        }

        fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
            let (schema, number) = (Arc::clone(&self.0), self.1);
            let rows = futures::stream::once(async move {
                let pause = 40 * u64::try_from(3 - number).unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
                Ok(batch(number))
            });
            Box::pin(RecordBatchStreamAdapter::new(schema, rows.boxed()))
        }
    }

    fn batch(number: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![2 * number, 2 * number + 1]));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[tokio::test]
    async fn partitions_come_one_after_the_other() {
        let schema = batch(0).schema();
        let partitions = (0..4).map(|n| Arc::new(Hurried(Arc::clone(&schema), n)) as _);
        let table = StreamingTable::try_new(Arc::clone(&schema), partitions.collect()).unwrap();
        let context = SessionContext::new();
        let ordered = InOrderProvider::new(Arc::new(table));
        context.register_table("t", Arc::new(ordered)).unwrap();
        let query = "select n, row_number() over () as place from t";
        let rows = context.sql(query).await.unwrap().collect().await.unwrap();
        let mut seen = 0;
        for batch in rows {
            let numbers = batch.column(0).as_primitive::<Int64Type>().values();
            let places = batch.column(1).as_primitive::<UInt64Type>().values();
            for (number, place) in numbers.iter().zip(places) {
                assert_eq!(*number, i64::try_from(*place).unwrap() - 1);
                seen += 1;
            }
        }
        assert_eq!(seen, 8);
    }
}
