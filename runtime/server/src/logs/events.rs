//! `FilterLogEvents` and `GetLogEvents`: lines of streams.
//!
//! Lines of a stream have numbers and are only added, so a page is known by the number of its next line. Several streams
//! are searched one after the other, in the order in which their runs began.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenon_jobs::{Line, Told};

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
    let streams = searched(context, &group, input)?;
    let named = input.log_stream_names.as_deref().unwrap_or_default();
    let names = named.join(":");
    let prefix = input.log_stream_name_prefix.as_deref().unwrap_or_default();
    let scope = ["FilterLogEvents", &group.name, &names, prefix];
    let from = cursor(context, &scope, input.next_token.as_deref())?;
    let from = from.as_deref().map(At::read).transpose()?;
    let mut page = Page {
        limit: input.limit.unwrap_or(PAGE),
        bytes: 0,
        events: Vec::new(),
        next: None,
    };
    let wanted = |line: &Line| {
        is_between(line, input.start_time, input.end_time) && pattern.wants(&line.message)
    };
    for told in &streams {
        let begun = told.run.started_on.unix_millis();
        let first = match &from {
            Some(at) if (at.begun, at.stream.as_str()) > (begun, told.run.id.as_str()) => continue,
            Some(at) if at.stream == told.run.id => at.line,
            _ => 0,
        };
        if !page.fill(told, first, &wanted) {
            break;
        }
    }
    let next = page.next.map(|at| context.tokens.seal(&scope, &at.write()));
    let mut answer = json!({"events": page.events, "searchedLogStreams": []});
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// The streams that a request names, or all that it does not exclude, in the order in which their runs began.
fn searched(context: &Context, group: &Group, input: &Filter) -> Result<Vec<Told>, Fault> {
    let mut streams = Vec::new();
    match (&input.log_stream_names, &input.log_stream_name_prefix) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "give logStreamNames or logStreamNamePrefix, not both",
            ));
        }
        (Some(names), None) => {
            for name in names {
                streams.push(stream(context, group, name)?);
            }
        }
        (None, prefix) => {
            let prefix = prefix.as_deref().unwrap_or_default();
            let (from, until) = (input.start_time, input.end_time);
            let overlaps = |told: &Told| {
                let first = told.lines.first().map(|line| line.time.unix_millis());
                let last = told.lines.last().map(|line| line.time.unix_millis());
                from.is_none_or(|from| last >= Some(from))
                    && until.is_none_or(|until| first <= Some(until))
            };
            let is_known = Cell::new(false);
            let mut found = Newest::default();
            context.jobs.visit_told(
                group.channel,
                |run| {
                    let is_here = run.log_group_name == group.base();
                    is_known.set(is_known.get() || is_here);
                    is_here && run.id.starts_with(prefix)
                },
                |told| {
                    if overlaps(&told) {
                        found.add(told);
                    }
                },
            )?;
            if !is_known.get() {
                return Err(not_found("log group"));
            }
            streams = found.0.into_values().collect();
        }
    }
    streams.sort_by(|a, b| order(a).cmp(&order(b)));
    streams.dedup_by(|a, b| a.run.id == b.run.id);
    Ok(streams)
}

fn order(told: &Told) -> (u64, &str) {
    (told.run.started_on.unix_millis(), &told.run.id)
}

/// The streams of the newest runs.
#[derive(Default)]
struct Newest(BTreeMap<(u64, String), Told>);

impl Newest {
    fn add(&mut self, told: Told) {
        let (begun, id) = order(&told);
        self.0.insert((begun, id.to_owned()), told);
        if self.0.len() > SEARCHED {
            self.0.pop_first();
        }
    }
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

/// Where a page ends: the line that would be the next.
struct At {
    begun: u64,
    stream: String,
    line: usize,
}

impl At {
    fn read(text: &str) -> Result<Self, Fault> {
        let parts: Vec<&str> = text.splitn(3, ':').collect();
        let [begun, line, stream] = parts[..] else {
            return Err(unreadable());
        };
        Ok(Self {
            begun: begun.parse().map_err(|_| unreadable())?,
            line: line.parse().map_err(|_| unreadable())?,
            stream: stream.to_owned(),
        })
    }

    fn write(&self) -> String {
        format!("{}:{}:{}", self.begun, self.line, self.stream)
    }
}

/// A page that is being filled.
struct Page {
    limit: usize,
    bytes: usize,
    events: Vec<Value>,
    next: Option<At>,
}

impl Page {
    /// Adds lines of a stream; false when the page is full.
    fn fill(&mut self, told: &Told, first: usize, wanted: &impl Fn(&Line) -> bool) -> bool {
        let lines = told.lines.iter().enumerate().skip(first);
        for (number, line) in lines.filter(|(_, line)| wanted(line)) {
            let bytes = line.message.len() + LINE_BYTES;
            let is_full = self.events.len() >= self.limit || self.bytes + bytes > PAGE_BYTES;
            if is_full && !self.events.is_empty() {
                return false;
            }
            self.bytes += bytes;
            self.events.push(json!({
                "logStreamName": told.run.id,
                "timestamp": line.time.unix_millis(),
                "message": line.message,
                "ingestionTime": line.time.unix_millis(),
                "eventId": format!("{}:{number}", told.run.id),
            }));
            self.next = Some(At {
                begun: told.run.started_on.unix_millis(),
                stream: told.run.id.clone(),
                line: number + 1,
            });
        }
        true
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
