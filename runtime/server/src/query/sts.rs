//! STS. <https://docs.aws.amazon.com/STS/latest/APIReference/>
//!
//! A role is any name in the caller's own account: there are no permissions yet that a role could narrow, so
//! assuming one changes the name that requests go under, and for how long.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Form, invalid};
use crate::audit::unix_millis;
use crate::fault::Fault;
use crate::glue::Context;
use crate::identity::{Credentials, Identity, SessionFor, unique_id};

/// How long a role may be assumed, in seconds.
const ROLE_SECONDS: RangeInclusive<u64> = 900..=43_200;
/// How long a role may be assumed by a role, in seconds, as AWS does.
const CHAINED_SECONDS: u64 = 3600;
/// How long a session may last, in seconds.
const SESSION_SECONDS: RangeInclusive<u64> = 900..=129_600;

pub(super) fn get_caller_identity(context: &Context) -> Value {
    json!({
        "Arn": context.principal.arn,
        "UserId": context.principal.user_id,
        "Account": context.account,
    })
}

pub(super) fn assume_role(
    context: &Context,
    identity: &Identity,
    input: Form<'_>,
) -> Result<Value, Fault> {
    let role_arn = input.required("RoleArn")?;
    let session_name = input.required("RoleSessionName")?;
    check_session_name("roleSessionName", session_name)?;
    let seconds = duration(input, ROLE_SECONDS, 3600)?;
    if context.principal.is_role && seconds > CHAINED_SECONDS {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    if input.get("Policy").is_some() || input.get("PolicyArns.member.1.arn").is_some() {
        // To ignore one would give more than was asked for.
        return Err(invalid("session policies are not supported"));
    }
    let role = own_role(context, role_arn)?;
    let (account, role_id) = (&context.account, unique_id("AROA", &context.account, &role));
    let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{session_name}");
    let user_id = format!("{role_id}:{session_name}");
    let whom = SessionFor {
        arn: &arn,
        user_id: &user_id,
        is_role: true,
    };
    let credentials = identity.begin_session(context, &whom, Duration::from_secs(seconds))?;
    let mut result = json!({
        "Credentials": show(&credentials),
        "AssumedRoleUser": {"AssumedRoleId": user_id, "Arn": arn},
    });
    if let Some(source) = input.get("SourceIdentity") {
        check_session_name("sourceIdentity", source)?;
        result["SourceIdentity"] = json!(source);
    }
    Ok(result)
}

pub(super) fn get_session_token(
    context: &Context,
    identity: &Identity,
    input: Form<'_>,
) -> Result<Value, Fault> {
    if context.principal.in_session {
        return Err(Fault::forbidden(
            "AccessDeniedException",
            "Cannot call GetSessionToken with session credentials",
        ));
    }
    let seconds = duration(input, SESSION_SECONDS, 43_200)?;
    let whom = SessionFor {
        arn: &context.principal.arn,
        user_id: &context.principal.user_id,
        is_role: false,
    };
    let credentials = identity.begin_session(context, &whom, Duration::from_secs(seconds))?;
    Ok(json!({"Credentials": show(&credentials)}))
}

fn duration(input: Form<'_>, allowed: RangeInclusive<u64>, default: u64) -> Result<u64, Fault> {
    let Some(text) = input.get("DurationSeconds") else {
        return Ok(default);
    };
    let seconds = text
        .parse()
        .map_err(|_| invalid("DurationSeconds is not a number of seconds"))?;
    if allowed.contains(&seconds) {
        return Ok(seconds);
    }
    let (word, bound) = if seconds < *allowed.start() {
        ("greater", allowed.start())
    } else {
        ("less", allowed.end())
    };
    Err(invalid(&format!(
        "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member \
         must have value {word} than or equal to {bound}"
    )))
}

/// The name of the role, without its path, if it is one of the caller's account. Of other accounts nothing is
/// told, not even whether they exist.
fn own_role(context: &Context, arn: &str) -> Result<String, Fault> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else {
        return Err(invalid(&format!("{} is invalid", super::shown(arn))));
    };
    let name = resource
        .strip_prefix("role/")
        .and_then(|path| path.rsplit('/').next());
    let Some(name) = name.filter(|name| super::iam::is_role_name(name) && !partition.is_empty())
    else {
        return Err(invalid(&format!("{} is invalid", super::shown(arn))));
    };
    if account == context.account {
        return Ok(name.to_owned());
    }
    let (user, arn) = (&context.principal.arn, super::shown(arn));
    Err(Fault::forbidden(
        "AccessDeniedException",
        format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}"),
    ))
}

fn check_session_name(member: &str, name: &str) -> Result<(), Fault> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (2..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(invalid(&format!(
        "1 validation error detected: Value '{}' at '{member}' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [\\w+=,.@-]{{2,64}}",
        super::shown(name)
    )))
}

fn show(credentials: &Credentials) -> Value {
    json!({
        "AccessKeyId": credentials.access_key,
        "SecretAccessKey": credentials.secret.reveal(),
        "SessionToken": credentials.token.reveal(),
        "Expiration": iso8601(unix_millis(credentials.expires) / 1000),
    })
}

/// `2011-07-15T23:28:33Z`.
pub(super) fn iso8601(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Years that begin in March, in eras of 400 years, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_iso_8601() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_440_938_160, "2015-08-30T12:36:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(iso8601(seconds), text);
        }
    }
}
