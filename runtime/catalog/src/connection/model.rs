//! A connection as in Glue's JSON, without secrets, and what a caller says about one, with them.
//!
//! Reference: <https://docs.aws.amazon.com/glue/latest/webapi/API_Connection.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// A connection, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Connection {
    /// Name, as it was given.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `JDBC`, `KAFKA`, ...
    pub connection_type: String,
    /// Words to choose it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_criteria: Vec<String>,
    /// Where and how to connect.
    #[serde(default)]
    pub connection_properties: BTreeMap<String, String>,
    /// Properties for Spark only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_properties: Option<BTreeMap<String, String>>,
    /// Properties for Athena only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub athena_properties: Option<BTreeMap<String, String>>,
    /// Properties for Python only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python_properties: Option<BTreeMap<String, String>>,
    /// Network to connect from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_connection_requirements: Option<PhysicalConnectionRequirements>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<Timestamp>,
    /// When its definition last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_time: Option<Timestamp>,
    /// Who changed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_by: Option<String>,
    /// `READY`: nothing is prepared in the background here.
    pub status: String,
    /// When it was last tried with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_connection_validation_time: Option<Timestamp>,
    /// How to prove who connects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_configuration: Option<AuthenticationConfiguration>,
    /// 1 for connections of properties alone, 2 for those that say more.
    pub connection_schema_version: i32,
    /// What can use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatible_compute_environments: Option<Vec<String>>,
}

/// Network to connect from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PhysicalConnectionRequirements {
    /// Subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
    /// Security groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_id_list: Option<Vec<String>>,
    /// Zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
}

/// How to prove who connects, without the proof.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthenticationConfiguration {
    /// `BASIC`, `OAUTH2`, `CUSTOM`, `IAM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_type: Option<String>,
    /// Where the secret is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_arn: Option<String>,
    /// Key for the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// For OAuth 2.
    #[serde(
        rename = "OAuth2Properties",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub oauth2_properties: Option<OAuth2Properties>,
}

/// OAuth 2, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OAuth2Properties {
    /// How to come by a token.
    #[serde(
        rename = "OAuth2GrantType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub oauth2_grant_type: Option<String>,
    /// As which application.
    #[serde(
        rename = "OAuth2ClientApplication",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub oauth2_client_application: Option<OAuth2ClientApplication>,
    /// Where to ask for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// What to ask with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url_parameters_map: Option<BTreeMap<String, String>>,
}

/// An application known to who gives tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OAuth2ClientApplication {
    /// Its identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_managed_client_application_client_id: Option<String>,
    /// One of AWS.
    #[serde(
        rename = "AWSManagedClientApplicationReference",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub aws_managed_client_application_reference: Option<String>,
}

/// What a caller says about a connection, secrets among it.
#[derive(Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectionInput {
    /// Name; upper and lower case differ.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// `JDBC`, `KAFKA`, ...
    pub connection_type: String,
    /// Words to choose it by.
    #[serde(default)]
    pub match_criteria: Vec<String>,
    /// Where and how to connect.
    #[serde(default)]
    pub connection_properties: BTreeMap<String, String>,
    /// Properties for Spark only.
    pub spark_properties: Option<BTreeMap<String, String>>,
    /// Properties for Athena only.
    pub athena_properties: Option<BTreeMap<String, String>>,
    /// Properties for Python only.
    pub python_properties: Option<BTreeMap<String, String>>,
    /// Network to connect from.
    pub physical_connection_requirements: Option<PhysicalConnectionRequirements>,
    /// How to prove who connects, with the proof.
    pub authentication_configuration: Option<serde_json::Value>,
    /// Whether to try it before it is created.
    #[serde(default)]
    pub validate_credentials: bool,
    /// What it should work for.
    pub validate_for_compute_environments: Option<Vec<String>>,
}

impl std::fmt::Debug for ConnectionInput {
    /// Shows no value: any of them may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionInput")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
