//! Sessions natively: where they end, and that a restart in their midst changes nothing.

use super::*;
use proptest::prelude::*;
use tenon_sdk::arrow_array::{Int64Array, TimestampSecondArray};

/// A visitor and a time, either of which may be missing.
type Event = (Option<String>, Option<i64>);

fn config() -> Config {
    Config::from_json(r#"{"key": "user", "time": "at", "gap_seconds": 10}"#).unwrap()
}

fn batch(events: &[Event]) -> RecordBatch {
    let users: StringArray = events.iter().map(|(user, _)| user.as_deref()).collect();
    let times: Int64Array = events.iter().map(|(_, at)| *at).collect();
    let schema = Schema::new(vec![
        Field::new("user", DataType::Utf8, true),
        Field::new("at", DataType::Int64, true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(users), Arc::new(times)]).unwrap()
}

/// Session and number of each event; after each of `cuts` the state goes through a snapshot.
fn sessions(events: &[Event], cuts: &[usize]) -> Vec<(Option<String>, Option<i64>)> {
    let schemas = [batch(&[]).schema()];
    let mut this = Sessionize::open(&config(), &schemas).unwrap();
    let mut out = Vec::new();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (events.len() + 1)).collect();
    ends.push(events.len());
    ends.sort_unstable();
    let mut start = 0;
    for end in ends {
        for made in this.push(0, batch(&events[start..end])).unwrap() {
            let ids = made.column(2).as_string::<i32>();
            let numbers = made.column(3).as_primitive::<Int64Type>();
            out.extend(ids.iter().map(|id| id.map(str::to_owned)).zip(numbers));
        }
        let snapshot = this.snapshot().unwrap();
        this = Sessionize::restore(&config(), &schemas, &snapshot).unwrap();
        start = end;
    }
    out
}

fn event(user: &str, at: i64) -> Event {
    (Some(user.to_owned()), Some(at))
}

#[test]
fn a_session_ends_at_a_gap_and_at_another_key() {
    let events = [
        event("ada", 0),
        event("ada", 10_000),
        event("ada", 20_001),
        event("bob", 20_002),
        (None, Some(20_003)),
        (Some("bob".to_owned()), None),
        event("bob", 20_004),
    ];
    let found = sessions(&events, &[]);
    let numbers: Vec<Option<i64>> = found.iter().map(|(_, n)| *n).collect();
    assert_eq!(
        numbers,
        [Some(1), Some(2), Some(1), Some(1), None, None, Some(2)]
    );
    assert_eq!(found[0].0, found[1].0);
    assert_ne!(found[1].0, found[2].0);
    assert_eq!(found[0].0, Some(session_id("ada", 0)));
    assert_eq!(found[3].0, found[6].0);
}

#[test]
fn the_id_is_the_same_in_every_unit() {
    let schema = Schema::new(vec![
        Field::new("user", DataType::Utf8, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Second, None), true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["ada"])),
        Arc::new(TimestampSecondArray::from(vec![7])),
    ];
    let seconds = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let mut this = Sessionize::open(&config(), &[seconds.schema()]).unwrap();
    let made = this.push(0, seconds).unwrap();
    let id = made[0].column(2).as_string::<i32>().value(0).to_owned();
    assert_eq!(sessions(&[event("ada", 7_000)], &[])[0].0, Some(id));
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let bind = |json: &str| {
        let config = Config::from_json(json)?;
        Sessionize::bind(&config, &[batch(&[]).schema()])
    };
    let said = |json| bind(json).unwrap_err().to_string();
    assert!(said(r#"{"key": "user"}"#).contains("missing field `time`"));
    assert!(
        said(r#"{"key": "user", "time": "user"}"#)
            .contains("time \"user\" is Utf8, not a timestamp")
    );
    let Distribution::Hash(columns) = bind(r#"{"key": "user", "time": "at"}"#)
        .unwrap()
        .inputs
        .remove(0)
        .distribution
    else {
        panic!("not distributed by key");
    };
    assert_eq!(columns, [0]);
}

proptest! {
    /// Wherever the stream is cut, and however often it is restored, what comes out is the same.
    #[test]
    fn a_restart_changes_nothing(
        mut events in proptest::collection::vec(("[ab]", 0_i64..100_000), 0..40),
        cuts in proptest::collection::vec(0_usize..100, 0..6),
    ) {
        events.sort();
        let events: Vec<Event> = events.into_iter().map(|(user, at)| (Some(user), Some(at))).collect();
        prop_assert_eq!(sessions(&events, &cuts), sessions(&events, &[]));
    }
}
