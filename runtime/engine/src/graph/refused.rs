//! Kinds of nodes that Glue has and that cannot run here, each with the reason and what to do instead.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};

const DATABASES: &str = "databases cannot be reached yet; export the table to files and read those";
const STREAMS: &str = "streams cannot be read yet; let them be written to files and read those";
const TABLE_FORMATS: &str = "tables of Hudi, Delta Lake and Iceberg cannot be read or written yet; use S3CatalogSource or S3GlueParquetTarget with Parquet";
const GOVERNED: &str = "governed tables are no more; use S3CatalogSource or S3CatalogTarget";
const QUALITY: &str = "there are no rules of data quality yet; check in a SparkSQL node";

/// Kind and reason.
const REFUSED: &[(&str, &str)] = &[
    ("AmazonRedshiftSource", DATABASES),
    ("AmazonRedshiftTarget", DATABASES),
    ("AthenaConnectorSource", DATABASES),
    ("CatalogDeltaSource", TABLE_FORMATS),
    ("CatalogHudiSource", TABLE_FORMATS),
    ("CatalogIcebergSource", TABLE_FORMATS),
    ("CatalogKafkaSource", STREAMS),
    ("CatalogKinesisSource", STREAMS),
    ("ConnectorDataSource", DATABASES),
    ("ConnectorDataTarget", DATABASES),
    ("DirectJDBCSource", DATABASES),
    ("DirectKafkaSource", STREAMS),
    ("DirectKinesisSource", STREAMS),
    ("DynamoDBCatalogSource", DATABASES),
    ("DynamoDBELTConnectorSource", DATABASES),
    ("EvaluateDataQuality", QUALITY),
    ("EvaluateDataQualityMultiFrame", QUALITY),
    ("GovernedCatalogSource", GOVERNED),
    ("GovernedCatalogTarget", GOVERNED),
    ("JDBCConnectorSource", DATABASES),
    ("JDBCConnectorTarget", DATABASES),
    ("MicrosoftSQLServerCatalogSource", DATABASES),
    ("MicrosoftSQLServerCatalogTarget", DATABASES),
    ("MySQLCatalogSource", DATABASES),
    ("MySQLCatalogTarget", DATABASES),
    ("OracleSQLCatalogSource", DATABASES),
    ("OracleSQLCatalogTarget", DATABASES),
    (
        "PIIDetection",
        "personal data is not found out yet; drop or mask columns in a SparkSQL node",
    ),
    ("PostgreSQLCatalogSource", DATABASES),
    ("PostgreSQLCatalogTarget", DATABASES),
    (
        "Recipe",
        "recipes of DataBrew cannot run here; write it as a SparkSQL node",
    ),
    ("RedshiftSource", DATABASES),
    ("RedshiftTarget", DATABASES),
    ("RelationalCatalogSource", DATABASES),
    ("S3CatalogDeltaSource", TABLE_FORMATS),
    ("S3CatalogHudiSource", TABLE_FORMATS),
    ("S3CatalogIcebergSource", TABLE_FORMATS),
    ("S3DeltaCatalogTarget", TABLE_FORMATS),
    ("S3DeltaDirectTarget", TABLE_FORMATS),
    ("S3DeltaSource", TABLE_FORMATS),
    ("S3HudiCatalogTarget", TABLE_FORMATS),
    ("S3HudiDirectTarget", TABLE_FORMATS),
    ("S3HudiSource", TABLE_FORMATS),
    (
        "S3HyperDirectTarget",
        "files of Tableau's Hyper cannot be written; use S3GlueParquetTarget",
    ),
    ("S3IcebergCatalogTarget", TABLE_FORMATS),
    ("S3IcebergDirectTarget", TABLE_FORMATS),
    ("SnowflakeSource", DATABASES),
    ("SnowflakeTarget", DATABASES),
    ("SparkConnectorSource", DATABASES),
    ("SparkConnectorTarget", DATABASES),
];

/// Refuses a node of a kind that cannot run.
pub(super) fn check(kind: &str, name: &str) -> Result<()> {
    let found = REFUSED.iter().find(|(refused, _)| *refused == kind);
    found.map_or(Ok(()), |(_, reason)| {
        let why = format!("node {name:?} is of the kind {kind}: {reason}");
        Err(Error::Definition(why))
    })
}

/// As much of a job as tells its kinds of nodes.
#[derive(Deserialize)]
pub(super) struct Kinds {
    #[serde(alias = "CodeGenConfigurationNodes")]
    nodes: BTreeMap<String, BTreeMap<String, Named>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "Name", default)]
    name: Option<String>,
}

impl Kinds {
    /// Refuses the first kind that cannot run.
    pub(super) fn check(&self) -> Result<()> {
        for (id, node) in &self.nodes {
            for (kind, named) in node {
                check(kind, named.name.as_deref().unwrap_or(id))?;
            }
        }
        Ok(())
    }
}
