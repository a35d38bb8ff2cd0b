//! Statistics of a table's columns, found out by one query over its rows.
//!
//! | Hive type | kind | how |
//! |---|---|---|
//! | `boolean` | BOOLEAN | counted |
//! | whole numbers | LONG | least and greatest |
//! | `timestamp` | LONG | in seconds since 1970-01-01, as Hive does |
//! | `float`, `double` | DOUBLE | least and greatest |
//! | `decimal` | DECIMAL | least and greatest |
//! | `date` | DATE | least and greatest |
//! | `string`, `varchar`, `char` | STRING | lengths in characters |
//! | `binary` | BINARY | lengths in bytes |
//!
//! Partition keys are columns like the others. Different values are estimated (HyperLogLog, as in Glue). Of a sample, counts are scaled up to the table.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use tenon_catalog::{
    BooleanStatistics, Column, ColumnStatistics, ColumnStatisticsData, DecimalNumber, HiveType,
    LengthStatistics, Partition, RangeStatistics, Table, Timestamp,
};
use tenon_connect::Place;

use crate::bridge;
use crate::engine::{EngineConfig, session_of};
use crate::error::{Error, Result, plain_text};

/// The rows that are looked at, of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplePercent(f64);

impl SamplePercent {
    /// All rows.
    pub const ALL: Self = Self(100.0);

    /// More than 0, at most 100.
    ///
    /// # Errors
    /// [`Error::Definition`] for another number.
    pub fn new(percent: f64) -> Result<Self> {
        if percent > 0.0 && percent <= 100.0 {
            return Ok(Self(percent));
        }
        Err(Error::Definition(format!(
            "a sample of {percent} percent: give a number above 0 and at most 100"
        )))
    }

    fn is_all(self) -> bool {
        self.0 >= 100.0
    }

    /// What a count of the sample says of the table.
    fn scale(self, count: i64) -> i64 {
        if self.is_all() {
            return count;
        }
        // A cast saturates.
        (count as f64 * 100.0 / self.0).round() as i64
    }
}

/// What statistics are asked of.
#[derive(Debug, Clone, Copy)]
pub struct Analyzed<'a> {
    /// The table, as its definition says.
    pub table: &'a Table,
    /// All partitions of one that has partition keys.
    pub partitions: &'a [Partition],
    /// These columns; all that have statistics when none is named.
    pub columns: &'a [String],
    /// The rows that are looked at.
    pub sample: SamplePercent,
}

/// Statistics of a table that lies in `place`, in the order of its columns. Neither a catalog nor plugins take part, so
/// whoever has a definition and the data finds the same. Dropping the future ends it.
///
/// # Errors
/// [`Error::NotFound`] for a column, [`Error::Definition`] for one whose type has no statistics, [`Error::Query`] for data
/// that is not there or cannot be read.
pub async fn column_statistics(
    config: &EngineConfig,
    place: &Place,
    analyzed: Analyzed<'_>,
    analyzed_time: Timestamp,
) -> Result<Vec<ColumnStatistics>> {
    let Analyzed { table, sample, .. } = analyzed;
    let measures = measures(table, analyzed.columns)?;
    if measures.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |e: DataFusionError| Error::Query(plain_text(&e));
    let context = session_of(config)?;
    let rows = bridge::open(place, table, analyzed.partitions).await;
    context
        .register_table(ROWS, rows.map_err(failed)?)
        .map_err(failed)?;
    let frame = context
        .sql(&query(&measures, sample))
        .await
        .map_err(failed)?;
    let batches = frame.collect().await.map_err(failed)?;
    let mut values = Values::of(&batches)?;
    let rows = values.count()?;
    let statistics = measures.iter().map(|measure| {
        Ok(ColumnStatistics {
            column_name: measure.column.name.clone(),
            column_type: measure.column.r#type.clone().unwrap_or_default(),
            analyzed_time,
            statistics_data: measure.read(&mut values, rows, sample)?,
        })
    });
    statistics.collect()
}

/// What the table is called in the query.
const ROWS: &str = "analyzed";

/// What is asked about a column.
struct Measure<'a> {
    column: &'a Column,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Long,
    Seconds,
    Double,
    Decimal,
    Date,
    String,
    Binary,
}

impl Kind {
    /// Glue's word.
    const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Long | Self::Seconds => "LONG",
            Self::Double => "DOUBLE",
            Self::Decimal => "DECIMAL",
            Self::Date => "DATE",
            Self::String => "STRING",
            Self::Binary => "BINARY",
        }
    }

    fn of(r#type: &HiveType) -> Option<Self> {
        Some(match r#type {
            HiveType::Boolean => Self::Boolean,
            HiveType::TinyInt | HiveType::SmallInt | HiveType::Int | HiveType::BigInt => Self::Long,
            HiveType::Timestamp => Self::Seconds,
            HiveType::Float | HiveType::Double => Self::Double,
            HiveType::Decimal { .. } => Self::Decimal,
            HiveType::Date => Self::Date,
            HiveType::String | HiveType::Char(_) | HiveType::VarChar(_) => Self::String,
            HiveType::Binary => Self::Binary,
            HiveType::Array(_) | HiveType::Map(..) | HiveType::Struct(_) => return None,
        })
    }
}

fn measures<'a>(table: &'a Table, names: &[String]) -> Result<Vec<Measure<'a>>> {
    let described = table.storage_descriptor.iter().flat_map(|d| &d.columns);
    let all: Vec<&Column> = described.chain(&table.partition_keys).collect();
    for name in names {
        if !all
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name))
        {
            let table = &table.name;
            return Err(Error::not_found(format!(
                "table {table} has no column {name}"
            )));
        }
    }
    let is_named = |column: &&Column| names.iter().any(|n| n.eq_ignore_ascii_case(&column.name));
    let mut measures = Vec::new();
    for column in all {
        if !names.is_empty() && !is_named(&column) {
            continue;
        }
        let text = column.r#type.as_deref().unwrap_or_default();
        match text.parse::<HiveType>().ok().as_ref().and_then(Kind::of) {
            Some(kind) => measures.push(Measure { column, kind }),
            None if names.is_empty() => {}
            None => {
                let name = &column.name;
                return Err(Error::Definition(format!(
                    "column {name} is of type {text:?}, which has no statistics: leave it out"
                )));
            }
        }
    }
    Ok(measures)
}

fn query(measures: &[Measure<'_>], sample: SamplePercent) -> String {
    let asked: Vec<String> = measures.iter().flat_map(Measure::expressions).collect();
    let condition = match sample.is_all() {
        true => String::new(),
        false => format!(" where random() < {}", sample.0 / 100.0),
    };
    format!(
        "select count(*), {} from {ROWS}{condition}",
        asked.join(", ")
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Measure<'_> {
    /// What [`Measure::read`] takes, in its order; rows with a value first.
    fn expressions(&self) -> Vec<String> {
        let c = quoted(&self.column.name);
        let values = format!("count({c})");
        let distinct = format!("approx_distinct(cast({c} as varchar))");
        let range = |value: &str| vec![format!("min({value})"), format!("max({value})")];
        let lengths = |length: &str| {
            let value = format!("{length}({c})");
            vec![format!("max({value})"), format!("avg({value})")]
        };
        let (distinct, more) = match self.kind {
            Kind::Boolean => return vec![values, format!("sum(cast({c} as bigint))")],
            Kind::Long => (distinct, range(&format!("cast({c} as bigint)"))),
            Kind::Seconds => {
                let seconds = format!("cast(floor(date_part('epoch', {c})) as bigint)");
                (distinct, range(&seconds))
            }
            Kind::Double => (distinct, range(&format!("cast({c} as double)"))),
            Kind::Decimal => (distinct, range(&c)),
            Kind::Date => (distinct, range(&format!("cast({c} as date)"))),
            Kind::String => (distinct, lengths("character_length")),
            // Bytes have no estimate in Glue.
            Kind::Binary => return [vec![values], lengths("octet_length")].concat(),
        };
        [vec![values, distinct], more].concat()
    }

    fn read(
        &self,
        values: &mut Values,
        rows: i64,
        sample: SamplePercent,
    ) -> Result<ColumnStatisticsData> {
        let present = values.count()?;
        let nulls = sample.scale(rows - present);
        let mut data = ColumnStatisticsData {
            r#type: self.kind.name().to_owned(),
            ..ColumnStatisticsData::default()
        };
        match self.kind {
            Kind::Boolean => {
                let trues = values.count()?;
                data.boolean_column_statistics_data = Some(BooleanStatistics {
                    number_of_trues: sample.scale(trues),
                    number_of_falses: sample.scale(present - trues),
                    number_of_nulls: nulls,
                });
            }
            Kind::Long | Kind::Seconds => {
                data.long_column_statistics_data = Some(values.range(nulls, long)?);
            }
            Kind::Double => data.double_column_statistics_data = Some(values.range(nulls, double)?),
            Kind::Decimal => {
                data.decimal_column_statistics_data = Some(values.range(nulls, decimal)?);
            }
            Kind::Date => data.date_column_statistics_data = Some(values.range(nulls, date)?),
            Kind::String => {
                let distinct = values.count()?;
                data.string_column_statistics_data = Some(values.lengths(nulls, Some(distinct))?);
            }
            Kind::Binary => {
                data.binary_column_statistics_data = Some(values.lengths(nulls, None)?);
            }
        }
        Ok(data)
    }
}

/// The one row of an answer, value by value.
struct Values {
    columns: Vec<Arc<dyn Array>>,
    at: usize,
}

impl Values {
    fn of(batches: &[RecordBatch]) -> Result<Self> {
        let row = batches.iter().find(|batch| batch.num_rows() == 1);
        let row = row.ok_or_else(|| unexpected("it has no row"))?;
        Ok(Self {
            columns: row.columns().to_vec(),
            at: 0,
        })
    }

    /// The next value; `None` when it is null.
    fn next(&mut self) -> Result<Option<ScalarValue>> {
        let column = self.columns.get(self.at);
        let column = column.ok_or_else(|| unexpected("it ends early"))?;
        self.at += 1;
        let value =
            ScalarValue::try_from_array(column, 0).map_err(|e| unexpected(&plain_text(&e)))?;
        Ok(Some(value).filter(|value| !value.is_null()))
    }

    /// A count, or a sum of nothing.
    fn count(&mut self) -> Result<i64> {
        Ok(self.next()?.and_then(long).unwrap_or(0))
    }

    /// Different values, the least and the greatest.
    fn range<T>(
        &mut self,
        number_of_nulls: i64,
        read: fn(ScalarValue) -> Option<T>,
    ) -> Result<RangeStatistics<T>> {
        Ok(RangeStatistics {
            number_of_nulls,
            number_of_distinct_values: self.count()?,
            minimum_value: self.next()?.and_then(read),
            maximum_value: self.next()?.and_then(read),
        })
    }

    /// The greatest length and the average.
    fn lengths(
        &mut self,
        number_of_nulls: i64,
        number_of_distinct_values: Option<i64>,
    ) -> Result<LengthStatistics> {
        Ok(LengthStatistics {
            maximum_length: self.count()?,
            average_length: self.next()?.and_then(double).unwrap_or(0.0),
            number_of_nulls,
            number_of_distinct_values,
        })
    }
}

fn unexpected(what: &str) -> Error {
    Error::Query(format!(
        "the answer about the columns cannot be read: {what}"
    ))
}

fn long(value: ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(value)) => value,
        _ => None,
    }
}

fn double(value: ScalarValue) -> Option<f64> {
    match value.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(value)) => value,
        _ => None,
    }
}

fn date(value: ScalarValue) -> Option<Timestamp> {
    match value {
        ScalarValue::Date32(Some(days)) => {
            Some(Timestamp::from_unix_millis(i64::from(days) * 86_400_000))
        }
        _ => None,
    }
}

fn decimal(value: ScalarValue) -> Option<DecimalNumber> {
    match value {
        ScalarValue::Decimal128(Some(unscaled), _, scale) => {
            Some(DecimalNumber::of(unscaled, scale.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(types: &[&str]) -> Table {
        let columns = types.iter().enumerate().map(|(i, t)| Column {
            name: format!("c{i}"),
            r#type: Some((*t).to_owned()),
            ..Column::default()
        });
        Table {
            name: "t\"x".to_owned(),
            database_name: Some("d".to_owned()),
            partition_keys: columns.collect(),
            ..Table::default()
        }
    }

    #[test]
    fn one_query_asks_about_all_columns() {
        let table = table(&["boolean", "int", "array<int>", "string", "binary"]);
        let found = measures(&table, &[]).unwrap();
        insta::assert_snapshot!(query(&found, SamplePercent::new(25.0).unwrap()), @r#"select count(*), count("c0"), sum(cast("c0" as bigint)), count("c1"), approx_distinct(cast("c1" as varchar)), min(cast("c1" as bigint)), max(cast("c1" as bigint)), count("c3"), approx_distinct(cast("c3" as varchar)), max(character_length("c3")), avg(character_length("c3")), count("c4"), max(octet_length("c4")), avg(octet_length("c4")) from analyzed where random() < 0.25"#);
    }

    #[test]
    fn what_has_no_statistics_is_named() {
        let table = table(&["array<int>", "int"]);
        let said = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            measures(&table, &names)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(said(&["C1", "c9"]), "table t\"x has no column c9");
        assert_eq!(
            said(&["c0"]),
            "column c0 is of type \"array<int>\", which has no statistics: leave it out"
        );
        for percent in [0.0, -1.0, 100.1, f64::NAN] {
            assert!(SamplePercent::new(percent).is_err(), "{percent}");
        }
    }

    #[test]
    fn counts_of_a_sample_are_scaled() {
        assert_eq!(SamplePercent::new(25.0).unwrap().scale(10), 40);
        assert_eq!(SamplePercent::ALL.scale(10), 10);
    }
}
