//! Log lines by grok patterns, as in Glue's grok classifiers: [`GrokOptions`].
//!
//! ```text
//! %{IP:client} %{WORD} %{NUMBER:bytes:int}   ─expand─▶ one regular expression with a group for each name
//! ```
//!
//! The engine is `regex`, whose time is linear in the line, so no pattern can hang a run; in turn there is
//! no look-around and no back-reference, and the patterns that come with us are written without.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use regex::Regex;

use crate::error::{Error, Result};
use crate::format::{BatchWriter, Connector};
use crate::input::Output;
use crate::limits::ReadLimits;
use crate::lines::patterns::PATTERNS;
use crate::lines::read::{LineOptions, Splitter, table};
use crate::locate::SourceFile;

const MAX_EXPANDED_BYTES: usize = 256 << 10;
const MAX_EXPANSION_DEPTH: usize = 32;

/// What happens to a line that a log's pattern does not match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// It is an error with the line's number. The default.
    #[default]
    Fail,
    /// It is left out; how many were is logged for each file.
    Drop,
}

/// How log lines are read, after Glue's grok classifiers.
///
/// Each `%{PATTERN:name}` is a column; `%{PATTERN}` only matches. The types follow from the values, as in
/// CSV; Glue's `%{PATTERN:name:type}` is accepted, but a type that values do not have is not forced on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrokOptions {
    /// The pattern of a line, from its first to its last character. Default: `%{COMBINEDAPACHELOG}`.
    pub pattern: String,
    /// More patterns, one a line: a name, a blank, its expression. They go before those that come with us.
    pub custom_patterns: String,
    /// Lines that the pattern does not match. Default: an error.
    pub unmatched: Unmatched,
    /// Every column is text, nothing is inferred. Default: false.
    pub all_text: bool,
    /// How much of each file decides the types, in bytes. Default: 64 MiB.
    pub infer_bytes: u64,
    /// What a file may ask for.
    pub limits: ReadLimits,
}

impl Default for GrokOptions {
    fn default() -> Self {
        Self {
            pattern: "%{COMBINEDAPACHELOG}".into(),
            custom_patterns: String::new(),
            unmatched: Unmatched::default(),
            all_text: false,
            infer_bytes: 64 << 20,
            limits: ReadLimits::default(),
        }
    }
}

impl GrokOptions {
    fn splitter(&self) -> Result<Grok> {
        let mut expansion = Expansion::new(&self.custom_patterns)?;
        expansion.expand(&self.pattern, 0)?;
        let regex = Regex::new(&format!("^(?:{})$", expansion.regex))
            .map_err(|e| invalid(format!("{:?} does not compile: {e}", self.pattern)))?;
        let Expansion { groups, names, .. } = expansion;
        if names.is_empty() {
            return Err(invalid(format!(
                "{:?} names no column; write %{{PATTERN:name}}",
                self.pattern
            )));
        }
        // The position of each of our groups among those of the expressions.
        let position = |group: &usize| {
            let wanted = group_name(*group);
            regex
                .capture_names()
                .position(|name| name == Some(&wanted))
                .unwrap_or(0)
        };
        let mut columns = vec![Vec::new(); names.len()];
        for (group, column) in groups.iter().enumerate() {
            columns[*column].push(position(&group));
        }
        Ok(Grok {
            names,
            columns,
            regex,
            unmatched: self.unmatched,
        })
    }
}

fn group_name(group: usize) -> String {
    format!("tenon{group}")
}

fn invalid(message: String) -> Error {
    Error::Unsupported(format!("grok: {message}"))
}

/// A pattern on its way to a regular expression.
struct Expansion {
    patterns: HashMap<String, String>,
    regex: String,
    /// The column of each group.
    groups: Vec<usize>,
    names: Vec<String>,
}

impl Expansion {
    fn new(custom: &str) -> Result<Self> {
        let known = PATTERNS
            .iter()
            .map(|(name, pattern)| ((*name).to_owned(), (*pattern).to_owned()));
        let mut patterns: HashMap<_, _> = known.collect();
        for line in custom.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, pattern) = line.split_once(char::is_whitespace).ok_or_else(|| {
                invalid(format!(
                    "custom pattern {line:?}: write a name, a blank and an expression"
                ))
            })?;
            patterns.insert(name.to_owned(), pattern.trim().to_owned());
        }
        Ok(Self {
            patterns,
            regex: String::new(),
            groups: Vec::new(),
            names: Vec::new(),
        })
    }

    fn expand(&mut self, pattern: &str, depth: usize) -> Result<()> {
        if depth > MAX_EXPANSION_DEPTH {
            return Err(invalid(format!(
                "patterns use each other more than {MAX_EXPANSION_DEPTH} deep; does one use itself?"
            )));
        }
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("%{") {
            self.push(before)?;
            let (reference, after) = after
                .split_once('}')
                .ok_or_else(|| invalid(format!("{pattern:?}: a %{{ is never closed")))?;
            self.reference(reference, depth)?;
            rest = after;
        }
        self.push(rest)
    }

    fn reference(&mut self, reference: &str, depth: usize) -> Result<()> {
        let mut parts = reference.splitn(3, ':');
        let pattern = parts.next().unwrap_or_default();
        let column = parts.next();
        if let Some(data_type) = parts.next() {
            check_type(data_type)?;
        }
        let expression = self.patterns.get(pattern).cloned().ok_or_else(|| {
            invalid(format!(
                "the pattern {pattern:?} is not known; define it as a custom pattern"
            ))
        })?;
        match column.filter(|name| !name.is_empty()) {
            None => self.push("(?:")?,
            Some(name) => {
                let group = self.groups.len();
                let known = self.names.iter().position(|known| known == name);
                self.groups.push(known.unwrap_or(self.names.len()));
                if known.is_none() {
                    self.names.push(name.to_owned());
                }
                self.push(&format!("(?P<{}>", group_name(group)))?;
            }
        }
        self.expand(&expression, depth + 1)?;
        self.push(")")
    }

    fn push(&mut self, text: &str) -> Result<()> {
        self.regex.push_str(text);
        if self.regex.len() > MAX_EXPANDED_BYTES {
            return Err(invalid(format!(
                "the pattern has over {MAX_EXPANDED_BYTES} bytes when expanded"
            )));
        }
        Ok(())
    }
}

/// Glue's words.
fn check_type(data_type: &str) -> Result<()> {
    const TYPES: &[&str] = &[
        "byte", "boolean", "double", "short", "int", "string", "long", "float",
    ];
    if TYPES.contains(&data_type) {
        return Ok(());
    }
    Err(invalid(format!(
        "the type {data_type:?} is not known; known are {}",
        TYPES.join(" ")
    )))
}

#[derive(Clone, Debug)]
struct Grok {
    names: Vec<String>,
    /// The groups of each column: the first that matched gives the value.
    columns: Vec<Vec<usize>>,
    regex: Regex,
    unmatched: Unmatched,
}

impl Splitter for Grok {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn split<'a>(&self, line: &'a str, fields: &mut Vec<&'a str>) -> Result<bool, String> {
        let Some(captures) = self.regex.captures(line) else {
            return match self.unmatched {
                Unmatched::Drop => Ok(false),
                Unmatched::Fail => Err(
                    "the line does not match the pattern; correct the pattern, or drop such lines"
                        .into(),
                ),
            };
        };
        for groups in &self.columns {
            let value = groups.iter().find_map(|group| captures.get(*group));
            fields.push(value.map_or("", |value| value.as_str()));
        }
        Ok(true)
    }
}

#[async_trait]
impl Connector for GrokOptions {
    async fn table(&self, files: Vec<SourceFile>) -> Result<Arc<dyn TableProvider>> {
        let options = LineOptions {
            skip_lines: 0,
            all_text: self.all_text,
            infer_bytes: self.infer_bytes,
            limits: self.limits.clone(),
        };
        table("grok", files, self.splitter()?, options).await
    }

    fn writer(&self, _: Output, _: &SchemaRef) -> Result<Box<dyn BatchWriter>> {
        Err(Error::Unsupported(
            "log lines are only read; write csv, json or parquet".into(),
        ))
    }
}
