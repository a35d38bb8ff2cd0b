//! DropNullFields: columns, and fields of structs, in which no row has a value are dropped.
//!
//! Which ones these are is known only when the whole input was looked at. So the engine computes
//! [`NullColumns::question`] while it plans: one row, with a boolean for each column. The input is computed once and kept
//! for the rest of the run.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::functions::expr_fn::btrim;
use datafusion::functions_aggregate::expr_fn::{bool_or, count};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};

use super::{built, fields, typed_column};
use crate::error::{Error, Result};
use crate::graph::{DropNullFields, NullValueField};

/// The author's own null values, by the type of column that they are for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NullDatatypes {
    texts: Vec<String>,
    numbers: Vec<f64>,
}

impl NullDatatypes {
    /// # Errors
    /// A type that is neither text nor a number, or a number that is none.
    pub(crate) fn of(fields: &[NullValueField]) -> Result<Self, String> {
        let mut found = Self::default();
        for field in fields {
            match field.datatype.id.to_lowercase().as_str() {
                "string" => found.texts.push(field.value.clone()),
                "integer" | "int" | "long" | "bigint" | "short" | "smallint" | "byte"
                | "tinyint" | "double" | "float" | "decimal" => {
                    let number = field.value.trim().parse();
                    found
                        .numbers
                        .push(number.map_err(|_| {
                            format!("NullTextList: {:?} is no number", field.value)
                        })?);
                }
                other => {
                    return Err(format!(
                        "NullTextList: the Datatype {other:?} is neither string nor that of a number, such as integer"
                    ));
                }
            }
        }
        Ok(found)
    }
}

/// The columns and fields that may be dropped.
pub(crate) struct NullColumns<'a> {
    node: &'a DropNullFields,
    values: NullDatatypes,
    /// Each a column, or a field of structs; structs themselves are not among them.
    paths: Vec<Vec<String>>,
}

impl<'a> NullColumns<'a> {
    pub(crate) fn of(node: &'a DropNullFields, input: &LogicalPlan) -> Result<Self> {
        let mut paths = Vec::new();
        for field in input.schema().fields() {
            leaves(vec![field.name().clone()], field.data_type(), &mut paths);
        }
        let values = NullDatatypes::of(&node.null_text_list);
        let mut values = values.map_err(|e| Error::node(&node.name, e))?;
        let boxes = node.null_check_box_list.unwrap_or_default();
        let texts = [(boxes.is_empty, ""), (boxes.is_null_string, "null")];
        let chosen = texts.iter().filter(|(chosen, _)| *chosen == Some(true));
        values
            .texts
            .extend(chosen.map(|(_, text)| (*text).to_owned()));
        values
            .numbers
            .extend((boxes.is_neg_one == Some(true)).then_some(-1.0));
        Ok(Self {
            node,
            values,
            paths,
        })
    }

    /// One row: how many rows there are, and of each path whether one of them has a value.
    pub(crate) fn question(&self, input: LogicalPlan) -> Result<LogicalPlan> {
        let mut answers = vec![count(lit(1_i64)).alias("rows")];
        for (i, path) in self.paths.iter().enumerate() {
            let (column, data_type) = typed_column(&self.node.name, input.schema(), path)?;
            let has_value = bool_or(self.is_value(column, &data_type));
            answers.push(has_value.alias(format!("{i}")));
        }
        let none: Vec<Expr> = Vec::new();
        built(
            &self.node.name,
            LogicalPlanBuilder::from(input).aggregate(none, answers),
        )
    }

    fn is_value(&self, column: Expr, data_type: &DataType) -> Expr {
        let there = column.clone().is_not_null();
        let is_text = matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
        if is_text && !self.values.texts.is_empty() {
            let nulls = self.values.texts.iter().map(|text| lit(text.trim()));
            return there.and(btrim(vec![column]).in_list(nulls.collect(), true));
        }
        if data_type.is_numeric() && !self.values.numbers.is_empty() {
            let nulls = self.values.numbers.iter().map(|number| lit(*number));
            return there.and(cast(column, DataType::Float64).in_list(nulls.collect(), true));
        }
        there
    }

    /// The paths without a value. Of an input without rows nothing is known, so nothing is dropped.
    pub(crate) fn answer(&self, answer: &RecordBatch) -> Vec<Vec<String>> {
        let is_empty = answer.column(0).as_primitive::<Int64Type>().value(0) == 0;
        let has_value = |i: usize| {
            let column = answer.column(i + 1).as_boolean();
            column.is_valid(0) && column.value(0)
        };
        let paths = self.paths.iter().enumerate();
        let dropped = paths.filter(|(i, _)| !is_empty && !has_value(*i));
        dropped.map(|(_, path)| path.clone()).collect()
    }

    /// The input without them.
    pub(crate) fn plan(&self, input: LogicalPlan, dropped: &[Vec<String>]) -> Result<LogicalPlan> {
        if dropped.is_empty() {
            return Ok(input);
        }
        if dropped.len() == self.paths.len() {
            return Err(Error::node(
                &self.node.name,
                "no column has a value in any row, so that none would be left",
            ));
        }
        fields::without(&self.node.name, input, dropped)
    }
}

/// The paths below a column, down to what is no struct.
fn leaves(path: Vec<String>, data_type: &DataType, into: &mut Vec<Vec<String>>) {
    let DataType::Struct(fields) = data_type else {
        into.push(path);
        return;
    };
    for field in fields {
        let mut below = path.clone();
        below.push(field.name().clone());
        leaves(below, field.data_type(), into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NullDatatype;

    fn value(value: &str, id: &str) -> NullValueField {
        NullValueField {
            value: value.to_owned(),
            datatype: NullDatatype {
                id: id.to_owned(),
                label: id.to_owned(),
            },
        }
    }

    #[test]
    fn values_are_of_a_type() {
        let found = NullDatatypes::of(&[value("n/a", "string"), value(" 0 ", "Integer")]);
        let expected = NullDatatypes {
            texts: vec!["n/a".to_owned()],
            numbers: vec![0.0],
        };
        assert_eq!(found, Ok(expected));
        let wrong = NullDatatypes::of(&[value("zero", "integer")]);
        assert_eq!(wrong.unwrap_err(), "NullTextList: \"zero\" is no number");
        assert!(
            NullDatatypes::of(&[value("x", "date")])
                .unwrap_err()
                .contains("\"date\"")
        );
    }
}
