//! The schema of XML rows: [`Shape`] and [`infer`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt};

use crate::csv::TextType;
use crate::error::{Error, Result};
use crate::limits::ReadLimits;
use crate::locate::SourceFile;
use crate::xml::records::{Element, Rows};
use crate::xml::{VALUE, XmlOptions};

const FILES_AT_ONCE: usize = 4;

/// The schema that all `files` share: what any row has is a column.
///
/// # Errors
/// [`Error::Invalid`] if no file has a row, and for what is not well formed.
pub(super) async fn infer(files: &[SourceFile], options: &XmlOptions) -> Result<SchemaRef> {
    let tasks = files.iter().cloned().map(|file| {
        let options = options.clone();
        async move {
            tokio::task::spawn_blocking(move || infer_file(&file, &options))
                .await
                .map_err(Error::joined)?
        }
    });
    let shapes: Vec<Shape> = futures::stream::iter(tasks)
        .buffered(FILES_AT_ONCE)
        .try_collect()
        .await?;
    let mut shape = Shape::new();
    for next in shapes {
        shape.merge(next);
    }
    let names: Vec<_> = files.iter().map(SourceFile::name).collect();
    let names = names.join(", ");
    let fields = shape.fields(options.all_text);
    if fields.is_empty() {
        return Err(Error::Invalid(format!(
            "{names}: no element <{}> with anything in it; name the element of a row by the row tag",
            options.row_tag
        )));
    }
    options.limits.check_columns(&names, shape.columns())?;
    Ok(Arc::new(Schema::new(fields)))
}

fn infer_file(file: &SourceFile, options: &XmlOptions) -> Result<Shape> {
    let mut rows = Rows::open(file, options)?;
    let mut shape = Shape::new();
    while rows.consumed() < options.infer_bytes {
        let Some(row) = rows.read()? else { break };
        shape.observe(&row, &options.limits, &rows)?;
    }
    Ok(shape)
}

/// What elements of one name hold.
#[derive(Debug)]
struct Shape {
    text: TextType,
    has_text: bool,
    fields: Vec<(String, Child)>,
    positions: HashMap<String, usize>,
}

#[derive(Debug)]
struct Child {
    shape: Shape,
    is_list: bool,
    /// How often it came in the element that is being looked at.
    count: usize,
}

impl Shape {
    fn new() -> Self {
        Self {
            text: TextType::new(),
            has_text: false,
            fields: Vec::new(),
            positions: HashMap::new(),
        }
    }

    fn observe(&mut self, element: &Element, limits: &ReadLimits, rows: &Rows) -> Result<()> {
        self.observe_text(&element.text);
        for (_, child) in &mut self.fields {
            child.count = 0;
        }
        for (name, value) in &element.attributes {
            let child = self.child(name);
            child.count += 1;
            child.shape.observe_text(value);
        }
        for (name, element) in &element.children {
            let child = self.child(name);
            child.count += 1;
            child.is_list |= child.count > 1;
            child.shape.observe(element, limits, rows)?;
        }
        limits.check_columns(&rows.place(), self.fields.len() as u64)
    }

    fn observe_text(&mut self, text: &str) {
        self.text.observe(text);
        self.has_text |= !text.is_empty();
    }

    fn child(&mut self, name: &str) -> &mut Child {
        let position = match self.positions.get(name) {
            Some(position) => *position,
            None => {
                self.positions.insert(name.to_owned(), self.fields.len());
                let child = Child {
                    shape: Shape::new(),
                    is_list: false,
                    count: 0,
                };
                self.fields.push((name.to_owned(), child));
                self.fields.len() - 1
            }
        };
        &mut self.fields[position].1
    }

    fn merge(&mut self, other: Shape) {
        self.text = self.text.and(other.text);
        self.has_text |= other.has_text;
        for (name, child) in other.fields {
            let known = self.child(&name);
            known.is_list |= child.is_list;
            known.shape.merge(child.shape);
        }
    }

    fn columns(&self) -> u64 {
        let children = self.fields.iter().map(|(_, child)| child.shape.columns());
        1 + children.sum::<u64>()
    }

    fn fields(&self, all_text: bool) -> Vec<Field> {
        let mut fields: Vec<_> = self
            .fields
            .iter()
            .map(|(name, child)| Field::new(name, child.data_type(all_text), true))
            .collect();
        if self.has_text {
            fields.push(Field::new(VALUE, self.text_type(all_text), true));
        }
        fields
    }

    fn text_type(&self, all_text: bool) -> DataType {
        if all_text {
            DataType::Utf8
        } else {
            self.text.data_type()
        }
    }
}

impl Child {
    fn data_type(&self, all_text: bool) -> DataType {
        let data_type = if self.shape.fields.is_empty() {
            self.shape.text_type(all_text)
        } else {
            DataType::Struct(self.shape.fields(all_text).into())
        };
        if self.is_list {
            DataType::List(Arc::new(Field::new_list_field(data_type, true)))
        } else {
            data_type
        }
    }
}
