//! Of IAM only `GetRole`, which clients ask for the ARN of a role they are configured with.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>

use serde_json::{Value, json};

use super::sts::iso8601;
use super::{Form, invalid};
use crate::fault::Fault;
use crate::glue::Context;
use crate::identity::unique_id;

/// Who may assume a role: the account, as a policy in the form IAM writes it, with its reserved characters
/// encoded.
fn trust_policy(account: &str) -> String {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
            "Action": "sts:AssumeRole",
        }],
    });
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    policy.to_string().bytes().map(encode).collect()
}

/// Every name is a role of the caller's account.
pub(super) fn get_role(context: &Context, input: Form<'_>) -> Result<Value, Fault> {
    let name = input.required("RoleName")?;
    if !is_role_name(name) {
        return Err(invalid(&format!(
            "1 validation error detected: Value '{}' at 'roleName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [\\w+=,.@-]{{1,64}}",
            super::shown(name)
        )));
    }
    let account = &context.account;
    Ok(json!({"Role": {
        "Path": "/",
        "RoleName": name,
        "RoleId": unique_id("AROA", account, name),
        "Arn": format!("arn:aws:iam::{account}:role/{name}"),
        "CreateDate": iso8601(0),
        "AssumeRolePolicyDocument": trust_policy(account),
        "MaxSessionDuration": 43_200,
    }}))
}

pub(super) fn is_role_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}
