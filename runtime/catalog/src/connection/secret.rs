//! Which parts of a connection's definition are secrets, and their parting from the rest.
//!
//! | where | what is a secret |
//! |---|---|
//! | `ConnectionProperties`, `SparkProperties`, ..., `TokenUrlParametersMap` | values whose key [`is_secret_name`] |
//! | `BasicAuthenticationCredentials`, `CustomAuthenticationCredentials`, `OAuth2Credentials`, `AuthorizationCodeProperties` | everything |
//! | a URL anywhere in properties | refused when it holds one: it could not be shown any more |

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::{AuthenticationConfiguration, Connection, ConnectionInput};
use crate::error::{Error, Result};
use crate::name;

/// A connection's definition that holds no secret. Made by [`ConnectionInput::split`] alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionDefinition(Connection);

impl ConnectionDefinition {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// `JDBC`, `KAFKA`, ...
    #[must_use]
    pub fn connection_type(&self) -> &str {
        &self.0.connection_type
    }

    /// Where and how to connect.
    #[must_use]
    pub const fn connection_properties(&self) -> &BTreeMap<String, String> {
        &self.0.connection_properties
    }

    pub(super) fn into_connection(self) -> Connection {
        self.0
    }
}

impl ConnectionInput {
    /// Parts secrets from the rest. They are named by their place: `ConnectionProperties/PASSWORD`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a bad name, an authentication that cannot be read, and a URL that holds a
    /// password. The message never holds a value.
    pub fn split(self) -> Result<(ConnectionDefinition, BTreeMap<String, String>)> {
        name::check("connection", &self.name)?;
        let says_more = self.authentication_configuration.is_some()
            || self.spark_properties.is_some()
            || self.athena_properties.is_some()
            || self.python_properties.is_some()
            || self.validate_for_compute_environments.is_some();
        let mut secrets = BTreeMap::new();
        let mut part = |place, map| part_properties(place, map, &mut secrets);
        let connection_properties = part("ConnectionProperties", self.connection_properties)?;
        let mut part_some = |place, map: Option<_>| map.map(|map| part(place, map)).transpose();
        let connection = Connection {
            connection_properties,
            spark_properties: part_some("SparkProperties", self.spark_properties)?,
            athena_properties: part_some("AthenaProperties", self.athena_properties)?,
            python_properties: part_some("PythonProperties", self.python_properties)?,
            authentication_configuration: self
                .authentication_configuration
                .map(|given| part_authentication(given, &mut secrets))
                .transpose()?,
            name: self.name,
            description: self.description,
            connection_type: self.connection_type,
            match_criteria: self.match_criteria,
            physical_connection_requirements: self.physical_connection_requirements,
            status: "READY".to_owned(),
            connection_schema_version: if says_more { 2 } else { 1 },
            compatible_compute_environments: self.validate_for_compute_environments,
            ..Connection::default()
        };
        Ok((ConnectionDefinition(connection), secrets))
    }
}

/// Whether what has this name is a secret: it speaks of a password, token or key, and not of where one is kept.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    const SECRETS: [&str; 12] = [
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "credential",
        "apikey",
        "accesskey",
        "accountkey",
        "privatekey",
        "signature",
    ];
    const PLACES: [&str; 5] = ["id", "arn", "url", "uri", "type"];
    let plain: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    SECRETS.iter().any(|word| plain.contains(word))
        && !PLACES.iter().any(|word| plain.ends_with(word))
}

fn part_properties(
    place: &str,
    properties: BTreeMap<String, String>,
    secrets: &mut BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut rest = BTreeMap::new();
    for (key, value) in properties {
        if is_secret_name(&key) {
            secrets.insert(format!("{place}/{key}"), value);
        } else if url_holds_secret(&value) {
            return Err(Error::invalid(format!(
                "the URL in {place}.{key} holds a password; give it as a property of its own, such as PASSWORD, \
                 where it is encrypted and never shown"
            )));
        } else {
            rest.insert(key, value);
        }
    }
    Ok(rest)
}

/// Members of which everything is a secret.
const SECRET_BRANCHES: [&[&str]; 4] = [
    &["BasicAuthenticationCredentials"],
    &["CustomAuthenticationCredentials"],
    &["OAuth2Properties", "OAuth2Credentials"],
    &["OAuth2Properties", "AuthorizationCodeProperties"],
];

fn part_authentication(
    mut given: Value,
    secrets: &mut BTreeMap<String, String>,
) -> Result<AuthenticationConfiguration> {
    const PLACE: &str = "AuthenticationConfiguration";
    for branch in SECRET_BRANCHES {
        if let Some(taken) = take(&mut given, branch) {
            leaves(&format!("{PLACE}/{}", branch.join("/")), taken, secrets);
        }
    }
    let mut authentication: AuthenticationConfiguration = serde_json::from_value(given)
        .map_err(|_| Error::invalid(format!("{PLACE} cannot be read")))?;
    if let Some(oauth2) = &mut authentication.oauth2_properties
        && let Some(parameters) = oauth2.token_url_parameters_map.take()
    {
        let place = format!("{PLACE}/OAuth2Properties/TokenUrlParametersMap");
        oauth2.token_url_parameters_map = Some(part_properties(&place, parameters, secrets)?);
    }
    Ok(authentication)
}

/// Removes the member at the end of `path`.
fn take(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, before) = path.split_last()?;
    let holder = before
        .iter()
        .try_fold(value, |value, member| value.get_mut(*member))?;
    holder.as_object_mut()?.remove(*last)
}

/// Every text in `value`, by its place. Depth is bounded where bodies are read.
fn leaves(place: &str, value: Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => drop(found.insert(place.to_owned(), text)),
        Value::Object(members) => {
            for (name, value) in members {
                leaves(&format!("{place}/{name}"), value, found);
            }
        }
        _ => {}
    }
}

/// Whether a URL names a password, before its host or among its parameters. `${...}` stands for one kept
/// elsewhere.
fn url_holds_secret(value: &str) -> bool {
    if !value.contains("://") && !value.starts_with("jdbc:") {
        return false;
    }
    let stands_for =
        |text: &str| text.is_empty() || (text.starts_with("${") && text.ends_with('}'));
    let parameter = value
        .split(['?', '&', ';', ','])
        .filter_map(|part| part.split_once('='))
        .any(|(key, value)| is_secret_name(key) && !stands_for(value));
    parameter || password_before_host(value).is_some_and(|password| !stands_for(password))
}

/// Of `//user:password@host`, and of Oracle's `thin:user/password@host`.
fn password_before_host(url: &str) -> Option<&str> {
    let url = url.split(['?', ';']).next()?;
    let (before, _) = url.rsplit_once('@')?;
    if let Some((_, user)) = before.split_once("thin:") {
        return user
            .trim_start_matches('/')
            .split_once('/')
            .map(|(_, password)| password);
    }
    let (user, password) = before.split_once("//")?.1.split_once(':')?;
    // An @ in the path, behind a port.
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let in_path = password
        .split_once('/')
        .is_some_and(|(port, _)| is_port(port));
    (!user.contains('/') && !in_path).then_some(password)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn split(input: Value) -> Result<(Connection, BTreeMap<String, String>)> {
        let input: ConnectionInput = serde_json::from_value(input).unwrap();
        let (definition, secrets) = input.split()?;
        Ok((definition.into_connection(), secrets))
    }

    #[test]
    fn what_is_secret_is_parted_from_the_rest() {
        let (connection, secrets) = split(json!({
            "Name": "c", "ConnectionType": "JDBC",
            "ConnectionProperties": {"USERNAME": "u", "PASSWORD": "canary1", "SECRET_ID": "s",
                "KAFKA_SASL_SCRAM_SECRETS_ARN": "a", "ENCRYPTED_KAFKA_CLIENT_KEY_PASSWORD": "canary2"},
            "SparkProperties": {"sfPassword": "canary3", "api-key": "canary4", "dbtable": "t"},
            "AuthenticationConfiguration": {
                "AuthenticationType": "OAUTH2", "Unknown": "canary5",
                "BasicAuthenticationCredentials": {"Username": "canary6", "Password": "canary7"},
                "CustomAuthenticationCredentials": {"k": "canary8"},
                "OAuth2Properties": {"TokenUrl": "https://t/", "OAuth2GrantType": "JWT_BEARER",
                    "OAuth2ClientApplication": {"UserManagedClientApplicationClientId": "id"},
                    "TokenUrlParametersMap": {"client_secret": "canary9", "scope": "all"},
                    "AuthorizationCodeProperties": {"AuthorizationCode": "canaryA", "RedirectUri": "https://r/"},
                    "OAuth2Credentials": {"JwtToken": "canaryB"}}}
        }))
        .unwrap();
        let shown = serde_json::to_string(&connection).unwrap();
        assert!(!shown.contains("canary"), "{shown}");
        assert!(
            shown.contains("SECRET_ID") && shown.contains("JWT_BEARER") && shown.contains("scope")
        );
        assert!(
            shown.contains("UserManagedClientApplicationClientId"),
            "{shown}"
        );
        let places: Vec<_> = secrets.keys().map(String::as_str).collect();
        assert_eq!(places.len(), 11, "{places:?}");
        assert_eq!(secrets["ConnectionProperties/PASSWORD"], "canary1");
        assert!(
            places.contains(
                &"AuthenticationConfiguration/OAuth2Properties/OAuth2Credentials/JwtToken"
            )
        );
        assert_eq!(connection.connection_schema_version, 2);
    }

    #[test]
    fn keys_are_secrets_and_their_names_are_not() {
        for name in [
            "SECRET_ACCESS_KEY",
            "ACCOUNT_KEY",
            "SERVICE_ACCOUNT_KEY",
            "SAS_TOKEN",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["ACCESS_KEY_ID", "ACCOUNT", "SECRET_ARN", "ENDPOINT"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_url_that_holds_a_password_is_refused_without_showing_it() {
        let error = |url: &str| {
            let properties = json!({"JDBC_CONNECTION_URL": url});
            split(
                json!({"Name": "c", "ConnectionType": "JDBC", "ConnectionProperties": properties}),
            )
            .map(drop)
            .err()
            .map(|error| error.to_string())
        };
        for url in [
            "jdbc:postgresql://h/db?user=u&password=canary",
            "jdbc:sqlserver://h:1433;user=u;Pwd=canary",
            "mongodb://u:canary@h:27017/db",
            "jdbc:oracle:thin:u/canary@//h:1521/s",
            "jdbc:postgresql://u:canary@h/db",
        ] {
            let text = error(url).unwrap_or_else(|| panic!("{url} was accepted"));
            assert!(
                !text.contains("canary") && text.contains("JDBC_CONNECTION_URL"),
                "{text}"
            );
        }
        for url in [
            "jdbc:postgresql://h:5432/db",
            "jdbc:oracle:thin://@h:1521/s",
            "jdbc:oracle:thin:@h:1521:sid",
            "jdbc:x://h/?user=${secretUser}&password=${secretPassword}",
            "jdbc:sqlserver://h:1433;databaseName=d",
            "mongodb://h:27017/db?authSource=admin",
            "https://h/path/a@b",
        ] {
            assert_eq!(error(url), None, "{url}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever it is called and wherever it stands, what has a secret's name is not shown.
        #[test]
        fn no_secret_is_left_in_what_is_shown(
            before in "[A-Za-z_-]{0,6}", word in "password|PassWord|api[-_]?key|ACCESS_TOKEN|client-secret",
            url in "(jdbc:|x://)?[a-z@:/?;=&,.${}]{0,30}", place in 0..4_usize,
        ) {
            let places = ["ConnectionProperties", "SparkProperties", "AthenaProperties", "PythonProperties"];
            let mut input = json!({"Name": "c", "ConnectionType": "JDBC"});
            input[places[place]] = json!({format!("{before}{word}"): "canary", "url": url});
            if let Ok((connection, secrets)) = split(input) {
                let shown = serde_json::to_string(&connection).unwrap();
                prop_assert!(!shown.contains("canary"), "{}", shown);
                prop_assert!(secrets.values().any(|secret| secret == "canary"));
            }
        }
    }
}
