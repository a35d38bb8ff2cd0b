//! One account sees nothing of another, shown for every supported operation.
//!
//! The requests are made from the service model, so an operation that is added is asked too:
//!
//! ```text
//! every operation x every kind of name x { own, foreign, absent } x { no catalog, foreign, absent catalog }
//! ```
//!
//! * What is foreign answers as what never existed: status, headers and body, but for the name itself.
//! * A word that is in every text of account A is in no byte that B gets, nor in the server's log.
//! * Equal names in both accounts are two things; a page token of A is no token for B.
//! * Whatever B does, every answer that A gets stays the same.
//! * Who is nobody gets one answer, whatever the operation and the names.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod client;
mod inputs;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tenon_server::{Identity, IdentityConfig, Server, ServerConfig, supported};
use tenon_store::{ManualClock, SledStore, StoreConfig};

use client::{Answer, Client};
use inputs::{Inputs, Names, SLOTS};

const A: &str = "111111111111";
const B: &str = "222222222222";
const NOBODY: &str = "999999999999";

/// In every text of account A that B does not send itself.
const CANARY: &str = "canary5d1f";

/// What the server logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

fn is_read(operation: &str) -> bool {
    ["Get", "BatchGet", "List", "Search", "Check", "Describe"]
        .iter()
        .any(|prefix| operation.starts_with(prefix))
}

fn reads() -> impl Iterator<Item = &'static str> {
    supported()
        .into_iter()
        .filter(|operation| is_read(operation))
}

/// Creates and changes everything under `names`, with `word` in every text. What needs another thing first
/// works the second or third time.
fn plant(client: &Client, account: &str, inputs: &Inputs, names: &Names, word: &str) {
    for _ in 0..3 {
        for operation in supported() {
            if !is_read(operation) && !operation.contains("Delete") {
                let catalog = inputs.catalog_of(operation, account);
                client.call(operation, &inputs.input(operation, names, word, catalog));
            }
        }
    }
}

/// Every answer that A gets to reading what these names stand for.
fn snapshot(client: &Client, inputs: &Inputs, names: &[&Names]) -> Vec<(String, Answer)> {
    let mut answers = Vec::new();
    for names in names {
        for operation in reads() {
            let catalog = inputs.catalog_of(operation, A);
            let input = inputs.input(operation, names, "x", catalog);
            answers.push((
                format!("{operation} {input}"),
                client.call(operation, &input),
            ));
        }
    }
    answers
}

#[test]
fn an_account_sees_nothing_of_another() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let dir = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(
        UNIX_EPOCH + Duration::from_secs(client::NOW),
    ));
    let store = SledStore::open(
        &dir.path().join("store"),
        &StoreConfig::default(),
        clock.as_ref(),
    );
    let store = Arc::new(store.expect("a store"));
    let identity = Identity::open(store, clock, IdentityConfig::new(dir.path())).expect("identity");
    let key = |id: &str| {
        identity
            .create_account("test", Some(id), CANARY)
            .expect("an account")
            .1
    };
    let (key_a, key_b) = (key(A), key(B));

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = ServerConfig {
        listen: "127.0.0.1:0".parse().expect("an address"),
        ..ServerConfig::default()
    };
    let server = runtime
        // No slots: what nobody runs stays as it is.
        .block_on(Server::bind_with(
            &config,
            identity.clone(),
            support::workers(0),
        ))
        .expect("a server");
    let address = server.address().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = runtime.spawn(server.run(async {
        let _ = stopped.await;
    }));
    let a = Client::new(address, &key_a.key.id, key_a.secret.reveal());
    let b = Client::new(address, &key_b.key.id, key_b.secret.reveal());

    let inputs = Inputs::load();
    let (own, foreign, absent) = (Names::new("own"), Names::new("for"), Names::new("abs"));
    let hidden = Names::new(CANARY);
    for names in [&own, &foreign, &hidden] {
        plant(&a, A, &inputs, names, CANARY);
    }
    plant(&b, B, &inputs, &own, "benign");
    let of_a = [&own, &foreign, &hidden];
    let before = snapshot(&a, &inputs, &of_a);
    the_canary_sings_for_its_owner(&before);

    nobody_gets_one_answer(&b, &inputs, &foreign);
    page_tokens_stay_at_home(&a, &b, &inputs, &own);
    foreign_is_absent(&b, &inputs, &own, &foreign, &absent);

    let after = snapshot(&a, &inputs, &of_a);
    for ((request, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(before, after, "{request} of A changed");
    }
    assert!(!b.heard(CANARY), "B got a text of A's");
    let metrics = b.get("/metrics");
    assert!(!has(&metrics, CANARY), "a text of A's is in the metrics");
    let _ = stop.send(());
    runtime.block_on(serving).expect("no panic");
    let log = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(!log.is_empty(), "nothing was logged");
    assert!(!has(&log, CANARY), "a text of A's is in the log");
    for secret in [key_a.secret.reveal(), key_b.secret.reveal()] {
        assert!(!has(&log, secret), "a secret is in the log");
    }
}

/// The test could find something: most of what is read is there, with the word in it.
fn the_canary_sings_for_its_owner(snapshot: &[(String, Answer)]) {
    let found = |(request, answer): &&(String, Answer)| {
        let operation = request.split(' ').next().unwrap_or_default();
        let found = answer.status == 200 && has(&answer.body, CANARY);
        if !found {
            println!("not read: {operation}: {}", answer.shown());
        }
        found
    };
    // Ids of transforms are made by the service: nobody here knows one.
    let named = snapshot.iter();
    let named = named.filter(|(request, _)| !request.contains("\"TransformId\""));
    let (all, sung) = (named.clone().count(), named.filter(found).count());
    assert!(
        sung * 3 >= all * 2,
        "only {sung} of {all} reads of A find something"
    );
}

fn nobody_gets_one_answer(b: &Client, inputs: &Inputs, foreign: &Names) {
    let (unsigned, unknown) = (b.unsigned(), b.unknown());
    for (client, name) in [
        (&unsigned, "MissingAuthenticationTokenException"),
        (&unknown, "UnrecognizedClientException"),
    ] {
        let mut answers = supported()
            .into_iter()
            .chain(["NoSuchOperation"])
            .map(|operation| client.call(operation, &inputs.input(operation, foreign, "x", None)));
        let first = answers.next().expect("an operation");
        assert_eq!((first.status, first.error().as_str()), (403, name));
        for answer in answers {
            assert_eq!(answer, first);
        }
    }
}

fn page_tokens_stay_at_home(a: &Client, b: &Client, inputs: &Inputs, own: &Names) {
    let mut tokens = 0;
    for operation in reads() {
        let mut input = inputs.input(operation, own, "x", None);
        input["MaxResults"] = json!(1);
        let answer = a.call(operation, &input);
        let Some(token) = answer.json()["NextToken"].as_str().map(str::to_owned) else {
            continue;
        };
        tokens += 1;
        input["NextToken"] = json!(token);
        assert_eq!(a.call(operation, &input).status, 200, "{operation}");
        let refused = b.call(operation, &input);
        assert_eq!(refused.error(), "InvalidInputException", "{operation}");
        input["NextToken"] = json!("0".repeat(token.len()));
        assert_eq!(refused, b.call(operation, &input), "{operation}");
    }
    assert!(tokens >= 3, "only {tokens} operations have pages");
}

/// Asks for what is foreign and for what is absent, name by name, while the other names are B's own.
fn foreign_is_absent(b: &Client, inputs: &Inputs, own: &Names, foreign: &Names, absent: &Names) {
    let mut compared = 0;
    // Changes come last: they are made under both names, so that the two stay alike.
    let mutations = supported()
        .into_iter()
        .filter(|operation| !is_read(operation));
    for operation in reads().chain(mutations) {
        for slots in SLOTS.iter().map(std::slice::from_ref).chain([SLOTS]) {
            let (there, nowhere) = (own.with(slots, foreign), own.with(slots, absent));
            for catalogs in [None, Some((A, NOBODY)), Some((B, B))] {
                let input = |names: &Names, catalog: Option<&str>| {
                    inputs.input(operation, names, "benign", catalog)
                };
                let asked = input(&there, catalogs.map(|(foreign, _)| foreign));
                let control = input(&nowhere, catalogs.map(|(_, absent)| absent));
                if asked == control {
                    continue;
                }
                let answer = b.call(operation, &asked);
                let expected = b
                    .call(operation, &control)
                    .with_names(absent, foreign)
                    .with_text(NOBODY, A);
                let request = format!("{operation} {asked}");
                assert!(answer.status < 500, "{request}: {}", answer.shown());
                // Names of transforms are free for everyone; what is made gets an id that no other has.
                let is_made = operation == "CreateMLTransform" && answer.status == 200;
                if is_made {
                    assert_eq!(expected.status, 200, "{request}: {}", expected.shown());
                } else {
                    assert_eq!(answer, expected, "{request}");
                }
                compared += 1;
            }
        }
    }
    println!(
        "{compared} requests of {} operations compared",
        supported().len()
    );
    assert!(
        compared >= 3 * supported().len(),
        "only {compared} compared"
    );
}

/// The value itself, for messages.
fn shown(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}
