//! The part of CloudWatch Logs that tells what runs of jobs said, on the address and in the protocol of Glue.
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html>
//!
//! ```text
//! group   <LogGroupName of the run>/output, .../error     /aws-glue/jobs unless --custom-logGroup-prefix says otherwise
//! stream  the run's id; it is there from its first line on
//! ```
//!
//! **Made, not kept.** Streams are what `tenon_jobs::Told` makes of runs and what was kept of their plugins; nothing can
//! be written here, and nothing is lost while its run is kept.
//!
//! **A page with events has a token**, as CloudWatch's have: who asks with it again gets what was added since, and an
//! empty page without a token. Airflow's hook goes by that. Over several streams the last page has none while an earlier
//! one may say more, which a token would pass over.

mod events;
mod pattern;
mod shapes;
mod streams;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tenon_jobs::Channel;

use crate::fault::Fault;
use crate::glue::Context;
use crate::model::Model;
use crate::wire::{self, Output};

/// What targets of this service begin with.
const TARGET_PREFIX: &str = "Logs_20140328.";

type Operation = fn(&Context, Value) -> Result<Value, Fault>;

/// What is supported, in the order of the names.
const OPERATIONS: &[(&str, Operation)] = &[
    ("DescribeLogGroups", |context, input| {
        streams::groups(context, read(input)?)
    }),
    ("DescribeLogStreams", |context, input| {
        streams::list(context, read(input)?)
    }),
    ("FilterLogEvents", |context, input| {
        events::filter(context, &read(input)?)
    }),
    ("GetLogEvents", |context, input| {
        events::get(context, &read(input)?)
    }),
];

/// The operation in a target of this service.
pub(crate) fn operation(target: &str) -> Option<&str> {
    target.strip_prefix(TARGET_PREFIX)
}

/// The operation's name, if it is supported.
pub(crate) fn known(operation: &str) -> Option<&'static str> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    found.map(|(name, _)| *name)
}

/// Names of the supported operations, sorted.
#[must_use]
pub fn supported_logs() -> Vec<&'static str> {
    OPERATIONS.iter().map(|(name, _)| *name).collect()
}

/// Checks the input by `model`, the rules of this service, and performs the operation.
pub(crate) fn perform(
    context: &Context,
    model: &Model,
    operation: &str,
    input: Value,
) -> Result<Output, Fault> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let (_, function) = found.ok_or_else(|| wire::unknown(operation))?;
    model.check(operation, &input).map_err(own)?;
    let answer = function(context, input).map_err(own)?;
    Ok(Output {
        body: answer.to_string(),
        failures: 0,
    })
}

/// A fault under the name that this service has for it.
fn own(fault: Fault) -> Fault {
    let name = match fault.name {
        "ValidationException" | "InvalidInputException" => "InvalidParameterException",
        name => name,
    };
    Fault { name, ..fault }
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterException", message)
}

fn not_found(what: &str) -> Fault {
    let message = format!("The specified {what} does not exist.");
    Fault::new("ResourceNotFoundException", message)
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T, Fault> {
    serde_json::from_value(input)
        .map_err(|error| Fault::new("SerializationException", error.to_string()))
}

/// A log group: those of runs end in what their two streams are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    channel: Channel,
}

impl Group {
    /// The group that a request names, by its name or its ARN.
    fn asked(
        context: &Context,
        name: Option<&str>,
        identifier: Option<&str>,
    ) -> Result<Self, Fault> {
        let name = match (name, identifier) {
            (Some(name), None) => name,
            (None, Some(identifier)) => {
                let own = arn(context, "");
                match identifier.strip_prefix(&own) {
                    Some(name) => name,
                    // Groups of other accounts are not told from what does not exist.
                    None if identifier.starts_with("arn:") => return Err(not_found("log group")),
                    None => identifier,
                }
            }
            (Some(_), Some(_)) => {
                return Err(invalid("give logGroupName or logGroupIdentifier, not both"));
            }
            (None, None) => return Err(invalid("give logGroupName or logGroupIdentifier")),
        };
        Self::named(name).ok_or_else(|| not_found("log group"))
    }

    fn named(name: &str) -> Option<Self> {
        let (_, last) = name.rsplit_once('/')?;
        let channel = match last {
            "output" => Channel::Output,
            "error" => Channel::Error,
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            channel,
        })
    }

    /// That of a run's stream.
    fn of(base: &str, channel: Channel) -> Self {
        let last = match channel {
            Channel::Output => "output",
            Channel::Error => "error",
        };
        Self {
            name: format!("{base}/{last}"),
            channel,
        }
    }

    /// What runs whose streams are here call it.
    fn base(&self) -> &str {
        self.name
            .rsplit_once('/')
            .map_or(self.name.as_str(), |(base, _)| base)
    }
}

/// The ARN of a group.
fn arn(context: &Context, group: &str) -> String {
    let (region, account) = (&context.region, &context.account);
    format!("arn:aws:logs:{region}:{account}:log-group:{group}")
}

/// The cursor of a request's token, if it has one.
fn cursor(context: &Context, scope: &[&str], token: Option<&str>) -> Result<Option<String>, Fault> {
    let token = token.filter(|token| !token.is_empty());
    let opened = token.map(|token| context.tokens.open(scope, token));
    let opened = opened.transpose();
    opened.map_err(|_| invalid("The specified nextToken is invalid."))
}

fn unreadable() -> Fault {
    invalid("The specified nextToken is invalid.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_supported_is_in_the_model_and_nothing_else() {
        let model = Model::logs().unwrap();
        let in_model = model.operations.iter().filter(|(_, input)| input.is_some());
        let in_model: Vec<_> = in_model.map(|(name, _)| name.as_str()).collect();
        assert_eq!(in_model, supported_logs());
    }

    #[test]
    fn groups_are_told_by_their_last_word() {
        let group = Group::named("/aws-glue/jobs/error").unwrap();
        assert_eq!(
            (group.base(), group.channel),
            ("/aws-glue/jobs", Channel::Error)
        );
        assert_eq!(
            Group::of("a", Channel::Output),
            Group::named("a/output").unwrap()
        );
        assert!(Group::named("/aws-glue/jobs").is_none() && Group::named("output").is_none());
    }
}
