//! The schema of JSON records: [`Shape`] and [`infer`].
//!
//! As in CSV, a scalar keeps the types that lose nothing: integers beyond 64 bits, beyond 2^53 next to
//! fractions, and mixtures such as numbers and text become text with the characters of the file. A
//! name that holds an object here and something else there has no such type: that is an error.
//! Strings stay text. A name or list without any value is text.
//!
//! A file up to `infer_bytes` is read whole; of a larger one, one half of that is read at its start and the other in
//! windows spread over the rest.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields as ArrowFields, Schema, SchemaRef};
use futures::StreamExt;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::json::parse::{Fail, Parser};
use crate::json::records::{Records, Stop};
use crate::json::{JsonOptions, split};
use crate::locate::SourceFile;
use crate::piece::{open_at, open_text};
use crate::reject::BadRows;

const FILES_AT_ONCE: usize = 4;
const WINDOWS: u64 = 16;
const MAX_NAMES: usize = 10_000;
const MAX_EXACT_INTEGER: u64 = 1 << 53;

/// What was found out about the files of a table.
#[derive(Clone, Debug)]
pub(super) struct Inferred {
    pub(super) schema: SchemaRef,
    pub(super) evidence: Vec<Evidence>,
}

/// The schema that all `files` share.
///
/// # Errors
/// [`Error::Invalid`] with file and line for what is not JSON, or does not fit together.
pub(super) async fn infer(files: &[SourceFile], options: &JsonOptions) -> Result<Inferred> {
    let tasks = files.iter().cloned().map(|file| {
        let options = options.clone();
        async move {
            tokio::task::spawn_blocking(move || infer_file(&file, &options))
                .await
                .map_err(Error::joined)?
        }
    });
    let mut shapes = futures::stream::iter(tasks)
        .buffered(FILES_AT_ONCE)
        .zip(futures::stream::iter(files));
    let mut shape = Shape::default();
    while let Some((next, file)) = shapes.next().await {
        let next = next?;
        shape.root.merge(next.root).map_err(|message| {
            Error::Invalid(format!(
                "{}: {message} in the files before; read them as two tables",
                file.name()
            ))
        })?;
        shape.turns.extend(next.turns);
    }
    if shape.root.fields.is_empty() {
        let names: Vec<_> = files.iter().map(SourceFile::name).collect();
        return Err(Error::Invalid(format!(
            "{}: no object with a name in it; nothing to read",
            names.join(", ")
        )));
    }
    Ok(Inferred {
        schema: Arc::new(shape.schema()),
        evidence: shape.evidence(),
    })
}

fn infer_file(file: &SourceFile, options: &JsonOptions) -> Result<Shape> {
    let text = open_text(file, options.encoding)?;
    let is_whole = file.size <= options.infer_bytes;
    // What is found from the middle is only known of a sequence.
    let has_windows = !is_whole && text.is_plain && options.rows.is_none();
    let head = match has_windows {
        true => options.infer_bytes / 2,
        false => options.infer_bytes,
    };
    let mut shape = Shape::default();
    let mut records = Records::new(text.input, file.name(), options.rows.clone());
    while records.position() < head {
        if !shape.observe_next(&mut records, true, &options.bad_rows)? {
            return Ok(shape);
        }
    }
    if has_windows {
        windows(&mut shape, file, head, options)?;
    }
    Ok(shape)
}

/// Looks into a large file behind `head` in several places, where what is rare is found.
fn windows(shape: &mut Shape, file: &SourceFile, head: u64, options: &JsonOptions) -> Result<()> {
    let step = (file.size - head) / WINDOWS;
    let size = (options.infer_bytes - head) / WINDOWS;
    for window in 0..WINDOWS {
        // At the end of each step, so that the last window is the end of the file.
        let at = head + (window + 1) * step - size.min(step);
        let found = split::record_start(open_at(file, at)?)
            .map_err(|e| Error::io("read", &file.path, e))?;
        let Some(offset) = found else { continue };
        let start = at + offset;
        let mut records = Records::over(open_at(file, start)?, file.name(), start, u64::MAX);
        while records.position() < start + size
            && shape.observe_next(&mut records, false, &options.bad_rows)?
        {}
    }
    Ok(())
}

/// The error of one record, with its place in it.
fn fail(error: &serde_json::Error, record: &[u8]) -> Fail {
    let text = error.to_string();
    let message = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message);
    let before = record
        .split(|byte| *byte == b'\n')
        .take(error.line().max(1) - 1);
    let line_start: usize = before.map(|line| line.len() + 1).sum();
    let at = line_start + error.column().saturating_sub(1);
    Fail::At(at, message.to_owned())
}

/// The names and types of all records so far.
#[derive(Clone, Debug, Default)]
struct Shape {
    root: Object,
    /// How many objects were seen; tells a name that comes twice in one object.
    objects: u64,
    /// Counts what was new, so that "nothing new" is cheap to see.
    changes: u64,
    turns: Vec<Turn>,
}

/// What made a column be of a type.
#[derive(Clone, Debug)]
struct Turn {
    column: String,
    data_type: DataType,
    place: String,
}

#[derive(Clone, Debug, Default)]
struct Object {
    fields: Vec<(String, Node, u64)>,
    index: HashMap<String, usize>,
}

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const FLOAT: u8 = 4;
const TEXT: u8 = 8;

/// What one name holds.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The scalar types that lose nothing; None before the first scalar.
    scalar: Option<u8>,
    list: Option<Box<Node>>,
    object: Option<Box<Object>>,
}

impl Shape {
    /// Takes the next record into account; false at the end. A bad one counts when it is read.
    fn observe_next<R: Read>(
        &mut self,
        records: &mut Records<R>,
        knows_lines: bool,
        bad_rows: &BadRows,
    ) -> Result<bool> {
        let at = records.position();
        let changes = self.changes;
        let found = records.read(|text| {
            let mut parser = Parser::new(text);
            parser.skip_object()?;
            let record = &text[..parser.at];
            self.observe(record).map_err(|error| fail(&error, record))?;
            Ok(parser.at)
        });
        let line = match found {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(false),
            Err(Stop::Fault(fault)) if !bad_rows.is_fail() => {
                return match records.skip()? {
                    Some(_) => Ok(true),
                    None => Err(records.error(fault.into())),
                };
            }
            Err(stop) => return Err(records.error(stop)),
        };
        if self.changes != changes {
            let name = records.name();
            self.note(match knows_lines {
                true => format!("{name}:{line}"),
                false => format!("{name}, behind byte {at}"),
            });
        }
        Ok(true)
    }

    fn observe(&mut self, record: &[u8]) -> serde_json::Result<()> {
        let mut deserializer = serde_json::Deserializer::from_slice(record);
        let mut walk = Walk {
            record,
            objects: &mut self.objects,
            changes: &mut self.changes,
        };
        deserializer.deserialize_map(ObjectVisitor {
            object: &mut self.root,
            walk: &mut walk,
        })?;
        deserializer.end()
    }

    /// Notes the columns whose type is another since the record at `place`.
    fn note(&mut self, place: String) {
        for (name, node, _) in &self.root.fields {
            let data_type = node.data_type();
            let last = self.turns.iter().rev().find(|turn| turn.column == *name);
            if last.is_none_or(|turn| turn.data_type != data_type) {
                self.turns.push(Turn {
                    column: name.clone(),
                    data_type,
                    place: place.clone(),
                });
            }
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let columns = self.root.fields.iter().map(|(name, node, _)| {
            let mut before = None;
            let turns = self.turns.iter().filter(|turn| turn.column == *name);
            let turns =
                turns.filter(|turn| before.replace(&turn.data_type) != Some(&turn.data_type));
            let turns: Vec<_> = turns
                .map(|turn| format!("{} is {}", turn.place, turn.data_type))
                .collect();
            Evidence::new(name, format!("{}: {}", node.data_type(), turns.join("; ")))
        });
        columns.collect()
    }

    fn schema(&self) -> Schema {
        Schema::new(self.root.arrow_fields())
    }
}

impl Object {
    fn arrow_fields(&self) -> ArrowFields {
        self.fields
            .iter()
            .map(|(name, node, _)| Field::new(name, node.data_type(), true))
            .collect()
    }

    /// The position of `name`, which usually follows the name before it.
    fn position(&mut self, name: &str, guess: usize, changes: &mut u64) -> Result<usize, String> {
        if self.fields.get(guess).is_some_and(|field| field.0 == name) {
            return Ok(guess);
        }
        if let Some(position) = self.index.get(name) {
            return Ok(*position);
        }
        if self.fields.len() == MAX_NAMES {
            return Err(format!(
                "over {MAX_NAMES} different names in one object; is it used as a map?"
            ));
        }
        *changes += 1;
        self.index.insert(name.to_owned(), self.fields.len());
        self.fields.push((name.to_owned(), Node::default(), 0));
        Ok(self.fields.len() - 1)
    }

    fn merge(&mut self, other: Object) -> Result<(), String> {
        for (guess, (name, node, _)) in other.fields.into_iter().enumerate() {
            let position = self.position(&name, guess, &mut 0)?;
            self.fields[position]
                .1
                .merge(node)
                .map_err(|message| format!("{name:?}{message}"))?;
        }
        Ok(())
    }
}

impl Node {
    fn data_type(&self) -> DataType {
        if let Some(list) = &self.list {
            return DataType::List(Arc::new(Field::new_list_field(list.data_type(), true)));
        }
        if let Some(object) = &self.object {
            return DataType::Struct(object.arrow_fields());
        }
        let kinds = self.scalar.unwrap_or(TEXT);
        match 1 << kinds.trailing_zeros() {
            BOOLEAN => DataType::Boolean,
            INTEGER => DataType::Int64,
            FLOAT => DataType::Float64,
            _ => DataType::Utf8,
        }
    }

    fn kind(&self) -> Option<&'static str> {
        if self.list.is_some() {
            Some("a list")
        } else if self.object.is_some() {
            Some("an object")
        } else {
            self.scalar.map(|_| "a single value")
        }
    }

    /// Refuses another kind than what was there before.
    fn expect(&self, kind: &'static str) -> Result<(), String> {
        match self.kind() {
            Some(before) if before != kind => Err(format!(" holds {kind} here, but {before}")),
            _ => Ok(()),
        }
    }

    fn observe_scalar(&mut self, kinds: u8, changes: &mut u64) -> Result<(), String> {
        self.expect("a single value")?;
        let narrowed = self.scalar.map_or(kinds, |before| before & kinds);
        *changes += u64::from(self.scalar != Some(narrowed));
        self.scalar = Some(narrowed);
        Ok(())
    }

    fn merge(&mut self, other: Node) -> Result<(), String> {
        if let Some(kind) = other.kind() {
            self.expect(kind)?;
        }
        if let Some(kinds) = other.scalar {
            self.observe_scalar(kinds, &mut 0)?;
        }
        if let Some(list) = other.list {
            self.list.get_or_insert_default().merge(*list)?;
        }
        if let Some(object) = other.object {
            self.object
                .get_or_insert_default()
                .merge(*object)
                .map_err(|message| format!(".{message}"))?;
        }
        Ok(())
    }
}

struct Walk<'a> {
    record: &'a [u8],
    objects: &'a mut u64,
    changes: &'a mut u64,
}

struct ObjectVisitor<'a, 'w> {
    object: &'a mut Object,
    walk: &'a mut Walk<'w>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        *self.walk.objects += 1;
        let instance = *self.walk.objects;
        let mut guess = 0;
        loop {
            let key = NameSeed {
                object: self.object,
                guess,
                changes: self.walk.changes,
            };
            let Some(position) = map.next_key_seed(key)? else {
                return Ok(());
            };
            let (name, node, seen) = &mut self.object.fields[position];
            if std::mem::replace(seen, instance) == instance {
                return Err(A::Error::custom(format!(
                    "the object names {name:?} twice; rename one"
                )));
            }
            map.next_value_seed(NodeSeed {
                name,
                node,
                walk: self.walk,
            })?;
            guess = position + 1;
        }
    }
}

struct NameSeed<'a> {
    object: &'a mut Object,
    guess: usize,
    changes: &'a mut u64,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        self.object
            .position(name, self.guess, self.changes)
            .map_err(E::custom)
    }
}

struct NodeSeed<'a, 'w> {
    name: &'a str,
    node: &'a mut Node,
    walk: &'a mut Walk<'w>,
}

impl NodeSeed<'_, '_> {
    fn scalar<E: serde::de::Error>(self, kinds: u8) -> Result<(), E> {
        self.node
            .observe_scalar(kinds, self.walk.changes)
            .map_err(|message| before(self.name, &message))
    }

    /// serde_json hands integers beyond 64 bits over as floats; their digits tell.
    fn has_long_integer(&self) -> bool {
        self.walk
            .record
            .split(|byte| !byte.is_ascii_digit())
            .any(|digits| digits.len() > 19)
    }
}

fn before<E: serde::de::Error>(name: &str, message: &str) -> E {
    E::custom(format!(
        "{name:?}{message} before; make them alike, or read them as two tables"
    ))
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar(BOOLEAN | TEXT)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        let is_exact = value.unsigned_abs() <= MAX_EXACT_INTEGER;
        self.scalar(INTEGER | TEXT | if is_exact { FLOAT } else { 0 })
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.scalar(TEXT),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let may_be_integer = value.fract() == 0.0 && value.abs() >= MAX_EXACT_INTEGER as f64;
        if may_be_integer && self.has_long_integer() {
            self.scalar(TEXT)
        } else {
            self.scalar(FLOAT | TEXT)
        }
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar(TEXT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.node
            .expect("a list")
            .map_err(|message| before(self.name, &message))?;
        *self.walk.changes += u64::from(self.node.list.is_none());
        let node: &mut Node = self.node.list.get_or_insert_default();
        while seq
            .next_element_seed(NodeSeed {
                name: self.name,
                node: &mut *node,
                walk: &mut *self.walk,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.node
            .expect("an object")
            .map_err(|message| before(self.name, &message))?;
        *self.walk.changes += u64::from(self.node.object.is_none());
        ObjectVisitor {
            object: self.node.object.get_or_insert_default(),
            walk: self.walk,
        }
        .visit_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(lines: &[&str]) -> Result<String> {
        let mut shape = Shape::default();
        let text = lines.join("\n");
        let mut records = Records::new(text.as_bytes(), "t.json".into(), None);
        while shape.observe_next(&mut records, true, &BadRows::Fail)? {}
        let schema = shape.schema();
        let fields = schema
            .fields()
            .iter()
            .map(|f| format!("{}: {}", f.name(), f.data_type()));
        Ok(fields.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn the_records_that_decided_are_kept() {
        let mut shape = Shape::default();
        let text = "{\"a\":1}\n{\"a\":2}\n{\"a\":\"x\",\"b\":null}\n{\"b\":true}";
        let mut records = Records::new(text.as_bytes(), "t.json".into(), None);
        while shape
            .observe_next(&mut records, true, &BadRows::Fail)
            .unwrap()
        {}
        let evidence: Vec<_> = shape.evidence().iter().map(ToString::to_string).collect();
        assert_eq!(
            evidence,
            [
                "a: Utf8: t.json:1 is Int64; t.json:3 is Utf8",
                "b: Boolean: t.json:3 is Utf8; t.json:4 is Boolean"
            ]
        );
    }

    #[test]
    fn types_that_lose_nothing() {
        let cases: &[(&[&str], &str)] = &[
            (
                &[r#"{"a":1}"#, r#"{"b":true,"a":null}"#],
                "a: Int64, b: Boolean",
            ),
            (&[r#"{"a":1}"#, r#"{"a":1.5}"#], "a: Float64"),
            (&[r#"{"a":9007199254740993}"#, r#"{"a":1.5}"#], "a: Utf8"),
            (&[r#"{"a":18446744073709551615}"#], "a: Utf8"),
            (&[r#"{"a":123456789012345678901234567890}"#], "a: Utf8"),
            (&[r#"{"a":1e300}"#], "a: Float64"),
            (&[r#"{"a":1}"#, r#"{"a":"x"}"#], "a: Utf8"),
            (&[r#"{"a":true}"#, r#"{"a":1}"#], "a: Utf8"),
            (&[r#"{"a":null}"#, r#"{"b":[]}"#], "a: Utf8, b: List(Utf8)"),
            (
                &[r#"{"a":[{"b":1},{"c":[2.5]}]}"#],
                r#"a: List(Struct("b": Int64, "c": List(Float64)))"#,
            ),
        ];
        for (records, expected) in cases {
            assert_eq!(schema(records).unwrap(), *expected, "{records:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_column_says_where() {
        let error = |records: &[&str]| schema(records).unwrap_err().to_string();
        insta::assert_snapshot!(error(&[r#"{"a":1}"#, r#"{"a":{"b":1}}"#]), @r#"t.json:2:6: "a" holds an object here, but a single value before; make them alike, or read them as two tables"#);
        insta::assert_snapshot!(error(&[r#"{"a":1,"a":2}"#]), @r#"t.json:1:10: the object names "a" twice; rename one"#);
        insta::assert_snapshot!(error(&["{\"a\":1,\n\"b\":tru}"]), @"t.json:2:5: expected a value");
    }
}
