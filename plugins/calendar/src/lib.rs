//! `calendar(start, end)`: one row for each day from `start` to `end`, both included.
//!
//! ```sql
//! select * from calendar('2026-01-01', '2026-12-31');
//! -- each booking once for every night that it spans
//! select b.room, c.date from bookings b, lateral calendar(b.arrival, b.departure) c
//! ```
//!
//! Dates are of the proleptic Gregorian calendar, weeks those of ISO 8601: a week begins on Monday and belongs to the year
//! (`iso_year`) that has its Thursday. A missing start or end, and an end before the start, make no rows.

mod date;

use std::sync::Arc;

use tenon_sdk::arrow_array::types::Date32Type;
use tenon_sdk::prelude::*;

use date::Day;

/// Days in one batch.
const DAYS: i32 = 4096;

/// Has no state.
struct Calendar;

/// Batches of days.
type Rows = Box<dyn Iterator<Item = Result<RecordBatch>>>;

fn schema() -> SchemaRef {
    let number = |name: &str| Field::new(name, DataType::Int32, false);
    Arc::new(Schema::new(vec![
        Field::new("date", DataType::Date32, false),
        number("year"),
        number("quarter"),
        number("month"),
        number("day"),
        number("iso_year"),
        number("iso_week"),
        number("weekday"),
        Field::new("is_weekend", DataType::Boolean, false),
        Field::new("month_name", DataType::Utf8, false),
    ]))
}

fn days(start: i32, end: i32) -> Result<RecordBatch> {
    let days: Vec<Day> = (start..=end).map(Day::of).collect();
    let numbers = |part: fn(&Day) -> i32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(days.iter().map(part)))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from_iter_values(start..=end)),
        numbers(|day| day.year),
        numbers(|day| (day.month + 2) / 3),
        numbers(|day| day.month),
        numbers(|day| day.day),
        numbers(|day| day.iso_year),
        numbers(|day| day.iso_week),
        numbers(|day| day.weekday),
        Arc::new(
            days.iter()
                .map(|day| Some(day.weekday > 5))
                .collect::<BooleanArray>(),
        ),
        Arc::new(StringArray::from_iter_values(
            days.iter().map(Day::month_name),
        )),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// A date, or text that is one.
fn date_at(column: &ArrayRef, row: usize) -> Result<Option<i32>> {
    if column.is_null(row) {
        return Ok(None);
    }
    if *column.data_type() == DataType::Date32 {
        return Ok(Some(column.as_primitive::<Date32Type>().value(row)));
    }
    let text = column.as_string::<i32>().value(row);
    let date = date::parse(text);
    let wrong = || {
        Error::user(
            "bad-date",
            format!("{text:?} is not a date like 2026-01-31"),
        )
        .at_row(row)
    };
    date.map(Some).ok_or_else(wrong)
}

#[tenon_sdk::plugin]
impl TableFunction for Calendar {
    const NAME: &'static str = "calendar";
    const DOCS: &'static str =
        "One row for each day from start to end, with the parts of its date.";

    fn bind(_config: &Config, arguments: &Schema) -> Result<SchemaRef> {
        let types: Vec<&DataType> = arguments.fields().iter().map(|f| f.data_type()).collect();
        let is_date =
            |data_type: &&DataType| matches!(data_type, DataType::Date32 | DataType::Utf8);
        if types.len() == 2 && types.iter().all(is_date) {
            return Ok(schema());
        }
        let given: Vec<String> = types.iter().map(ToString::to_string).collect();
        let given = given.join(", ");
        Err(Error::Unsupported(format!(
            "it takes a start and an end, dates or text, not ({given})"
        )))
    }

    fn open(_config: &Config, _arguments: &SchemaRef) -> Result<Self> {
        Ok(Self)
    }

    fn expand(&mut self, arguments: &RecordBatch, row: usize) -> Result<Rows> {
        let start = date_at(arguments.column(0), row)?;
        let end = date_at(arguments.column(1), row)?;
        let (Some(start), Some(end)) = (start, end) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let last = move |first: i32| first.saturating_add(DAYS - 1).min(end);
        let next = move |first: &i32| last(*first).checked_add(1).filter(|first| *first <= end);
        let firsts = std::iter::successors((start <= end).then_some(start), next);
        Ok(Box::new(firsts.map(move |first| days(first, last(first)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(start: Option<&str>, end: Option<&str>) -> Result<Vec<RecordBatch>> {
        let schema = Schema::new(vec![
            Field::new("arg0", DataType::Utf8, true),
            Field::new("arg1", DataType::Utf8, true),
        ]);
        let text = |text| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let arguments = RecordBatch::try_new(Arc::new(schema), vec![text(start), text(end)])?;
        Calendar::bind(&Config::default(), &arguments.schema())?;
        Calendar.expand(&arguments, 0)?.collect()
    }

    fn rows(start: Option<&str>, end: Option<&str>) -> usize {
        calendar(start, end)
            .unwrap()
            .iter()
            .map(RecordBatch::num_rows)
            .sum()
    }

    #[test]
    fn both_ends_are_included_and_nothing_makes_nothing() {
        assert_eq!(rows(Some("2024-02-28"), Some("2024-03-01")), 3);
        assert_eq!(rows(Some("2026-01-01"), Some("2026-01-01")), 1);
        assert_eq!(rows(Some("2026-01-02"), Some("2026-01-01")), 0);
        assert_eq!(
            rows(None, Some("2026-01-01")) + rows(Some("2026-01-01"), None),
            0
        );
        assert_eq!(rows(Some("2000-01-01"), Some("2399-12-31")), 146_097);
    }

    #[test]
    fn a_text_that_is_no_date_is_named() {
        let error = calendar(Some("2026-02-29"), Some("2026-03-01")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"2026-02-29\" is not a date like 2026-01-31 [bad-date, row 0]"
        );
        let one = Schema::new(vec![Field::new("arg0", DataType::Int64, true)]);
        let error = Calendar::bind(&Config::default(), &one).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it takes a start and an end, dates or text, not (Int64)"
        );
    }

    #[test]
    fn the_last_day_that_there_is_ends_it() {
        let arguments = RecordBatch::try_new(
            Arc::new(Schema::new(vec![
                Field::new("arg0", DataType::Date32, true),
                Field::new("arg1", DataType::Date32, true),
            ])),
            vec![
                Arc::new(Date32Array::from(vec![i32::MAX - 5000])),
                Arc::new(Date32Array::from(vec![i32::MAX])),
            ],
        );
        let batches = Calendar.expand(&arguments.unwrap(), 0).unwrap();
        let rows: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, 5001);
    }
}
