//! `DescribeLogStreams` and `DescribeLogGroups`: which runs said something, and where.
//!
//! A page is found by looking at every run and keeping what fits, so that memory is bounded however many there are.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenon_jobs::{Channel, Told};

use super::shapes::{Groups, Streams};
use super::{Group, arn, cursor, invalid, not_found, unreadable};
use crate::fault::Fault;
use crate::glue::Context;

/// Items of a page, at most and unless the request says fewer.
const PAGE: usize = 50;

/// What streams are ordered by: their last line's time where that is wanted, then their name.
type Order = (u64, String);

pub(super) fn list(context: &Context, input: Streams) -> Result<Value, Fault> {
    let group = Group::asked(
        context,
        input.log_group_name.as_deref(),
        input.log_group_identifier.as_deref(),
    )?;
    let by_time = input.order_by.as_deref() == Some("LastEventTime");
    let prefix = input.log_stream_name_prefix.unwrap_or_default();
    if by_time && !prefix.is_empty() {
        return Err(invalid(
            "logStreamNamePrefix cannot be used with orderBy LastEventTime",
        ));
    }
    let descending = input.descending.unwrap_or(false);
    let order = format!("{by_time} {descending}");
    let scope = ["DescribeLogStreams", &group.name, &prefix, &order];
    let after = cursor(context, &scope, input.next_token.as_deref())?;
    let after = after.as_deref().map(read_order).transpose()?;
    let limit = input.limit.unwrap_or(PAGE);
    let is_known = Cell::new(false);
    let mut page: BTreeMap<Order, Told> = BTreeMap::new();
    context.jobs.visit_told(
        group.channel,
        |run| {
            let is_here = run.log_group_name == group.base();
            is_known.set(is_known.get() || is_here);
            is_here && run.id.starts_with(&prefix)
        },
        |told| {
            let last = told.lines.last().map_or(0, |line| line.time.unix_millis());
            let key = (if by_time { last } else { 0 }, told.run.id.clone());
            let is_behind = after.as_ref().is_none_or(|after| match descending {
                true => key < *after,
                false => key > *after,
            });
            if is_behind {
                page.insert(key, told);
                // One more than fits tells whether there is a next page.
                if page.len() > limit + 1 {
                    match descending {
                        true => page.pop_first(),
                        false => page.pop_last(),
                    };
                }
            }
        },
    )?;
    let mut found: Vec<_> = page.into_iter().collect();
    if descending {
        found.reverse();
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    if !is_known.get() {
        return Err(not_found("log group"));
    }
    let streams: Vec<Value> = found
        .iter()
        .map(|(_, told)| shown(context, &group, told))
        .collect();
    let mut answer = json!({"logStreams": streams});
    if let Some(((time, name), _)) = found.last().filter(|_| has_more) {
        let token = context.tokens.seal(&scope, &format!("{time}:{name}"));
        answer["nextToken"] = json!(token);
    }
    Ok(answer)
}

fn read_order(text: &str) -> Result<Order, Fault> {
    let (time, name) = text.split_once(':').ok_or_else(unreadable)?;
    Ok((time.parse().map_err(|_| unreadable())?, name.to_owned()))
}

fn shown(context: &Context, group: &Group, told: &Told) -> Value {
    let name = &told.run.id;
    let time = |line: Option<&tenon_jobs::Line>| line.map(|line| line.time.unix_millis());
    let (first, last) = (time(told.lines.first()), time(told.lines.last()));
    json!({
        "logStreamName": name,
        "creationTime": told.run.started_on.unix_millis(),
        "firstEventTimestamp": first,
        "lastEventTimestamp": last,
        "lastIngestionTime": last,
        "arn": format!("{}:log-stream:{name}", arn(context, &group.name)),
        "storedBytes": 0,
    })
}

pub(super) fn groups(context: &Context, input: Groups) -> Result<Value, Fault> {
    let prefix = input.log_group_name_prefix.unwrap_or_default();
    let part = input.log_group_name_pattern.unwrap_or_default();
    if !prefix.is_empty() && !part.is_empty() {
        return Err(invalid(
            "give logGroupNamePrefix or logGroupNamePattern, not both",
        ));
    }
    let scope = ["DescribeLogGroups", &prefix, &part];
    let after = cursor(context, &scope, input.next_token.as_deref())?;
    // Both groups of a run are there with it, as in Glue, whether or not it says something in both.
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    context.jobs.visit_runs(|run, _| {
        let created = run.started_on.unix_millis();
        for channel in [Channel::Output, Channel::Error] {
            let at = found.entry(Group::of(&run.log_group_name, channel).name);
            let at = at.or_insert(created);
            *at = created.min(*at);
        }
    })?;
    let lower = part.to_lowercase();
    let mut all = found.into_iter().filter(|(name, _)| {
        name.starts_with(&prefix)
            && name.to_lowercase().contains(&lower)
            && after.as_ref().is_none_or(|after| name > after)
    });
    let limit = input.limit.unwrap_or(PAGE);
    let page: Vec<_> = all.by_ref().take(limit).collect();
    let groups: Vec<Value> = page
        .iter()
        .map(|(name, created)| {
            json!({
                "logGroupName": name,
                "creationTime": created,
                "metricFilterCount": 0,
                "arn": format!("{}:*", arn(context, name)),
                "logGroupArn": arn(context, name),
                "logGroupClass": "STANDARD",
                "storedBytes": 0,
            })
        })
        .collect();
    let mut answer = json!({"logGroups": groups});
    if all.next().is_some()
        && let Some((last, _)) = page.last()
    {
        answer["nextToken"] = json!(context.tokens.seal(&scope, last));
    }
    Ok(answer)
}
