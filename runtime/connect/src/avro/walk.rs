//! [`Walk`]: follows the records of a block by the schema, without decoding them.
//!
//! A block that passes holds exactly its records, none of which claims more than is there. The schema is
//! unfolded into a tree first, counted against the limits: names that use each other twice, ten levels
//! deep, are a thousand columns.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::limits::ReadLimits;

/// Items that take no bytes, in one block: nothing else bounds them.
const MAX_EMPTY_ITEMS: u64 = 1 << 20;

/// What a value looks like in bytes.
#[derive(Clone, Debug)]
enum Node {
    Null,
    Boolean,
    Number,
    /// `bytes` and `string`.
    Bytes,
    Fixed(usize),
    Enum(u64),
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Vec<Node>),
    Record(Vec<Node>),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Walk {
    root: Node,
}

impl Walk {
    /// # Errors
    /// [`Error::Corrupt`] for what is no schema, [`Error::Unsupported`] for one that contains itself or is
    /// no record, [`Error::Limit`] for one that is too large.
    pub(super) fn new(schema: &str, file: &str, limits: &ReadLimits) -> Result<Self> {
        let schema: Value = serde_json::from_str(schema).map_err(|e| Error::Corrupt {
            file: file.to_owned(),
            message: format!("its schema is not JSON: {e}"),
        })?;
        let mut unfold = Unfold {
            file,
            limits,
            names: HashMap::new(),
            nodes: 0,
        };
        let root = unfold.node(&schema, "", 1)?;
        match root {
            Node::Record(_) => Ok(Self { root }),
            _ => Err(Error::Unsupported(format!(
                "{file}: its values are no records, so they have no columns; write records"
            ))),
        }
    }

    /// Whether `data` holds `count` records and nothing else.
    pub(super) fn block(&self, data: &[u8], count: u64) -> Result<(), String> {
        let mut bytes = Bytes {
            data,
            position: 0,
            empty_items: 0,
        };
        if count > 0 && data.is_empty() {
            return Err(format!("it says {count} records in no bytes"));
        }
        for index in 0..count {
            let start = bytes.position;
            bytes
                .value(&self.root)
                .map_err(|message| format!("record {}: {message}", index + 1))?;
            if bytes.position == start {
                bytes.empty_item()?;
            }
        }
        match data.len() - bytes.position {
            0 => Ok(()),
            left => Err(format!("{left} bytes follow its {count} records")),
        }
    }
}

struct Unfold<'a> {
    file: &'a str,
    limits: &'a ReadLimits,
    /// None while the type is being unfolded.
    names: HashMap<String, Option<Node>>,
    nodes: u64,
}

impl Unfold<'_> {
    fn node(&mut self, schema: &Value, namespace: &str, depth: u64) -> Result<Node> {
        self.count(1)?;
        self.limits.check_depth(self.file, depth)?;
        match schema {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches
                    .iter()
                    .map(|branch| self.node(branch, namespace, depth + 1));
                Ok(Node::Union(branches.collect::<Result<_>>()?))
            }
            Value::Object(object) => match object.get("type") {
                Some(Value::String(kind)) => self.complex(kind, schema, namespace, depth),
                // A type in its own braces.
                Some(inner) => self.node(inner, namespace, depth + 1),
                None => Err(self.corrupt("a type without \"type\"")),
            },
            _ => Err(self.corrupt("a type that is neither text, list nor object")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<Node> {
        if let Some(node) = primitive(name) {
            return Ok(node);
        }
        let full = full_name(name, namespace);
        let known = self.names.get(&full).or_else(|| self.names.get(name));
        match known.cloned() {
            Some(Some(node)) => {
                self.count(node.size())?;
                Ok(node)
            }
            Some(None) => Err(Error::Unsupported(format!(
                "{}: its type {name:?} contains itself, for which tables have no column",
                self.file
            ))),
            None => Err(self.corrupt(&format!("the type {name:?} is not defined"))),
        }
    }

    fn complex(&mut self, kind: &str, schema: &Value, namespace: &str, depth: u64) -> Result<Node> {
        let part = |name: &str| schema.get(name);
        match kind {
            "array" | "map" => {
                let inner = part(if kind == "array" { "items" } else { "values" })
                    .ok_or_else(|| self.corrupt(&format!("a type {kind} of nothing")))?;
                let inner = Box::new(self.node(inner, namespace, depth + 1)?);
                Ok(if kind == "array" {
                    Node::Array(inner)
                } else {
                    Node::Map(inner)
                })
            }
            "fixed" => {
                let size = part("size").and_then(Value::as_u64);
                let size = size.and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| self.corrupt("a fixed type without a size"))?;
                self.limits.check_value(self.file, size as u64)?;
                self.define(schema, namespace, Node::Fixed(size))
            }
            "enum" => {
                let symbols = part("symbols").and_then(Value::as_array);
                let count = symbols.map_or(0, Vec::len) as u64;
                self.define(schema, namespace, Node::Enum(count))
            }
            "record" | "error" => self.record(schema, namespace, depth),
            other => self.named(other, namespace),
        }
    }

    fn record(&mut self, schema: &Value, namespace: &str, depth: u64) -> Result<Node> {
        let (full, inner_namespace) = self.name_of(schema, namespace)?;
        self.names.insert(full.clone(), None);
        let fields = schema
            .get("fields")
            .and_then(Value::as_array)
            .ok_or_else(|| self.corrupt("a record without fields"))?;
        let nodes = fields.iter().map(|field| {
            let inner = field
                .get("type")
                .ok_or_else(|| self.corrupt("a field without a type"))?;
            self.node(inner, &inner_namespace, depth + 1)
        });
        let node = Node::Record(nodes.collect::<Result<_>>()?);
        self.names.insert(full, Some(node.clone()));
        Ok(node)
    }

    fn define(&mut self, schema: &Value, namespace: &str, node: Node) -> Result<Node> {
        let (full, _) = self.name_of(schema, namespace)?;
        self.names.insert(full, Some(node.clone()));
        Ok(node)
    }

    /// The full name of a named type, and the name space of what is inside.
    fn name_of(&self, schema: &Value, namespace: &str) -> Result<(String, String)> {
        let name = schema
            .get("name")
            .and_then(Value::as_str)
            .ok_or_else(|| self.corrupt("a named type without a name"))?;
        let own = schema.get("namespace").and_then(Value::as_str);
        let full = full_name(name, own.unwrap_or(namespace));
        let inner = full.rsplit_once('.').map_or("", |(space, _)| space);
        Ok((full.clone(), inner.to_owned()))
    }

    fn count(&mut self, nodes: u64) -> Result<()> {
        self.nodes += nodes;
        self.limits.check_columns(self.file, self.nodes)
    }

    fn corrupt(&self, message: &str) -> Error {
        Error::Corrupt {
            file: self.file.to_owned(),
            message: format!("its schema has {message}"),
        }
    }
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" | "long" => Node::Number,
        "float" => Node::Fixed(4),
        "double" => Node::Fixed(8),
        "bytes" | "string" => Node::Bytes,
        _ => return None,
    })
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

impl Node {
    fn size(&self) -> u64 {
        1 + match self {
            Node::Array(inner) | Node::Map(inner) => inner.size(),
            Node::Union(inner) | Node::Record(inner) => inner.iter().map(Node::size).sum(),
            _ => 0,
        }
    }
}

struct Bytes<'a> {
    data: &'a [u8],
    position: usize,
    empty_items: u64,
}

impl Bytes<'_> {
    fn value(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Null => Ok(()),
            Node::Boolean => self.skip(1),
            Node::Number => self.long().map(drop),
            Node::Fixed(size) => self.skip(*size),
            Node::Bytes => {
                let length = self.length("a text or bytes")?;
                self.skip(length)
            }
            Node::Enum(symbols) => {
                let symbol = self.long()?;
                match u64::try_from(symbol) {
                    Ok(symbol) if symbol < *symbols => Ok(()),
                    _ => Err(format!("symbol {symbol} of an enum with {symbols}")),
                }
            }
            Node::Union(branches) => {
                let branch = self.long()?;
                let node = usize::try_from(branch).ok().and_then(|b| branches.get(b));
                let node = node
                    .ok_or_else(|| format!("branch {branch} of a union with {}", branches.len()))?;
                self.value(node)
            }
            Node::Record(fields) => fields.iter().try_for_each(|field| self.value(field)),
            Node::Array(item) => self.items(|bytes| bytes.value(item)),
            Node::Map(value) => self.items(|bytes| {
                bytes.value(&Node::Bytes)?;
                bytes.value(value)
            }),
        }
    }

    fn items(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.length("a part of a list or map")?;
                count = count.checked_neg().unwrap_or(i64::MAX);
            }
            for _ in 0..count {
                let start = self.position;
                item(self)?;
                if self.position == start {
                    self.empty_item()?;
                }
            }
        }
    }

    fn empty_item(&mut self) -> Result<(), String> {
        self.empty_items += 1;
        if self.empty_items > MAX_EMPTY_ITEMS {
            return Err(format!("over {MAX_EMPTY_ITEMS} items that take no bytes"));
        }
        Ok(())
    }

    fn length(&mut self, what: &str) -> Result<usize, String> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| format!("{what} of {length} bytes"))
    }

    fn skip(&mut self, length: usize) -> Result<(), String> {
        let left = self.data.len() - self.position;
        if length > left {
            return Err(format!("a value of {length} bytes where {left} are left"));
        }
        self.position += length;
        Ok(())
    }

    fn long(&mut self) -> Result<i64, String> {
        let mut value = 0_u64;
        for index in 0..10 {
            let byte = *self
                .data
                .get(self.position)
                .ok_or("its bytes end inside a value")?;
            self.position += 1;
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err("a number has more than 64 bits".into())
    }
}
