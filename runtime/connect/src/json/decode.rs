//! JSON objects to columns, in one pass over their text: [`Decoder`].
//!
//! A tree of columns follows the schema. Names are expected in the order of the object before; what is not
//! projected is only skipped. A value that is not of its column's type, and a name that the table does not
//! have, are errors: the schema may come from a part of the files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, NullBufferBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};

use crate::cells::{Cells, Text};
use crate::csv::{exact_float64, exact_int64};
use crate::error::{Error, Result};
use crate::json::parse::{Fail, Parsed, Parser};

/// Decodes the objects of one table.
pub(super) struct Decoder {
    root: Object,
    /// Columns of the table that are wanted, in this order.
    projection: Vec<usize>,
    rows: usize,
}

impl Decoder {
    /// # Errors
    /// [`Error::Unsupported`] for a type that inference never gives.
    pub(super) fn new(fields: &Fields, projection: &[usize], rows: usize) -> Result<Self> {
        let mut root = Object::new(fields, rows)?;
        for (index, node) in root.nodes.iter_mut().enumerate() {
            if !projection.contains(&index) {
                *node = Node::Skip;
            }
        }
        Ok(Self {
            root,
            projection: projection.to_vec(),
            rows: 0,
        })
    }

    /// Whole rows so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the last row back.
    pub(super) fn pop(&mut self) {
        self.rows = self.rows.saturating_sub(1);
        self.root.truncate(self.rows);
    }

    /// The column whose value the last push failed at, if it was one's.
    pub(super) fn take_culprit(&mut self) -> Option<String> {
        let column = self.root.failed.take()?;
        Some(self.root.fields[column].name().clone())
    }

    /// Appends the object with which `text` begins as a row, and gives its length. If that fails, nothing is appended.
    pub(super) fn push(&mut self, text: &[u8]) -> Parsed<usize> {
        let mut parser = Parser::new(text);
        self.root.failed = None;
        match self.root.push(&mut parser) {
            Ok(()) => {
                self.rows += 1;
                Ok(parser.at)
            }
            Err(fail) => {
                self.root.truncate(self.rows);
                Err(fail)
            }
        }
    }

    /// The columns of the rows so far.
    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        let rows = std::mem::take(&mut self.rows);
        self.root.rows = 0;
        self.root.nulls = NullBufferBuilder::new(rows);
        let nodes = &mut self.root.nodes;
        let columns = self.projection.iter();
        columns.map(|index| nodes[*index].finish(rows)).collect()
    }
}

/// One column, or what an object holds under one name.
enum Node {
    /// Not projected.
    Skip,
    Boolean(Cells<bool>),
    Integer(Cells<i64>),
    Float(Cells<f64>),
    Text(Text),
    List(Box<List>),
    Object(Box<Object>),
}

struct List {
    field: FieldRef,
    items: Node,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

struct Object {
    fields: Fields,
    nodes: Vec<Node>,
    index: HashMap<String, usize>,
    /// The object in which a name was last seen.
    seen: Vec<u64>,
    objects: u64,
    /// The field whose value could not be pushed.
    failed: Option<usize>,
    rows: usize,
    nulls: NullBufferBuilder,
}

impl Node {
    fn new(data_type: &DataType, rows: usize) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Node::Boolean(Cells::new(rows)),
            DataType::Int64 => Node::Integer(Cells::new(rows)),
            DataType::Float64 => Node::Float(Cells::new(rows)),
            DataType::Utf8 => Node::Text(Text::new(rows, 0)),
            DataType::Struct(fields) => Node::Object(Box::new(Object::new(fields, rows)?)),
            DataType::List(field) => Node::List(Box::new(List {
                field: Arc::clone(field),
                items: Node::new(field.data_type(), rows)?,
                offsets: vec![0],
                nulls: NullBufferBuilder::new(rows),
            })),
            other => {
                return Err(Error::Unsupported(format!(
                    "json cannot be read as {other}; read it as text and cast"
                )));
            }
        })
    }

    fn push(&mut self, parser: &mut Parser<'_>, name: &str) -> Parsed<()> {
        if let Node::Skip = self {
            return parser.skip();
        }
        let byte = parser.peek()?;
        if byte == b'n' {
            parser.word("null")?;
            self.push_null();
            return Ok(());
        }
        match (self, byte) {
            (Node::Text(text), b'"') => {
                let raw = parser.text()?;
                raw.append_to(text.value())?;
                text.end_value();
                Ok(())
            }
            (Node::Integer(cells), b'-' | b'0'..=b'9') => {
                let start = parser.at;
                let (number, has_fraction) = parser.number()?;
                match exact_int64(number).filter(|_| !has_fraction) {
                    Some(value) => cells.push(value),
                    None => return misfit(start, name, &describe(number), "an int64"),
                }
                Ok(())
            }
            (Node::Float(cells), b'-' | b'0'..=b'9') => {
                let start = parser.at;
                let (number, has_fraction) = parser.number()?;
                match float(number, has_fraction) {
                    Some(value) => cells.push(value),
                    None => return misfit(start, name, &describe(number), "a float64"),
                }
                Ok(())
            }
            (Node::Boolean(cells), b't' | b'f') => {
                parser.word(if byte == b't' { "true" } else { "false" })?;
                cells.push(byte == b't');
                Ok(())
            }
            (Node::Object(object), b'{') => object.push(parser),
            (Node::List(list), b'[') => list.push(parser, name),
            // A column of mixed values has the characters of the file.
            (Node::Text(text), b'-' | b'0'..=b'9') => {
                text.push(parser.number()?.0);
                Ok(())
            }
            (Node::Text(text), b't' | b'f') => {
                let word = if byte == b't' { "true" } else { "false" };
                parser.word(word)?;
                text.push(word.as_bytes());
                Ok(())
            }
            (node, _) => node.refuse(parser, name, byte),
        }
    }

    /// The value is of another type, or none at all.
    #[cold]
    fn refuse(&self, parser: &mut Parser<'_>, name: &str, byte: u8) -> Parsed<()> {
        let start = parser.at;
        parser.skip()?;
        let found = match byte {
            b'"' => "text".to_owned(),
            b'{' => "an object".to_owned(),
            b'[' => "a list".to_owned(),
            b't' | b'f' => "a boolean".to_owned(),
            _ => describe(&parser.text[start..parser.at]),
        };
        let wanted = match self {
            Node::Boolean(_) => "a boolean",
            Node::Integer(_) => "an int64",
            Node::Float(_) => "a float64",
            Node::List(_) => "a list",
            Node::Object(_) => "an object",
            Node::Text(_) | Node::Skip => "a single value",
        };
        misfit(start, name, &found, wanted)
    }

    fn push_null(&mut self) {
        match self {
            Node::Skip => {}
            Node::Boolean(cells) => cells.push_null(),
            Node::Integer(cells) => cells.push_null(),
            Node::Float(cells) => cells.push_null(),
            Node::Text(text) => text.push_null(),
            Node::List(list) => {
                list.offsets.push(list.items.len() as i32);
                list.nulls.append_null();
            }
            Node::Object(object) => object.push_null(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Node::Skip => 0,
            Node::Boolean(cells) => cells.len(),
            Node::Integer(cells) => cells.len(),
            Node::Float(cells) => cells.len(),
            Node::Text(text) => text.len(),
            Node::List(list) => list.offsets.len() - 1,
            Node::Object(object) => object.rows,
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Node::Skip => {}
            Node::Boolean(cells) => cells.truncate(rows),
            Node::Integer(cells) => cells.truncate(rows),
            Node::Float(cells) => cells.truncate(rows),
            Node::Text(text) => text.truncate(rows),
            Node::List(list) => {
                list.offsets.truncate(rows + 1);
                list.nulls.truncate(rows);
                let items = list.offsets.last().map_or(0, |end| *end as usize);
                list.items.truncate(items);
            }
            Node::Object(object) => object.truncate(rows),
        }
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef> {
        Ok(match self {
            Node::Skip => {
                return Err(Error::Unsupported("a column that was skipped".into()));
            }
            Node::Boolean(cells) => {
                let (values, nulls) = cells.take(rows);
                Arc::new(BooleanArray::new(values.into(), nulls))
            }
            Node::Integer(cells) => {
                let (values, nulls) = cells.take(rows);
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            Node::Float(cells) => {
                let (values, nulls) = cells.take(rows);
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            Node::Text(text) => Arc::new(text.take(rows)?),
            Node::List(list) => Arc::new(list.finish()?),
            Node::Object(object) => Arc::new(object.finish()?),
        })
    }
}

impl List {
    fn push(&mut self, parser: &mut Parser<'_>, name: &str) -> Parsed<()> {
        parser.at += 1;
        parser.enter()?;
        if !parser.is_empty(b']')? {
            loop {
                self.items.push(parser, name)?;
                if !parser.goes_on(b']')? {
                    break;
                }
            }
        }
        // Fewer items than bytes in a batch.
        self.offsets.push(self.items.len() as i32);
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> Result<ListArray> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let items = self.items.finish(self.items.len())?;
        let offsets = OffsetBuffer::new(offsets.into());
        ListArray::try_new(Arc::clone(&self.field), offsets, items, self.nulls.finish())
            .map_err(|e| Error::Query(e.into()))
    }
}

impl Object {
    fn new(fields: &Fields, rows: usize) -> Result<Self> {
        let nodes = fields
            .iter()
            .map(|field| Node::new(field.data_type(), rows));
        let names = fields.iter().map(|field| field.name().clone());
        Ok(Self {
            fields: fields.clone(),
            nodes: nodes.collect::<Result<_>>()?,
            index: names.zip(0..).collect(),
            seen: vec![0; fields.len()],
            objects: 0,
            failed: None,
            rows: 0,
            nulls: NullBufferBuilder::new(rows),
        })
    }

    fn push(&mut self, parser: &mut Parser<'_>) -> Parsed<()> {
        parser.expect(b'{', "an object")?;
        parser.enter()?;
        self.objects += 1;
        let mut found = 0;
        if !parser.is_empty(b'}')? {
            let mut guess = 0;
            loop {
                let position = self.name(parser, guess)?;
                guess = position + 1;
                found += 1;
                parser.expect(b':', "a colon")?;
                let pushed = self.nodes[position].push(parser, self.fields[position].name());
                if let Err(fail) = pushed {
                    self.failed = Some(position);
                    return Err(fail);
                }
                if !parser.goes_on(b'}')? {
                    break;
                }
            }
        }
        if found < self.nodes.len() {
            self.fill();
        }
        self.rows += 1;
        self.nulls.append_non_null();
        Ok(())
    }

    /// The position of the name that stands here, which usually follows the name before it.
    #[inline]
    fn name(&mut self, parser: &mut Parser<'_>, guess: usize) -> Parsed<usize> {
        parser.peek()?;
        let start = parser.at;
        let position = match self.guessed(parser, guess) {
            true => guess,
            false => self.find(parser)?,
        };
        if std::mem::replace(&mut self.seen[position], self.objects) == self.objects {
            let name = self.fields[position].name();
            return Err(Fail::At(
                start,
                format!("the object names {name:?} twice; rename one"),
            ));
        }
        Ok(position)
    }

    #[inline]
    fn guessed(&self, parser: &mut Parser<'_>, guess: usize) -> bool {
        let Some(field) = self.fields.get(guess) else {
            return false;
        };
        let name = field.name().as_bytes();
        let rest = &parser.text[parser.at..];
        let is_it = rest.len() > name.len() + 1
            && rest[0] == b'"'
            && rest[name.len() + 1] == b'"'
            && rest[1..=name.len()] == *name
            // Names with these are written with escapes, and compared when they are unescaped.
            && !name.iter().any(|byte| *byte == b'"' || *byte == b'\\');
        if is_it {
            parser.at += name.len() + 2;
        }
        is_it
    }

    fn find(&self, parser: &mut Parser<'_>) -> Parsed<usize> {
        let start = parser.at;
        let raw = parser.text()?;
        let mut name = Vec::new();
        raw.append_to(&mut name)?;
        let position = std::str::from_utf8(&name)
            .ok()
            .and_then(|name| self.index.get(name));
        match position {
            Some(position) => Ok(*position),
            None => Err(Fail::At(
                start,
                format!(
                    "the name {:?} is new, which the start of the table does not suggest; raise infer_bytes",
                    String::from_utf8_lossy(&name)
                ),
            )),
        }
    }

    /// Nulls for the names that did not come.
    fn fill(&mut self) {
        for (node, seen) in self.nodes.iter_mut().zip(&self.seen) {
            if *seen != self.objects {
                node.push_null();
            }
        }
    }

    fn push_null(&mut self) {
        self.nodes.iter_mut().for_each(Node::push_null);
        self.rows += 1;
        self.nulls.append_null();
    }

    fn truncate(&mut self, rows: usize) {
        self.nodes.iter_mut().for_each(|node| node.truncate(rows));
        self.rows = rows;
        self.nulls.truncate(rows);
    }

    fn finish(&mut self) -> Result<StructArray> {
        let rows = std::mem::take(&mut self.rows);
        let nodes = self.nodes.iter_mut();
        let columns = nodes
            .map(|node| node.finish(rows))
            .collect::<Result<Vec<_>>>()?;
        let nulls = self.nulls.finish();
        StructArray::try_new_with_length(self.fields.clone(), columns, nulls, rows)
            .map_err(|e| Error::Query(e.into()))
    }
}

/// A float that loses nothing that inference promises; integers must be exact.
#[inline]
fn float(number: &[u8], has_fraction: bool) -> Option<f64> {
    if let Some(value) = exact_float64(number) {
        return Some(value);
    }
    if !has_fraction {
        return None;
    }
    std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|value: &f64| value.is_finite())
}

fn describe(number: &[u8]) -> String {
    crate::csv::abbreviated(number)
}

#[cold]
fn misfit<T>(at: usize, name: &str, found: &str, wanted: &str) -> Parsed<T> {
    Err(Fail::At(
        at,
        format!(
            "{name:?} holds {found} here, not {wanted}, the type that the start of the table suggests; raise infer_bytes, or make them alike"
        ),
    ))
}
