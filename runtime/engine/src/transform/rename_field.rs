//! RenameField: one column, or one field of a struct, has another name; it stays where it is.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::functions::expr_fn::named_struct;
use datafusion::logical_expr::{Expr, LogicalPlan, lit, when};

use super::{column, names, projected};
use crate::error::{Error, Result};
use crate::graph::RenameField;

pub(crate) fn rename_field(node: &RenameField, input: LogicalPlan) -> Result<LogicalPlan> {
    let schema = input.schema();
    column(&node.name, schema, &node.source_path)?;
    let renaming = Renaming {
        path: &node.source_path,
        name: &node.target_path[node.target_path.len() - 1],
    };
    let taken = |known: &[&str]| {
        renaming.name != &renaming.path[renaming.path.len() - 1]
            && known.contains(&renaming.name.as_str())
    };
    let is_top = renaming.path.len() == 1;
    if is_top && taken(&names(schema)) {
        return Err(in_the_way(node));
    }
    let mut columns = Vec::new();
    for (reference, field) in schema.columns().into_iter().zip(schema.fields()) {
        let whole = Expr::Column(reference);
        if *field.name() != renaming.path[0] {
            columns.push(whole);
        } else if is_top {
            columns.push(whole.alias(renaming.name));
        } else {
            let renamed = renamed(&whole, field.data_type(), &renaming, 1);
            let renamed = renamed.map_err(|e| Error::of_datafusion(&node.name, &e))?;
            let renamed = renamed.ok_or_else(|| in_the_way(node))?;
            columns.push(renamed.alias(field.name()));
        }
    }
    projected(&node.name, input, columns)
}

struct Renaming<'a> {
    path: &'a [String],
    name: &'a String,
}

/// A struct with one of its fields, or of those below, renamed; none where the new name is taken. `depth` is that of
/// its fields in the path.
fn renamed(
    value: &Expr,
    data_type: &DataType,
    renaming: &Renaming<'_>,
    depth: usize,
) -> Result<Option<Expr>, DataFusionError> {
    let DataType::Struct(fields) = data_type else {
        return Ok(None);
    };
    let is_last = depth + 1 == renaming.path.len();
    let old = &renaming.path[depth];
    if is_last && old != renaming.name && fields.iter().any(|f| f.name() == renaming.name) {
        return Ok(None);
    }
    let mut members = Vec::new();
    for field in fields {
        let inner = value.clone().field(field.name().as_str());
        let (name, inner) = match field.name() == old {
            true if is_last => (renaming.name, inner),
            true => match renamed(&inner, field.data_type(), renaming, depth + 1)? {
                Some(inner) => (field.name(), inner),
                None => return Ok(None),
            },
            false => (field.name(), inner),
        };
        members.extend([lit(name.as_str()), inner]);
    }
    let whole = named_struct(members);
    when(value.clone().is_not_null(), whole).end().map(Some)
}

fn in_the_way(node: &RenameField) -> Error {
    let name = node.target_path.join(".");
    Error::node(
        &node.name,
        format!("there is a column {name:?} already; drop or rename that one first"),
    )
}
