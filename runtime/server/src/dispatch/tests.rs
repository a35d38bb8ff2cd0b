//! Tests of what happens around an operation: quotas, the audit log, page tokens. The clock stands.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tenon_store::{ManualClock, SledStore, Store, StoreConfig};

use super::*;
use crate::AuditQuery;
use crate::identity::sigv4::signed_post;
use crate::identity::{IdentityConfig, NewKey, Quotas};
use crate::tasks::TaskLimits;

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
    let (model, logs_model) = (Arc::new(Model::glue().unwrap()), Model::logs().unwrap());
    let lists = identity.lists_key().unwrap().unwrap_or([ids; 32]);
    let region = "us-east-1".to_owned();
    let reach = Reach::new(&[], std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let tasks = Tasks::new(
        identity.clone(),
        ACCOUNT.to_owned(),
        None,
        TaskLimits::default(),
    );
    let jobs = crate::work::Work::new(&identity, None).jobs;
    Dispatch::new(DispatchParts {
        identity,
        model,
        logs_model,
        account: ACCOUNT.to_owned(),
        region,
        reach,
        tasks,
        jobs,
        lists,
    })
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
        performed(dispatch, &call)
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

fn performed(dispatch: &Dispatch, call: &Call) -> Result<Value, Fault> {
    let target = Target::of(call);
    let caller = dispatch.admit(call, &target)?;
    let output = dispatch.perform(call, &target, caller)?;
    Ok(serde_json::from_str(&output.body).unwrap())
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
        let fault = performed(&fixture.dispatch, &call).unwrap_err();
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

fn partition(value: &str) -> Value {
    json!({"Values": [value]})
}

#[test]
fn every_quota_is_of_what_it_says() {
    let fixture = fixture();
    let limited = "ResourceNumberLimitExceededException";
    fixture.call("CreateDatabase", database("a")).unwrap();
    for name in ["t", "u"] {
        let mut input = table(name);
        input["TableInput"]["PartitionKeys"] = json!([{"Name": "day", "Type": "string"}]);
        fixture.call("CreateTable", input).unwrap();
    }
    fixture.call("CreateTable", table("v")).unwrap();
    fixture.quotas(Quotas {
        functions: Some(1),
        connections: Some(1),
        ml_transforms: Some(1),
        partitions: Some(5),
        partitions_per_table: Some(3),
        versions_per_table: Some(2),
        ..Quotas::default()
    });
    let create = |table: &str, values: &[&str]| {
        let list: Vec<Value> = values.iter().map(|value| partition(value)).collect();
        let input = json!({"DatabaseName": "a", "TableName": table, "PartitionInputList": list});
        fixture.call("BatchCreatePartition", input)
    };
    let transform = |name: &str| {
        let tables = json!([{"DatabaseName": "a", "TableName": "v"}]);
        json!({"Name": name, "Role": "r", "InputRecordTables": tables, "Parameters": {"TransformType": "FIND_MATCHES"}})
    };
    let made = fixture.call("CreateMLTransform", transform("m")).unwrap();
    let second = fixture
        .call("CreateMLTransform", transform("n"))
        .unwrap_err();
    assert_eq!(
        (second.name, second.message.as_str()),
        (
            limited,
            "the quota is 1 ML transforms: there are 1, and 1 more are asked for"
        )
    );
    let id = json!({"TransformId": made["TransformId"]});
    fixture.call("DeleteMLTransform", id).unwrap();
    fixture.call("CreateMLTransform", transform("n")).unwrap();
    create("t", &["1", "2"]).unwrap();
    // None of them was created, so none counts.
    let again = create("t", &["1", "2"]).unwrap_err();
    assert_eq!(
        (again.name, again.message.as_str()),
        (
            limited,
            "the quota is 3 partitions of a table: there are 2, and 2 more are asked for"
        )
    );
    assert!(create("T", &["1"]).unwrap()["Errors"][0].is_object());
    create("t", &["3"]).unwrap();
    let one = json!({"DatabaseName": "a", "TableName": "t", "PartitionInput": partition("4")});
    assert_eq!(fixture.refused("CreatePartition", one.clone()), limited);
    // The account's own catalog by its name is the same one.
    let mut named = one.clone();
    named["CatalogId"] = json!(ACCOUNT);
    assert_eq!(fixture.refused("CreatePartition", named), limited);
    create("u", &["1", "2"]).unwrap();
    let full = create("u", &["3"]).unwrap_err();
    assert!(
        full.message.contains("5 partitions in all tables together"),
        "{full:?}"
    );
    let gone = json!({"DatabaseName": "a", "TableName": "t", "PartitionValues": ["1"]});
    fixture.call("DeletePartition", gone).unwrap();
    fixture.call("CreatePartition", one).unwrap();

    let update = |skip: bool| {
        let mut input = table("v");
        input["SkipArchive"] = json!(skip);
        fixture.call("UpdateTable", input)
    };
    update(false).unwrap();
    update(false).unwrap();
    assert_eq!(update(false).unwrap_err().name, limited);
    update(true).unwrap();
    let version = json!({"DatabaseName": "a", "TableName": "v", "VersionId": "0"});
    fixture.call("DeleteTableVersion", version).unwrap();
    update(false).unwrap();

    let function =
        |name: &str| json!({"DatabaseName": "a", "FunctionInput": {"FunctionName": name}});
    fixture
        .call("CreateUserDefinedFunction", function("f"))
        .unwrap();
    assert_eq!(
        fixture.refused("CreateUserDefinedFunction", function("g")),
        limited
    );
    let connection = |name: &str| {
        let properties = json!({"JDBC_CONNECTION_URL": "jdbc:postgresql://db.example:5432/x"});
        json!({"ConnectionInput": {"Name": name, "ConnectionType": "JDBC", "ConnectionProperties": properties}})
    };
    fixture.call("CreateConnection", connection("c")).unwrap();
    assert_eq!(
        fixture.refused("CreateConnection", connection("d")),
        limited
    );
    fixture
        .call("DeleteConnection", json!({"ConnectionName": "c"}))
        .unwrap();
    fixture.call("CreateConnection", connection("d")).unwrap();
}

#[test]
fn creations_of_an_account_do_not_wait_for_each_other() {
    let fixture = fixture();
    let quotas = Quotas {
        databases: Some(10),
        ..Quotas::default()
    };
    fixture.quotas(quotas);
    fixture.call("CreateDatabase", database("a")).unwrap();
    // One that is under way for as long as this.
    let tenant = tenon_store::Tenant::new(1);
    let usage = fixture.dispatch.identity.usage().of(tenant);
    let wanted = Wanted::of("CreateDatabase", &database("slow"), &quotas);
    let owned = (
        &fixture.dispatch.catalog.tenant(tenant),
        &fixture.dispatch.jobs.tenant(tenant),
    );
    let slow = usage.reserve(owned, &wanted);
    for name in 0..8 {
        let name = format!("d{name}");
        fixture.call("CreateDatabase", database(&name)).unwrap();
    }
    // It was none after all.
    drop(slow.unwrap());
    fixture.call("CreateDatabase", database("last")).unwrap();
    let refused = fixture.refused("CreateDatabase", database("more"));
    assert_eq!(refused, "ResourceNumberLimitExceededException");
}

/// Counts what is scanned.
struct Counting {
    inner: Arc<dyn Store>,
    scanned: Arc<AtomicU64>,
}

impl Store for Counting {
    fn commit(
        &self,
        transaction: tenon_store::Transaction,
    ) -> tenon_store::Result<tenon_store::Commit> {
        self.inner.commit(transaction)
    }

    fn get(
        &self,
        tenant: tenon_store::Tenant,
        tree: tenon_store::Tree,
        key: &tenon_store::Key,
    ) -> tenon_store::Result<Option<tenon_store::Record>> {
        self.inner.get(tenant, tree, key)
    }

    fn scan(
        &self,
        tenant: tenon_store::Tenant,
        tree: tenon_store::Tree,
        prefix: &tenon_store::Key,
        after: Option<&tenon_store::Key>,
        limit: usize,
    ) -> tenon_store::Result<tenon_store::Page> {
        let page = self.inner.scan(tenant, tree, prefix, after, limit)?;
        let records = page.records.len() as u64;
        self.scanned.fetch_add(records, Ordering::Relaxed);
        Ok(page)
    }

    fn backup_to(
        &self,
        to: &mut dyn std::io::Write,
    ) -> tenon_store::Result<tenon_store::BackupReport> {
        self.inner.backup_to(to)
    }

    fn status(&self) -> tenon_store::Status {
        self.inner.status()
    }
}

#[test]
fn a_quota_is_not_counted_at_each_request() {
    let mut fixture = fixture();
    let scanned = Arc::new(AtomicU64::new(0));
    let counting: Arc<dyn Store> = Arc::new(Counting {
        inner: Arc::clone(&fixture.store),
        scanned: Arc::clone(&scanned),
    });
    let identity = identity(fixture.dir.path(), &counting, &fixture.clock);
    fixture.dispatch = dispatch(identity, 1);
    let create = |from: u32, until: u32| {
        let before = scanned.load(Ordering::Relaxed);
        for number in from..until {
            let name = format!("d{number}");
            fixture.call("CreateDatabase", database(&name)).unwrap();
        }
        scanned.load(Ordering::Relaxed) - before
    };
    let without = create(0, 100);
    fixture.quotas(Quotas {
        databases: Some(200),
        ..Quotas::default()
    });
    // The first counts those that are there.
    let first = create(100, 101);
    assert!((100..=without / 100 + 110).contains(&first), "{first}");
    let below = create(101, 200);
    assert!(below <= without, "{below} with a quota, {without} without");
    // Nor is it at each refusal, as long as nothing is deleted.
    let before = scanned.load(Ordering::Relaxed);
    for _ in 0..50 {
        fixture.refused("CreateDatabase", database("more"));
    }
    let refusing = scanned.load(Ordering::Relaxed) - before;
    assert!(refusing <= 250, "{refusing}");
}

#[test]
fn a_tenant_whose_seats_are_taken_waits_and_others_do_not() {
    let mut fixture = fixture();
    let (_, other) = fixture
        .dispatch
        .identity
        .create_account("test", Some("222222222222"), "another")
        .unwrap();
    let seats = fixture.dispatch.seats.of(tenon_store::Tenant::new(1));
    let taken = seats
        .try_acquire_many(u32::try_from(SEATS).unwrap())
        .unwrap();
    let call = |fixture: &Fixture| {
        let secret = fixture.key.secret.reveal();
        fixture.signed(secret, "CreateDatabase", &database("a"))
    };
    let Begun::Waits(waiting, _) = fixture.dispatch.begin(call(&fixture)) else {
        panic!("it has no seat");
    };
    let own = std::mem::replace(&mut fixture.key, other);
    let Begun::Answered(answer) = fixture.dispatch.begin(call(&fixture)) else {
        panic!("the other account has seats");
    };
    assert_eq!(answer.status(), StatusCode::OK);
    drop(taken);
    let seat = fixture.dispatch.seats.of(waiting.caller.tenant);
    let seat = seat.try_acquire_owned().unwrap();
    let answer = fixture.dispatch.finish(*waiting, seat);
    assert_eq!(answer.status(), StatusCode::OK);
    fixture.key = own;
    assert_eq!(seats.available_permits(), SEATS);
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
