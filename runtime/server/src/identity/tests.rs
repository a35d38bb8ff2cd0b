//! Tests of identity as a whole: over a store, with a clock that stands until it is told to move.

use std::time::UNIX_EPOCH;

use axum::http::HeaderMap;
use tenon_catalog::DatabaseInput;
use tenon_store::{Key, ManualClock, SledStore, StoreConfig};

use super::*;
use crate::glue::Context;
use crate::model::Model;
use crate::reach::Reach;
use crate::tasks::{TaskLimits, Tasks};
use crate::token::Tokens;
use crate::work::Work;

const A: &str = "111111111111";
const B: &str = "222222222222";
/// 2015-08-30 12:36:00.
const NOW: u64 = 1_440_938_160;

struct Fixture {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    identity: Identity,
}

fn config(dir: &Path) -> IdentityConfig {
    IdentityConfig::new(dir)
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
    let store = SledStore::open(
        &dir.path().join("store"),
        &StoreConfig::default(),
        clock.as_ref(),
    );
    let store: Arc<dyn Store> = Arc::new(store.unwrap());
    let identity = Identity::open(Arc::clone(&store), clock.clone(), config(dir.path())).unwrap();
    Fixture {
        dir,
        clock,
        store,
        identity,
    }
}

impl Fixture {
    fn reopen(&self) -> Result<Identity, IdentityError> {
        Identity::open(
            Arc::clone(&self.store),
            self.clock.clone(),
            config(self.dir.path()),
        )
    }

    /// Every stored byte of the server's own records.
    fn stored(&self, tenant: Tenant) -> Vec<u8> {
        let mut bytes = Vec::new();
        for tree in Tree::ALL {
            let page = self
                .store
                .scan(tenant, tree, &Key::new(), None, 10_000)
                .unwrap();
            for (key, record) in page.records {
                bytes.extend(key.as_bytes());
                bytes.extend(record.payload);
            }
        }
        bytes
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn try_headers(identity: &Identity, headers: &HeaderMap, once: bool) -> Result<Caller, Denied> {
    let request = Request {
        method: "POST",
        path: "/",
        query: "",
        headers,
        body: b"{}",
    };
    let scope = Scope {
        service: "glue",
        regions: &["us-east-1"],
    };
    identity.authenticate(&request, &scope, "000000000000", once)
}

fn sign(key: (&str, &str), token: Option<&str>, time: &str) -> HeaderMap {
    sigv4::signed_post(key, token, time, "us-east-1/glue", None, b"{}")
}

fn name(outcome: Result<Caller, Denied>) -> &'static str {
    outcome.unwrap_err().fault.name
}

const TIME: &str = "20150830T123600Z";

#[test]
fn accounts_have_numbers_that_are_never_used_again() {
    let fixture = fixture();
    let identity = &fixture.identity;
    assert!(!identity.is_closed());
    let (a, _) = identity.create_account("cli", Some(A), "first").unwrap();
    assert!(identity.is_closed());
    let (b, _) = identity.create_account("cli", Some(B), "second").unwrap();
    assert_eq!((a.tenant, b.tenant), (1, 2));
    let error = identity
        .create_account("cli", Some(A), "again")
        .unwrap_err();
    assert_eq!(error.to_string(), "account 111111111111 already exists");
    for bad in ["", "1", "11111111111x", "1111111111111"] {
        identity
            .create_account("cli", Some(bad), "bad")
            .unwrap_err();
    }
    identity.create_account("cli", None, "").unwrap_err();

    identity.delete_account("cli", B).unwrap();
    identity.delete_account("cli", B).unwrap_err();
    let (b, _) = identity.create_account("cli", Some(B), "second").unwrap();
    assert_eq!(b.tenant, 3);
    let (drawn, _) = identity.create_account("cli", None, "drawn").unwrap();
    assert!(is_account_id(&drawn.id));
    assert_eq!(identity.accounts().unwrap().len(), 3);

    // A server that ever had accounts stays closed.
    for account in identity.accounts().unwrap() {
        identity.delete_account("cli", &account.id).unwrap();
    }
    let again = fixture.reopen().unwrap();
    assert!(again.is_closed() && again.accounts().unwrap().is_empty());
    assert_eq!(
        name(try_headers(&again, &HeaderMap::new(), false)),
        "MissingAuthenticationTokenException"
    );
}

#[test]
fn a_deleted_account_leaves_nothing_and_takes_nothing_else() {
    let fixture = fixture();
    let identity = &fixture.identity;
    let (a, a_key) = identity.create_account("cli", Some(A), "first").unwrap();
    let (b, b_key) = identity.create_account("cli", Some(B), "second").unwrap();
    let more = identity.create_key("cli", A, "etl").unwrap();
    let token = identity
        .create_token("cli", "t", TokenScope::Account(A.to_owned()), None)
        .unwrap();
    for account in [&a, &b] {
        let catalog = identity.catalog().tenant(account.tenant());
        let name = "sales".to_owned();
        let input = DatabaseInput {
            name,
            ..Default::default()
        };
        catalog.create_database(input).unwrap();
    }
    identity.delete_account("cli", A).unwrap();
    assert!(fixture.stored(a.tenant()).is_empty());
    assert!(has(&fixture.stored(b.tenant()), "sales"));
    for key in [&a_key, &more] {
        let headers = sign((&key.key.id, key.secret.reveal()), None, TIME);
        assert_eq!(
            name(try_headers(identity, &headers, false)),
            "UnrecognizedClientException"
        );
    }
    assert_eq!(identity.check_token(token.text.reveal()).unwrap(), None);
    assert!(identity.tokens().unwrap().is_empty());
    let headers = sign((&b_key.key.id, b_key.secret.reveal()), None, TIME);
    let caller = try_headers(identity, &headers, false).unwrap();
    assert_eq!((caller.account.as_str(), caller.tenant), (B, b.tenant()));
    identity.erase(Tenant::SYSTEM).unwrap_err();
}

#[test]
fn keys_open_their_account_while_they_are_enabled() {
    let fixture = fixture();
    let identity = &fixture.identity;
    let (_, root) = identity.create_account("cli", Some(A), "first").unwrap();
    let etl = identity.create_key("cli", A, "etl").unwrap();
    assert_eq!(
        (
            root.key.id.len(),
            &root.key.id[..4],
            root.secret.reveal().len()
        ),
        (20, "AKIA", 40)
    );
    let arn = |key: &NewKey| {
        let headers = sign((&key.key.id, key.secret.reveal()), None, TIME);
        try_headers(identity, &headers, false).map(|caller| caller.principal.arn)
    };
    assert_eq!(arn(&root).unwrap(), "arn:aws:iam::111111111111:root");
    assert_eq!(arn(&etl).unwrap(), "arn:aws:iam::111111111111:user/etl");

    let wrong = sign((&etl.key.id, root.secret.reveal()), None, TIME);
    let denied = try_headers(identity, &wrong, false).unwrap_err();
    assert_eq!(denied.fault.name, "InvalidSignatureException");
    assert_eq!(denied.claimed, Some((Tenant::new(1), etl.key.id.clone())));
    let unknown = sign(("AKIAIOSFODNN7EXAMPLE", "x"), None, TIME);
    let denied = try_headers(identity, &unknown, false).unwrap_err();
    assert_eq!(
        (denied.fault.name, denied.claimed),
        ("UnrecognizedClientException", None)
    );
    let long = sign((&"A".repeat(4000), "x"), None, TIME);
    assert_eq!(
        name(try_headers(identity, &long, false)),
        "UnrecognizedClientException"
    );

    identity.enable_key("cli", &etl.key.id, false).unwrap();
    assert_eq!(
        arn(&etl).unwrap_err().fault.name,
        "UnrecognizedClientException"
    );
    identity.enable_key("cli", &etl.key.id, true).unwrap();
    arn(&etl).unwrap();
    assert_eq!(identity.keys(A).unwrap().len(), 2);
    identity.delete_key("cli", &etl.key.id).unwrap();
    assert_eq!(identity.keys(A).unwrap(), std::slice::from_ref(&root.key));
    assert_eq!(
        arn(&etl).unwrap_err().fault.name,
        "UnrecognizedClientException"
    );
    identity.delete_key("cli", &etl.key.id).unwrap_err();
    identity.keys(B).unwrap_err();
    for bad in ["", "a b", "ä", &"x".repeat(65)] {
        identity.create_key("cli", A, bad).unwrap_err();
    }
}

#[test]
fn secrets_are_stored_so_that_only_the_master_key_reads_them() {
    let fixture = fixture();
    let identity = &fixture.identity;
    let (_, key) = identity.create_account("cli", Some(A), "first").unwrap();
    let token = identity
        .create_token("cli", "t", TokenScope::Admin, None)
        .unwrap();
    let stored = fixture.stored(Tenant::SYSTEM);
    assert!(has(&stored, &key.key.id) && has(&stored, &token.token.id));
    assert!(!has(&stored, key.secret.reveal()));
    assert!(!has(&stored, &token.text.reveal()[20..]));
    let shown = format!("{key:?} {token:?} {identity:?}");
    assert!(!shown.contains(key.secret.reveal()) && !shown.contains(token.text.reveal()));

    fixture.reopen().unwrap();
    let path = fixture.dir.path().join("master.key");
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = fixture.reopen().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("restore it from a copy"), "{error}");
    std::fs::write(&path, "0".repeat(64)).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let error = fixture.reopen().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("it is not the key of this store"), "{error}");
    std::fs::write(&path, kept).unwrap();
    let again = fixture.reopen().unwrap();
    let headers = sign((&key.key.id, key.secret.reveal()), None, TIME);
    try_headers(&again, &headers, false).unwrap();
}

fn context(identity: &Identity, caller: Caller) -> Context {
    Context {
        catalog: identity.catalog().tenant(caller.tenant),
        jobs: Work::new(identity, None).jobs.tenant(caller.tenant),
        invocation: None,
        catalog_id: caller.account.clone(),
        account: caller.account,
        region: "us-east-1".to_owned(),
        tokens: Tokens::new([0; 32]),
        model: Arc::new(Model::glue().unwrap()),
        principal: caller.principal,
        request_id: String::new(),
        identity: identity.clone(),
        reach: Arc::new(Reach::new(&[], ([127, 0, 0, 1], 1).into())),
        tasks: Tasks::new(identity.clone(), A.to_owned(), None, TaskLimits::default()),
    }
}

#[test]
fn sessions_end_with_their_time_and_with_their_key() {
    let fixture = fixture();
    let identity = &fixture.identity;
    identity.create_account("cli", Some(B), "other").unwrap();
    let (_, key) = identity.create_account("cli", Some(A), "first").unwrap();
    let headers = sign((&key.key.id, key.secret.reveal()), None, TIME);
    let caller = context(identity, try_headers(identity, &headers, false).unwrap());
    let whom = SessionFor {
        arn: "arn:aws:sts::111111111111:assumed-role/r/s",
        user_id: "AROA:s",
        is_role: true,
    };
    let lasts = Duration::from_secs(900);
    let session = identity.begin_session(&caller, &whom, lasts).unwrap();
    let other = identity.begin_session(&caller, &whom, lasts).unwrap();
    assert!(session.access_key.starts_with("ASIA"));
    let signed = |id: &str, token: Option<&str>, time: &str| {
        try_headers(
            identity,
            &sign((id, session.secret.reveal()), token, time),
            false,
        )
    };
    let token = session.token.reveal();
    let caller = signed(&session.access_key, Some(token), TIME).unwrap();
    assert_eq!(
        (caller.account.as_str(), caller.tenant),
        (A, Tenant::new(2))
    );
    assert!(caller.principal.arn.ends_with("assumed-role/r/s") && caller.principal.in_session);

    // Neither without the token, nor with another one, nor with another key.
    for (id, token) in [
        (session.access_key.as_str(), None),
        (&session.access_key, Some(other.token.reveal())),
        (&session.access_key, Some("00")),
        (&other.access_key, Some(token)),
        (&key.key.id, Some(token)),
    ] {
        assert_eq!(
            name(signed(id, token, TIME)),
            "UnrecognizedClientException",
            "{id}"
        );
    }
    fixture.clock.advance(Duration::from_secs(899));
    signed(&session.access_key, Some(token), "20150830T125059Z").unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(
        name(signed(&session.access_key, Some(token), "20150830T125100Z")),
        "ExpiredTokenException"
    );
    fixture.clock.set(UNIX_EPOCH + Duration::from_secs(NOW));
    // It is sealed, not stored: another process knows it too.
    let again = fixture.reopen().unwrap();
    let headers = sign(
        (&session.access_key, session.secret.reveal()),
        Some(token),
        TIME,
    );
    try_headers(&again, &headers, false).unwrap();
    identity.enable_key("cli", &key.key.id, false).unwrap();
    assert_eq!(
        name(signed(&session.access_key, Some(token), TIME)),
        "UnrecognizedClientException"
    );
}

#[test]
fn a_change_is_not_accepted_twice() {
    let fixture = fixture();
    let identity = &fixture.identity;
    let (_, key) = identity.create_account("cli", Some(A), "first").unwrap();
    let headers = sign((&key.key.id, key.secret.reveal()), None, TIME);
    try_headers(identity, &headers, true).unwrap();
    try_headers(identity, &headers, true).unwrap();
    fixture.clock.advance(Duration::from_secs(3));
    let denied = try_headers(identity, &headers, true).unwrap_err();
    assert!(denied.fault.message.contains("used before"), "{denied:?}");
    // Who only reads may repeat it.
    try_headers(identity, &headers, false).unwrap();
    fixture.clock.advance(Duration::from_secs(298));
    let denied = try_headers(identity, &headers, false).unwrap_err();
    assert!(
        denied.fault.message.starts_with("Signature expired"),
        "{denied:?}"
    );
}

#[test]
fn without_accounts_every_key_is_good() {
    let fixture = fixture();
    let identity = &fixture.identity;
    let anyone = try_headers(identity, &HeaderMap::new(), true).unwrap();
    assert_eq!(
        (anyone.tenant, anyone.principal.access_key),
        (Tenant::new(1), None)
    );
    let headers = sign(("any", "any"), None, "19990830T123600Z");
    let caller = try_headers(identity, &headers, true).unwrap();
    assert_eq!(caller.principal.access_key.as_deref(), Some("any"));
    assert_eq!(caller.principal.arn, "arn:aws:iam::000000000000:root");
    assert_eq!(identity.lists_key().unwrap(), None);
    assert!(!fixture.dir.path().join("master.key").exists());
    // What was begun then is worth nothing once there are accounts.
    let caller = context(identity, caller);
    let whom = SessionFor {
        arn: "arn:aws:sts::000000000000:assumed-role/r/s",
        user_id: "AROA:s",
        is_role: true,
    };
    let lasts = Duration::from_secs(900);
    let session = identity.begin_session(&caller, &whom, lasts).unwrap();
    let headers = sign(
        (&session.access_key, session.secret.reveal()),
        Some(session.token.reveal()),
        TIME,
    );
    let role = try_headers(identity, &headers, false).unwrap();
    assert!(role.principal.arn.ends_with("assumed-role/r/s"));
    identity.create_account("cli", Some(A), "first").unwrap();
    assert_eq!(
        name(try_headers(identity, &headers, false)),
        "UnrecognizedClientException"
    );
    assert!(identity.lists_key().unwrap().is_some());
}

#[test]
fn tokens_end_and_are_compared_as_a_whole() {
    let fixture = fixture();
    let identity = &fixture.identity;
    identity.create_account("cli", Some(A), "first").unwrap();
    let scope = TokenScope::Account(A.to_owned());
    let hour = Some(Duration::from_secs(3600));
    let token = identity.create_token("cli", "t", scope, hour).unwrap();
    let text = token.text.reveal();
    assert_eq!(
        identity.check_token(text).unwrap(),
        Some(token.token.clone())
    );
    let swapped = |at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    for bad in [
        String::new(),
        "tn_".to_owned(),
        text[..text.len() - 2].to_owned(),
        format!("{text}00"),
        text.replacen("tn_", "tm_", 1),
        swapped(5),
        swapped(text.len() - 1),
    ] {
        assert_eq!(identity.check_token(&bad).unwrap(), None, "{bad}");
    }
    fixture.clock.advance(Duration::from_secs(3599));
    assert!(identity.check_token(text).unwrap().is_some());
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(identity.check_token(text).unwrap(), None);
    let lasting = identity
        .create_token("cli", "t", TokenScope::Admin, None)
        .unwrap();
    identity.revoke_token("cli", &lasting.token.id).unwrap();
    assert_eq!(identity.check_token(lasting.text.reveal()).unwrap(), None);
    identity.revoke_token("cli", &lasting.token.id).unwrap_err();
    let nobody = TokenScope::Account(B.to_owned());
    identity.create_token("cli", "t", nobody, None).unwrap_err();
}

#[test]
fn what_administrators_do_is_in_the_servers_log() {
    let fixture = fixture();
    let identity = &fixture.identity;
    let (_, key) = identity.create_account("cli", Some(A), "first").unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    identity
        .enable_key("rest:tn_1", &key.key.id, false)
        .unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    let quotas = Quotas {
        databases: Some(1),
        ..Quotas::default()
    };
    identity.set_quotas("cli", A, quotas).unwrap();
    assert_eq!(identity.account(A).unwrap().quotas, quotas);
    let none = Quotas {
        requests_per_second: Some(0),
        ..quotas
    };
    identity.set_quotas("cli", A, none).unwrap_err();
    let query = AuditQuery {
        limit: 10,
        ..AuditQuery::default()
    };
    let page = identity.audit(None, &query).unwrap();
    let said: Vec<_> = page
        .entries
        .iter()
        .map(|entry| (entry.principal.as_str(), entry.operation.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("cli", "tenon:SetQuotas"),
            ("rest:tn_1", "tenon:DisableKey"),
            ("cli", "tenon:CreateAccount")
        ]
    );
    assert_eq!(page.entries[1].resource["AccessKey"], key.key.id);
    assert!(identity.audit(Some(A), &query).unwrap().entries.is_empty());
    identity.audit(Some(B), &query).unwrap_err();
}

/// Stored bytes of every released layout must still load, to the same meaning.
#[test]
fn golden_records_load_and_are_what_is_written() {
    fn same<T: serde::Serialize + serde::de::DeserializeOwned>(golden: &str) -> T {
        let golden = golden.trim_end();
        let loaded: T = serde_json::from_str(golden).unwrap();
        assert_eq!(String::from_utf8(encode(&loaded).unwrap()).unwrap(), golden);
        loaded
    }
    let account: Account = same(include_str!("../../test-data/account-v1.json"));
    assert_eq!((account.id.as_str(), account.tenant), (A, 7));
    let key: key::StoredKey = same(include_str!("../../test-data/access-key-v1.json"));
    assert_eq!(key.key.user, "root");
    same::<bearer::StoredToken>(include_str!("../../test-data/token-v1.json"));
}
