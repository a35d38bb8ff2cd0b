//! What the supported operations are asked.
//!
//! Made of the service model, not by hand; to make it again:
//! `cargo run --release -p tenon-server --example glue_model`

use std::collections::BTreeMap;

use serde_json::Value;
use tenon_catalog as catalog;
use tenon_jobs as jobs;

use super::parts;

requests! {
    /// Part of `BatchGetPartitionRequest`, `GetPartitionRequest` and others.
    AuditContext {
        additional_audit_context: Option<String>,
        requested_columns: Option<Vec<String>>,
        all_columns_requested: Option<bool>,
    }

    /// What `BatchCreatePartition` is asked.
    BatchCreatePartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_input_list: Vec<catalog::PartitionInput>,
    }

    /// What `BatchDeleteConnection` is asked.
    BatchDeleteConnectionRequest {
        catalog_id: Option<String>,
        connection_name_list: Vec<String>,
    }

    /// What `BatchDeletePartition` is asked.
    BatchDeletePartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partitions_to_delete: Vec<catalog::PartitionValueList>,
    }

    /// What `BatchDeleteTable` is asked.
    BatchDeleteTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        tables_to_delete: Vec<String>,
        transaction_id: Option<String>,
    }

    /// What `BatchDeleteTableVersion` is asked.
    BatchDeleteTableVersionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        version_ids: Vec<String>,
    }

    /// What `BatchGetJobs` is asked.
    BatchGetJobsRequest {
        job_names: Vec<String>,
    }

    /// What `BatchGetPartition` is asked.
    BatchGetPartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partitions_to_get: Vec<catalog::PartitionValueList>,
        audit_context: Option<AuditContext>,
        query_session_context: Option<QuerySessionContext>,
    }

    /// What `BatchStopJobRun` is asked.
    BatchStopJobRunRequest {
        job_name: String,
        job_run_ids: Vec<String>,
    }

    /// What `BatchUpdatePartition` is asked.
    BatchUpdatePartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        entries: Vec<BatchUpdatePartitionRequestEntry>,
    }

    /// Part of `BatchUpdatePartitionRequest`.
    BatchUpdatePartitionRequestEntry {
        partition_value_list: Vec<String>,
        partition_input: catalog::PartitionInput,
    }

    /// What `CancelMLTaskRun` is asked.
    CancelMLTaskRunRequest {
        transform_id: String,
        task_run_id: String,
    }

    /// Part of `CreateCatalogRequest` and `UpdateCatalogRequest`.
    CatalogInput {
        description: Option<String>,
        federated_catalog: Option<parts::FederatedCatalog>,
        parameters: Option<BTreeMap<String, String>>,
        target_redshift_catalog: Option<parts::TargetRedshiftCatalog>,
        catalog_properties: Option<Value>,
        create_table_default_permissions: Option<Vec<catalog::PrincipalPermissions>>,
        create_database_default_permissions: Option<Vec<catalog::PrincipalPermissions>>,
        allow_full_table_external_data_access: Option<String>,
        overwrite_child_resource_permissions_with_default: Option<String>,
    }

    /// Part of `EncryptionConfiguration`.
    CloudWatchEncryption {
        cloud_watch_encryption_mode: Option<String>,
        kms_key_arn: Option<String>,
    }

    /// What `CreateCatalog` is asked.
    CreateCatalogRequest {
        name: String,
        catalog_input: CatalogInput,
        tags: Option<BTreeMap<String, String>>,
    }

    /// What `CreateColumnStatisticsTaskSettings` is asked.
    CreateColumnStatisticsTaskSettingsRequest {
        database_name: String,
        table_name: String,
        role: String,
        schedule: Option<String>,
        column_name_list: Option<Vec<String>>,
        sample_size: Option<f64>,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
        security_configuration: Option<String>,
        tags: Option<BTreeMap<String, String>>,
    }

    /// What `CreateConnection` is asked.
    CreateConnectionRequest {
        catalog_id: Option<String>,
        connection_input: catalog::ConnectionInput,
        tags: Option<BTreeMap<String, String>>,
    }

    /// What `CreateDatabase` is asked.
    CreateDatabaseRequest {
        catalog_id: Option<String>,
        database_input: catalog::DatabaseInput,
        tags: Option<BTreeMap<String, String>>,
    }

    /// Part of `IcebergInput`.
    CreateIcebergTableInput {
        location: String,
        schema: parts::IcebergSchema,
        partition_spec: Option<parts::IcebergPartitionSpec>,
        write_order: Option<parts::IcebergSortOrder>,
        properties: Option<BTreeMap<String, String>>,
    }

    /// What `CreateJob` is asked.
    CreateJobRequest {
        name: String,
        job_mode: Option<String>,
        job_run_queuing_enabled: Option<bool>,
        description: Option<String>,
        log_uri: Option<String>,
        role: String,
        execution_property: Option<jobs::ExecutionProperty>,
        command: jobs::JobCommand,
        default_arguments: Option<BTreeMap<String, String>>,
        non_overridable_arguments: Option<BTreeMap<String, String>>,
        connections: Option<Value>,
        max_retries: Option<i32>,
        allocated_capacity: Option<i32>,
        timeout: Option<i32>,
        max_capacity: Option<f64>,
        security_configuration: Option<String>,
        tags: Option<BTreeMap<String, String>>,
        notification_property: Option<Value>,
        glue_version: Option<String>,
        number_of_workers: Option<i32>,
        worker_type: Option<String>,
        code_gen_configuration_nodes: Option<BTreeMap<String, Value>>,
        execution_class: Option<String>,
        source_control_details: Option<Value>,
        maintenance_window: Option<String>,
    }

    /// What `CreateMLTransform` is asked.
    CreateMLTransformRequest {
        name: String,
        description: Option<String>,
        input_record_tables: Vec<jobs::InputTable>,
        parameters: jobs::TransformParameters,
        role: String,
        glue_version: Option<String>,
        max_capacity: Option<f64>,
        worker_type: Option<String>,
        number_of_workers: Option<i32>,
        timeout: Option<i32>,
        max_retries: Option<i32>,
        tags: Option<BTreeMap<String, String>>,
        transform_encryption: Option<Value>,
    }

    /// What `CreatePartitionIndex` is asked.
    CreatePartitionIndexRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_index: catalog::PartitionIndex,
    }

    /// What `CreatePartition` is asked.
    CreatePartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_input: catalog::PartitionInput,
    }

    /// What `CreateSecurityConfiguration` is asked.
    CreateSecurityConfigurationRequest {
        name: String,
        encryption_configuration: EncryptionConfiguration,
    }

    /// What `CreateTable` is asked.
    CreateTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        name: Option<String>,
        table_input: Option<catalog::TableInput>,
        partition_indexes: Option<Vec<catalog::PartitionIndex>>,
        transaction_id: Option<String>,
        open_table_format_input: Option<OpenTableFormatInput>,
    }

    /// What `CreateUserDefinedFunction` is asked.
    CreateUserDefinedFunctionRequest {
        catalog_id: Option<String>,
        database_name: String,
        function_input: catalog::UserDefinedFunctionInput,
    }

    /// Part of `EncryptionConfiguration`.
    DataQualityEncryption {
        data_quality_encryption_mode: Option<String>,
        kms_key_arn: Option<String>,
    }

    /// What `DeleteCatalog` is asked.
    DeleteCatalogRequest {
        catalog_id: String,
    }

    /// What `DeleteColumnStatisticsForPartition` is asked.
    DeleteColumnStatisticsForPartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_values: Vec<String>,
        column_name: String,
    }

    /// What `DeleteColumnStatisticsForTable` is asked.
    DeleteColumnStatisticsForTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        column_name: String,
    }

    /// What `DeleteColumnStatisticsTaskSettings` is asked.
    DeleteColumnStatisticsTaskSettingsRequest {
        database_name: String,
        table_name: String,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
    }

    /// What `DeleteConnection` is asked.
    DeleteConnectionRequest {
        catalog_id: Option<String>,
        connection_name: String,
    }

    /// What `DeleteDatabase` is asked.
    DeleteDatabaseRequest {
        catalog_id: Option<String>,
        name: String,
    }

    /// What `DeleteJob` is asked.
    DeleteJobRequest {
        job_name: String,
    }

    /// What `DeleteMLTransform` is asked.
    DeleteMLTransformRequest {
        transform_id: String,
    }

    /// What `DeletePartitionIndex` is asked.
    DeletePartitionIndexRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        index_name: String,
    }

    /// What `DeletePartition` is asked.
    DeletePartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_values: Vec<String>,
    }

    /// What `DeleteResourcePolicy` is asked.
    DeleteResourcePolicyRequest {
        policy_hash_condition: Option<String>,
        resource_arn: Option<String>,
    }

    /// What `DeleteSecurityConfiguration` is asked.
    DeleteSecurityConfigurationRequest {
        name: String,
    }

    /// What `DeleteTable` is asked.
    DeleteTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        name: String,
        transaction_id: Option<String>,
    }

    /// What `DeleteTableVersion` is asked.
    DeleteTableVersionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        version_id: String,
    }

    /// What `DeleteUserDefinedFunction` is asked.
    DeleteUserDefinedFunctionRequest {
        catalog_id: Option<String>,
        database_name: String,
        function_name: String,
    }

    /// Part of `CreateSecurityConfigurationRequest`.
    EncryptionConfiguration {
        s3_encryption: Option<Vec<S3Encryption>>,
        cloud_watch_encryption: Option<CloudWatchEncryption>,
        job_bookmarks_encryption: Option<JobBookmarksEncryption>,
        data_quality_encryption: Option<DataQualityEncryption>,
    }

    /// What `GetCatalogImportStatus` is asked.
    GetCatalogImportStatusRequest {
        catalog_id: Option<String>,
    }

    /// What `GetCatalog` is asked.
    GetCatalogRequest {
        catalog_id: String,
    }

    /// What `GetCatalogs` is asked.
    GetCatalogsRequest {
        parent_catalog_id: Option<String>,
        next_token: Option<String>,
        max_results: Option<i32>,
        recursive: Option<bool>,
        include_root: Option<bool>,
        has_databases: Option<bool>,
    }

    /// What `GetColumnStatisticsForPartition` is asked.
    GetColumnStatisticsForPartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_values: Vec<String>,
        column_names: Vec<String>,
    }

    /// What `GetColumnStatisticsForTable` is asked.
    GetColumnStatisticsForTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        column_names: Vec<String>,
    }

    /// What `GetColumnStatisticsTaskRun` is asked.
    GetColumnStatisticsTaskRunRequest {
        column_statistics_task_run_id: String,
    }

    /// What `GetColumnStatisticsTaskRuns` is asked.
    GetColumnStatisticsTaskRunsRequest {
        database_name: String,
        table_name: String,
        max_results: Option<i32>,
        next_token: Option<String>,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
    }

    /// What `GetColumnStatisticsTaskSettings` is asked.
    GetColumnStatisticsTaskSettingsRequest {
        database_name: String,
        table_name: String,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
    }

    /// What `GetConnection` is asked.
    GetConnectionRequest {
        catalog_id: Option<String>,
        name: String,
        hide_password: Option<bool>,
        apply_override_for_compute_environment: Option<String>,
    }

    /// Part of `GetConnectionsRequest`.
    GetConnectionsFilter {
        match_criteria: Option<Vec<String>>,
        connection_type: Option<String>,
        connection_schema_version: Option<i32>,
    }

    /// What `GetConnections` is asked.
    GetConnectionsRequest {
        catalog_id: Option<String>,
        filter: Option<GetConnectionsFilter>,
        hide_password: Option<bool>,
        next_token: Option<String>,
        max_results: Option<i32>,
    }

    /// What `GetDataCatalogEncryptionSettings` is asked.
    GetDataCatalogEncryptionSettingsRequest {
        catalog_id: Option<String>,
    }

    /// What `GetDatabase` is asked.
    GetDatabaseRequest {
        catalog_id: Option<String>,
        name: String,
    }

    /// What `GetDatabases` is asked.
    GetDatabasesRequest {
        catalog_id: Option<String>,
        next_token: Option<String>,
        max_results: Option<i32>,
        resource_share_type: Option<String>,
        attributes_to_get: Option<Vec<String>>,
    }

    /// What `GetJobBookmark` is asked.
    GetJobBookmarkRequest {
        job_name: String,
        run_id: Option<String>,
    }

    /// What `GetJob` is asked.
    GetJobRequest {
        job_name: String,
    }

    /// What `GetJobRun` is asked.
    GetJobRunRequest {
        job_name: String,
        run_id: String,
        predecessors_included: Option<bool>,
    }

    /// What `GetJobRuns` is asked.
    GetJobRunsRequest {
        job_name: String,
        next_token: Option<String>,
        max_results: Option<i32>,
    }

    /// What `GetJobs` is asked.
    GetJobsRequest {
        next_token: Option<String>,
        max_results: Option<i32>,
    }

    /// What `GetMLTaskRun` is asked.
    GetMLTaskRunRequest {
        transform_id: String,
        task_run_id: String,
    }

    /// What `GetMLTaskRuns` is asked.
    GetMLTaskRunsRequest {
        transform_id: String,
        next_token: Option<String>,
        max_results: Option<i32>,
        filter: Option<TaskRunFilterCriteria>,
        sort: Option<TaskRunSortCriteria>,
    }

    /// What `GetMLTransform` is asked.
    GetMLTransformRequest {
        transform_id: String,
    }

    /// What `GetMLTransforms` is asked.
    GetMLTransformsRequest {
        next_token: Option<String>,
        max_results: Option<i32>,
        filter: Option<TransformFilterCriteria>,
        sort: Option<TransformSortCriteria>,
    }

    /// What `GetPartitionIndexes` is asked.
    GetPartitionIndexesRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        next_token: Option<String>,
    }

    /// What `GetPartition` is asked.
    GetPartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_values: Vec<String>,
        audit_context: Option<AuditContext>,
    }

    /// What `GetPartitions` is asked.
    GetPartitionsRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        expression: Option<String>,
        next_token: Option<String>,
        segment: Option<Segment>,
        max_results: Option<i32>,
        exclude_column_schema: Option<bool>,
        transaction_id: Option<String>,
        query_as_of_time: Option<catalog::Timestamp>,
        audit_context: Option<AuditContext>,
    }

    /// What `GetResourcePolicies` is asked.
    GetResourcePoliciesRequest {
        next_token: Option<String>,
        max_results: Option<i32>,
    }

    /// What `GetResourcePolicy` is asked.
    GetResourcePolicyRequest {
        resource_arn: Option<String>,
    }

    /// What `GetSecurityConfiguration` is asked.
    GetSecurityConfigurationRequest {
        name: String,
    }

    /// What `GetSecurityConfigurations` is asked.
    GetSecurityConfigurationsRequest {
        max_results: Option<i32>,
        next_token: Option<String>,
    }

    /// What `GetTable` is asked.
    GetTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        name: String,
        transaction_id: Option<String>,
        query_as_of_time: Option<catalog::Timestamp>,
        audit_context: Option<AuditContext>,
        include_status_details: Option<bool>,
        attributes_to_get: Option<Vec<String>>,
    }

    /// What `GetTableVersion` is asked.
    GetTableVersionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        version_id: Option<String>,
        audit_context: Option<AuditContext>,
    }

    /// What `GetTableVersions` is asked.
    GetTableVersionsRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        next_token: Option<String>,
        max_results: Option<i32>,
        audit_context: Option<AuditContext>,
    }

    /// What `GetTables` is asked.
    GetTablesRequest {
        catalog_id: Option<String>,
        database_name: String,
        expression: Option<String>,
        next_token: Option<String>,
        max_results: Option<i32>,
        transaction_id: Option<String>,
        query_as_of_time: Option<catalog::Timestamp>,
        audit_context: Option<AuditContext>,
        resource_share_type: Option<String>,
        include_status_details: Option<bool>,
        attributes_to_get: Option<Vec<String>>,
    }

    /// What `GetTags` is asked.
    GetTagsRequest {
        resource_arn: String,
    }

    /// What `GetUnfilteredPartitionMetadata` is asked.
    GetUnfilteredPartitionMetadataRequest {
        region: Option<String>,
        catalog_id: String,
        database_name: String,
        table_name: String,
        partition_values: Vec<String>,
        audit_context: Option<AuditContext>,
        supported_permission_types: Vec<String>,
        query_session_context: Option<QuerySessionContext>,
    }

    /// What `GetUnfilteredPartitionsMetadata` is asked.
    GetUnfilteredPartitionsMetadataRequest {
        region: Option<String>,
        catalog_id: String,
        database_name: String,
        table_name: String,
        expression: Option<String>,
        audit_context: Option<AuditContext>,
        supported_permission_types: Vec<String>,
        next_token: Option<String>,
        segment: Option<Segment>,
        max_results: Option<i32>,
        query_session_context: Option<QuerySessionContext>,
    }

    /// What `GetUnfilteredTableMetadata` is asked.
    GetUnfilteredTableMetadataRequest {
        region: Option<String>,
        catalog_id: String,
        database_name: String,
        name: String,
        audit_context: Option<AuditContext>,
        supported_permission_types: Vec<String>,
        parent_resource_arn: Option<String>,
        root_resource_arn: Option<String>,
        supported_dialect: Option<SupportedDialect>,
        permissions: Option<Vec<String>>,
        query_session_context: Option<QuerySessionContext>,
    }

    /// What `GetUserDefinedFunction` is asked.
    GetUserDefinedFunctionRequest {
        catalog_id: Option<String>,
        database_name: String,
        function_name: String,
    }

    /// What `GetUserDefinedFunctions` is asked.
    GetUserDefinedFunctionsRequest {
        catalog_id: Option<String>,
        database_name: Option<String>,
        pattern: String,
        function_type: Option<String>,
        next_token: Option<String>,
        max_results: Option<i32>,
    }

    /// Part of `IcebergTableUpdate`.
    IcebergEncryptedKey {
        key_id: String,
        encrypted_key_metadata: String,
        encrypted_by_id: Option<String>,
        properties: Option<BTreeMap<String, String>>,
    }

    /// Part of `OpenTableFormatInput`.
    IcebergInput {
        metadata_operation: String,
        version: Option<String>,
        create_iceberg_table_input: Option<CreateIcebergTableInput>,
    }

    /// Part of `UpdateIcebergTableInput`.
    IcebergTableUpdate {
        schema: parts::IcebergSchema,
        partition_spec: Option<parts::IcebergPartitionSpec>,
        sort_order: Option<parts::IcebergSortOrder>,
        location: String,
        properties: Option<BTreeMap<String, String>>,
        action: Option<String>,
        encryption_key: Option<IcebergEncryptedKey>,
        key_id: Option<String>,
    }

    /// Part of `EncryptionConfiguration`.
    JobBookmarksEncryption {
        job_bookmarks_encryption_mode: Option<String>,
        kms_key_arn: Option<String>,
    }

    /// What `ListColumnStatisticsTaskRuns` is asked.
    ListColumnStatisticsTaskRunsRequest {
        max_results: Option<i32>,
        next_token: Option<String>,
    }

    /// What `ListJobs` is asked.
    ListJobsRequest {
        next_token: Option<String>,
        max_results: Option<i32>,
        tags: Option<BTreeMap<String, String>>,
    }

    /// What `ListMLTransforms` is asked.
    ListMLTransformsRequest {
        next_token: Option<String>,
        max_results: Option<i32>,
        filter: Option<TransformFilterCriteria>,
        sort: Option<TransformSortCriteria>,
        tags: Option<BTreeMap<String, String>>,
    }

    /// Part of `CreateTableRequest`.
    OpenTableFormatInput {
        iceberg_input: Option<IcebergInput>,
    }

    /// Part of `SearchTablesRequest`.
    PropertyPredicate {
        key: Option<String>,
        value: Option<String>,
        comparator: Option<String>,
    }

    /// What `PutDataCatalogEncryptionSettings` is asked.
    PutDataCatalogEncryptionSettingsRequest {
        catalog_id: Option<String>,
        data_catalog_encryption_settings: parts::DataCatalogEncryptionSettings,
    }

    /// What `PutResourcePolicy` is asked.
    PutResourcePolicyRequest {
        policy_in_json: String,
        resource_arn: Option<String>,
        policy_hash_condition: Option<String>,
        policy_exists_condition: Option<String>,
        enable_hybrid: Option<String>,
    }

    /// Part of `BatchGetPartitionRequest`, `GetUnfilteredPartitionMetadataRequest` and others.
    QuerySessionContext {
        query_id: Option<String>,
        query_start_time: Option<catalog::Timestamp>,
        cluster_id: Option<String>,
        query_authorization_id: Option<String>,
        additional_context: Option<BTreeMap<String, String>>,
    }

    /// What `ResetJobBookmark` is asked.
    ResetJobBookmarkRequest {
        job_name: String,
        run_id: Option<String>,
    }

    /// Part of `EncryptionConfiguration`.
    S3Encryption {
        s3_encryption_mode: Option<String>,
        kms_key_arn: Option<String>,
    }

    /// What `SearchTables` is asked.
    SearchTablesRequest {
        catalog_id: Option<String>,
        next_token: Option<String>,
        filters: Option<Vec<PropertyPredicate>>,
        search_text: Option<String>,
        sort_criteria: Option<Vec<SortCriterion>>,
        max_results: Option<i32>,
        resource_share_type: Option<String>,
        include_status_details: Option<bool>,
    }

    /// Part of `GetPartitionsRequest` and `GetUnfilteredPartitionsMetadataRequest`.
    Segment {
        segment_number: i32,
        total_segments: i32,
    }

    /// Part of `SearchTablesRequest`.
    SortCriterion {
        field_name: Option<String>,
        sort: Option<String>,
    }

    /// What `StartColumnStatisticsTaskRun` is asked.
    StartColumnStatisticsTaskRunRequest {
        database_name: String,
        table_name: String,
        column_name_list: Option<Vec<String>>,
        role: String,
        sample_size: Option<f64>,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
        security_configuration: Option<String>,
    }

    /// What `StartColumnStatisticsTaskRunSchedule` is asked.
    StartColumnStatisticsTaskRunScheduleRequest {
        database_name: String,
        table_name: String,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
    }

    /// What `StartExportLabelsTaskRun` is asked.
    StartExportLabelsTaskRunRequest {
        transform_id: String,
        output_s3_path: String,
    }

    /// What `StartImportLabelsTaskRun` is asked.
    StartImportLabelsTaskRunRequest {
        transform_id: String,
        input_s3_path: String,
        replace_all_labels: Option<bool>,
    }

    /// What `StartJobRun` is asked.
    StartJobRunRequest {
        job_name: String,
        job_run_queuing_enabled: Option<bool>,
        job_run_id: Option<String>,
        arguments: Option<BTreeMap<String, String>>,
        allocated_capacity: Option<i32>,
        timeout: Option<i32>,
        max_capacity: Option<f64>,
        security_configuration: Option<String>,
        notification_property: Option<Value>,
        worker_type: Option<String>,
        number_of_workers: Option<i32>,
        execution_class: Option<String>,
        execution_role_session_policy: Option<String>,
    }

    /// What `StartMLEvaluationTaskRun` is asked.
    StartMLEvaluationTaskRunRequest {
        transform_id: String,
    }

    /// What `StartMLLabelingSetGenerationTaskRun` is asked.
    StartMLLabelingSetGenerationTaskRunRequest {
        transform_id: String,
        output_s3_path: String,
    }

    /// What `StopColumnStatisticsTaskRun` is asked.
    StopColumnStatisticsTaskRunRequest {
        database_name: String,
        table_name: String,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
    }

    /// What `StopColumnStatisticsTaskRunSchedule` is asked.
    StopColumnStatisticsTaskRunScheduleRequest {
        database_name: String,
        table_name: String,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
    }

    /// Part of `GetUnfilteredTableMetadataRequest`.
    SupportedDialect {
        dialect: Option<String>,
        dialect_version: Option<String>,
    }

    /// What `TagResource` is asked.
    TagResourceRequest {
        resource_arn: String,
        tags_to_add: BTreeMap<String, String>,
    }

    /// Part of `GetMLTaskRunsRequest`.
    TaskRunFilterCriteria {
        task_run_type: Option<String>,
        status: Option<String>,
        started_before: Option<catalog::Timestamp>,
        started_after: Option<catalog::Timestamp>,
    }

    /// Part of `GetMLTaskRunsRequest`.
    TaskRunSortCriteria {
        column: String,
        sort_direction: String,
    }

    /// Part of `TestConnectionRequest`.
    TestConnectionInput {
        connection_type: String,
        connection_properties: BTreeMap<String, String>,
        authentication_configuration: Option<Value>,
    }

    /// What `TestConnection` is asked.
    TestConnectionRequest {
        connection_name: Option<String>,
        catalog_id: Option<String>,
        test_connection_input: Option<TestConnectionInput>,
    }

    /// Part of `GetMLTransformsRequest` and `ListMLTransformsRequest`.
    TransformFilterCriteria {
        name: Option<String>,
        transform_type: Option<String>,
        status: Option<String>,
        glue_version: Option<String>,
        created_before: Option<catalog::Timestamp>,
        created_after: Option<catalog::Timestamp>,
        last_modified_before: Option<catalog::Timestamp>,
        last_modified_after: Option<catalog::Timestamp>,
        schema: Option<Vec<jobs::SchemaColumn>>,
    }

    /// Part of `GetMLTransformsRequest` and `ListMLTransformsRequest`.
    TransformSortCriteria {
        column: String,
        sort_direction: String,
    }

    /// What `UntagResource` is asked.
    UntagResourceRequest {
        resource_arn: String,
        tags_to_remove: Vec<String>,
    }

    /// What `UpdateCatalog` is asked.
    UpdateCatalogRequest {
        catalog_id: String,
        catalog_input: CatalogInput,
    }

    /// What `UpdateColumnStatisticsForPartition` is asked.
    UpdateColumnStatisticsForPartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_values: Vec<String>,
        column_statistics_list: Vec<catalog::ColumnStatistics>,
    }

    /// What `UpdateColumnStatisticsForTable` is asked.
    UpdateColumnStatisticsForTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        column_statistics_list: Vec<catalog::ColumnStatistics>,
    }

    /// What `UpdateColumnStatisticsTaskSettings` is asked.
    UpdateColumnStatisticsTaskSettingsRequest {
        database_name: String,
        table_name: String,
        role: Option<String>,
        schedule: Option<String>,
        column_name_list: Option<Vec<String>>,
        sample_size: Option<f64>,
        #[serde(rename = "CatalogID")]
        catalog_id: Option<String>,
        security_configuration: Option<String>,
    }

    /// What `UpdateConnection` is asked.
    UpdateConnectionRequest {
        catalog_id: Option<String>,
        name: String,
        connection_input: catalog::ConnectionInput,
    }

    /// What `UpdateDatabase` is asked.
    UpdateDatabaseRequest {
        catalog_id: Option<String>,
        name: String,
        database_input: catalog::DatabaseInput,
    }

    /// Part of `UpdateOpenTableFormatInput`.
    UpdateIcebergInput {
        update_iceberg_table_input: UpdateIcebergTableInput,
    }

    /// Part of `UpdateIcebergInput`.
    UpdateIcebergTableInput {
        updates: Vec<IcebergTableUpdate>,
    }

    /// What `UpdateJob` is asked.
    UpdateJobRequest {
        job_name: String,
        job_update: jobs::JobDefinition,
    }

    /// What `UpdateMLTransform` is asked.
    UpdateMLTransformRequest {
        transform_id: String,
        name: Option<String>,
        description: Option<String>,
        parameters: Option<jobs::TransformParameters>,
        role: Option<String>,
        glue_version: Option<String>,
        max_capacity: Option<f64>,
        worker_type: Option<String>,
        number_of_workers: Option<i32>,
        timeout: Option<i32>,
        max_retries: Option<i32>,
    }

    /// Part of `UpdateTableRequest`.
    UpdateOpenTableFormatInput {
        update_iceberg_input: Option<UpdateIcebergInput>,
    }

    /// What `UpdatePartition` is asked.
    UpdatePartitionRequest {
        catalog_id: Option<String>,
        database_name: String,
        table_name: String,
        partition_value_list: Vec<String>,
        partition_input: catalog::PartitionInput,
    }

    /// What `UpdateTable` is asked.
    UpdateTableRequest {
        catalog_id: Option<String>,
        database_name: String,
        name: Option<String>,
        table_input: Option<catalog::TableInput>,
        skip_archive: Option<bool>,
        transaction_id: Option<String>,
        version_id: Option<String>,
        view_update_action: Option<String>,
        force: Option<bool>,
        update_open_table_format_input: Option<UpdateOpenTableFormatInput>,
    }

    /// What `UpdateUserDefinedFunction` is asked.
    UpdateUserDefinedFunctionRequest {
        catalog_id: Option<String>,
        database_name: String,
        function_name: String,
        function_input: catalog::UserDefinedFunctionInput,
    }
}
