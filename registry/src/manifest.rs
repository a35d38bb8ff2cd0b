//! [`Manifest`]: what a plugin says about itself, and the rules it must keep.
//!
//! A manifest comes from whoever built the plugin, so nothing is believed before [`Manifest::validate`]: names
//! become paths and SQL identifiers, texts are shown to people. Unknown fields are tolerated, so a plugin
//! built by a newer tool can be installed; a rule that is broken is named together with the value.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result, shorten};

const MAX_NAME_BYTES: usize = 64;
const MAX_VERSION_BYTES: usize = 64;
const MAX_SHORT_TEXT_BYTES: usize = 256;
const MAX_LONG_TEXT_BYTES: usize = 4096;
const MAX_AUTHORS: usize = 32;
const MAX_FUNCTIONS: usize = 256;
const MAX_EXAMPLES: usize = 32;
const MAX_CAPABILITIES: usize = 16;
const MAX_LIMITS: usize = 64;

/// What a plugin says about itself: the JSON in the `tenon:manifest` section.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manifest: tenon_registry::Manifest = serde_json::from_str(
///     r#"{
///         "name": "find-matches",
///         "version": "0.1.0",
///         "description": "finds records that mean the same thing",
///         "license": "Apache-2.0",
///         "contract": "0.1.0",
///         "functions": [{"name": "find-matches", "kind": "plan", "description": "adds a match_id column"}]
///     }"#,
/// )?;
/// manifest.validate()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin's name, unique in a registry.
    pub name: PluginName,
    /// The plugin's version; with the name it identifies one sequence of bytes for good. Without build
    /// metadata (`+...`), which orders nothing and would make two versions look like one.
    pub version: Version,
    /// One paragraph for people.
    pub description: String,
    /// People or groups, as `name` or `name <address>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// SPDX expression.
    pub license: String,
    /// Version of the WIT package the plugin was built against.
    pub contract: Version,
    /// What the plugin offers; at least one, names distinct.
    pub functions: Vec<Function>,
    /// Interfaces of the contract that reach outside and that the component imports, such as `http`. What is not
    /// named here is not given, whatever an operator grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Worked examples for the catalogue of plugins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    /// What the plugin should be held to, by the host's names of limits: it lowers what an operator allows and
    /// cannot raise it. Names that a host does not know mean nothing to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, LimitValue>,
}

/// A limit's value as its author wrote it: with a unit (`64 MiB`), or a number in the limit's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LimitValue {
    /// A number.
    Number(u64),
    /// A number with a unit.
    Text(String),
}

impl fmt::Display for LimitValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One function a plugin exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Name of the export; same rule as plugin names.
    pub name: String,
    /// Which contract it implements.
    pub kind: FunctionKind,
    /// One paragraph for people.
    #[serde(default)]
    pub description: String,
}

/// Which contract a function implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionKind {
    /// A batch in, columns and a selection out.
    Map,
    /// Push and pull of batches, with state.
    Stream,
    /// Groups of rows to one row each; also an aggregate function of SQL.
    Aggregate,
    /// Arguments to rows; a function of SQL's FROM clause.
    TableFunction,
    /// SQL over the inputs and the plugin's own functions.
    Plan,
    /// Rows from outside.
    Source,
    /// Rows to outside.
    Sink,
}

impl fmt::Display for FunctionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Map => "map",
            Self::Stream => "stream",
            Self::Aggregate => "aggregate",
            Self::TableFunction => "table-function",
            Self::Plan => "plan",
            Self::Source => "source",
            Self::Sink => "sink",
        })
    }
}

/// A worked example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What it shows, in one line.
    pub title: String,
    /// The job, SQL or configuration to paste.
    pub text: String,
}

impl Manifest {
    /// Reads and checks the JSON form.
    ///
    /// # Errors
    /// [`Error::InvalidManifest`] when the JSON does not fit or a rule is broken.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let manifest: Self =
            serde_json::from_slice(json).map_err(|error| Error::manifest(error.to_string()))?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Checks every rule a type does not carry: lengths in bytes, counts, distinct function names.
    ///
    /// # Errors
    /// [`Error::InvalidManifest`] naming the first broken rule.
    pub fn validate(&self) -> Result<()> {
        check_version("version", &self.version)?;
        check_version("contract", &self.contract)?;
        check_text("description", &self.description, MAX_LONG_TEXT_BYTES)?;
        check_text("license", &self.license, MAX_SHORT_TEXT_BYTES)?;
        if self.license.trim().is_empty() {
            return Err(Error::manifest(
                "license is empty: give an SPDX expression such as Apache-2.0",
            ));
        }
        check_count("authors", self.authors.len(), MAX_AUTHORS)?;
        for author in &self.authors {
            check_text("an author", author, MAX_SHORT_TEXT_BYTES)?;
        }
        self.validate_functions()?;
        check_count("capabilities", self.capabilities.len(), MAX_CAPABILITIES)?;
        for capability in &self.capabilities {
            check_name("capability", capability)?;
        }
        check_count("examples", self.examples.len(), MAX_EXAMPLES)?;
        for example in &self.examples {
            check_text("an example's title", &example.title, MAX_SHORT_TEXT_BYTES)?;
            check_text("an example's text", &example.text, MAX_LONG_TEXT_BYTES)?;
        }
        check_count("limits", self.limits.len(), MAX_LIMITS)?;
        for (name, value) in &self.limits {
            check_text("a limit's name", name, MAX_NAME_BYTES)?;
            check_text("a limit's value", &value.to_string(), MAX_NAME_BYTES)?;
        }
        Ok(())
    }

    fn validate_functions(&self) -> Result<()> {
        if self.functions.is_empty() {
            return Err(Error::manifest(
                "functions is empty: a plugin offers at least one function",
            ));
        }
        check_count("functions", self.functions.len(), MAX_FUNCTIONS)?;
        for (index, function) in self.functions.iter().enumerate() {
            check_name("function", &function.name)?;
            check_text(
                "a function's description",
                &function.description,
                MAX_LONG_TEXT_BYTES,
            )?;
            if self.functions[..index]
                .iter()
                .any(|earlier| earlier.name == function.name)
            {
                return Err(Error::manifest(format!(
                    "function {:?} is listed twice",
                    function.name
                )));
            }
        }
        Ok(())
    }
}

fn check_version(field: &str, version: &Version) -> Result<()> {
    if !version.build.is_empty() {
        return Err(Error::manifest(format!(
            "{field} {version} carries build metadata (+...), which is not allowed"
        )));
    }
    check_text(field, &version.to_string(), MAX_VERSION_BYTES)
}

fn check_text(field: &str, text: &str, limit: usize) -> Result<()> {
    if text.len() > limit {
        let size = text.len();
        return Err(Error::manifest(format!(
            "{field} has {size} bytes, the limit is {limit} bytes"
        )));
    }
    if let Some(control) = text
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\t'))
    {
        return Err(Error::manifest(format!(
            "{field} contains the control character {control:?}"
        )));
    }
    Ok(())
}

fn check_count(field: &str, count: usize, limit: usize) -> Result<()> {
    if count > limit {
        return Err(Error::manifest(format!(
            "{field} has {count} entries, the limit is {limit}"
        )));
    }
    Ok(())
}

fn check_name(what: &'static str, name: &str) -> Result<()> {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::InvalidName {
        what,
        name: shorten(name),
    })
}

/// A plugin's name: 1 to 64 of `a-z`, `0-9` and `-`. Safe as a file name and in a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(String);

impl PluginName {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`Error::InvalidName`] showing the name and the rule.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        check_name("plugin", &name)?;
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PluginName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl AsRef<str> for PluginName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for PluginName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PluginName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn valid() -> Value {
        json!({
            "name": "find-matches",
            "version": "0.1.0",
            "description": "finds records that mean the same thing",
            "authors": ["A <a@example.org>"],
            "license": "Apache-2.0",
            "contract": "0.1.0",
            "functions": [
                {"name": "find-matches", "kind": "plan", "description": "adds match_id"},
                {"name": "pair-score", "kind": "map"},
            ],
            "examples": [{"title": "match people", "text": "select 1"}],
            "limits": {},
        })
    }

    fn read(json: &Value) -> Result<Manifest> {
        Manifest::from_json(json.to_string().as_bytes())
    }

    fn refused(path: &str, value: Value) -> String {
        let mut json = valid();
        *json.pointer_mut(path).unwrap() = value;
        read(&json).unwrap_err().to_string()
    }

    #[test]
    fn round_trips_and_tolerates_unknown_fields() {
        let mut json = valid();
        let manifest = read(&json).unwrap();
        assert_eq!(manifest.functions[0].kind, FunctionKind::Plan);
        assert_eq!(
            read(&serde_json::to_value(&manifest).unwrap()).unwrap(),
            manifest
        );

        json["limits"] = json!({"memory_bytes": "64 MiB", "columns": 12, "of-a-newer-host": "1"});
        let limited = read(&json).unwrap();
        assert_eq!(limited.limits["memory_bytes"].to_string(), "64 MiB");
        assert_eq!(limited.limits["columns"], LimitValue::Number(12));
        assert_eq!(
            read(&serde_json::to_value(&limited).unwrap()).unwrap(),
            limited
        );
        json.as_object_mut().unwrap().remove("limits");

        json["homepage"] = json!("https://example.org");
        json["functions"][0]["stability"] = json!("new");
        assert_eq!(read(&json).unwrap(), manifest);
    }

    #[test]
    fn optional_fields_may_be_left_out() {
        let mut json = valid();
        json.as_object_mut().unwrap().remove("authors");
        json.as_object_mut().unwrap().remove("examples");
        let manifest = read(&json).unwrap();
        assert!(manifest.authors.is_empty() && manifest.examples.is_empty());
        assert!(manifest.limits.is_empty());
        let written = serde_json::to_string(&manifest).unwrap();
        assert!(!written.contains("authors") && !written.contains("limits"));
    }

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "..\\x",
            "A",
            "a_b",
            "a.b",
            "ä",
            "a b",
            "a\0",
            &"a".repeat(65),
        ] {
            let text = refused("/name", json!(name));
            assert!(
                text.contains("use 1 to 64 of a-z, 0-9 and -"),
                "{name:?}: {text}"
            );
            assert!(
                matches!(PluginName::new(name), Err(Error::InvalidName { .. })),
                "{name:?}"
            );
        }
        PluginName::new("a".repeat(64)).unwrap();
        assert_eq!(
            refused("/functions/1/name", json!("pair score")),
            "invalid function name \"pair score\": use 1 to 64 of a-z, 0-9 and -"
        );
    }

    #[test]
    fn each_broken_rule_is_named_with_its_value() {
        let cases = [
            (
                "/version",
                json!("1.0"),
                "unexpected end of input while parsing minor version number",
            ),
            (
                "/version",
                json!("1.0.0+x"),
                "version 1.0.0+x carries build metadata (+...), which is not allowed",
            ),
            (
                "/license",
                json!(" "),
                "license is empty: give an SPDX expression such as Apache-2.0",
            ),
            (
                "/functions",
                json!([]),
                "functions is empty: a plugin offers at least one function",
            ),
            (
                "/functions/1/name",
                json!("find-matches"),
                "function \"find-matches\" is listed twice",
            ),
            (
                "/functions/0/kind",
                json!("spark"),
                "unknown variant `spark`, expected one of `map`, `stream`, `aggregate`, `table-function`, `plan`, `source`, `sink`",
            ),
            (
                "/description",
                json!("x".repeat(4097)),
                "description has 4097 bytes, the limit is 4096 bytes",
            ),
            (
                "/description",
                json!("a\u{1b}[31m"),
                "description contains the control character '\\u{1b}'",
            ),
            (
                "/limits",
                json!({"memory_bytes": "x".repeat(65)}),
                "a limit's value has 65 bytes, the limit is 64 bytes",
            ),
            (
                "/authors",
                json!(vec!["a"; 33]),
                "authors has 33 entries, the limit is 32",
            ),
        ];
        for (path, value, expected) in cases {
            let text = refused(path, value);
            assert!(text.contains(expected), "{path}: {text}");
        }
    }
}
