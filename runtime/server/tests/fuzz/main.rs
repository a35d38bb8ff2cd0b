//! Random requests made of the service model, valid and not: none is a fault of the server, every refusal has the
//! form of Glue's, and what succeeded is there.
//!
//! The seed is printed; `TENON_FUZZ_SEED` repeats a run, `TENON_FUZZ_REQUESTS` says how long it is (default 10,000).
//! Workers share nothing but the server: a worker's requests depend on the seed and on answers to itself alone.

mod checks;
mod generate;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use checks::{Outcome, Worker};
use generate::Generator;
use serde_json::Value;
use support::{Connection, Running};

const WORKERS: usize = 8;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How often each outcome was met.
type Tally = BTreeMap<String, usize>;

#[test]
fn no_request_is_a_fault_of_the_server() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("TENON_FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let requests = number("TENON_FUZZ_REQUESTS").unwrap_or(10_000);
    println!("TENON_FUZZ_SEED={seed}");
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(info);
    }));
    let model: Value =
        serde_json::from_str(include_str!("../../src/model/glue.json")).expect("the model");
    let server = Running::start();
    let address = server.address;
    let each = usize::try_from(requests)
        .expect("a number of requests")
        .div_ceil(WORKERS);
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let model = &model;
        let start = |number| scope.spawn(move || work(address, model.clone(), seed, number, each));
        let workers: Vec<_> = (0..WORKERS).map(start).collect();
        let ended = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        ended
            .map(|ended| ended.unwrap_or_else(|reason| panic!("TENON_FUZZ_SEED={seed}: {reason}")))
            .collect()
    });
    server.stop();
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "something panicked");
    let mut all = Tally::new();
    tallies
        .into_iter()
        .flatten()
        .for_each(|(name, count)| *all.entry(name).or_default() += count);
    println!("{all:#?}");
    let reached = all.get("reached the catalog").copied().unwrap_or_default();
    assert!(
        reached * 2 > each * WORKERS,
        "only {reached} requests reached the catalog"
    );
}

fn work(
    address: SocketAddr,
    model: Value,
    seed: u64,
    number: usize,
    requests: usize,
) -> Result<Tally, String> {
    let connection = Connection::open(address).map_err(|error| error.to_string())?;
    let mut worker = Worker::new(connection, prefix(number));
    let mut generator = Generator::new(model, seed, number, prefix(number));
    let mut tally = Tally::new();
    for _ in 0..requests {
        let outcome = one(&mut worker, &mut generator)?;
        if outcome.reached_the_catalog() {
            *tally.entry("reached the catalog".to_owned()).or_default() += 1;
        }
        let name = match outcome {
            Outcome::Done(_) => "success".to_owned(),
            Outcome::Refused(name) => name,
        };
        *tally.entry(name).or_default() += 1;
    }
    worker.at_the_end(&mut generator.random)?;
    Ok(tally)
}

/// What a worker's databases begin with: one changed byte does not make it another's.
fn prefix(number: usize) -> String {
    format!("{number}{number}_")
}

fn one(worker: &mut Worker, generator: &mut Generator) -> Result<Outcome, String> {
    let (operation, shape) = generator.operation();
    let mut input = generator.input(&shape);
    let kind = generator.random.below(100);
    let (mut target, mut body) = (format!("X-Amz-Target: AWSGlue.{operation}\r\n"), None);
    match kind {
        0..75 => {}
        75..90 => generator.spoil(&mut input),
        90..97 => body = Some(generator.raw(&input)),
        97 => target.clear(),
        98 => target = "X-Amz-Target: AmazonEC2.GetDatabase\r\n".to_owned(),
        _ => {
            target = format!(
                "X-Amz-Target: AWSGlue.{}\r\n",
                generator.unknown_operation()
            )
        }
    }
    let (exact, performed) = (body.is_none(), kind < 97);
    let body = body.unwrap_or_else(|| input.to_string().into_bytes());
    let outcome = worker.send(&target, &body)?;
    if let Outcome::Done(output) = &outcome {
        if let Some(token) = output["NextToken"].as_str() {
            generator.tokens.push(token.to_owned());
        }
        // A name with a space behind is a name to HTTP, so another operation may have been done.
        if !performed {
            return Ok(outcome);
        }
        // Bytes that were not quite the input may say something else.
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let kept = worker.after(&operation, &said, output, exact);
        kept.map_err(|reason| format!("{reason}\nafter {operation} {said}"))?;
    }
    Ok(outcome)
}
