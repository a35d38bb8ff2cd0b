//! Makes the shapes: Rust of the service model, for `examples/glue_model.rs` and for the test that compares it with
//! what is committed.
//!
//! ```text
//! model/glue.json     inputs of the supported operations  ─┬─> requests.rs   only in requests
//!                                                          ├─> parts.rs      in both
//! model/answers.json  outputs of the supported operations ─┴─> answers.rs    only in answers
//! ```
//!
//! A structure becomes a struct, a list a `Vec`, a map a `BTreeMap`, an enumeration, a text and a blob a `String`
//! (the model's rules were checked before; blobs stay in base64, as they are stored and sent), a time the
//! catalog's `Timestamp`. A structure that holds itself is boxed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

/// Structures that the catalog has under the same name: what it stores is read and written without a copy.
pub(super) const CATALOG: &[&str] = &[
    "Column",
    "ColumnStatistics",
    "Connection",
    "ConnectionInput",
    "ConnectionPasswordEncryption",
    "DatabaseIdentifier",
    "DatabaseInput",
    "EncryptionAtRest",
    "FederatedDatabase",
    "FederatedTable",
    "Order",
    "PartitionIndex",
    "PartitionIndexDescriptor",
    "PartitionInput",
    "PartitionValueList",
    "PrincipalPermissions",
    "ResourceUri",
    "SchemaReference",
    "SecurityConfiguration",
    "SerDeInfo",
    "SkewedInfo",
    "TableIdentifier",
    "TableInput",
    "UserDefinedFunctionInput",
];

/// Structures that the room of jobs has, each with its name there.
pub(super) const JOBS: &[(&str, &str)] = &[
    ("EvaluationMetrics", "EvaluationMetrics"),
    ("ExecutionProperty", "ExecutionProperty"),
    ("GlueTable", "InputTable"),
    ("Job", "Job"),
    ("JobBookmarkEntry", "BookmarkEntry"),
    ("JobCommand", "JobCommand"),
    ("JobRun", "JobRun"),
    ("JobUpdate", "JobDefinition"),
    ("SchemaColumn", "SchemaColumn"),
    ("TransformParameters", "TransformParameters"),
];

/// Structures that are kept and shown as they came.
const UNREAD: &[&str] = &[
    "AuthenticationConfigurationInput",
    "CatalogProperties",
    "CatalogPropertiesOutput",
    "CodeGenConfigurationNode",
    "ConnectionsList",
    "NotificationProperty",
    "SourceControlDetails",
    "TransformEncryption",
    "ViewDefinition",
];

/// Operations, each with the structure that its input or output is, and all shapes below.
#[derive(Deserialize)]
struct Model {
    operations: BTreeMap<String, Option<String>>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
struct Shape {
    r#type: String,
    #[serde(default)]
    required: Vec<String>,
    /// Of a structure: member to shape, in the model's order.
    #[serde(default)]
    members: Map<String, Value>,
    /// Of a list or a map's values.
    of: Option<String>,
}

/// Names and texts of the files that are made of `model/glue.json` and `model/answers.json`.
///
/// # Errors
/// One of them is not such a file.
pub(crate) fn files(
    requests: &str,
    answers: &str,
) -> serde_json::Result<[(&'static str, String); 3]> {
    let requests: Model = serde_json::from_str(requests)?;
    let answers: Model = serde_json::from_str(answers)?;
    let (asked, answered) = (requests.structures(), answers.structures());
    let parts: BTreeSet<_> = asked.intersection(&answered).copied().collect();
    let file = |title: &str, models: &[&Model], names: BTreeSet<&str>, macros: &[Macro]| {
        let writer = Writer { models, names };
        writer.file(title, macros)
    };
    Ok([
        (
            "requests.rs",
            file(
                "What the supported operations are asked.",
                &[&requests],
                asked.difference(&parts).copied().collect(),
                &[("requests", |_, _| true)],
            ),
        ),
        (
            "answers.rs",
            file(
                "What the supported operations answer.",
                &[&answers],
                answered.difference(&parts).copied().collect(),
                &[
                    ("answers", |model, name| {
                        model.operation(name).is_some() && !model.has_errors(name)
                    }),
                    ("partial_answers", |model, name| model.has_errors(name)),
                    ("parts_of_answers", |model, name| {
                        model.operation(name).is_none()
                    }),
                ],
            ),
        ),
        (
            "parts.rs",
            file(
                "What stands in requests and in answers.",
                &[&answers, &requests],
                parts,
                &[("parts", |_, _| true)],
            ),
        ),
    ])
}

/// A macro of `mod.rs`, and which structures of a file it makes.
type Macro = (&'static str, fn(&Model, &str) -> bool);

impl Model {
    /// Names of the structures below all operations that are made here.
    fn structures(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for name in self.operations.values().flatten() {
            self.collect(name, &mut found);
        }
        found
    }

    fn collect<'a>(&'a self, name: &'a str, found: &mut BTreeSet<&'a str>) {
        let is_new = !self.is_made(name) || found.insert(name);
        for below in self.below(name).filter(|_| is_new) {
            self.collect(below, found);
        }
    }

    /// Whether a shape is a structure that is made here, and not another room's or unread.
    fn is_made(&self, name: &str) -> bool {
        let shape = &self.shapes[name];
        shape.r#type == "structure"
            && !CATALOG.contains(&name)
            && of_jobs(name).is_none()
            && !UNREAD.contains(&name)
            // A document has no members, as have some inputs and outputs.
            && (!shape.members.is_empty() || self.operation(name).is_some())
    }

    /// The shapes a shape consists of, when it is made here.
    fn below(&self, name: &str) -> impl Iterator<Item = &str> {
        let shape = &self.shapes[name];
        let is_open = shape.r#type != "structure" || self.is_made(name);
        let members = shape.members.values().filter_map(Value::as_str);
        members.chain(shape.of.as_deref()).filter(move |_| is_open)
    }

    /// The operation whose input or output a structure is.
    fn operation(&self, name: &str) -> Option<&str> {
        let mut operations = self.operations.iter();
        let found = operations.find(|(_, shape)| shape.as_deref() == Some(name));
        found.map(|(operation, _)| operation.as_str())
    }

    /// Whether `name` is, or holds other than in a list or a map, the structure `wanted`.
    fn holds(&self, name: &str, wanted: &str, seen: &mut BTreeSet<String>) -> bool {
        name == wanted
            || (seen.insert(name.to_owned())
                && self.is_made(name)
                && self
                    .below(name)
                    .any(|below| self.holds(below, wanted, seen)))
    }

    /// What a shape is, or what its lists and maps consist of in the end.
    fn element<'a>(&'a self, mut name: &'a str) -> &'a str {
        while let Some(of) = self.shapes[name].of.as_deref() {
            name = of;
        }
        name
    }

    /// Whether an answer can tell of parts that failed.
    fn has_errors(&self, name: &str) -> bool {
        self.shapes[name].members.contains_key("Errors")
    }
}

/// Writes one of the files.
struct Writer<'a> {
    /// Where its structures are; the first says what they are.
    models: &'a [&'a Model],
    /// Structures of the file; those they hold that are in no other are parts.
    names: BTreeSet<&'a str>,
}

impl Writer<'_> {
    fn file(&self, title: &str, macros: &[Macro]) -> String {
        let body: String = macros.iter().map(|each| self.group(*each)).collect();
        let mut file = format!(
            "//! {title}\n//!\n//! Made of the service model, not by hand; to make it again:\n\
             //! `cargo run --release -p tenon-server --example glue_model`\n\n"
        );
        for (used, line) in [
            ("BTreeMap<", "use std::collections::BTreeMap;\n\n"),
            ("<Value>", "use serde_json::Value;\n"),
            ("catalog::", "use tenon_catalog as catalog;\n"),
            ("jobs::", "use tenon_jobs as jobs;\n"),
            ("parts::", "\nuse super::parts;\n"),
        ] {
            if body.contains(used) {
                file.push_str(line);
            }
        }
        file + &body
    }

    fn group(&self, (name, is_in): Macro) -> String {
        let names = self.names.iter().filter(|name| is_in(self.model(), name));
        let structures: Vec<_> = names.map(|each| self.structure(each, name)).collect();
        format!("\n{name}! {{\n{}}}\n", structures.join("\n"))
    }

    fn model(&self) -> &Model {
        self.models[0]
    }

    fn structure(&self, name: &str, family: &str) -> String {
        let shape = &self.model().shapes[name];
        let mut text = format!("    /// {}\n    {name} {{\n", self.doc(name, family));
        for (member, of) in &shape.members {
            let of = of.as_str().unwrap_or_default();
            let mut member_type = self.rust_type(of);
            if self.model().holds(of, name, &mut BTreeSet::new()) {
                member_type = format!("Box<{member_type}>");
            }
            // What an answer must have is for its maker to know, which may leave out all but what was asked for.
            if family != "requests" || !shape.required.contains(member) {
                member_type = format!("Option<{member_type}>");
            }
            let field = snake_case(member);
            if pascal_case(&field) != *member {
                text.push_str(&format!("        #[serde(rename = \"{member}\")]\n"));
            }
            let raw = if field == "type" { "r#" } else { "" };
            text.push_str(&format!("        {raw}{field}: {member_type},\n"));
        }
        text.push_str("    }\n");
        text.replace("{\n    }", "{}")
    }

    /// The type of a shape.
    fn rust_type(&self, name: &str) -> String {
        let shape = &self.model().shapes[name];
        let of = || self.rust_type(shape.of.as_deref().unwrap_or_default());
        if let Some(of_jobs) = of_jobs(name) {
            return format!("jobs::{of_jobs}");
        }
        match shape.r#type.as_str() {
            "structure" if CATALOG.contains(&name) => format!("catalog::{name}"),
            "structure" if !self.model().is_made(name) => "Value".to_owned(),
            "structure" if self.names.contains(name) => name.to_owned(),
            "structure" => format!("parts::{name}"),
            "list" => format!("Vec<{}>", of()),
            "map" => format!("BTreeMap<String, {}>", of()),
            "boolean" => "bool".to_owned(),
            "integer" => "i32".to_owned(),
            "long" => "i64".to_owned(),
            "double" | "float" => "f64".to_owned(),
            "timestamp" => "catalog::Timestamp".to_owned(),
            _ => "String".to_owned(),
        }
    }

    /// Names of structures that hold this one, also in lists and maps.
    fn holders(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for model in self.models {
            let holds = |holder: &&str| {
                let mut below = model.below(holder);
                below.any(|below| model.element(below) == name)
            };
            found.extend(model.structures().into_iter().filter(holds));
        }
        found
    }

    fn doc(&self, name: &str, family: &str) -> String {
        if let Some(operation) = self.model().operation(name) {
            return match family {
                "requests" => format!("What `{operation}` is asked."),
                _ => format!("What `{operation}` answers."),
            };
        }
        let holders: Vec<_> = self.holders(name).into_iter().collect();
        match holders.as_slice() {
            [holder] => format!("Part of `{holder}`."),
            [first, second] => format!("Part of `{first}` and `{second}`."),
            [first, second, ..] => format!("Part of `{first}`, `{second}` and others."),
            [] => "Part of itself.".to_owned(),
        }
    }
}

/// What the room of jobs calls a structure that it has.
fn of_jobs(name: &str) -> Option<&'static str> {
    let found = JOBS.iter().find(|(shape, _)| *shape == name);
    found.map(|(_, of_jobs)| *of_jobs)
}

/// `RLSProperties` is `rls_properties`, `S3Encryption` is `s3_encryption`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let follows_small = at > 0 && !letters[at - 1].is_uppercase();
        let begins_word = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && at > 0 && (follows_small || begins_word) {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// What serde makes of a field's name.
fn pascal_case(field: &str) -> String {
    let words = field.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}
