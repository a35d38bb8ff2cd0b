//! Connections. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-connections.html>
//!
//! **Secrets do not come back.** Glue returns `PASSWORD` unless a request says `HidePassword`; here passwords,
//! keys and tokens are encrypted when they arrive and no answer holds one, whatever the request says. Two things
//! follow: a client that reads a connection, changes it and writes it back must give the password again, since an
//! update replaces the whole definition; and a URL that holds a password is refused, as it could not be shown.
//!
//! **Testing opens a TCP connection** to the host and port that the properties name and hangs up: it tells a wrong
//! address, a closed port and a network that may not be reached, not a wrong password. Types without an address
//! (`NETWORK`, applications behind OAuth) are refused with the reason.

use std::collections::BTreeMap;

use serde_json::json;
use tenon_catalog::{
    Connection, ConnectionDefinition, ConnectionInput, ConnectionWrite, SealedSecrets,
};

use super::endpoint::endpoints;
use super::shapes::{
    BatchDeleteConnectionRequest, BatchDeleteConnectionResponse, CreateConnectionRequest,
    CreateConnectionResponse, DeleteConnectionRequest, DeleteConnectionResponse,
    GetConnectionRequest, GetConnectionResponse, GetConnectionsFilter, GetConnectionsRequest,
    GetConnectionsResponse, TestConnectionRequest, TestConnectionResponse, UpdateConnectionRequest,
    UpdateConnectionResponse,
};
use super::shown::detail;
use super::{Context, fill, page_size};
use crate::fault::Fault;
use crate::reach::Unreachable;

pub(super) fn create(
    context: &Context,
    input: CreateConnectionRequest,
) -> Result<CreateConnectionResponse, Fault> {
    let tags = input.tags.unwrap_or_default();
    let (definition, write) = prepare(context, input.connection_input)?;
    context
        .catalog
        .create_connection(definition, write, &tags)?;
    Ok(CreateConnectionResponse {
        create_connection_status: Some("READY".to_owned()),
    })
}

pub(super) fn update(
    context: &Context,
    input: UpdateConnectionRequest,
) -> Result<UpdateConnectionResponse, Fault> {
    context.catalog.get_connection(&input.name)?;
    let (definition, write) = prepare(context, input.connection_input)?;
    context
        .catalog
        .update_connection(&input.name, definition, &write)?;
    Ok(UpdateConnectionResponse {})
}

/// What is stored of an input: its secrets are encrypted, and it was tried if that was asked for.
fn prepare(
    context: &Context,
    input: ConnectionInput,
) -> Result<(ConnectionDefinition, ConnectionWrite), Fault> {
    let validated = input.validate_credentials;
    let (definition, secrets) = input.split()?;
    check_address(&definition)?;
    if validated {
        try_connect(context, &definition)?;
    }
    let mut sealed = SealedSecrets::new();
    for (place, secret) in secrets {
        let secret = context.seal(definition.name(), &place, &secret)?;
        sealed.insert(place, secret);
    }
    let write = ConnectionWrite {
        secrets: sealed,
        updated_by: Some(context.principal.arn.clone()),
        validated,
    };
    Ok((definition, write))
}

/// Types that are nothing without an address have one.
fn check_address(definition: &ConnectionDefinition) -> Result<(), Fault> {
    let needed: &[&str] = match definition.connection_type() {
        "JDBC" => &["JDBC_CONNECTION_URL", "HOST"],
        "KAFKA" => &["KAFKA_BOOTSTRAP_SERVERS"],
        "MONGODB" => &["CONNECTION_URL", "HOST"],
        _ => return Ok(()),
    };
    let properties = definition.connection_properties();
    if needed.iter().any(|name| properties.contains_key(*name)) {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "a {} connection needs {} in ConnectionProperties",
        definition.connection_type(),
        needed.join(" or ")
    )))
}

pub(super) fn get(
    context: &Context,
    input: GetConnectionRequest,
) -> Result<GetConnectionResponse, Fault> {
    let mut connection = context.catalog.get_connection(&input.name)?;
    if let Some(environment) = input.apply_override_for_compute_environment {
        apply_override(&mut connection, &environment);
    }
    Ok(GetConnectionResponse {
        connection: Some(connection),
    })
}

/// Properties of the environment take the place of the common ones.
fn apply_override(connection: &mut Connection, environment: &str) {
    let own = match environment {
        "SPARK" => &connection.spark_properties,
        "ATHENA" => &connection.athena_properties,
        _ => &connection.python_properties,
    };
    let own = own.clone().unwrap_or_default();
    connection.connection_properties.extend(own);
}

const EVERY_CONNECTION: GetConnectionsFilter = GetConnectionsFilter {
    match_criteria: None,
    connection_type: None,
    connection_schema_version: None,
};

impl GetConnectionsFilter {
    fn accepts(&self, connection: &Connection) -> bool {
        let wanted_type = self.connection_type.as_ref();
        let wanted_version = self.connection_schema_version;
        let mut criteria = self.match_criteria.iter().flatten();
        wanted_type.is_none_or(|wanted| *wanted == connection.connection_type)
            && wanted_version.is_none_or(|wanted| wanted == connection.connection_schema_version)
            && criteria.all(|wanted| connection.match_criteria.contains(wanted))
    }

    /// What a page's token is good for.
    fn text(&self) -> String {
        let criteria = self.match_criteria.as_deref().unwrap_or_default();
        json!([
            criteria,
            self.connection_type,
            self.connection_schema_version
        ])
        .to_string()
    }
}

pub(super) fn list(
    context: &Context,
    input: GetConnectionsRequest,
) -> Result<GetConnectionsResponse, Fault> {
    let filter = input.filter.unwrap_or(EVERY_CONNECTION);
    let filter_text = filter.text();
    let scope = ["GetConnections", &filter_text];
    let page = fill(
        page_size(input.max_results, 100),
        context.cursor(&scope, input.next_token.as_deref())?,
        |cursor, limit| Ok(context.catalog.list_connections(cursor, limit)?),
        |connection: &Connection| filter.accepts(connection),
        |connection| connection.name.clone(),
    )?;
    Ok(GetConnectionsResponse {
        connection_list: Some(page.items),
        next_token: context.next_token(&scope, page.next),
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeleteConnectionRequest,
) -> Result<DeleteConnectionResponse, Fault> {
    context.catalog.delete_connection(&input.connection_name)?;
    Ok(DeleteConnectionResponse {})
}

pub(super) fn batch_delete(
    context: &Context,
    input: BatchDeleteConnectionRequest,
) -> Result<BatchDeleteConnectionResponse, Fault> {
    let (mut succeeded, mut errors) = (Vec::new(), BTreeMap::new());
    for name in input.connection_name_list {
        match context.catalog.delete_connection(&name) {
            Ok(()) => succeeded.push(name),
            Err(error) => drop(errors.insert(name, detail(error))),
        }
    }
    Ok(BatchDeleteConnectionResponse {
        succeeded: Some(succeeded),
        errors: Some(errors).filter(|errors| !errors.is_empty()),
    })
}

/// Answers when the attempt is over, as Glue does: nothing when it succeeded, else what stood in the way.
pub(super) fn test(
    context: &Context,
    input: TestConnectionRequest,
) -> Result<TestConnectionResponse, Fault> {
    match (input.connection_name, input.test_connection_input) {
        (Some(name), None) => {
            let connection = context.catalog.get_connection(&name)?;
            let (kind, properties) = (
                &connection.connection_type,
                &connection.connection_properties,
            );
            reach(context, kind, properties)?;
            context.catalog.connection_validated(&name)?;
        }
        (None, Some(given)) => {
            let definition = ConnectionInput {
                name: "test".to_owned(),
                connection_type: given.connection_type,
                connection_properties: given.connection_properties,
                authentication_configuration: given.authentication_configuration,
                ..ConnectionInput::default()
            };
            try_connect(context, &definition.split()?.0)?;
        }
        _ => {
            return Err(Fault::invalid(
                "give either ConnectionName or TestConnectionInput",
            ));
        }
    }
    Ok(TestConnectionResponse {})
}

fn try_connect(context: &Context, definition: &ConnectionDefinition) -> Result<(), Fault> {
    reach(
        context,
        definition.connection_type(),
        definition.connection_properties(),
    )
}

/// Connects to one of the endpoints; the first that cannot be reached says why when none can.
fn reach(
    context: &Context,
    connection_type: &str,
    properties: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    let endpoints = endpoints(connection_type, properties).map_err(Fault::invalid)?;
    let mut first = None;
    for endpoint in endpoints.iter().take(MAX_TRIED) {
        let tenant = context.catalog.tenant();
        match context
            .reach
            .try_connect(tenant, &endpoint.host, endpoint.port)
        {
            Ok(()) => return Ok(()),
            Err(unreachable) => first = first.or(Some(unreachable)),
        }
    }
    Err(first.map_or_else(|| Fault::invalid("there is nothing to try"), fault))
}

/// Endpoints of one connection that are tried, at most: each may take its whole time.
const MAX_TRIED: usize = 3;

fn fault(unreachable: Unreachable) -> Fault {
    match unreachable {
        Unreachable::NotAllowed(reason) => Fault::new("AccessDeniedException", reason),
        Unreachable::Failed(reason) => Fault::new("FederationSourceException", reason),
        Unreachable::TimedOut(reason) => Fault::new("OperationTimeoutException", reason),
        Unreachable::Busy(reason) => Fault::new("ResourceNumberLimitExceededException", reason),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenon_catalog::Tenant;
    use tenon_store::{SledStore, StoreConfig, SystemClock};

    use crate::identity::{Identity, IdentityConfig};

    #[test]
    fn a_sealed_secret_opens_only_where_it_belongs() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let folder = dir.path().join("store");
        let store = SledStore::open(&folder, &StoreConfig::default(), clock.as_ref()).unwrap();
        let config = IdentityConfig::new(dir.path());
        let identity = Identity::open(Arc::new(store), clock, config).unwrap();
        let own = (Tenant::new(1), "pg", "ConnectionProperties/PASSWORD");
        let sealed = identity
            .seal_connection(own.0, own.1, own.2, "canary")
            .unwrap();
        let open = |tenant, name, property, sealed: &str| {
            let opened = identity.open_connection(tenant, name, property, sealed);
            opened.unwrap().map(|secret| secret.reveal().to_owned())
        };
        assert_eq!(
            open(own.0, own.1, own.2, &sealed).as_deref(),
            Some("canary")
        );
        assert_eq!(open(Tenant::new(2), own.1, own.2, &sealed), None);
        assert_eq!(open(own.0, "other", own.2, &sealed), None);
        assert_eq!(
            open(own.0, own.1, "SparkProperties/PASSWORD", &sealed),
            None
        );
        assert_eq!(open(own.0, own.1, own.2, &sealed[2..]), None);
    }
}
