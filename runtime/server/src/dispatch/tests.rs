//! Tests of what happens around an operation: quotas, the audit log, page tokens. The clock stands.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tenon_store::{ManualClock, SledStore, Store, StoreConfig};

use super::*;
use crate::AuditQuery;
use crate::identity::sigv4::signed_post;
use crate::identity::{IdentityConfig, NewKey, Quotas};

const ACCOUNT: &str = "111111111111";
const TIME: &str = "20150830T123600Z";

struct Fixture {
    dir: tempfile::TempDir,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    key: NewKey,
    dispatch: Dispatch,
    requests: AtomicU64,
}

fn identity(dir: &Path, store: &Arc<dyn Store>, clock: &Arc<ManualClock>) -> Identity {
    let clock = Arc::clone(clock);
    Identity::open(Arc::clone(store), clock, IdentityConfig::new(dir)).unwrap()
}

fn dispatch(identity: Identity, ids: u8) -> Dispatch {
    let model = Model::glue().unwrap();
    let lists = identity.lists_key().unwrap().unwrap_or([ids; 32]);
    let region = "us-east-1".to_owned();
    let reach = Reach::new(&[], std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let jobs = crate::work::Work::new(&identity, crate::work::Workers::default()).jobs;
    Dispatch::new(
        identity,
        model,
        ACCOUNT.to_owned(),
        region,
        reach,
        lists,
        jobs,
    )
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    // The time of `TIME`.
    let clock = Arc::new(ManualClock::new(
        UNIX_EPOCH + Duration::from_secs(1_440_938_160),
    ));
    let store = SledStore::open(
        &dir.path().join("store"),
        &StoreConfig::default(),
        clock.as_ref(),
    );
    let store: Arc<dyn Store> = Arc::new(store.unwrap());
    let identity = identity(dir.path(), &store, &clock);
    let (_, key) = identity
        .create_account("test", Some(ACCOUNT), "a test")
        .unwrap();
    Fixture {
        dispatch: dispatch(identity, 1),
        dir,
        store,
        clock,
        key,
        requests: AtomicU64::new(0),
    }
}

impl Fixture {
    fn signed(&self, secret: &str, operation: &str, input: &Value) -> Call {
        let body = input.to_string();
        let target = format!("AWSGlue.{operation}");
        let key = (self.key.key.id.as_str(), secret);
        let scope = "us-east-1/glue";
        Call {
            id: format!("request {}", self.requests.fetch_add(1, Ordering::Relaxed)),
            method: Method::POST,
            uri: Uri::from_static("/"),
            headers: signed_post(key, None, TIME, scope, Some(&target), body.as_bytes()),
            body: Bytes::from(body),
            source: Some(IpAddr::from([10, 0, 0, 7])),
            account: OnceLock::new(),
            _held: None,
        }
    }

    fn ask(&self, dispatch: &Dispatch, operation: &str, input: Value) -> Result<Value, Fault> {
        let call = self.signed(self.key.secret.reveal(), operation, &input);
        dispatch.perform(&call, &Target::of(&call))
    }

    fn call(&self, operation: &str, input: Value) -> Result<Value, Fault> {
        self.ask(&self.dispatch, operation, input)
    }

    fn refused(&self, operation: &str, input: Value) -> &'static str {
        self.call(operation, input).unwrap_err().name
    }

    /// Operations with their outcomes, in no order: all happened at one time.
    fn audited(&self) -> Vec<(String, String)> {
        let query = AuditQuery {
            limit: 1000,
            ..AuditQuery::default()
        };
        let page = self.dispatch.identity.audit(Some(ACCOUNT), &query).unwrap();
        let mut said: Vec<_> = page
            .entries
            .into_iter()
            .map(|entry| (entry.operation, entry.outcome))
            .collect();
        said.sort();
        said
    }

    fn quotas(&self, quotas: Quotas) {
        let identity = &self.dispatch.identity;
        identity.set_quotas("test", ACCOUNT, quotas).unwrap();
    }
}

fn database(name: &str) -> Value {
    json!({"DatabaseInput": {"Name": name}})
}

fn table(name: &str) -> Value {
    json!({"DatabaseName": "a", "TableInput": {"Name": name}})
}

#[test]
fn changes_and_refusals_are_in_the_audit_log() {
    let fixture = fixture();
    fixture.call("CreateDatabase", database("a")).unwrap();
    fixture.call("CreateTable", table("t")).unwrap();
    fixture
        .call("GetTables", json!({"DatabaseName": "a"}))
        .unwrap();
    assert_eq!(
        fixture.refused("CreateTable", table("t")),
        "AlreadyExistsException"
    );
    assert_eq!(
        fixture.refused("CreateTable", table("")),
        "ValidationException"
    );
    let names = json!({"DatabaseName": "a", "TablesToDelete": ["t", "absent"]});
    fixture.call("BatchDeleteTable", names).unwrap();
    fixture
        .call("DeleteDatabase", json!({"Name": "a"}))
        .unwrap();
    assert_eq!(
        fixture.refused("CreateUnicorn", json!({})),
        "UnknownOperationException"
    );
    let said = [
        ("glue:BatchDeleteTable", "PartialSuccess"),
        ("glue:CreateDatabase", "Success"),
        ("glue:CreateTable", "AlreadyExistsException"),
        ("glue:CreateTable", "Success"),
        ("glue:CreateTable", "ValidationException"),
        ("glue:DeleteDatabase", "Success"),
    ];
    let said = said.map(|(operation, outcome)| (operation.to_owned(), outcome.to_owned()));
    assert_eq!(fixture.audited(), said);

    let query = AuditQuery {
        operation: Some("glue:CreateDatabase".to_owned()),
        limit: 1,
        ..AuditQuery::default()
    };
    let page = fixture
        .dispatch
        .identity
        .audit(Some(ACCOUNT), &query)
        .unwrap();
    let entry = &page.entries[0];
    assert_eq!(entry.principal, "arn:aws:iam::111111111111:root");
    assert_eq!(
        entry.access_key.as_deref(),
        Some(fixture.key.key.id.as_str())
    );
    assert_eq!(entry.source.as_deref(), Some("10.0.0.7"));
    assert_eq!(entry.request_id, "request 0");
    assert_eq!(entry.resource["DatabaseInput.Name"], "a");
}

#[test]
fn failed_logins_are_in_the_log_of_the_key_a_few_a_minute() {
    let fixture = fixture();
    for _ in 0..50 {
        let call = fixture.signed("guess", "CreateDatabase", &database("a"));
        let fault = fixture
            .dispatch
            .perform(&call, &Target::of(&call))
            .unwrap_err();
        assert_eq!(
            (fault.status, fault.name),
            (403, "InvalidSignatureException")
        );
    }
    let failed = ("glue:CreateDatabase", "InvalidSignatureException");
    let failed = (failed.0.to_owned(), failed.1.to_owned());
    assert_eq!(fixture.audited(), vec![failed; 5]);
}

#[test]
fn quotas_hold_from_the_next_request_on() {
    let fixture = fixture();
    fixture.quotas(Quotas {
        databases: Some(2),
        tables: Some(1),
        ..Quotas::default()
    });
    fixture.call("CreateDatabase", database("a")).unwrap();
    fixture.call("CreateDatabase", database("b")).unwrap();
    let limited = "ResourceNumberLimitExceededException";
    assert_eq!(fixture.refused("CreateDatabase", database("c")), limited);
    fixture.call("CreateTable", table("t")).unwrap();
    assert_eq!(fixture.refused("CreateTable", table("u")), limited);
    fixture
        .call("DeleteDatabase", json!({"Name": "b"}))
        .unwrap();
    fixture.call("CreateDatabase", database("c")).unwrap();

    fixture.quotas(Quotas {
        requests_per_second: Some(1),
        burst: Some(2),
        ..Quotas::default()
    });
    let admitted = |_: &i32| fixture.call("GetDatabases", json!({})).is_ok();
    assert_eq!((0..20).filter(admitted).count(), 2);
    let fault = fixture.call("GetDatabases", json!({})).unwrap_err();
    assert_eq!(
        (fault.name, fault.message.as_str()),
        ("ThrottlingException", "Rate exceeded")
    );
    fixture.quotas(Quotas::default());
    fixture.call("CreateDatabase", database("d")).unwrap();
}

#[test]
fn two_that_create_at_once_do_not_pass_a_quota() {
    let fixture = fixture();
    fixture.quotas(Quotas {
        databases: Some(3),
        ..Quotas::default()
    });
    let created = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (fixture, created) = (&fixture, &created);
            scope.spawn(move || {
                let name = format!("d{number}");
                if fixture.call("CreateDatabase", database(&name)).is_ok() {
                    created.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(created.into_inner(), 3);
}

#[test]
fn page_tokens_survive_a_restart() {
    let fixture = fixture();
    for name in ["a", "b"] {
        fixture.call("CreateDatabase", database(name)).unwrap();
    }
    let first = fixture
        .call("GetDatabases", json!({"MaxResults": 1}))
        .unwrap();
    let next = json!({"MaxResults": 1, "NextToken": first["NextToken"]});
    let restarted = dispatch(
        identity(fixture.dir.path(), &fixture.store, &fixture.clock),
        2,
    );
    let second = fixture
        .ask(&restarted, "GetDatabases", next.clone())
        .unwrap();
    assert_eq!(second["DatabaseList"][0]["Name"], "b");
    let list = json!({"DatabaseName": "a", "NextToken": first["NextToken"]});
    let fault = fixture.ask(&restarted, "GetTables", list).unwrap_err();
    assert_eq!(fault.name, "InvalidInputException");
}
