//! `FilterLogEvents` and `GetLogEvents`: lines of streams.
//!
//! Lines of a stream have numbers and are only added, none before the one above it. Several streams are one list by time:
//! a page is the first of their lines that fit, found by reading one stream after the other.
//!
//! ```text
//! stream a (ended)      1   2       3        token: behind line 2 of b, at its time; of b, which may say more, from line 3 on
//! stream b (under way)    1     2│    ...
//! ```
//!
//! A run that is under way may say something later whose time is before the end of a page that was given. So a token
//! has beside that end, for each such run, the number of the line that comes next: nothing is passed over or given twice.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tenon_jobs::{JobRun, Line, Stream, Told};

use super::pattern::Pattern;
use super::shapes::{Filter, Get};
use super::{Group, cursor, invalid, not_found, unreadable};
use crate::fault::Fault;
use crate::glue::Context;

/// Lines of a page, at most and unless the request says fewer.
const PAGE: usize = 10_000;

/// Bytes of the messages of a page, at most.
const PAGE_BYTES: usize = 1 << 20;

/// What CloudWatch counts of a line beside its message.
const LINE_BYTES: usize = 26;

/// Streams that one request searches without naming them, at most: those of the newest runs.
const SEARCHED: usize = 1000;

pub(super) fn filter(context: &Context, input: &Filter) -> Result<Value, Fault> {
    if input.start_from_head == Some(false) {
        return Err(invalid(
            "startFromHead: lines are given from the first one on; leave it out",
        ));
    }
    let group = Group::asked(
        context,
        input.log_group_name.as_deref(),
        input.log_group_identifier.as_deref(),
    )?;
    let pattern = Pattern::read(input.filter_pattern.as_deref().unwrap_or_default())?;
    let named = input.log_stream_names.as_deref().unwrap_or_default();
    let names = named.join(":");
    let prefix = input.log_stream_name_prefix.as_deref().unwrap_or_default();
    let scope = ["FilterLogEvents", &group.name, &names, prefix];
    let from = cursor(context, &scope, input.next_token.as_deref())?;
    let from = from.as_deref().map(At::read).transpose()?;
    let from = from.unwrap_or_default();
    let mut page = Page::new(input.limit.unwrap_or(PAGE));
    let mut open = Vec::new();
    for stream in streams(context, &group, input, &from)? {
        if page.ends_before(stream.begun_unix_millis) {
            break;
        }
        let Some(told) = context.jobs.told_of(&stream, group.channel)? else {
            match input.log_stream_names {
                Some(_) => return Err(not_found("log stream")),
                None => continue,
            }
        };
        let wanted = |number: usize, line: &Line| {
            from.is_before(&stream, number, line)
                && is_between(line, input.start_time, input.end_time)
                && pattern.wants(&line.message)
        };
        page.fill(&told, wanted);
        if !told.run.job_run_state.is_final() || from.open.contains_key(&stream.number()) {
            open.push(Open::of(stream, &told));
        }
    }
    let mut answer = json!({"searchedLogStreams": []});
    if let Some(next) = from.after(&page, &open) {
        answer["nextToken"] = json!(context.tokens.seal(&scope, &next.write()));
    }
    answer["events"] = page.into_events();
    Ok(answer)
}

/// The streams that a request names, or all that it does not exclude; those that ended before the page begins are not
/// among them.
fn streams(
    context: &Context,
    group: &Group,
    input: &Filter,
    from: &At,
) -> Result<BTreeSet<Stream>, Fault> {
    match (&input.log_stream_names, &input.log_stream_name_prefix) {
        (Some(_), Some(_)) => Err(invalid(
            "give logStreamNames or logStreamNamePrefix, not both",
        )),
        (Some(names), None) => named(context, group, names),
        (None, prefix) => {
            let prefix = prefix.as_deref().unwrap_or_default();
            found(context, group, input, prefix, from)
        }
    }
}

fn named(context: &Context, group: &Group, names: &[String]) -> Result<BTreeSet<Stream>, Fault> {
    let mut streams = BTreeSet::new();
    for name in names {
        let found = context.jobs.stream(name)?;
        let found = found.filter(|(run, _)| run.log_group_name == group.base());
        let (_, stream) = found.ok_or_else(|| not_found("log stream"))?;
        streams.insert(stream);
    }
    Ok(streams)
}

fn found(
    context: &Context,
    group: &Group,
    input: &Filter,
    prefix: &str,
    from: &At,
) -> Result<BTreeSet<Stream>, Fault> {
    let (is_known, mut streams) = (Cell::new(false), BTreeSet::new());
    context.jobs.visit_streams(|run, stream| {
        if run.log_group_name != group.base() {
            return;
        }
        is_known.set(true);
        let is_over = from.is_after(run) && !from.open.contains_key(&stream.number());
        if run.id.starts_with(prefix) && may_overlap(run, input) && !is_over {
            streams.insert(stream);
        }
        if streams.len() > SEARCHED {
            streams.pop_first();
        }
    })?;
    match is_known.get() {
        true => Ok(streams),
        false => Err(not_found("log group")),
    }
}

/// Whether a run was there in the time that a request asks for.
fn may_overlap(run: &JobRun, input: &Filter) -> bool {
    let (begun, ended) = (run.started_on.unix_millis(), ended(run));
    input.end_time.is_none_or(|end| begun < end)
        && input
            .start_time
            .is_none_or(|start| ended.is_none_or(|ended| ended >= start))
}

/// When a run ended: no line of it is later.
fn ended(run: &JobRun) -> Option<u64> {
    let ended = run.completed_on.filter(|_| run.job_run_state.is_final());
    ended.map(|time| time.unix_millis())
}

fn stream(context: &Context, group: &Group, name: &str) -> Result<Told, Fault> {
    let told = context.jobs.told(name, group.channel)?;
    let told = told.filter(|told| told.run.log_group_name == group.base());
    told.ok_or_else(|| not_found("log stream"))
}

/// From `start` on, before `end`, in milliseconds since 1970.
fn is_between(line: &Line, start: Option<u64>, end: Option<u64>) -> bool {
    let time = line.time.unix_millis();
    start.is_none_or(|start| time >= start) && end.is_none_or(|end| time < end)
}

/// Where a line is in the list: its time, when its run was accepted, the run, and its number.
type Key = (u64, u64, String, usize);

fn key_of(told: &Told, number: usize, line: &Line) -> Key {
    let begun = told.run.started_on.unix_millis();
    (line.time.unix_millis(), begun, told.run.id.clone(), number)
}

/// Where a page ends.
#[derive(Debug, Default, PartialEq)]
struct At {
    /// The last line that was given, the latest of all pages.
    last: Option<Key>,
    /// Of streams that could say more, the number of the next line; by [`Stream::number`].
    open: BTreeMap<String, usize>,
}

/// A stream that may say more, or could when a page before was given, with the times of what it said.
struct Open {
    stream: Stream,
    times: Vec<u64>,
    has_ended: bool,
}

impl Open {
    fn of(stream: Stream, told: &Told) -> Self {
        let times = told.lines.iter().map(|line| line.time.unix_millis());
        Self {
            stream,
            times: times.collect(),
            has_ended: told.run.job_run_state.is_final(),
        }
    }

    /// How many of its lines are not behind `last`.
    fn given(&self, last: &Key) -> usize {
        let (time, begun, run, number) = last;
        let end = (*time, *begun, run.as_str(), *number);
        let own = (self.stream.begun_unix_millis, self.stream.run.as_str());
        let times = self.times.iter().enumerate();
        let given = times.take_while(|(number, time)| (**time, own.0, own.1, *number) <= end);
        given.count()
    }
}

impl At {
    /// Whether a line comes behind it.
    fn is_before(&self, stream: &Stream, number: usize, line: &Line) -> bool {
        match (self.open.get(&stream.number()), &self.last) {
            (Some(next), _) => number >= *next,
            (None, None) => true,
            (None, Some((time, begun, run, last))) => {
                let key = (
                    line.time.unix_millis(),
                    stream.begun_unix_millis,
                    stream.run.as_str(),
                );
                (key, number) > ((*time, *begun, run.as_str()), *last)
            }
        }
    }

    /// Whether all that a run said is before it.
    fn is_after(&self, run: &JobRun) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|(time, ..)| ended(run).is_some_and(|ended| ended < *time))
    }

    /// Where a page ends that begins here; nothing for one without lines.
    fn after(&self, page: &Page, open: &[Open]) -> Option<Self> {
        let end = page.lines.last_key_value()?.0;
        let next = open.iter().filter_map(|open| {
            let number = open.stream.number();
            let before = self.open.get(&number).copied().unwrap_or(0);
            let next = open.given(end).max(before);
            // One that has ended and was given whole is behind the end like all others.
            (!open.has_ended || next < open.times.len()).then_some((number, next))
        });
        Some(Self {
            open: next.collect(),
            last: self.last.clone().max(Some(end.clone())),
        })
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let mut parts = text.split(',');
        let last: Vec<&str> = parts.next().unwrap_or_default().splitn(4, ':').collect();
        let [time, begun, line, run] = last[..] else {
            return Err(unreadable());
        };
        let number = |text: &str| text.parse().map_err(|_| unreadable());
        let open = parts.map(|part| {
            let (stream, next) = part.split_once('=').ok_or_else(unreadable)?;
            Ok((stream.to_owned(), next.parse().map_err(|_| unreadable())?))
        });
        Ok(Self {
            last: Some((
                number(time)?,
                number(begun)?,
                run.to_owned(),
                line.parse().map_err(|_| unreadable())?,
            )),
            open: open.collect::<Result<_, Fault>>()?,
        })
    }

    fn write(&self) -> String {
        let last = self
            .last
            .as_ref()
            .map(|(time, begun, run, line)| format!("{time}:{begun}:{line}:{run}"));
        let open = self.open.iter();
        let open = open.map(|(stream, next)| format!(",{stream}={next}"));
        last.unwrap_or_default() + &open.collect::<String>()
    }
}

/// The first lines by time that fit, of the streams that were read.
struct Page {
    limit: usize,
    bytes: usize,
    lines: BTreeMap<Key, String>,
    /// Some did not fit.
    is_full: bool,
}

impl Page {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            lines: BTreeMap::new(),
            is_full: false,
        }
    }

    /// Whether it is full of lines that are before a moment.
    fn ends_before(&self, begun: u64) -> bool {
        let last = self.lines.last_key_value();
        self.is_full && last.is_some_and(|((time, ..), _)| *time < begun)
    }

    /// Adds those lines of a stream that are wanted and belong here.
    fn fill(&mut self, told: &Told, wanted: impl Fn(usize, &Line) -> bool) {
        for (number, line) in told.lines.iter().enumerate() {
            if !wanted(number, line) {
                continue;
            }
            let key = key_of(told, number, line);
            let last = self.lines.last_key_value();
            if self.is_full && last.is_some_and(|(last, _)| *last < key) {
                // The rest of the stream is behind it.
                return;
            }
            self.add(key, line.message.clone());
        }
    }

    fn add(&mut self, key: Key, message: String) {
        self.bytes += message.len() + LINE_BYTES;
        self.lines.insert(key, message);
        while self.lines.len() > 1 && (self.lines.len() > self.limit || self.bytes > PAGE_BYTES) {
            if let Some((_, message)) = self.lines.pop_last() {
                self.bytes -= message.len() + LINE_BYTES;
            }
            self.is_full = true;
        }
    }

    fn into_events(self) -> Value {
        let lines = self.lines.into_iter();
        let events = lines.map(|((time, _, run, number), message)| {
            json!({
                "eventId": format!("{run}:{number}"),
                "logStreamName": run,
                "timestamp": time,
                "message": message,
                "ingestionTime": time,
            })
        });
        events.collect()
    }
}

pub(super) fn get(context: &Context, input: &Get) -> Result<Value, Fault> {
    let group = Group::asked(
        context,
        input.log_group_name.as_deref(),
        input.log_group_identifier.as_deref(),
    )?;
    let told = stream(context, &group, &input.log_stream_name)?;
    let scope = ["GetLogEvents", &group.name, &input.log_stream_name];
    // The way that a token goes stands before it, for people.
    let token = input.next_token.as_deref();
    let token = token.map(|token| token.split_once('/').map_or(token, |(_, token)| token));
    let from = cursor(context, &scope, token)?;
    let lines = told.lines.iter();
    let lines = lines.filter(|line| is_between(line, input.start_time, input.end_time));
    let lines: Vec<&Line> = lines.collect();
    let limit = input.limit.unwrap_or(PAGE);
    let (first, end) = match from.as_deref() {
        None if input.start_from_head == Some(true) => forward(&lines, 0, limit),
        None => backward(&lines, lines.len(), limit),
        Some(text) => {
            let number = |text: &str| text.parse().map_err(|_| unreadable());
            match text.split_at_checked(1).ok_or_else(unreadable)? {
                ("f", at) => forward(&lines, number(at)?, limit),
                (_, at) => backward(&lines, number(at)?, limit),
            }
        }
    };
    let events = lines[first..end].iter().map(|line| {
        json!({
            "timestamp": line.time.unix_millis(),
            "message": line.message,
            "ingestionTime": line.time.unix_millis(),
        })
    });
    let token = |way: &str, at: usize| {
        way.to_owned() + "/" + &context.tokens.seal(&scope, &format!("{way}{at}"))
    };
    Ok(json!({
        "events": events.collect::<Vec<_>>(),
        "nextForwardToken": token("f", end),
        "nextBackwardToken": token("b", first),
    }))
}

/// The lines from `first` on that fit into a page.
fn forward(lines: &[&Line], first: usize, limit: usize) -> (usize, usize) {
    let first = first.min(lines.len());
    let count = fitting(lines[first..].iter(), limit);
    (first, first + count)
}

/// The lines before `end` that fit into a page.
fn backward(lines: &[&Line], end: usize, limit: usize) -> (usize, usize) {
    let end = end.min(lines.len());
    let count = fitting(lines[..end].iter().rev(), limit);
    (end - count, end)
}

/// How many lines fit into a page: at least one.
fn fitting<'a>(lines: impl Iterator<Item = &'a &'a Line>, limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |(number, line): &(usize, &&Line)| {
        bytes += line.message.len() + LINE_BYTES;
        *number == 0 || (*number < limit && bytes <= PAGE_BYTES)
    };
    lines.enumerate().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(time: u64, run: &str, number: usize) -> Key {
        (time, 5, run.to_owned(), number)
    }

    #[test]
    fn a_page_has_the_first_lines_by_time_whatever_stream_comes_first() {
        let mut page = Page::new(3);
        for (time, run, number) in [
            (4, "b", 1),
            (1, "b", 0),
            (2, "a", 0),
            (9, "a", 1),
            (3, "c", 0),
        ] {
            page.add(key(time, run, number), format!("{run}{time}"));
        }
        assert!(page.is_full && page.ends_before(4) && !page.ends_before(3));
        assert_eq!(page.bytes, 3 * (2 + LINE_BYTES));
        let times: Vec<_> = page.lines.values().map(String::as_str).collect();
        assert_eq!(times, ["b1", "a2", "c3"]);
        // A line that is longer than a page is one.
        let mut page = Page::new(3);
        page.add(key(1, "a", 0), "x".repeat(2 * PAGE_BYTES));
        assert!(page.lines.len() == 1 && !page.is_full);
        page.add(key(2, "a", 1), String::new());
        assert!(page.lines.len() == 1 && page.is_full);
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let mut place = At {
            last: Some(key(7, "jr_b", 3)),
            open: BTreeMap::new(),
        };
        assert_eq!(At::read(&place.write()).unwrap(), place);
        place.open = [("1.2".to_owned(), 4), ("1.30".to_owned(), 0)].into();
        assert_eq!(At::read(&place.write()).unwrap(), place);
        for wrong in ["", "7:3:jr_b", "7:5:3:jr_b,1.2", "7:5:3:jr_b,1.2=x"] {
            assert!(At::read(wrong).is_err(), "{wrong}");
        }
    }
}
