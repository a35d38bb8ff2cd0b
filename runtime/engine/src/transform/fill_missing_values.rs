//! FillMissingValues: a column that has the values of another one, and estimates where that has none.
//!
//! ```text
//! summary      counts, mean, deviation, smallest and largest value; those of each predictor
//! products     of the standardised predictors with each other and with the column       (numbers only)
//! plan         the input, and  case when age is null then 41.5 + 3.1 * (height - 1.7) else age end
//! ```
//!
//! A number is estimated by linear regression on the other columns that are numbers or booleans; a value that a predictor
//! misses counts as its mean. Where that explains nothing the estimate is the mean. It stays between the smallest and the
//! largest value. What is no number (NaN) is missing. Text, booleans, dates and times get their most frequent value. Glue trains a model of its own choice,
//! so numbers differ from Glue's.
//!
//! Sums are made in whatever order partitions come in: weights are rounded to [`DIGITS`] digits so that the last bits of
//! a sum do not show.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::{coalesce, greatest, least};
use datafusion::functions::expr_fn::{btrim, isnan, nanvl, round};
use datafusion::functions_aggregate::expr_fn::{avg, count, max, min, stddev_pop};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use super::regression::{Products, fit};
use super::{built, names, projected, typed_column};
use crate::error::{Error, Result};
use crate::graph::FillMissingValues;

/// Predictors, at most; the first ones are taken.
const MAX_PREDICTORS: usize = 32;

/// Decimal digits of a weight.
const DIGITS: usize = 12;

/// Numbers of the summary before those of the predictors.
const OWN: usize = 6;

/// A node of this kind over its input.
pub(crate) struct Filling<'a> {
    node: &'a FillMissingValues,
    input: LogicalPlan,
    column: Expr,
    data_type: DataType,
    /// What it is called, in words.
    path: String,
    filled: String,
    /// Names of columns.
    predictors: Vec<String>,
}

/// Where the estimates come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    estimate: Estimate,
    /// For the log of the run.
    pub(crate) sentence: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Estimate {
    /// There is nothing to learn from.
    Nothing,
    Value(ScalarValue),
    Linear {
        /// The estimate where every predictor has its mean.
        start: f64,
        /// Predictor, its weight, and its mean, which stands for a value that it misses.
        terms: Vec<(String, f64, f64)>,
        least: f64,
        most: f64,
    },
}

/// A predictor with its mean and deviation.
struct Predictor<'a> {
    name: &'a str,
    mean: f64,
    deviation: f64,
}

impl<'a> Filling<'a> {
    pub(crate) fn of(node: &'a FillMissingValues, input: LogicalPlan) -> Result<Self> {
        let known = names(input.schema());
        let path = path(&node.imputed_path, &known);
        let (column, data_type) = typed_column(&node.name, input.schema(), &path)?;
        if data_type.is_nested() {
            return Err(Error::node(
                &node.name,
                format!(
                    "ImputedPath {:?} is {data_type}; numbers, text, booleans, dates and times can be filled",
                    node.imputed_path
                ),
            ));
        }
        let last = &path[path.len() - 1];
        let filled = node.filled_path.as_deref().filter(|path| !path.is_empty());
        let filled = filled.map_or_else(
            || format!("{last}_filled"),
            |name| without_root(name).to_owned(),
        );
        if known.contains(&filled.as_str()) {
            return Err(Error::Node {
                node: node.name.clone(),
                message: format!("there is a column {filled:?} already"),
                hint: Some("give the new one another name in FilledPath".to_owned()),
            });
        }
        let fields = input.schema().fields().iter();
        let predictors = fields
            .filter(|f| f.data_type().is_numeric() || *f.data_type() == DataType::Boolean)
            .filter(|f| path.len() > 1 || *f.name() != path[0])
            .map(|f| f.name().clone());
        let predictors = predictors.take(MAX_PREDICTORS).collect();
        Ok(Self {
            path: path.join("."),
            node,
            column,
            data_type,
            filled,
            predictors,
            input,
        })
    }

    /// One row: of a number its summary, of anything else its most frequent value, or no row where there is no value.
    pub(crate) fn summary(&self) -> Result<LogicalPlan> {
        let input = LogicalPlanBuilder::from(self.input.clone());
        if !self.data_type.is_numeric() {
            let found = input
                .filter(self.is_present())
                .and_then(|b| {
                    b.aggregate(
                        [self.column.clone().alias("value")],
                        [count(lit(1_i64)).alias("rows")],
                    )
                })
                .and_then(|b| {
                    b.sort([
                        datafusion::logical_expr::col("rows").sort(false, false),
                        datafusion::logical_expr::col("value").sort(true, false),
                    ])
                })
                .and_then(|b| b.limit(0, Some(1)));
            return built(&self.node.name, found);
        }
        let own = self.measured(self.column.clone(), &self.data_type)?;
        let mut answers = vec![
            number(count(lit(1_i64))),
            number(count(own.clone())),
            avg(own.clone()),
            stddev_pop(own.clone()),
            min(own.clone()),
            max(own),
        ];
        for name in &self.predictors {
            let value = self.where_present(self.measured_predictor(name)?)?;
            answers.extend([avg(value.clone()), stddev_pop(value)]);
        }
        self.asked(answers)
    }

    /// What a regression is made of; none where there is nothing to make one of.
    pub(crate) fn products(&self, summary: &RecordBatch) -> Result<Option<LogicalPlan>> {
        if !self.data_type.is_numeric() {
            return Ok(None);
        }
        let predictors = self.useful(summary);
        if predictors.is_empty() {
            return Ok(None);
        }
        let target = self.measured(self.column.clone(), &self.data_type)?
            - lit(value(summary, MEAN).unwrap_or_default());
        let mut standardised = Vec::with_capacity(predictors.len());
        for predictor in &predictors {
            let z = (self.measured_predictor(predictor.name)? - lit(predictor.mean))
                / lit(predictor.deviation);
            standardised.push(self.where_present(coalesce(vec![z, lit(0.0)]))?);
        }
        let mut answers = Vec::new();
        for (i, z) in standardised.iter().enumerate() {
            answers.push(avg(z.clone() * target.clone()));
            answers.extend(
                standardised[..=i]
                    .iter()
                    .map(|other| avg(z.clone() * other.clone())),
            );
        }
        self.asked(answers).map(Some)
    }

    /// The model, from the answers to both questions.
    pub(crate) fn model(&self, summary: &RecordBatch, products: Option<&RecordBatch>) -> Model {
        if !self.data_type.is_numeric() {
            return self.most_frequent(summary);
        }
        let own = |i| value(summary, i).filter(|value| value.is_finite());
        let (Some(mean), Some(deviation)) = (own(MEAN), own(DEVIATION)) else {
            return self.told(Estimate::Nothing, "no value to learn from");
        };
        let counts = format!(
            "{} of {} values missing",
            own(ROWS).unwrap_or_default() - own(PRESENT).unwrap_or_default(),
            own(ROWS).unwrap_or_default()
        );
        let predictors = self.useful(summary);
        let fitted = products.and_then(|products| {
            let products = read_products(products, predictors.len());
            fit(&Products {
                rows: own(PRESENT)?,
                variance: deviation * deviation,
                ..products?
            })
        });
        let Some(fitted) = fitted else {
            let mean = rounded(mean);
            let text = format!("{counts}; filled with the mean {mean}");
            return self.told(Estimate::Value(ScalarValue::from(mean)), &text);
        };
        let weighed: Vec<_> = predictors
            .iter()
            .zip(fitted.weights)
            .map(|(p, weight)| {
                (
                    p.name.to_owned(),
                    rounded(weight / p.deviation),
                    rounded(p.mean),
                )
            })
            .collect();
        let names: Vec<&str> = predictors.iter().map(|p| p.name).collect();
        let text = format!(
            "{counts}; filled by linear regression on {} (explains {:.1} % of the variance)",
            names.join(", "),
            fitted.explained * 100.0
        );
        let estimate = Estimate::Linear {
            start: rounded(mean),
            terms: weighed,
            least: own(LEAST).unwrap_or(mean),
            most: own(MOST).unwrap_or(mean),
        };
        self.told(estimate, &text)
    }

    /// The input with the new column at its end.
    pub(crate) fn plan(&self, model: &Model) -> Result<LogicalPlan> {
        let fail = |e| Error::of_datafusion(&self.node.name, &e);
        let columns = self.input.schema().columns().into_iter().map(Expr::Column);
        let mut columns: Vec<Expr> = columns.collect();
        let filled = match self.estimate(&model.estimate) {
            None => self.column.clone(),
            Some(estimate) => when(self.is_present(), self.column.clone())
                .otherwise(estimate)
                .map_err(fail)?,
        };
        columns.push(filled.alias(&self.filled));
        projected(&self.node.name, self.input.clone(), columns)
    }

    fn estimate(&self, estimate: &Estimate) -> Option<Expr> {
        let estimate = match estimate {
            Estimate::Nothing => return None,
            Estimate::Value(value) => Expr::Literal(value.clone(), None),
            Estimate::Linear {
                start,
                terms,
                least: lowest,
                most,
            } => {
                // From the mean of each predictor, so that one that is missing adds exactly nothing.
                let term = |(name, weight, mean): &(String, f64, f64)| {
                    let distance = nanvl(self.predictor(name), lit(*mean)) - lit(*mean);
                    lit(*weight) * coalesce(vec![distance, lit(0.0)])
                };
                let sum = terms
                    .iter()
                    .map(term)
                    .fold(lit(*start), |sum, term| sum + term);
                least(vec![greatest(vec![sum, lit(*lowest)]), lit(*most)])
            }
        };
        let estimate = match self.data_type.is_integer() {
            true => round(vec![estimate]),
            false => estimate,
        };
        let estimate = match greatest_float(&self.data_type) {
            Some(bound) => least(vec![estimate, lit(bound)]),
            None => estimate,
        };
        let estimate = match greatest_decimal(&self.data_type) {
            Some(bound) => greatest(vec![least(vec![estimate, lit(bound)]), lit(-bound)]),
            None => estimate,
        };
        Some(cast(estimate, self.data_type.clone()))
    }

    fn most_frequent(&self, answer: &RecordBatch) -> Model {
        let found = (answer.num_rows() > 0)
            .then(|| ScalarValue::try_from_array(answer.column(0), 0).ok())
            .flatten();
        match found {
            None => self.told(Estimate::Nothing, "no value to learn from"),
            Some(value) => {
                let text = format!("filled with the most frequent value {value}");
                self.told(Estimate::Value(value), &text)
            }
        }
    }

    fn told(&self, estimate: Estimate, text: &str) -> Model {
        Model {
            estimate,
            sentence: format!("{:?}: {text}", self.path),
        }
    }

    /// Predictors that differ from row to row.
    fn useful(&self, summary: &RecordBatch) -> Vec<Predictor<'_>> {
        let mut useful = Vec::new();
        for (i, name) in self.predictors.iter().enumerate() {
            let (mean, deviation) = (value(summary, OWN + 2 * i), value(summary, OWN + 2 * i + 1));
            let (Some(mean), Some(deviation)) = (mean, deviation) else {
                continue;
            };
            if mean.is_finite() && deviation.is_finite() && deviation > 0.0 {
                useful.push(Predictor {
                    name,
                    mean,
                    deviation,
                });
            }
        }
        useful
    }

    fn predictor(&self, name: &str) -> Expr {
        let column = self.input.schema().columns();
        let column = column.into_iter().find(|column| column.name == name);
        number(column.map_or_else(|| lit(ScalarValue::Null), Expr::Column))
    }

    fn measured_predictor(&self, name: &str) -> Result<Expr> {
        let found = self.input.schema().field_with_unqualified_name(name);
        let data_type = found.map_or(DataType::Null, |field| field.data_type().clone());
        self.measured(self.predictor(name), &data_type)
    }

    /// The number, and null for what is none.
    fn measured(&self, value: Expr, data_type: &DataType) -> Result<Expr> {
        let value = number(value);
        if !data_type.is_floating() {
            return Ok(value);
        }
        let none = lit(ScalarValue::Float64(None));
        let measured = when(isnan(value.clone()), none).otherwise(value);
        measured.map_err(|e| Error::of_datafusion(&self.node.name, &e))
    }

    fn is_present(&self) -> Expr {
        let there = self.column.clone().is_not_null();
        match self.data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                there.and(btrim(vec![self.column.clone()]).not_eq(lit("")))
            }
            _ if self.data_type.is_floating() => {
                there.and(isnan(number(self.column.clone())).is_false())
            }
            _ => there,
        }
    }

    fn where_present(&self, value: Expr) -> Result<Expr> {
        let masked = when(self.is_present(), value).end();
        masked.map_err(|e| Error::of_datafusion(&self.node.name, &e))
    }

    /// One row of numbers.
    fn asked(&self, answers: Vec<Expr>) -> Result<LogicalPlan> {
        let answers = answers.into_iter().enumerate();
        let answers = answers.map(|(i, answer)| answer.alias(i.to_string()));
        let none: Vec<Expr> = Vec::new();
        let asked = LogicalPlanBuilder::from(self.input.clone()).aggregate(none, answers);
        built(&self.node.name, asked)
    }
}

/// Places in the summary.
const ROWS: usize = 0;
const PRESENT: usize = 1;
const MEAN: usize = 2;
const DEVIATION: usize = 3;
const LEAST: usize = 4;
const MOST: usize = 5;

fn number(value: Expr) -> Expr {
    cast(value, DataType::Float64)
}

/// The greatest float that is a value of the type, where its own greatest value is rounded up on the way there.
fn greatest_float(data_type: &DataType) -> Option<f64> {
    match data_type {
        DataType::Int64 => Some(2_f64.powi(63).next_down()),
        DataType::UInt64 => Some(2_f64.powi(64).next_down()),
        _ => None,
    }
}

/// The greatest float that is a value of a decimal type, as it becomes one: shifted by its scale and rounded.
fn greatest_decimal(data_type: &DataType) -> Option<f64> {
    let (precision, scale) = match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        _ => return None,
    };
    let (shift, beyond) = (10_f64.powi(scale.into()), 10_f64.powi(precision.into()));
    let mut greatest = (beyond - 1.0) / shift;
    // So many digits have no float of their own: the nearest one may be the first that has one digit more.
    while (greatest * shift).round() >= beyond {
        greatest = greatest.next_down();
    }
    Some(greatest)
}

fn value(answer: &RecordBatch, i: usize) -> Option<f64> {
    let column = answer.column(i).as_primitive_opt::<Float64Type>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
}

/// The products of so many predictors, with rows and variance left at 0.
fn read_products(answer: &RecordBatch, count: usize) -> Option<Products> {
    let mut products = Products {
        rows: 0.0,
        predictors: vec![vec![0.0; count]; count],
        target: Vec::with_capacity(count),
        variance: 0.0,
    };
    let mut place = 0;
    let mut next = || {
        place += 1;
        value(answer, place - 1)
    };
    for i in 0..count {
        products.target.push(next()?);
        for j in 0..=i {
            let product = next()?;
            products.predictors[i][j] = product;
            products.predictors[j][i] = product;
        }
    }
    Some(products)
}

/// `$.person.age` is a field, unless there is a column of the whole name.
fn path(text: &str, known: &[&str]) -> Vec<String> {
    let text = if known.contains(&text) {
        text
    } else {
        without_root(text)
    };
    match known.contains(&text) {
        true => vec![text.to_owned()],
        false => text.split('.').map(str::to_owned).collect(),
    }
}

fn without_root(path: &str) -> &str {
    path.strip_prefix("$.").unwrap_or(path)
}

/// The number with [`DIGITS`] digits.
fn rounded(number: f64) -> f64 {
    let text = format!("{number:.*e}", DIGITS - 1);
    text.parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// The column `v` of a table, filled.
    async fn filled(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
        let context = SessionContext::new();
        let table = RecordBatch::try_from_iter_with_nullable(
            columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        );
        let input = context.read_batch(table.unwrap()).unwrap();
        let node = FillMissingValues {
            name: "fill".to_owned(),
            inputs: vec!["t".to_owned()],
            imputed_path: "v".to_owned(),
            filled_path: None,
        };
        let filling = Filling::of(&node, input.logical_plan().clone()).unwrap();
        let ask = async |plan: LogicalPlan| {
            let rows = context.execute_logical_plan(plan).await.unwrap();
            let schema = Arc::new(rows.schema().as_arrow().clone());
            concat_batches(&schema, &rows.collect().await.unwrap()).unwrap()
        };
        let summary = ask(filling.summary().unwrap()).await;
        let products = match filling.products(&summary).unwrap() {
            Some(question) => Some(ask(question).await),
            None => None,
        };
        let model = filling.model(&summary, products.as_ref());
        let rows = ask(filling.plan(&model).unwrap()).await;
        Arc::clone(rows.column_by_name("v_filled").unwrap())
    }

    fn floats(values: &[Option<f64>]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    #[tokio::test]
    async fn what_is_no_number_is_missing() {
        let v = floats(&[Some(1.0), None, Some(f64::NAN), Some(3.0)]);
        let mean = floats(&[Some(1.0), Some(2.0), Some(2.0), Some(3.0)]);
        assert_eq!(&filled(vec![("v", v)]).await, &mean);
        // Twice x, and the mean where x is none.
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, -f64::NAN, 7.0].map(Some);
        let v = [2.0, 4.0, 6.0, 8.0, -f64::NAN, f64::NAN, 14.0].map(Some);
        let found = filled(vec![("x", floats(&x)), ("v", floats(&v))]).await;
        let found = found.as_primitive::<Float64Type>().values().to_vec();
        for (found, expected) in found.iter().zip([2.0, 4.0, 6.0, 8.0, 10.0, 6.8, 14.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[tokio::test]
    async fn an_estimate_at_the_end_of_a_type_fits_into_it() {
        // The greatest value is 2^63 as a float, and the line goes beyond it.
        let step = 1 << 40;
        let x = Int64Array::from((0..9).collect::<Vec<_>>());
        let v = (1..10).map(|i| (i < 9).then(|| i64::MAX - (8 - i) * step));
        let v = Int64Array::from(v.collect::<Vec<_>>());
        let found = filled(vec![("x", Arc::new(x)), ("v", Arc::new(v))]).await;
        let found = found.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
        assert_eq!(found.value(8), i64::MAX - 1023);
    }

    #[tokio::test]
    async fn an_estimate_of_many_digits_is_a_decimal_of_its_type() {
        use datafusion::arrow::array::Decimal128Array;
        use datafusion::arrow::datatypes::Decimal128Type;

        for (precision, scale) in [(38, 0), (38, 10), (20, 0), (20, 2), (18, 3)] {
            let most = 10_i128.pow(u32::from(precision)) - 1;
            for value in [most, -most] {
                let v = Decimal128Array::from(vec![Some(value), None, Some(value)]);
                let v = v.with_precision_and_scale(precision, scale).unwrap();
                let found = filled(vec![("v", Arc::new(v))]).await;
                assert_eq!(found.data_type(), &DataType::Decimal128(precision, scale));
                let found = found.as_primitive::<Decimal128Type>().value(1);
                // As near as a float comes, and not beyond.
                assert!(found.abs() <= most, "{precision} {scale}: {found}");
                assert!(
                    (found - value).abs() <= most >> 50,
                    "{precision} {scale}: {found}"
                );
            }
        }
        // Few digits have floats of their own.
        let v = Decimal128Array::from(vec![Some(99_999), None]);
        let v = v.with_precision_and_scale(5, 2).unwrap();
        let found = filled(vec![("v", Arc::new(v))]).await;
        assert_eq!(found.as_primitive::<Decimal128Type>().value(1), 99_999);
    }

    #[test]
    fn paths_are_columns_before_they_are_fields() {
        assert_eq!(path("a.b", &["a.b", "a"]), ["a.b"]);
        assert_eq!(path("$.a.b", &["a"]), ["a", "b"]);
        assert_eq!(path("$.a", &["a"]), ["a"]);
        assert_eq!(path("$.a", &["$.a"]), ["$.a"]);
    }

    #[test]
    fn the_last_bits_of_a_sum_do_not_show() {
        assert_eq!(rounded(0.1 + 0.2), 0.3);
        assert_eq!(rounded(-0.123_456_789_012_34), -0.123_456_789_012);
        assert_eq!(rounded(0.0), 0.0);
    }
}
