//! [`ParquetTable`]: DataFusion's Parquet scan over the files of a place, one partition per file.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{ColumnStatistics, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use parquet::encryption::decrypt::FileDecryptionProperties;

use crate::guard::GuardExec;
use crate::hive::{Partitions, is_about};
use crate::parquet::infer::Inferred;
use crate::parquet::store::Readers;

/// The timestamps of Hive and Spark. They reach years that nanoseconds do not, and have no digits behind these.
const INT96_UNIT: &str = "us";

/// See the module.
#[derive(Debug)]
pub(super) struct ParquetTable {
    inferred: Inferred,
    names: Arc<[String]>,
    keys: Option<Arc<FileDecryptionProperties>>,
    partitions: Partitions,
    /// The columns of the files, then those of the folders.
    schema: TableSchema,
}

impl ParquetTable {
    pub(super) fn new(inferred: Inferred, keys: Option<Arc<FileDecryptionProperties>>) -> Self {
        let names = inferred.files.iter().map(|file| file.name()).collect();
        let partitions = Partitions::of(&inferred.files);
        let schema = TableSchema::builder(Arc::clone(&inferred.schema))
            .with_table_partition_cols(partitions.fields().to_vec())
            .build();
        Self {
            inferred,
            names,
            keys,
            partitions,
            schema,
        }
    }

    /// A group for each of the files that `chosen` names.
    fn file_groups(&self, chosen: &[usize]) -> Vec<FileGroup> {
        let group = |index: usize| {
            let values = self.inferred.files[index].partition_values().to_vec();
            let file = PartitionedFile::new_from_meta(self.inferred.store.meta(index))
                .with_partition_values(values)
                .with_statistics(Arc::clone(&self.inferred.statistics[index]));
            FileGroup::new(vec![file])
        };
        chosen.iter().copied().map(group).collect()
    }

    fn merged_statistics(&self, chosen: &[usize]) -> DataFusionResult<Statistics> {
        let statistics = chosen
            .iter()
            .map(|index| self.inferred.statistics[*index].as_ref());
        let mut merged = Statistics::try_merge_iter(statistics, &self.inferred.schema)?;
        let of_folders = self.partitions.fields().iter();
        merged
            .column_statistics
            .extend(of_folders.map(|_| ColumnStatistics::new_unknown()));
        Ok(merged)
    }
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // Row groups and pages are skipped by statistics; the filter itself stays above the scan.
        let pushed = filters
            .iter()
            .map(|filter| match is_about(&self.partitions, filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Inexact,
            });
        Ok(pushed.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..Default::default()
        };
        options.global.coerce_int96 = Some(INT96_UNIT.to_owned());
        if let Some(keys) = &self.keys {
            options.crypto.file_decryption = Some(keys.try_into()?);
        }
        let chosen = self.partitions.choose(state, filters)?;
        let chosen: Vec<_> = chosen.unwrap_or_else(|| (0..self.names.len()).collect());
        if chosen.is_empty() {
            let schema = project_schema(self.schema.table_schema(), projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let readers = Readers::new(self.inferred.store.clone());
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        // The URL only satisfies the registry: the factory above reads through the place.
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(self.file_groups(&chosen))
                .with_statistics(self.merged_statistics(&chosen)?)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
        let files = chosen.iter().map(|index| &self.inferred.files[*index]);
        let sizes: Vec<_> = files.map(|file| file.size).collect();
        Ok(Arc::new(GuardExec::new(
            DataSourceExec::from_data_source(config),
            Arc::clone(&self.names),
            &sizes,
            state.config().target_partitions(),
        )))
    }
}
