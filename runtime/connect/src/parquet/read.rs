//! [`ParquetTable`]: DataFusion's Parquet scan over the files of a place, one partition per file.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use crate::guard::GuardExec;
use crate::parquet::infer::Inferred;

/// See the module.
#[derive(Debug)]
pub(super) struct ParquetTable {
    inferred: Inferred,
    names: Arc<[String]>,
}

impl ParquetTable {
    pub(super) fn new(inferred: Inferred) -> Self {
        let names = inferred.files.iter().map(|file| file.name()).collect();
        Self { inferred, names }
    }

    fn file_groups(&self) -> Vec<FileGroup> {
        let group = |(index, statistics): (usize, &Arc<Statistics>)| {
            let file = PartitionedFile::new_from_meta(self.inferred.store.meta(index));
            FileGroup::new(vec![file.with_statistics(Arc::clone(statistics))])
        };
        self.inferred
            .statistics
            .iter()
            .enumerate()
            .map(group)
            .collect()
    }

    fn merged_statistics(&self) -> DataFusionResult<Statistics> {
        Statistics::try_merge_iter(
            self.inferred.statistics.iter().map(AsRef::as_ref),
            &self.inferred.schema,
        )
    }
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.inferred.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // Row groups and pages are skipped by statistics; the filter itself stays above the scan.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..Default::default()
        };
        let store = Arc::new(self.inferred.store.clone());
        let source = ParquetSource::new(Arc::clone(&self.inferred.schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(DefaultParquetFileReaderFactory::new(
                store,
            )));
        // The URL only satisfies the registry: the factory above reads through the place.
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(self.file_groups())
                .with_statistics(self.merged_statistics()?)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
        Ok(Arc::new(GuardExec::new(
            DataSourceExec::from_data_source(config),
            Arc::clone(&self.names),
        )))
    }
}
