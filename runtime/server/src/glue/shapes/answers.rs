//! What the supported operations answer.
//!
//! Made of the service model, not by hand; to make it again:
//! `cargo run --release -p tenon-server --example glue_model`

use std::collections::BTreeMap;

use serde_json::Value;
use tenon_catalog as catalog;
use tenon_jobs as jobs;

use super::parts;

answers! {
    /// What `BatchGetJobs` answers.
    BatchGetJobsResponse {
        jobs: Option<Vec<jobs::Job>>,
        jobs_not_found: Option<Vec<String>>,
    }

    /// What `BatchGetPartition` answers.
    BatchGetPartitionResponse {
        partitions: Option<Vec<Partition>>,
        unprocessed_keys: Option<Vec<catalog::PartitionValueList>>,
    }

    /// What `CancelMLTaskRun` answers.
    CancelMLTaskRunResponse {
        transform_id: Option<String>,
        task_run_id: Option<String>,
        status: Option<String>,
    }

    /// What `CreateCatalog` answers.
    CreateCatalogResponse {}

    /// What `CreateColumnStatisticsTaskSettings` answers.
    CreateColumnStatisticsTaskSettingsResponse {}

    /// What `CreateConnection` answers.
    CreateConnectionResponse {
        create_connection_status: Option<String>,
    }

    /// What `CreateDatabase` answers.
    CreateDatabaseResponse {}

    /// What `CreateJob` answers.
    CreateJobResponse {
        name: Option<String>,
    }

    /// What `CreateMLTransform` answers.
    CreateMLTransformResponse {
        transform_id: Option<String>,
    }

    /// What `CreatePartitionIndex` answers.
    CreatePartitionIndexResponse {}

    /// What `CreatePartition` answers.
    CreatePartitionResponse {}

    /// What `CreateSecurityConfiguration` answers.
    CreateSecurityConfigurationResponse {
        name: Option<String>,
        created_timestamp: Option<catalog::Timestamp>,
    }

    /// What `CreateTable` answers.
    CreateTableResponse {}

    /// What `CreateUserDefinedFunction` answers.
    CreateUserDefinedFunctionResponse {}

    /// What `DeleteCatalog` answers.
    DeleteCatalogResponse {}

    /// What `DeleteColumnStatisticsForPartition` answers.
    DeleteColumnStatisticsForPartitionResponse {}

    /// What `DeleteColumnStatisticsForTable` answers.
    DeleteColumnStatisticsForTableResponse {}

    /// What `DeleteColumnStatisticsTaskSettings` answers.
    DeleteColumnStatisticsTaskSettingsResponse {}

    /// What `DeleteConnection` answers.
    DeleteConnectionResponse {}

    /// What `DeleteDatabase` answers.
    DeleteDatabaseResponse {}

    /// What `DeleteJob` answers.
    DeleteJobResponse {
        job_name: Option<String>,
    }

    /// What `DeleteMLTransform` answers.
    DeleteMLTransformResponse {
        transform_id: Option<String>,
    }

    /// What `DeletePartitionIndex` answers.
    DeletePartitionIndexResponse {}

    /// What `DeletePartition` answers.
    DeletePartitionResponse {}

    /// What `DeleteResourcePolicy` answers.
    DeleteResourcePolicyResponse {}

    /// What `DeleteSecurityConfiguration` answers.
    DeleteSecurityConfigurationResponse {}

    /// What `DeleteTable` answers.
    DeleteTableResponse {}

    /// What `DeleteTableVersion` answers.
    DeleteTableVersionResponse {}

    /// What `DeleteUserDefinedFunction` answers.
    DeleteUserDefinedFunctionResponse {}

    /// What `GetCatalogImportStatus` answers.
    GetCatalogImportStatusResponse {
        import_status: Option<CatalogImportStatus>,
    }

    /// What `GetCatalog` answers.
    GetCatalogResponse {
        catalog: Option<Catalog>,
    }

    /// What `GetCatalogs` answers.
    GetCatalogsResponse {
        catalog_list: Option<Vec<Catalog>>,
        next_token: Option<String>,
    }

    /// What `GetColumnStatisticsTaskRun` answers.
    GetColumnStatisticsTaskRunResponse {
        column_statistics_task_run: Option<ColumnStatisticsTaskRun>,
    }

    /// What `GetColumnStatisticsTaskRuns` answers.
    GetColumnStatisticsTaskRunsResponse {
        column_statistics_task_runs: Option<Vec<ColumnStatisticsTaskRun>>,
        next_token: Option<String>,
    }

    /// What `GetColumnStatisticsTaskSettings` answers.
    GetColumnStatisticsTaskSettingsResponse {
        column_statistics_task_settings: Option<ColumnStatisticsTaskSettings>,
    }

    /// What `GetConnection` answers.
    GetConnectionResponse {
        connection: Option<catalog::Connection>,
    }

    /// What `GetConnections` answers.
    GetConnectionsResponse {
        connection_list: Option<Vec<catalog::Connection>>,
        next_token: Option<String>,
    }

    /// What `GetDataCatalogEncryptionSettings` answers.
    GetDataCatalogEncryptionSettingsResponse {
        data_catalog_encryption_settings: Option<parts::DataCatalogEncryptionSettings>,
    }

    /// What `GetDatabase` answers.
    GetDatabaseResponse {
        database: Option<Database>,
    }

    /// What `GetDatabases` answers.
    GetDatabasesResponse {
        database_list: Option<Vec<Database>>,
        next_token: Option<String>,
    }

    /// What `GetJobBookmark` answers.
    GetJobBookmarkResponse {
        job_bookmark_entry: Option<jobs::BookmarkEntry>,
    }

    /// What `GetJob` answers.
    GetJobResponse {
        job: Option<jobs::Job>,
    }

    /// What `GetJobRun` answers.
    GetJobRunResponse {
        job_run: Option<jobs::JobRun>,
    }

    /// What `GetJobRuns` answers.
    GetJobRunsResponse {
        job_runs: Option<Vec<jobs::JobRun>>,
        next_token: Option<String>,
    }

    /// What `GetJobs` answers.
    GetJobsResponse {
        jobs: Option<Vec<jobs::Job>>,
        next_token: Option<String>,
    }

    /// What `GetMLTaskRun` answers.
    GetMLTaskRunResponse {
        transform_id: Option<String>,
        task_run_id: Option<String>,
        status: Option<String>,
        log_group_name: Option<String>,
        properties: Option<TaskRunProperties>,
        error_string: Option<String>,
        started_on: Option<catalog::Timestamp>,
        last_modified_on: Option<catalog::Timestamp>,
        completed_on: Option<catalog::Timestamp>,
        execution_time: Option<i32>,
    }

    /// What `GetMLTaskRuns` answers.
    GetMLTaskRunsResponse {
        task_runs: Option<Vec<TaskRun>>,
        next_token: Option<String>,
    }

    /// What `GetMLTransform` answers.
    GetMLTransformResponse {
        transform_id: Option<String>,
        name: Option<String>,
        description: Option<String>,
        status: Option<String>,
        created_on: Option<catalog::Timestamp>,
        last_modified_on: Option<catalog::Timestamp>,
        input_record_tables: Option<Vec<jobs::InputTable>>,
        parameters: Option<jobs::TransformParameters>,
        evaluation_metrics: Option<jobs::EvaluationMetrics>,
        label_count: Option<i32>,
        schema: Option<Vec<jobs::SchemaColumn>>,
        role: Option<String>,
        glue_version: Option<String>,
        max_capacity: Option<f64>,
        worker_type: Option<String>,
        number_of_workers: Option<i32>,
        timeout: Option<i32>,
        max_retries: Option<i32>,
        transform_encryption: Option<Value>,
    }

    /// What `GetMLTransforms` answers.
    GetMLTransformsResponse {
        transforms: Option<Vec<MLTransform>>,
        next_token: Option<String>,
    }

    /// What `GetPartitionIndexes` answers.
    GetPartitionIndexesResponse {
        partition_index_descriptor_list: Option<Vec<catalog::PartitionIndexDescriptor>>,
        next_token: Option<String>,
    }

    /// What `GetPartition` answers.
    GetPartitionResponse {
        partition: Option<Partition>,
    }

    /// What `GetPartitions` answers.
    GetPartitionsResponse {
        partitions: Option<Vec<Partition>>,
        next_token: Option<String>,
    }

    /// What `GetResourcePolicies` answers.
    GetResourcePoliciesResponse {
        get_resource_policies_response_list: Option<Vec<GluePolicy>>,
        next_token: Option<String>,
    }

    /// What `GetResourcePolicy` answers.
    GetResourcePolicyResponse {
        policy_in_json: Option<String>,
        policy_hash: Option<String>,
        create_time: Option<catalog::Timestamp>,
        update_time: Option<catalog::Timestamp>,
    }

    /// What `GetSecurityConfiguration` answers.
    GetSecurityConfigurationResponse {
        security_configuration: Option<catalog::SecurityConfiguration>,
    }

    /// What `GetSecurityConfigurations` answers.
    GetSecurityConfigurationsResponse {
        security_configurations: Option<Vec<catalog::SecurityConfiguration>>,
        next_token: Option<String>,
    }

    /// What `GetTable` answers.
    GetTableResponse {
        table: Option<Table>,
    }

    /// What `GetTableVersion` answers.
    GetTableVersionResponse {
        table_version: Option<TableVersion>,
    }

    /// What `GetTableVersions` answers.
    GetTableVersionsResponse {
        table_versions: Option<Vec<TableVersion>>,
        next_token: Option<String>,
    }

    /// What `GetTables` answers.
    GetTablesResponse {
        table_list: Option<Vec<Table>>,
        next_token: Option<String>,
    }

    /// What `GetTags` answers.
    GetTagsResponse {
        tags: Option<BTreeMap<String, String>>,
    }

    /// What `GetUnfilteredPartitionMetadata` answers.
    GetUnfilteredPartitionMetadataResponse {
        partition: Option<Partition>,
        authorized_columns: Option<Vec<String>>,
        is_registered_with_lake_formation: Option<bool>,
    }

    /// What `GetUnfilteredPartitionsMetadata` answers.
    GetUnfilteredPartitionsMetadataResponse {
        unfiltered_partitions: Option<Vec<UnfilteredPartition>>,
        next_token: Option<String>,
    }

    /// What `GetUnfilteredTableMetadata` answers.
    GetUnfilteredTableMetadataResponse {
        table: Option<Table>,
        authorized_columns: Option<Vec<String>>,
        is_registered_with_lake_formation: Option<bool>,
        cell_filters: Option<Vec<ColumnRowFilter>>,
        query_authorization_id: Option<String>,
        is_multi_dialect_view: Option<bool>,
        is_materialized_view: Option<bool>,
        resource_arn: Option<String>,
        is_protected: Option<bool>,
        permissions: Option<Vec<String>>,
        row_filter: Option<String>,
    }

    /// What `GetUserDefinedFunction` answers.
    GetUserDefinedFunctionResponse {
        user_defined_function: Option<UserDefinedFunction>,
    }

    /// What `GetUserDefinedFunctions` answers.
    GetUserDefinedFunctionsResponse {
        user_defined_functions: Option<Vec<UserDefinedFunction>>,
        next_token: Option<String>,
    }

    /// What `ListColumnStatisticsTaskRuns` answers.
    ListColumnStatisticsTaskRunsResponse {
        column_statistics_task_run_ids: Option<Vec<String>>,
        next_token: Option<String>,
    }

    /// What `ListJobs` answers.
    ListJobsResponse {
        job_names: Option<Vec<String>>,
        next_token: Option<String>,
    }

    /// What `ListMLTransforms` answers.
    ListMLTransformsResponse {
        transform_ids: Option<Vec<String>>,
        next_token: Option<String>,
    }

    /// What `PutDataCatalogEncryptionSettings` answers.
    PutDataCatalogEncryptionSettingsResponse {}

    /// What `PutResourcePolicy` answers.
    PutResourcePolicyResponse {
        policy_hash: Option<String>,
    }

    /// What `ResetJobBookmark` answers.
    ResetJobBookmarkResponse {
        job_bookmark_entry: Option<jobs::BookmarkEntry>,
    }

    /// What `SearchTables` answers.
    SearchTablesResponse {
        next_token: Option<String>,
        table_list: Option<Vec<Table>>,
    }

    /// What `StartColumnStatisticsTaskRun` answers.
    StartColumnStatisticsTaskRunResponse {
        column_statistics_task_run_id: Option<String>,
    }

    /// What `StartColumnStatisticsTaskRunSchedule` answers.
    StartColumnStatisticsTaskRunScheduleResponse {}

    /// What `StartExportLabelsTaskRun` answers.
    StartExportLabelsTaskRunResponse {
        task_run_id: Option<String>,
    }

    /// What `StartImportLabelsTaskRun` answers.
    StartImportLabelsTaskRunResponse {
        task_run_id: Option<String>,
    }

    /// What `StartJobRun` answers.
    StartJobRunResponse {
        job_run_id: Option<String>,
    }

    /// What `StartMLEvaluationTaskRun` answers.
    StartMLEvaluationTaskRunResponse {
        task_run_id: Option<String>,
    }

    /// What `StartMLLabelingSetGenerationTaskRun` answers.
    StartMLLabelingSetGenerationTaskRunResponse {
        task_run_id: Option<String>,
    }

    /// What `StopColumnStatisticsTaskRun` answers.
    StopColumnStatisticsTaskRunResponse {}

    /// What `StopColumnStatisticsTaskRunSchedule` answers.
    StopColumnStatisticsTaskRunScheduleResponse {}

    /// What `TagResource` answers.
    TagResourceResponse {}

    /// What `TestConnection` answers.
    TestConnectionResponse {}

    /// What `UntagResource` answers.
    UntagResourceResponse {}

    /// What `UpdateCatalog` answers.
    UpdateCatalogResponse {}

    /// What `UpdateColumnStatisticsTaskSettings` answers.
    UpdateColumnStatisticsTaskSettingsResponse {}

    /// What `UpdateConnection` answers.
    UpdateConnectionResponse {}

    /// What `UpdateDatabase` answers.
    UpdateDatabaseResponse {}

    /// What `UpdateJob` answers.
    UpdateJobResponse {
        job_name: Option<String>,
    }

    /// What `UpdateMLTransform` answers.
    UpdateMLTransformResponse {
        transform_id: Option<String>,
    }

    /// What `UpdatePartition` answers.
    UpdatePartitionResponse {}

    /// What `UpdateTable` answers.
    UpdateTableResponse {}

    /// What `UpdateUserDefinedFunction` answers.
    UpdateUserDefinedFunctionResponse {}
}

partial_answers! {
    /// What `BatchCreatePartition` answers.
    BatchCreatePartitionResponse {
        errors: Option<Vec<PartitionError>>,
    }

    /// What `BatchDeleteConnection` answers.
    BatchDeleteConnectionResponse {
        succeeded: Option<Vec<String>>,
        errors: Option<BTreeMap<String, ErrorDetail>>,
    }

    /// What `BatchDeletePartition` answers.
    BatchDeletePartitionResponse {
        errors: Option<Vec<PartitionError>>,
    }

    /// What `BatchDeleteTable` answers.
    BatchDeleteTableResponse {
        errors: Option<Vec<TableError>>,
    }

    /// What `BatchDeleteTableVersion` answers.
    BatchDeleteTableVersionResponse {
        errors: Option<Vec<TableVersionError>>,
    }

    /// What `BatchStopJobRun` answers.
    BatchStopJobRunResponse {
        successful_submissions: Option<Vec<BatchStopJobRunSuccessfulSubmission>>,
        errors: Option<Vec<BatchStopJobRunError>>,
    }

    /// What `BatchUpdatePartition` answers.
    BatchUpdatePartitionResponse {
        errors: Option<Vec<BatchUpdatePartitionFailureEntry>>,
    }

    /// What `GetColumnStatisticsForPartition` answers.
    GetColumnStatisticsForPartitionResponse {
        column_statistics_list: Option<Vec<catalog::ColumnStatistics>>,
        errors: Option<Vec<ColumnError>>,
    }

    /// What `GetColumnStatisticsForTable` answers.
    GetColumnStatisticsForTableResponse {
        column_statistics_list: Option<Vec<catalog::ColumnStatistics>>,
        errors: Option<Vec<ColumnError>>,
    }

    /// What `UpdateColumnStatisticsForPartition` answers.
    UpdateColumnStatisticsForPartitionResponse {
        errors: Option<Vec<ColumnStatisticsError>>,
    }

    /// What `UpdateColumnStatisticsForTable` answers.
    UpdateColumnStatisticsForTableResponse {
        errors: Option<Vec<ColumnStatisticsError>>,
    }
}

parts_of_answers! {
    /// Part of `BatchStopJobRunResponse`.
    BatchStopJobRunError {
        job_name: Option<String>,
        job_run_id: Option<String>,
        error_detail: Option<ErrorDetail>,
    }

    /// Part of `BatchStopJobRunResponse`.
    BatchStopJobRunSuccessfulSubmission {
        job_name: Option<String>,
        job_run_id: Option<String>,
    }

    /// Part of `BatchUpdatePartitionResponse`.
    BatchUpdatePartitionFailureEntry {
        partition_value_list: Option<Vec<String>>,
        error_detail: Option<ErrorDetail>,
    }

    /// Part of `GetCatalogResponse` and `GetCatalogsResponse`.
    Catalog {
        catalog_id: Option<String>,
        name: Option<String>,
        resource_arn: Option<String>,
        description: Option<String>,
        parameters: Option<BTreeMap<String, String>>,
        create_time: Option<catalog::Timestamp>,
        update_time: Option<catalog::Timestamp>,
        target_redshift_catalog: Option<parts::TargetRedshiftCatalog>,
        federated_catalog: Option<parts::FederatedCatalog>,
        catalog_properties: Option<Value>,
        create_table_default_permissions: Option<Vec<catalog::PrincipalPermissions>>,
        create_database_default_permissions: Option<Vec<catalog::PrincipalPermissions>>,
        allow_full_table_external_data_access: Option<String>,
    }

    /// Part of `GetCatalogImportStatusResponse`.
    CatalogImportStatus {
        import_completed: Option<bool>,
        import_time: Option<catalog::Timestamp>,
        imported_by: Option<String>,
    }

    /// Part of `GetColumnStatisticsForPartitionResponse` and `GetColumnStatisticsForTableResponse`.
    ColumnError {
        column_name: Option<String>,
        error: Option<ErrorDetail>,
    }

    /// Part of `GetUnfilteredTableMetadataResponse`.
    ColumnRowFilter {
        column_name: Option<String>,
        row_filter_expression: Option<String>,
    }

    /// Part of `UpdateColumnStatisticsForPartitionResponse` and `UpdateColumnStatisticsForTableResponse`.
    ColumnStatisticsError {
        column_statistics: Option<catalog::ColumnStatistics>,
        error: Option<ErrorDetail>,
    }

    /// Part of `GetColumnStatisticsTaskRunResponse` and `GetColumnStatisticsTaskRunsResponse`.
    ColumnStatisticsTaskRun {
        customer_id: Option<String>,
        column_statistics_task_run_id: Option<String>,
        database_name: Option<String>,
        table_name: Option<String>,
        column_name_list: Option<Vec<String>>,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
        role: Option<String>,
        sample_size: Option<f64>,
        security_configuration: Option<String>,
        number_of_workers: Option<i32>,
        worker_type: Option<String>,
        computation_type: Option<String>,
        status: Option<String>,
        creation_time: Option<catalog::Timestamp>,
        last_updated: Option<catalog::Timestamp>,
        start_time: Option<catalog::Timestamp>,
        end_time: Option<catalog::Timestamp>,
        error_message: Option<String>,
        #[serde(rename = "DPUSeconds")]
        dpu_seconds: Option<f64>,
    }

    /// Part of `GetColumnStatisticsTaskSettingsResponse`.
    ColumnStatisticsTaskSettings {
        database_name: Option<String>,
        table_name: Option<String>,
        schedule: Option<Schedule>,
        column_name_list: Option<Vec<String>>,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
        role: Option<String>,
        sample_size: Option<f64>,
        security_configuration: Option<String>,
        schedule_type: Option<String>,
        setting_source: Option<String>,
        last_execution_attempt: Option<ExecutionAttempt>,
    }

    /// Part of `GetDatabaseResponse` and `GetDatabasesResponse`.
    Database {
        name: Option<String>,
        description: Option<String>,
        location_uri: Option<String>,
        parameters: Option<BTreeMap<String, String>>,
        create_time: Option<catalog::Timestamp>,
        create_table_default_permissions: Option<Vec<catalog::PrincipalPermissions>>,
        target_database: Option<catalog::DatabaseIdentifier>,
        catalog_id: Option<String>,
        federated_database: Option<catalog::FederatedDatabase>,
    }

    /// Part of `BatchDeleteConnectionResponse`, `BatchStopJobRunError` and others.
    ErrorDetail {
        error_code: Option<String>,
        error_message: Option<String>,
    }

    /// Part of `ColumnStatisticsTaskSettings`.
    ExecutionAttempt {
        status: Option<String>,
        column_statistics_task_run_id: Option<String>,
        execution_timestamp: Option<catalog::Timestamp>,
        error_message: Option<String>,
    }

    /// Part of `TaskRunProperties`.
    ExportLabelsTaskRunProperties {
        output_s3_path: Option<String>,
    }

    /// Part of `TaskRunProperties`.
    FindMatchesTaskRunProperties {
        job_id: Option<String>,
        job_name: Option<String>,
        job_run_id: Option<String>,
    }

    /// Part of `GetResourcePoliciesResponse`.
    GluePolicy {
        policy_in_json: Option<String>,
        policy_hash: Option<String>,
        create_time: Option<catalog::Timestamp>,
        update_time: Option<catalog::Timestamp>,
    }

    /// Part of `Table`.
    IcebergTableMetadata {
        format_version: Option<String>,
        table_uuid: Option<String>,
        location: Option<String>,
        properties: Option<BTreeMap<String, String>>,
        schemas: Option<Vec<parts::IcebergSchema>>,
        current_schema_id: Option<i32>,
        last_column_id: Option<i32>,
        partition_specs: Option<Vec<parts::IcebergPartitionSpec>>,
        default_spec_id: Option<i32>,
        last_partition_id: Option<i32>,
        sort_orders: Option<Vec<parts::IcebergSortOrder>>,
        default_sort_order_id: Option<i32>,
    }

    /// Part of `TaskRunProperties`.
    ImportLabelsTaskRunProperties {
        input_s3_path: Option<String>,
        replace: Option<bool>,
    }

    /// Part of `TaskRunProperties`.
    LabelingSetGenerationTaskRunProperties {
        output_s3_path: Option<String>,
    }

    /// Part of `GetMLTransformsResponse`.
    MLTransform {
        transform_id: Option<String>,
        name: Option<String>,
        description: Option<String>,
        status: Option<String>,
        created_on: Option<catalog::Timestamp>,
        last_modified_on: Option<catalog::Timestamp>,
        input_record_tables: Option<Vec<jobs::InputTable>>,
        parameters: Option<jobs::TransformParameters>,
        evaluation_metrics: Option<jobs::EvaluationMetrics>,
        label_count: Option<i32>,
        schema: Option<Vec<jobs::SchemaColumn>>,
        role: Option<String>,
        glue_version: Option<String>,
        max_capacity: Option<f64>,
        worker_type: Option<String>,
        number_of_workers: Option<i32>,
        timeout: Option<i32>,
        max_retries: Option<i32>,
        transform_encryption: Option<Value>,
    }

    /// Part of `BatchGetPartitionResponse`, `GetPartitionResponse` and others.
    Partition {
        values: Option<Vec<String>>,
        database_name: Option<String>,
        table_name: Option<String>,
        creation_time: Option<catalog::Timestamp>,
        last_access_time: Option<catalog::Timestamp>,
        storage_descriptor: Option<StorageDescriptor>,
        parameters: Option<BTreeMap<String, String>>,
        last_analyzed_time: Option<catalog::Timestamp>,
        catalog_id: Option<String>,
    }

    /// Part of `BatchCreatePartitionResponse` and `BatchDeletePartitionResponse`.
    PartitionError {
        partition_values: Option<Vec<String>>,
        error_detail: Option<ErrorDetail>,
    }

    /// Part of `Table`.
    RLSProperties {
        #[serde(rename = "DefaultRLSPolicy")]
        default_rls_policy: Option<String>,
    }

    /// Part of `ColumnStatisticsTaskSettings`.
    Schedule {
        schedule_expression: Option<String>,
        state: Option<String>,
    }

    /// Part of `TableStatus`.
    StatusDetails {
        requested_change: Option<Box<Table>>,
        view_validations: Option<Vec<ViewValidation>>,
    }

    /// Part of `Partition` and `Table`.
    StorageDescriptor {
        columns: Option<Vec<catalog::Column>>,
        location: Option<String>,
        additional_locations: Option<Vec<String>>,
        input_format: Option<String>,
        output_format: Option<String>,
        compressed: Option<bool>,
        number_of_buckets: Option<i32>,
        serde_info: Option<catalog::SerDeInfo>,
        bucket_columns: Option<Vec<String>>,
        sort_columns: Option<Vec<catalog::Order>>,
        parameters: Option<BTreeMap<String, String>>,
        skewed_info: Option<catalog::SkewedInfo>,
        stored_as_sub_directories: Option<bool>,
        schema_reference: Option<catalog::SchemaReference>,
    }

    /// Part of `GetTableResponse`, `GetTablesResponse` and others.
    Table {
        name: Option<String>,
        database_name: Option<String>,
        description: Option<String>,
        owner: Option<String>,
        create_time: Option<catalog::Timestamp>,
        update_time: Option<catalog::Timestamp>,
        last_access_time: Option<catalog::Timestamp>,
        last_analyzed_time: Option<catalog::Timestamp>,
        retention: Option<i32>,
        storage_descriptor: Option<StorageDescriptor>,
        partition_keys: Option<Vec<catalog::Column>>,
        view_original_text: Option<String>,
        view_expanded_text: Option<String>,
        table_type: Option<String>,
        parameters: Option<BTreeMap<String, String>>,
        created_by: Option<String>,
        is_registered_with_lake_formation: Option<bool>,
        target_table: Option<catalog::TableIdentifier>,
        catalog_id: Option<String>,
        version_id: Option<String>,
        federated_table: Option<catalog::FederatedTable>,
        view_definition: Option<Value>,
        is_multi_dialect_view: Option<bool>,
        is_materialized_view: Option<bool>,
        iceberg_table_metadata: Option<IcebergTableMetadata>,
        status: Option<Box<TableStatus>>,
        #[serde(rename = "RLSProperties")]
        rls_properties: Option<RLSProperties>,
    }

    /// Part of `BatchDeleteTableResponse`.
    TableError {
        table_name: Option<String>,
        error_detail: Option<ErrorDetail>,
    }

    /// Part of `Table`.
    TableStatus {
        requested_by: Option<String>,
        updated_by: Option<String>,
        request_time: Option<catalog::Timestamp>,
        update_time: Option<catalog::Timestamp>,
        action: Option<String>,
        state: Option<String>,
        error: Option<ErrorDetail>,
        details: Option<Box<StatusDetails>>,
    }

    /// Part of `GetTableVersionResponse` and `GetTableVersionsResponse`.
    TableVersion {
        table: Option<Table>,
        version_id: Option<String>,
    }

    /// Part of `BatchDeleteTableVersionResponse`.
    TableVersionError {
        table_name: Option<String>,
        version_id: Option<String>,
        error_detail: Option<ErrorDetail>,
    }

    /// Part of `GetMLTaskRunsResponse`.
    TaskRun {
        transform_id: Option<String>,
        task_run_id: Option<String>,
        status: Option<String>,
        log_group_name: Option<String>,
        properties: Option<TaskRunProperties>,
        error_string: Option<String>,
        started_on: Option<catalog::Timestamp>,
        last_modified_on: Option<catalog::Timestamp>,
        completed_on: Option<catalog::Timestamp>,
        execution_time: Option<i32>,
    }

    /// Part of `GetMLTaskRunResponse` and `TaskRun`.
    TaskRunProperties {
        task_type: Option<String>,
        import_labels_task_run_properties: Option<ImportLabelsTaskRunProperties>,
        export_labels_task_run_properties: Option<ExportLabelsTaskRunProperties>,
        labeling_set_generation_task_run_properties: Option<LabelingSetGenerationTaskRunProperties>,
        find_matches_task_run_properties: Option<FindMatchesTaskRunProperties>,
    }

    /// Part of `GetUnfilteredPartitionsMetadataResponse`.
    UnfilteredPartition {
        partition: Option<Partition>,
        authorized_columns: Option<Vec<String>>,
        is_registered_with_lake_formation: Option<bool>,
    }

    /// Part of `GetUserDefinedFunctionResponse` and `GetUserDefinedFunctionsResponse`.
    UserDefinedFunction {
        function_name: Option<String>,
        database_name: Option<String>,
        class_name: Option<String>,
        owner_name: Option<String>,
        function_type: Option<String>,
        owner_type: Option<String>,
        create_time: Option<catalog::Timestamp>,
        resource_uris: Option<Vec<catalog::ResourceUri>>,
        artifact_location: Option<String>,
        governance_mode: Option<String>,
        catalog_id: Option<String>,
    }

    /// Part of `StatusDetails`.
    ViewValidation {
        dialect: Option<String>,
        dialect_version: Option<String>,
        view_validation_text: Option<String>,
        update_time: Option<catalog::Timestamp>,
        state: Option<String>,
        error: Option<ErrorDetail>,
    }
}
