//! `FilterLogEvents` and `GetLogEvents`: lines of streams.
//!
//! Lines of a stream have numbers and are only added, so a page is known by the number of its next line. Several streams
//! are searched one after the other, in the order in which their runs were accepted, and read one at a time.
//!
//! Lines that come later in a stream before the one where a page ends would be passed over by a token. So the last page
//! has none while a run before is under way, or waits: who asks again without one misses nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

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
    let searched = Searched::by(context, &group, input, from.as_ref())?;
    let mut page = Page {
        limit: input.limit.unwrap_or(PAGE),
        bytes: 0,
        events: Vec::new(),
        next: None,
    };
    let wanted = |line: &Line| {
        is_between(line, input.start_time, input.end_time) && pattern.wants(&line.message)
    };
    let mut is_full = false;
    for stream in &searched.streams {
        let first = match &from {
            Some(at) if at.order() > (stream.begun_unix_millis, stream.run.as_str()) => continue,
            Some(at) if at.stream == stream.run => at.line,
            _ => 0,
        };
        let Some(told) = context.jobs.told_of(stream, group.channel)? else {
            continue;
        };
        is_full = !page.fill(&told, first, &wanted);
        if is_full {
            break;
        }
    }
    let next = continued(page.next, from.as_ref(), searched.open.as_ref(), is_full);
    let next = next.map(|at| context.tokens.seal(&scope, &at.write()));
    let mut answer = json!({"events": page.events, "searchedLogStreams": []});
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// Where the list goes on after a page, if a token is to say so. `open` is the first run that has not ended.
fn continued(
    next: Option<At>,
    from: Option<&At>,
    open: Option<&Order>,
    is_full: bool,
) -> Option<At> {
    let mut at = next?;
    let passes = open.is_some_and(|(begun, run)| (*begun, run.as_str()) < at.order());
    at.has_passed_open = passes || from.is_some_and(|from| from.has_passed_open);
    (is_full || !at.has_passed_open).then_some(at)
}

/// When a run was accepted, and its id.
type Order = (u64, String);

/// What a request searches.
struct Searched {
    /// In their order.
    streams: BTreeSet<Stream>,
    /// The first run that may say more, or begin to.
    open: Option<Order>,
}

impl Searched {
    /// The streams that a request names, or all that it does not exclude and that are not before the one where it goes on.
    fn by(
        context: &Context,
        group: &Group,
        input: &Filter,
        at: Option<&At>,
    ) -> Result<Self, Fault> {
        match (&input.log_stream_names, &input.log_stream_name_prefix) {
            (Some(_), Some(_)) => Err(invalid(
                "give logStreamNames or logStreamNamePrefix, not both",
            )),
            (Some(names), None) => Self::named(context, group, names),
            (None, prefix) => {
                let prefix = prefix.as_deref().unwrap_or_default();
                Self::found(context, group, input, prefix, at)
            }
        }
    }

    fn named(context: &Context, group: &Group, names: &[String]) -> Result<Self, Fault> {
        let (mut streams, mut open) = (BTreeSet::new(), None);
        for name in names {
            let told = stream(context, group, name)?;
            note_open(&mut open, &told.run);
            streams.insert(told.stream());
        }
        Ok(Self { streams, open })
    }

    fn found(
        context: &Context,
        group: &Group,
        input: &Filter,
        prefix: &str,
        at: Option<&At>,
    ) -> Result<Self, Fault> {
        let (from, until) = (input.start_time, input.end_time);
        let overlaps = |told: &Told| {
            let first = told.lines.first().map(|line| line.time.unix_millis());
            let last = told.lines.last().map(|line| line.time.unix_millis());
            from.is_none_or(|from| last >= Some(from))
                && until.is_none_or(|until| first <= Some(until))
        };
        let (is_known, open) = (Cell::new(false), RefCell::new(None));
        let mut streams = BTreeSet::new();
        context.jobs.visit_told(
            group.channel,
            |run| {
                let is_here = run.log_group_name == group.base();
                is_known.set(is_known.get() || is_here);
                let is_wanted = is_here && run.id.starts_with(prefix);
                if is_wanted {
                    note_open(&mut open.borrow_mut(), run);
                }
                let order = (run.started_on.unix_millis(), run.id.as_str());
                is_wanted && at.is_none_or(|at| order >= at.order())
            },
            |told| {
                if overlaps(&told) {
                    streams.insert(told.stream());
                }
                if streams.len() > SEARCHED {
                    streams.pop_first();
                }
            },
        )?;
        if !is_known.get() {
            return Err(not_found("log group"));
        }
        Ok(Self {
            streams,
            open: open.into_inner(),
        })
    }
}

/// Keeps the first of the runs that have not ended.
fn note_open(open: &mut Option<Order>, run: &JobRun) {
    if run.job_run_state.is_final() {
        return;
    }
    let order = (run.started_on.unix_millis(), run.id.clone());
    if open.as_ref().is_none_or(|first| order < *first) {
        *open = Some(order);
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
#[derive(Debug, PartialEq)]
struct At {
    begun: u64,
    stream: String,
    line: usize,
    /// Before it is a stream that had not ended when it was read.
    has_passed_open: bool,
}

impl At {
    fn order(&self) -> (u64, &str) {
        (self.begun, &self.stream)
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let [begun, line, has_passed_open, stream] = parts[..] else {
            return Err(unreadable());
        };
        Ok(Self {
            begun: begun.parse().map_err(|_| unreadable())?,
            line: line.parse().map_err(|_| unreadable())?,
            stream: stream.to_owned(),
            has_passed_open: has_passed_open.parse().map_err(|_| unreadable())?,
        })
    }

    fn write(&self) -> String {
        let Self {
            begun,
            stream,
            line,
            has_passed_open,
        } = self;
        format!("{begun}:{line}:{has_passed_open}:{stream}")
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
                has_passed_open: false,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begun: u64, has_passed_open: bool) -> At {
        At {
            begun,
            stream: "jr_b".to_owned(),
            line: 3,
            has_passed_open,
        }
    }

    #[test]
    fn no_token_passes_over_a_stream_that_may_say_more() {
        let open = |begun: u64, run: &str| Some((begun, run.to_owned()));
        let goes_on = |from: Option<&At>, open: Option<Order>, is_full: bool| {
            continued(Some(at(5, false)), from, open.as_ref(), is_full)
        };
        assert_eq!(goes_on(None, None, false), Some(at(5, false)));
        assert_eq!(goes_on(None, open(5, "jr_b"), false), Some(at(5, false)));
        assert_eq!(goes_on(None, open(9, "jr_a"), false), Some(at(5, false)));
        assert_eq!(goes_on(None, open(5, "jr_a"), false), None);
        assert_eq!(goes_on(None, open(4, "jr_c"), false), None);
        // A full page has one; that it passed an open stream goes with it to the last page.
        assert_eq!(goes_on(None, open(4, "jr_c"), true), Some(at(5, true)));
        assert_eq!(goes_on(Some(&at(4, true)), None, false), None);
        assert_eq!(continued(None, None, None, false), None);
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for has_passed_open in [false, true] {
            let place = at(7, has_passed_open);
            assert_eq!(At::read(&place.write()).unwrap(), place);
        }
        assert!(At::read("7:3:jr_b").is_err() && At::read("7:3:1:jr_b").is_err());
    }
}
