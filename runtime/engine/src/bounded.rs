//! Built-in functions whose output may be far larger than their input, held to a size.
//!
//! `repeat('x', 2000000000)` or `range(0, 1000000000000)` allocate before DataFusion's memory pool hears of it, and
//! an allocation that fails ends the process. These functions look at their arguments first.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, StringArrayType, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};
use datafusion::prelude::SessionContext;

/// What one call may make of one batch, in bytes.
const MAX_BYTES: u128 = 1 << 30;

/// An upper bound of what a call makes of so many rows, in bytes.
type Growth = fn(&[ColumnarValue], usize) -> Result<u128>;

/// The functions, by DataFusion's names.
const FUNCTIONS: [(&str, Growth); 12] = [
    ("repeat", repeated),
    ("lpad", padded),
    ("rpad", padded),
    ("replace", replaced),
    ("regexp_replace", rewritten),
    ("range", series),
    ("generate_series", series),
    ("array_repeat", repeated),
    ("array_resize", resized),
    ("array_to_string", joined),
    ("array_replace_n", exchanged),
    ("array_replace_all", exchanged),
];

/// Puts the bounded functions in the place of the built-in ones.
pub(crate) fn register(context: &SessionContext) {
    for (name, growth) in FUNCTIONS {
        // Whoever left a function out of DataFusion has nothing to be bounded.
        if let Ok(inner) = context.udf(name) {
            context.register_udf(ScalarUDF::new_from_impl(Bounded { inner, growth }));
        }
    }
}

/// A built-in function behind a look at its arguments.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl std::hash::Hash for Bounded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

/// All that concerns results is the built-in's; what rewrites a call is not, since it would lose the look.
impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        let growth = self.growth;
        Some(ScalarUDF::new_from_impl(Self { inner, growth }))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = (self.growth)(&args.args, args.number_rows)?;
        if bytes <= MAX_BYTES {
            return self.inner.invoke_with_args(args);
        }
        let (name, rows) = (self.name(), args.number_rows);
        Err(DataFusionError::ResourcesExhausted(format!(
            "{name} would make up to {bytes} bytes of {rows} rows at once, the limit is {MAX_BYTES} bytes: \
             ask it for less"
        )))
    }
}

/// A number for each row; a literal is looked at once, however many rows it stands for.
fn each<T: Clone>(
    value: &ColumnarValue,
    rows: usize,
    of: impl Fn(&ArrayRef) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    match value {
        ColumnarValue::Array(array) => of(array),
        ColumnarValue::Scalar(literal) => {
            let one = of(&literal.to_array()?)?;
            Ok(one.iter().cycle().take(rows).cloned().collect())
        }
    }
}

/// Lengths in bytes of texts, 0 where there is none; `None` for what is no text.
fn lengths(value: &ColumnarValue, rows: usize) -> Result<Option<Vec<u128>>> {
    fn of<'a>(texts: impl StringArrayType<'a>) -> Vec<u128> {
        let lengths = texts.iter().map(|text| text.map_or(0, |t| t.len() as u128));
        lengths.collect()
    }
    if !value.data_type().is_string() {
        return Ok(None);
    }
    let lengths = each(value, rows, |texts| {
        Ok(match texts.data_type() {
            DataType::LargeUtf8 => of(texts.as_string::<i64>()),
            DataType::Utf8View => of(texts.as_string_view()),
            _ => of(texts.as_string::<i32>()),
        })
    });
    lengths.map(Some)
}

/// Whole numbers, 0 where there is none or a negative one.
fn counts(value: &ColumnarValue, rows: usize) -> Result<Vec<u128>> {
    each(value, rows, |numbers| {
        let counts = whole(numbers)?;
        let counts = counts
            .iter()
            .map(|n| u128::try_from(n.unwrap_or(0)).unwrap_or(0));
        Ok(counts.collect())
    })
}

fn whole(numbers: &ArrayRef) -> Result<Int64Array> {
    let numbers = match numbers.data_type() {
        DataType::Null => new_null_array(&DataType::Int64, numbers.len()),
        _ => cast(numbers, &DataType::Int64)?,
    };
    Ok(numbers.as_primitive::<Int64Type>().clone())
}

/// Bytes of `count` copies of each row's value; a copy takes some bytes even where there is none.
fn copies(value: &ColumnarValue, counts: &[u128]) -> Result<u128> {
    let slots: u128 = counts.iter().sum::<u128>() * size_of::<i64>() as u128;
    let values = match value {
        ColumnarValue::Scalar(literal) => {
            bytes(&literal.to_array()?)?.saturating_mul(counts.iter().sum())
        }
        // No row has more than all together.
        ColumnarValue::Array(array) => {
            bytes(array)?.saturating_mul(counts.iter().copied().max().unwrap_or(0))
        }
    };
    Ok(slots.saturating_add(values))
}

/// `repeat(text, count)`, `array_repeat(element, count)`.
fn repeated(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let [what, count, ..] = args else {
        return Ok(0);
    };
    let counts = counts(count, rows)?;
    match lengths(what, rows)? {
        None => copies(what, &counts),
        Some(lengths) => Ok(lengths
            .into_iter()
            .zip(counts)
            .map(|(length, count)| length.max(1).saturating_mul(count))
            .sum()),
    }
}

/// `lpad(text, length[, fill])`: characters have at most four bytes.
fn padded(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let Some(length) = args.get(1) else {
        return Ok(0);
    };
    Ok(counts(length, rows)?.into_iter().sum::<u128>() * 4)
}

/// `replace(text, from, to)`.
fn replaced(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let [text, from, to, ..] = args else {
        return Ok(0);
    };
    let (Some(text), Some(from), Some(to)) = (
        lengths(text, rows)?,
        lengths(from, rows)?,
        lengths(to, rows)?,
    ) else {
        return Ok(0);
    };
    let each = text.into_iter().zip(from).zip(to);
    Ok(each
        .map(|((text, from), to)| text + (text / from.max(1) + 1) * to)
        .sum())
}

/// `regexp_replace(text, expression, to[, flags])`: every character may be replaced.
fn rewritten(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let [text, _, to, ..] = args else {
        return Ok(0);
    };
    let (Some(text), Some(to)) = (lengths(text, rows)?, lengths(to, rows)?) else {
        return Ok(0);
    };
    let each = text.into_iter().zip(to);
    Ok(each.map(|(text, to)| text + (text + 1) * to).sum())
}

/// `array_resize(array, length[, value])`.
fn resized(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let Some(length) = args.get(1) else {
        return Ok(0);
    };
    let counts = counts(length, rows)?;
    match args.get(2) {
        Some(value) => copies(value, &counts),
        None => Ok(counts.iter().sum::<u128>() * size_of::<i64>() as u128),
    }
}

/// A number of all rows together; a literal stands for each of them.
fn total(
    value: &ColumnarValue,
    rows: usize,
    of: impl Fn(&ArrayRef) -> Result<u128>,
) -> Result<u128> {
    match value {
        ColumnarValue::Array(array) => of(array),
        ColumnarValue::Scalar(literal) => Ok(of(&literal.to_array()?)? * rows as u128),
    }
}

fn bytes(array: &ArrayRef) -> Result<u128> {
    Ok(array.to_data().get_slice_memory_size()? as u128)
}

/// Elements of lists, and of the lists in them.
fn elements(array: &ArrayRef) -> u128 {
    let inner = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().values(),
        DataType::LargeList(_) => array.as_list::<i64>().values(),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().values(),
        _ => return array.len() as u128,
    };
    elements(inner)
}

/// Bytes of the longest text, or of all values where they are no texts.
fn longest(value: &ColumnarValue, rows: usize) -> Result<u128> {
    match lengths(value, rows)? {
        Some(lengths) => Ok(lengths.into_iter().max().unwrap_or(0)),
        None => total(value, 1, bytes),
    }
}

/// `array_to_string(array, delimiter[, text for null])`; numbers have at most 40 characters.
fn joined(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let [array, between @ ..] = args else {
        return Ok(0);
    };
    let mut each = 40;
    for text in between {
        each += longest(text, rows)?;
    }
    let elements = total(array, rows, |array| Ok(elements(array)))?;
    Ok(total(array, rows, bytes)?.saturating_add(elements.saturating_mul(each)))
}

/// `array_replace_all(array, from, to)`, `array_replace_n(array, from, to, max)`.
fn exchanged(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let [array, _, to, ..] = args else {
        return Ok(0);
    };
    let elements = total(array, rows, |array| Ok(elements(array)))?;
    let grown = elements.saturating_mul(longest(to, rows)?);
    Ok(total(array, rows, bytes)?.saturating_add(grown))
}

/// `range([start, ]end[, step])`, of numbers, days or times.
fn series(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let (start, end, step) = match args {
        [end] => (None, end, None),
        [start, end] => (Some(start), end, None),
        [start, end, step, ..] => (Some(start), end, Some(step)),
        [] => return Ok(0),
    };
    let end_at = each(end, rows, positions)?;
    let start_at = start
        .map(|start| each(start, rows, positions))
        .transpose()?;
    let steps = step.map(|step| each(step, rows, strides)).transpose()?;
    let lengths = end_at.iter().enumerate().map(|(row, end)| {
        let from = start_at.as_ref().map_or(0, |start| start[row]);
        let stride = steps.as_ref().map_or(1, |steps| steps[row]);
        end.abs_diff(from) / stride.max(1) + 1
    });
    Ok(lengths.sum::<u128>() * size_of::<i64>() as u128)
}

const NANOS_A_DAY: i128 = 86_400_000_000_000;

/// Numbers as they are, days and times in nanoseconds.
fn positions(values: &ArrayRef) -> Result<Vec<i128>> {
    let unit: i128 = match values.data_type() {
        DataType::Date32 => NANOS_A_DAY,
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    };
    let values = match values.data_type() {
        DataType::Date32 => whole(&cast(values, &DataType::Int32)?)?,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => return texts_as_days(values),
        _ => whole(values)?,
    };
    let positions = values.iter().map(|v| i128::from(v.unwrap_or(0)) * unit);
    Ok(positions.collect())
}

/// DataFusion takes texts for days.
fn texts_as_days(values: &ArrayRef) -> Result<Vec<i128>> {
    positions(&cast(values, &DataType::Date32)?)
}

/// Lengths of steps; a month has at least 28 days.
fn strides(steps: &ArrayRef) -> Result<Vec<u128>> {
    if !matches!(steps.data_type(), DataType::Interval(_)) {
        let steps = whole(steps)?;
        let strides = steps
            .iter()
            .map(|n| u128::from(n.unwrap_or(1).unsigned_abs()));
        return Ok(strides.collect());
    }
    let steps = cast(steps, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let nanos = |step: datafusion::arrow::datatypes::IntervalMonthDayNano| {
        let days = i128::from(step.months) * 28 + i128::from(step.days);
        (days * NANOS_A_DAY + i128::from(step.nanoseconds)).unsigned_abs()
    };
    let steps = steps.as_primitive::<IntervalMonthDayNanoType>();
    Ok(steps.iter().map(|step| step.map_or(1, nanos)).collect())
}

#[cfg(test)]
mod tests {
    use datafusion::execution::runtime_env::RuntimeEnv;
    use datafusion::prelude::SessionConfig;

    use super::*;

    async fn run(sql: &str) -> Result<usize> {
        let context =
            crate::session::context(SessionConfig::new(), Arc::new(RuntimeEnv::default()));
        let batches = context.sql(sql).await?.collect().await?;
        Ok(batches.iter().map(|batch| batch.num_rows()).sum())
    }

    #[tokio::test]
    async fn what_would_fill_the_memory_is_refused() {
        for sql in [
            "select length(repeat('x', 2000000000))",
            "select length(repeat(column1, 1000000000)) from (values ('a'), ('b'))",
            "select lpad('x', 2000000000)",
            "select rpad(column1, 2000000000, 'ab') from (values ('a'))",
            "select range(0, 1000000000000)",
            "select range(column1) from (values (1000000000000))",
            "select generate_series(0, -1000000000000, -1)",
            "select range(timestamp '2000-01-01', timestamp '2020-01-01', interval '1' nanosecond)",
            "select array_repeat('x', 2000000000)",
            "select list_repeat(array_repeat(1, 30000), 100000)",
            "select array_resize([1], 2000000000, 7)",
            "select length(array_to_string(range(0, 100000), repeat('x', 10000000)))",
            "select array_length(array_replace_all(array_repeat('a', 100000), 'a', repeat('x', 10000000)))",
            "select array_length(array_replace_n(array_repeat('a', 100000), 'a', repeat('x', 10000000), 100000))",
            "select replace(r, '', r) from (select repeat(column1, 100000) r from (values ('ab')))",
            "select regexp_replace(r, 'a', r, 'g') from (select repeat(column1, 100000) r from (values ('a')))",
        ] {
            let error = run(sql).await.unwrap_err().to_string();
            assert!(
                error.contains("the limit is 1073741824 bytes"),
                "{sql}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_small_stays_as_it_was() {
        for sql in [
            "select 1 where repeat('ab', 2) = 'abab' and lpad('x', 3, 'yz') = 'yzx' and rpad('x', 2) = 'x '",
            "select 1 where range(3) = [0, 1, 2] and generate_series(1, 5, 2) = [1, 3, 5]",
            "select 1 where array_length(range(date '2026-01-01', date '2026-02-01', interval '1' day)) = 31",
            "select 1 where array_repeat('a', 2) = ['a', 'a'] and array_resize([1], 2, 7) = [1, 7]",
            "select 1 where replace('aXa', 'X', 'bb') = 'abba' and regexp_replace('abab', 'b', 'c', 'g') = 'acac'",
            "select 1 where array_to_string([1, 2], '-') = '1-2' and array_replace_all([1, 1], 1, 2) = [2, 2]",
            "select 1 where repeat(null, 5) is null and repeat('a', null) is null and repeat('a', -1) = ''",
        ] {
            assert_eq!(run(sql).await.unwrap(), 1, "{sql}");
        }
    }

    /// A bound that multiplies rows by all rows' bytes would refuse these.
    #[tokio::test]
    async fn a_batch_of_many_small_rows_is_small() {
        for sql in [
            "select array_repeat(value, 3) from generate_series(1, 8192)",
            "select array_repeat(7, 3), value from generate_series(1, 8192)",
            "select array_resize([value], 3, value) from generate_series(1, 8192)",
            "select regexp_replace(repeat('ab ', 100), 'b', 'cd', 'g'), value from generate_series(1, 8192)",
            "select range(value % 10, value % 10 + 5) from generate_series(1, 8192)",
        ] {
            assert_eq!(run(sql).await.unwrap(), 8192, "{sql}");
        }
    }
}
