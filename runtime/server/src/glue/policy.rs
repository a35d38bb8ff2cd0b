//! Resource policies. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-security.html>
//!
//! A policy belongs to a catalog: the account's without `ResourceArn` or with the catalog's, a nested one with
//! its ARN. Statements about single databases and tables go into their catalog's policy. Policies are checked
//! when they arrive, kept, and **not enforced**: they tell who of other accounts may come in, and nobody can.

use serde_json::Value;
use sha2::{Digest, Sha256};
use tenon_catalog::{Error, PolicyCondition, Resource, TenantCatalog};

use super::shapes::{
    DeleteResourcePolicyRequest, DeleteResourcePolicyResponse, GetResourcePoliciesRequest,
    GetResourcePoliciesResponse, GetResourcePolicyRequest, GetResourcePolicyResponse, GluePolicy,
    PutResourcePolicyRequest, PutResourcePolicyResponse,
};
use super::{Context, page_size, tag};
use crate::fault::Fault;

/// Longest policy, in bytes: <https://docs.aws.amazon.com/glue/latest/dg/security_iam_service-with-iam.html>
const MAX_POLICY_BYTES: usize = 10_240;

/// `EnableHybrid` says that grants of another service stay valid; there is none here.
pub(super) fn put(
    context: &Context,
    input: PutResourcePolicyRequest,
) -> Result<PutResourcePolicyResponse, Fault> {
    let text = &input.policy_in_json;
    check(text).map_err(|reason| Fault::invalid(format!("the policy cannot be used: {reason}")))?;
    let condition = PolicyCondition {
        hash: input.policy_hash_condition,
        exists: match input.policy_exists_condition.as_deref() {
            Some("MUST_EXIST") => Some(true),
            Some("NOT_EXIST") => Some(false),
            _ => None,
        },
    };
    let hash: String = Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let catalog = catalog(context, input.resource_arn.as_deref())?;
    let policy = catalog.put_resource_policy(text, &hash, &condition)?;
    Ok(PutResourcePolicyResponse {
        policy_hash: Some(policy.policy_hash),
    })
}

pub(super) fn get(
    context: &Context,
    input: GetResourcePolicyRequest,
) -> Result<GetResourcePolicyResponse, Fault> {
    let policy = catalog(context, input.resource_arn.as_deref())?.get_resource_policy()?;
    Ok(GetResourcePolicyResponse {
        policy_in_json: Some(policy.policy_in_json),
        policy_hash: Some(policy.policy_hash),
        create_time: policy.create_time,
        update_time: policy.update_time,
    })
}

pub(super) fn delete(
    context: &Context,
    input: DeleteResourcePolicyRequest,
) -> Result<DeleteResourcePolicyResponse, Fault> {
    let condition = PolicyCondition {
        hash: input.policy_hash_condition,
        exists: None,
    };
    catalog(context, input.resource_arn.as_deref())?.delete_resource_policy(&condition)?;
    Ok(DeleteResourcePolicyResponse {})
}

/// The account's policy, then those of nested catalogs in the order of their names.
pub(super) fn list(
    context: &Context,
    input: GetResourcePoliciesRequest,
) -> Result<GetResourcePoliciesResponse, Fault> {
    let scope = ["GetResourcePolicies"];
    // The name of the last catalog whose policy was listed; empty for the default one.
    let mut cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, 100);
    let mut found: Vec<(String, GluePolicy)> = Vec::new();
    if cursor.is_none() {
        found.extend(policy_of(&context.catalog, "")?);
    }
    cursor = cursor.filter(|name| !name.is_empty());
    loop {
        let page = context.catalog.list_catalogs(cursor.as_deref(), 100)?;
        for nested in &page.items {
            match context.catalog.nested(&nested.name) {
                Ok(catalog) => found.extend(policy_of(&catalog, &nested.name)?),
                // It was deleted meanwhile.
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        cursor = page.next;
        if cursor.is_none() || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(name, _)| name.clone());
    let list = found.into_iter().map(|(_, policy)| policy);
    Ok(GetResourcePoliciesResponse {
        get_resource_policies_response_list: Some(list.collect()),
        next_token: context.next_token(&scope, next),
    })
}

fn policy_of(catalog: &TenantCatalog, name: &str) -> Result<Option<(String, GluePolicy)>, Fault> {
    let policy = match catalog.get_resource_policy() {
        Ok(policy) => policy,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let shown = GluePolicy {
        policy_in_json: Some(policy.policy_in_json),
        policy_hash: Some(policy.policy_hash),
        create_time: policy.create_time,
        update_time: policy.update_time,
    };
    Ok(Some((name.to_owned(), shown)))
}

/// The catalog whose policy is meant.
fn catalog(context: &Context, arn: Option<&str>) -> Result<TenantCatalog, Fault> {
    let Some(arn) = arn else {
        return Ok(context.catalog.clone());
    };
    match tag::locate(context, arn)? {
        (catalog, Resource::Catalog(None)) => Ok(catalog),
        (catalog, Resource::Catalog(Some(name))) => Ok(catalog.nested(name)?),
        _ => Err(Fault::invalid(format!(
            "{arn} has no policy of its own; put statements about it into the policy of its catalog"
        ))),
    }
}

/// Whether the text is a policy: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>
fn check(text: &str) -> Result<(), String> {
    let size = text.len();
    if size > MAX_POLICY_BYTES {
        return Err(format!(
            "it has {size} bytes, the limit is {MAX_POLICY_BYTES}"
        ));
    }
    let policy: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let members = policy.as_object().ok_or("it is not a JSON object")?;
    match members.get("Version").and_then(Value::as_str) {
        Some("2012-10-17" | "2008-10-17") => {}
        Some(version) => return Err(format!("Version is {version:?}, 2012-10-17 is meant")),
        None => return Err("Version is missing; it is 2012-10-17".to_owned()),
    }
    let statements = match members.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return Err("Statement is missing or empty".to_owned()),
    };
    for (index, statement) in statements.iter().enumerate() {
        check_statement(statement)
            .map_err(|reason| format!("statement {}: {reason}", index + 1))?;
    }
    Ok(())
}

fn check_statement(statement: &Value) -> Result<(), String> {
    match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow" | "Deny") => {}
        _ => return Err("Effect is neither Allow nor Deny".to_owned()),
    }
    let principal = one_of(statement, "Principal", "NotPrincipal")?;
    let names_someone = match principal {
        Value::Object(kinds) => !kinds.is_empty() && kinds.values().all(is_texts),
        other => other.as_str() == Some("*"),
    };
    if !names_someone {
        return Err(
            "Principal is neither \"*\" nor an object such as {\"AWS\": \"...\"}".to_owned(),
        );
    }
    for action in texts(one_of(statement, "Action", "NotAction")?, "Action")? {
        if action != "*" && !action.to_lowercase().starts_with("glue:") {
            return Err(format!("action {action:?} is not one of glue"));
        }
    }
    for resource in texts(one_of(statement, "Resource", "NotResource")?, "Resource")? {
        let is_glue = resource.starts_with("arn:") && resource.split(':').nth(2) == Some("glue");
        if resource != "*" && !is_glue {
            return Err(format!("resource {resource:?} is not an ARN of glue"));
        }
    }
    match statement.get("Condition") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err("Condition is not an object".to_owned()),
    }
}

fn one_of<'a>(statement: &'a Value, name: &str, opposite: &str) -> Result<&'a Value, String> {
    match (statement.get(name), statement.get(opposite)) {
        (Some(value), None) | (None, Some(value)) => Ok(value),
        (None, None) => Err(format!("{name} is missing")),
        (Some(_), Some(_)) => Err(format!("{name} and {opposite} exclude each other")),
    }
}

fn is_texts(value: &Value) -> bool {
    texts(value, "").is_ok()
}

/// A text, or several.
fn texts<'a>(value: &'a Value, name: &str) -> Result<Vec<&'a str>, String> {
    let found: Option<Vec<_>> = match value {
        Value::String(text) => Some(vec![text.as_str()]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    };
    found
        .filter(|found| !found.is_empty())
        .ok_or_else(|| format!("{name} is neither a text nor a list of texts"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(change: impl Fn(&mut Value)) -> String {
        let mut policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": ["123456789012"]}, "Action": ["glue:GetTable", "glue:*"],
            "Resource": "arn:aws:glue:us-east-1:000000000000:*"}]});
        check(&policy.to_string()).unwrap();
        change(&mut policy);
        check(&policy.to_string()).unwrap_err()
    }

    #[test]
    fn policies_are_checked() {
        assert!(check("{").unwrap_err().starts_with("it is not JSON: "));
        assert_eq!(check("[]").unwrap_err(), "it is not a JSON object");
        assert!(
            check(&" ".repeat(10_241))
                .unwrap_err()
                .contains("the limit is 10240")
        );
        let statement = |member: &'static str, value: Value| {
            refused(move |policy| policy["Statement"][0][member] = value.clone())
        };
        assert_eq!(
            refused(|policy| policy["Version"] = json!("1")),
            "Version is \"1\", 2012-10-17 is meant"
        );
        assert_eq!(
            refused(|policy| policy["Statement"] = json!([])),
            "Statement is missing or empty"
        );
        assert_eq!(
            refused(|policy| policy["Statement"] = json!([1])),
            "statement 1: Effect is neither Allow nor Deny"
        );
        assert_eq!(
            statement("Effect", json!("Maybe")),
            "statement 1: Effect is neither Allow nor Deny"
        );
        assert!(statement("Principal", json!("me")).contains("Principal is neither"));
        assert!(statement("Principal", json!({"AWS": 1})).contains("Principal is neither"));
        assert_eq!(
            statement("Action", json!([])),
            "statement 1: Action is neither a text nor a list of texts"
        );
        assert_eq!(
            statement("Action", json!("s3:GetObject")),
            "statement 1: action \"s3:GetObject\" is not one of glue"
        );
        assert_eq!(
            statement("Resource", json!("arn:aws:s3:::b")),
            "statement 1: resource \"arn:aws:s3:::b\" is not an ARN of glue"
        );
        assert_eq!(
            statement("NotAction", json!("*")),
            "statement 1: Action and NotAction exclude each other"
        );
        assert_eq!(
            statement("Condition", json!(1)),
            "statement 1: Condition is not an object"
        );
    }
}
