//! [`Model`]: the service model's rules about requests, checked in AWS's words.
//!
//! `model/glue.json` holds names, types and constraints of the supported operations' inputs, and the names of
//! all operations; `examples/glue_model.rs` makes it from the published service model, and beside it
//! `model/answers.json`, of which the shapes of answers are made; `model/logs.json` is the same of CloudWatch Logs.
//! Constraint traits:
//! <https://smithy.io/2.0/spec/constraint-traits.html>
//!
//! Members that the model does not know are ignored, `null` counts as absent, lengths are counted in UTF-16
//! units as the service does.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use tenon_catalog::is_secret_name;

use crate::fault::Fault;

/// Violations named in one answer, at most.
const MAX_SHOWN: usize = 10;

/// Characters of an offending value that are shown.
const SHOWN_CHARS: usize = 200;

/// The rules of a service.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    /// Every operation of the service; the input's shape of those that are supported.
    pub(crate) operations: BTreeMap<String, Option<String>>,
    shapes: BTreeMap<String, Shape>,
    /// Compiled patterns, by their text.
    #[serde(skip)]
    patterns: BTreeMap<String, Pattern>,
}

/// What a text must be, or must not begin as.
#[derive(Debug)]
struct Pattern {
    regex: Regex,
    forbids: bool,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, regex::Error> {
        // `^(?!X).*$`, which the `regex` crate does not know.
        let forbidden = text
            .strip_prefix("^(?!")
            .and_then(|text| text.strip_suffix(").*$"));
        let regex = match forbidden {
            Some(forbidden) => Regex::new(&format!(r"\A(?:{forbidden})")),
            None => Regex::new(&translate(text)),
        };
        Ok(Self {
            regex: regex?,
            forbids: forbidden.is_some(),
        })
    }

    fn accepts(&self, text: &str) -> bool {
        self.regex.is_match(text) != self.forbids
    }
}

#[derive(Debug, Deserialize)]
struct Shape {
    r#type: String,
    min: Option<f64>,
    max: Option<f64>,
    pattern: Option<String>,
    r#enum: Option<Vec<String>>,
    #[serde(default)]
    required: Vec<String>,
    /// Of a structure: member to shape.
    #[serde(default)]
    members: BTreeMap<String, String>,
    /// Of a list or a map's values.
    of: Option<String>,
    /// Of a map's keys.
    key: Option<String>,
}

impl Model {
    /// The rules of Glue, but for one: a plugin may read several nodes, such as old records, new ones and a model, where a
    /// custom visual transform of Glue reads one.
    pub(crate) fn glue() -> Result<Self, String> {
        let mut model = Self::read(include_str!("model/glue.json"))?;
        let transform = model.shapes.get_mut("DynamicTransform");
        let inputs = transform.and_then(|shape| shape.members.get_mut("Inputs"));
        *inputs.ok_or("the model has no DynamicTransform.Inputs")? = "ManyInputs".to_owned();
        Ok(model)
    }

    /// The rules of what is here of CloudWatch Logs.
    pub(crate) fn logs() -> Result<Self, String> {
        Self::read(include_str!("model/logs.json"))
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut model: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for shape in model.shapes.values() {
            if let Some(pattern) = &shape.pattern {
                let compiled = Pattern::new(pattern).map_err(|error| error.to_string())?;
                model.patterns.insert(pattern.clone(), compiled);
            }
        }
        Ok(model)
    }

    /// Checks the input of `operation`.
    pub(crate) fn check(&self, operation: &str, input: &Value) -> Result<(), Fault> {
        let Some(shape) = self.operations.get(operation).and_then(Option::as_ref) else {
            return Ok(());
        };
        let mut found = Vec::new();
        self.value(shape, input, "", &mut found)?;
        if found.is_empty() {
            return Ok(());
        }
        let count = found.len();
        let plural = if count == 1 { "error" } else { "errors" };
        found.truncate(MAX_SHOWN);
        let message = format!("{count} validation {plural} detected: {}", found.join("; "));
        Err(Fault::new("ValidationException", message))
    }

    fn value(
        &self,
        shape: &str,
        value: &Value,
        path: &str,
        found: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let Some(shape) = self.shapes.get(shape) else {
            return Ok(());
        };
        check_type(shape, value, path)?;
        found.extend(
            self.broken(shape, value)
                .map(|rule| violation(value, path, &rule)),
        );
        match value {
            Value::Object(members) if shape.r#type == "structure" => {
                self.structure(shape, members, path, found)
            }
            Value::Object(entries) => self.map(shape, entries, path, found),
            Value::Array(items) => self.list(shape, items, path, found),
            _ => Ok(()),
        }
    }

    fn structure(
        &self,
        shape: &Shape,
        members: &Map<String, Value>,
        path: &str,
        found: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let present = |name: &String| members.get(name).filter(|value| !value.is_null());
        for name in shape.required.iter().filter(|name| present(name).is_none()) {
            found.push(violation(
                &Value::Null,
                &join(path, name),
                "Member must not be null",
            ));
        }
        for (name, member) in &shape.members {
            if let Some(value) = present(name) {
                self.value(member, value, &join(path, name), found)?;
            }
        }
        Ok(())
    }

    fn map(
        &self,
        shape: &Shape,
        entries: &Map<String, Value>,
        path: &str,
        found: &mut Vec<String>,
    ) -> Result<(), Fault> {
        for (key, value) in entries {
            if let Some(rules) = shape.key.as_ref().and_then(|name| self.shapes.get(name))
                && let Some(rule) = self.broken(rules, &Value::String(key.clone()))
            {
                let rule = format!("Map keys must satisfy constraint: [{rule}]");
                found.push(violation(&Value::String(key.clone()), path, &rule));
            }
            if let Some(of) = &shape.of {
                let path = format!("{path}.{key}.member");
                self.value(of, value, &path, found)?;
            }
        }
        Ok(())
    }

    fn list(
        &self,
        shape: &Shape,
        items: &[Value],
        path: &str,
        found: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let Some(of) = &shape.of else { return Ok(()) };
        for (index, item) in items.iter().enumerate() {
            self.value(of, item, &format!("{path}.{}.member", index + 1), found)?;
        }
        Ok(())
    }

    /// The first rule of the shape itself that the value breaks.
    fn broken(&self, shape: &Shape, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => length(shape, text.encode_utf16().count())
                .or_else(|| self.pattern(shape, text))
                .or_else(|| choice(shape, text)),
            Value::Array(items) => length(shape, items.len()),
            Value::Object(entries) => length(shape, entries.len()),
            Value::Number(number) => range(shape, number.as_f64()?),
            _ => None,
        }
    }

    fn pattern(&self, shape: &Shape, text: &str) -> Option<String> {
        let pattern = shape.pattern.as_ref()?;
        let holds = self.patterns.get(pattern)?.accepts(text);
        (!holds).then(|| format!("Member must satisfy regular expression pattern: {pattern}"))
    }
}

/// A value of the wrong type is not a broken rule but an input that cannot be read.
fn check_type(shape: &Shape, value: &Value, path: &str) -> Result<(), Fault> {
    let fits = match shape.r#type.as_str() {
        "string" | "blob" => value.is_string(),
        "integer" => value
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        "long" => value.is_i64(),
        "double" | "float" | "timestamp" => value.is_number(),
        "boolean" => value.is_boolean(),
        "list" => value.is_array(),
        "structure" | "map" => value.is_object(),
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let place = if path.is_empty() { "the input" } else { path };
    let message = format!("{place} is not of type {}", shape.r#type);
    Err(Fault::new("SerializationException", message))
}

fn length(shape: &Shape, length: usize) -> Option<String> {
    let length = length as f64;
    let bound =
        |word: &str, bound: f64| format!("Member must have length {word} than or equal to {bound}");
    match (shape.min, shape.max) {
        (Some(min), _) if length < min => Some(bound("greater", min)),
        (_, Some(max)) if length > max => Some(bound("less", max)),
        _ => None,
    }
}

fn range(shape: &Shape, number: f64) -> Option<String> {
    let bound =
        |word: &str, bound: f64| format!("Member must have value {word} than or equal to {bound}");
    match (shape.min, shape.max) {
        (Some(min), _) if number < min => Some(bound("greater", min)),
        (_, Some(max)) if number > max => Some(bound("less", max)),
        _ => None,
    }
}

fn choice(shape: &Shape, text: &str) -> Option<String> {
    let choices = shape.r#enum.as_ref()?;
    let known = choices.iter().any(|choice| choice == text);
    (!known).then(|| {
        format!(
            "Member must satisfy enum value set: [{}]",
            choices.join(", ")
        )
    })
}

fn violation(value: &Value, path: &str, rule: &str) -> String {
    let shown = match value {
        Value::Null => "null".to_owned(),
        _ if is_secret(path) => "(hidden)".to_owned(),
        Value::String(text) => format!("'{}'", text.chars().take(SHOWN_CHARS).collect::<String>()),
        other => format!(
            "'{}'",
            other
                .to_string()
                .chars()
                .take(SHOWN_CHARS)
                .collect::<String>()
        ),
    };
    format!("Value {shown} at '{path}' failed to satisfy constraint: {rule}")
}

/// Whether what lies at `path` may be a secret, which no message shows.
fn is_secret(path: &str) -> bool {
    path.split('.').any(is_secret_name)
}

/// Appends a member's name, which paths show with a small first letter.
fn join(path: &str, member: &str) -> String {
    let (first, rest) = member.split_at(member.chars().next().map_or(0, char::len_utf8));
    let small = format!("{}{rest}", first.to_lowercase());
    if path.is_empty() {
        small
    } else {
        format!("{path}.{small}")
    }
}

/// A Java pattern that must match the whole text, in the words of the `regex` crate.
fn translate(pattern: &str) -> String {
    // UTF-16 surrogates stand for the characters beyond the basic plane.
    let planes = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}");
    let mut text = String::new();
    let mut rest = planes.as_str();
    while let Some((before, after)) = rest.split_once(r"\u") {
        let (digits, tail) = after.split_at_checked(4).unwrap_or((after, ""));
        text.push_str(before);
        text.push_str(&format!(r"\x{{{digits}}}"));
        rest = tail;
    }
    text.push_str(rest);
    // `&&`, `--` and `~~` in a class are operators here; the model's classes hold none by intent.
    format!(
        r"\A(?:{})\z",
        text.replace("9-_$", r"9\-_$")
            .replace("[-a-zA-Z0-9+&@#", r"[\-a-zA-Z0-9+\&@\#")
            .replace("~_|", r"\~_|")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(operation: &str, input: Value) -> String {
        let fault = Model::glue().unwrap().check(operation, &input).unwrap_err();
        format!("{}: {}", fault.name, fault.message)
    }

    #[test]
    fn rules_are_checked_in_the_services_words() {
        assert_eq!(
            message("GetDatabase", json!({})),
            "ValidationException: 1 validation error detected: Value null at 'name' failed to satisfy constraint: \
             Member must not be null"
        );
        assert_eq!(
            message("CreateDatabase", json!({"DatabaseInput": {"Name": ""}})),
            "ValidationException: 1 validation error detected: Value '' at 'databaseInput.name' failed to satisfy \
             constraint: Member must have length greater than or equal to 1"
        );
        assert!(message("GetTables", json!({"DatabaseName": "d", "MaxResults": 101}))
            .ends_with("Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100"));
        let job = |inputs: Value| {
            let transform = json!({
                "Name": "m", "TransformName": "m", "FunctionName": "f", "Path": "p", "Inputs": inputs,
            });
            json!({"JobName": "j", "JobUpdate": {"CodeGenConfigurationNodes": {"m": {"DynamicTransform": transform}}}})
        };
        let model = Model::glue().unwrap();
        model.check("UpdateJob", &job(json!(["a", "b"]))).unwrap();
        assert!(message("UpdateJob", job(json!([]))).contains("greater than or equal to 1"));
        assert!(
            message("GetDatabase", json!({"Name": "a\u{1}"}))
                .contains("regular expression pattern: [\\u0020-")
        );
        assert!(
            message("GetDatabases", json!({"ResourceShareType": "X"}))
                .contains("enum value set: [")
        );
        assert_eq!(
            message("GetDatabase", json!({"Name": 1})),
            "SerializationException: name is not of type string"
        );
        let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
        assert!(message("BatchDeleteTable", json!({"DatabaseName": "d", "TablesToDelete": many}))
            .contains("at 'tablesToDelete' failed to satisfy constraint: Member must have length less than or equal to 100"));
        let two = message("GetTable", json!({"Name": ""}));
        assert!(two.contains("2 validation errors detected"), "{two}");
    }

    #[test]
    fn unknown_members_null_and_all_planes_pass() {
        let input = json!({"Name": "smile \u{1f600} \t", "CatalogId": null, "FromTheFuture": [1]});
        Model::glue().unwrap().check("GetDatabase", &input).unwrap();
    }

    #[test]
    fn what_is_supported_is_in_the_model_and_nothing_else() {
        let model = Model::glue().unwrap();
        let in_model = model.operations.iter().filter(|(_, input)| input.is_some());
        let in_model: Vec<_> = in_model.map(|(name, _)| name.as_str()).collect();
        assert_eq!(in_model, crate::supported());
    }
}
