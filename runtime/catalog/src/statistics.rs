//! Statistics of columns, of a table or of a partition: what planners want to know.
//!
//! All columns of one table or partition lie in one record beside it. They are not versioned: an update of the
//! table leaves them, a partition that is renamed keeps its own, and they go with what they are about, in the same
//! transaction. Names of columns ignore case.
//!
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-column-statistics.html>

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Tree};

use crate::catalog::{Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::{StorageDescriptor, Table, Timestamp};
use crate::name::fold;
use crate::partition::partition_name;
use crate::scope::Transaction;
use crate::stored;
use crate::table::full_name;

/// Largest unscaled value of a decimal, in bytes: 38 digits fit.
const MAX_DECIMAL_BYTES: usize = 16;

/// What is known of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ColumnStatistics {
    /// Name, as given.
    pub column_name: String,
    /// Type, in Hive's words.
    pub column_type: String,
    /// When it was found out.
    pub analyzed_time: Timestamp,
    /// What was found out.
    pub statistics_data: ColumnStatisticsData,
}

/// Statistics of one of seven kinds: the member that `Type` names is there, the others are not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ColumnStatisticsData {
    /// `BOOLEAN`, `DATE`, `DECIMAL`, `DOUBLE`, `LONG`, `STRING` or `BINARY`.
    pub r#type: String,
    /// Of truth values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boolean_column_statistics_data: Option<BooleanStatistics>,
    /// Of days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_column_statistics_data: Option<RangeStatistics<Timestamp>>,
    /// Of decimal numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal_column_statistics_data: Option<RangeStatistics<DecimalNumber>>,
    /// Of floating point numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub double_column_statistics_data: Option<RangeStatistics<f64>>,
    /// Of whole numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_column_statistics_data: Option<RangeStatistics<i64>>,
    /// Of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_column_statistics_data: Option<LengthStatistics>,
    /// Of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_column_statistics_data: Option<LengthStatistics>,
}

/// How often each truth value occurs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BooleanStatistics {
    /// Rows that are true.
    pub number_of_trues: i64,
    /// Rows that are false.
    pub number_of_falses: i64,
    /// Rows without a value.
    pub number_of_nulls: i64,
}

/// Least and greatest value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RangeStatistics<T> {
    /// Least.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub minimum_value: Option<T>,
    /// Greatest.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub maximum_value: Option<T>,
    /// Rows without a value.
    pub number_of_nulls: i64,
    /// Different values, about.
    pub number_of_distinct_values: i64,
}

/// Lengths of values, in characters or bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LengthStatistics {
    /// Greatest.
    pub maximum_length: i64,
    /// Average.
    pub average_length: f64,
    /// Rows without a value.
    pub number_of_nulls: i64,
    /// Different values, about; texts have it, bytes do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_of_distinct_values: Option<i64>,
}

/// A decimal number: the bytes of a whole number, greatest first, two's complement, times ten to minus `scale`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecimalNumber {
    /// The bytes, in base64.
    pub unscaled_value: String,
    /// Digits behind the point.
    pub scale: i32,
}

impl DecimalNumber {
    /// `unscaled` times ten to minus `scale`, in as few bytes as hold it.
    #[must_use]
    pub fn of(unscaled: i128, scale: i32) -> Self {
        let bytes = unscaled.to_be_bytes();
        let sign: u8 = if unscaled < 0 { 0xff } else { 0 };
        // A first byte that only repeats the sign says nothing, as long as the next one has it.
        let is_spare = |at: &usize| bytes[*at] == sign && (bytes[at + 1] ^ sign) & 0x80 == 0;
        let spare = (0..bytes.len() - 1).take_while(is_spare).count();
        Self {
            unscaled_value: BASE64_STANDARD.encode(&bytes[spare..]),
            scale,
        }
    }
}

/// What statistics are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatisticsOf<'a> {
    /// The database.
    pub database: &'a str,
    /// The table.
    pub table: &'a str,
    /// The values of a partition; `None` for the table itself.
    pub partition: Option<&'a [String]>,
}

/// Columns by their folded name.
pub(crate) type Columns = BTreeMap<String, ColumnStatistics>;

/// Where statistics lie and what must be there beside them.
struct Place {
    name: String,
    tree: Tree,
    parent: Key,
    key: Key,
    /// Folded names of the columns there can be statistics about.
    columns: Vec<String>,
}

impl TenantCatalog {
    /// Statistics of these columns; an unknown one has its error in the answer, at its place.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or the partition, [`Error::InvalidInput`], [`Error::Store`].
    pub fn get_statistics(
        &self,
        of: StatisticsOf<'_>,
        columns: &[String],
    ) -> Result<Vec<Result<ColumnStatistics>>> {
        let place = self.place(of)?;
        let found = self.read::<Columns>(place.tree, &place.key)?;
        let known = found.map(|found| found.value).unwrap_or_default();
        let answer = |name: &String| {
            let statistics = known.get(&name.to_lowercase()).cloned();
            statistics.ok_or_else(|| place.unknown(name))
        };
        Ok(columns.iter().map(answer).collect())
    }

    /// Keeps statistics, in place of earlier ones of the same columns. Those that cannot be kept have their error
    /// in the answer, at their place; the others are kept together.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or the partition, [`Error::Conflict`] when they are changed all the time,
    /// [`Error::InvalidInput`], [`Error::Store`].
    pub fn update_statistics(
        &self,
        of: StatisticsOf<'_>,
        statistics: &[ColumnStatistics],
    ) -> Result<Vec<Result<()>>> {
        let name = self.place(of)?.name;
        self.retry(Kind::ColumnStatistics, &name, || {
            let place = self.place(of)?;
            let found = self.read::<Columns>(place.tree, &place.key)?;
            let unchanged = unchanged(found.as_ref());
            let mut columns = found.map(|found| found.value).unwrap_or_default();
            let mut outcomes = Vec::new();
            for column in statistics {
                let outcome = place.check(column);
                if outcome.is_ok() {
                    columns.insert(column.column_name.to_lowercase(), column.clone());
                }
                outcomes.push(outcome);
            }
            if outcomes.iter().any(Result::is_ok) {
                self.put_statistics(&place, unchanged, &columns)?;
            }
            Ok(outcomes)
        })
    }

    /// Forgets the statistics of one column.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, the partition or the statistics, [`Error::Conflict`] when they are
    /// changed all the time, [`Error::InvalidInput`], [`Error::Store`].
    pub fn delete_statistics(&self, of: StatisticsOf<'_>, column: &str) -> Result<()> {
        let name = self.place(of)?.name;
        self.retry(Kind::ColumnStatistics, &name, || {
            let place = self.place(of)?;
            let found = self.read::<Columns>(place.tree, &place.key)?;
            let mut found = found.ok_or_else(|| place.unknown(column))?;
            if found.value.remove(&column.to_lowercase()).is_none() {
                return Err(place.unknown(column));
            }
            self.put_statistics(&place, found.unchanged(), &found.value)
        })
    }

    /// Every column's statistics of a table or partition.
    pub(crate) fn all_statistics(&self, of: StatisticsOf<'_>) -> Result<Vec<ColumnStatistics>> {
        let place = self.place(of)?;
        let found = self.read::<Columns>(place.tree, &place.key)?;
        Ok(found.map_or_else(Vec::new, |found| found.value.into_values().collect()))
    }

    /// Adds to a transaction that these statistics are kept, in place of earlier ones of the same columns.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table or the partition, [`Error::InvalidInput`] when one of them cannot be kept,
    /// [`Error::Store`].
    pub(crate) fn with_statistics(
        &self,
        transaction: Transaction,
        of: StatisticsOf<'_>,
        statistics: &[ColumnStatistics],
    ) -> Result<Transaction> {
        let place = self.place(of)?;
        let found = self.read::<Columns>(place.tree, &place.key)?;
        let unchanged = unchanged(found.as_ref());
        let mut columns = found.map(|found| found.value).unwrap_or_default();
        for column in statistics {
            place.check(column)?;
            columns.insert(column.column_name.to_lowercase(), column.clone());
        }
        place.put(transaction, unchanged, &columns)
    }

    fn put_statistics(&self, place: &Place, unchanged: Expected, columns: &Columns) -> Result<()> {
        self.commit(place.put(self.transaction(), unchanged, columns)?)
    }

    fn place(&self, of: StatisticsOf<'_>) -> Result<Place> {
        let (database, table) = (fold("database", of.database)?, fold("table", of.table)?);
        let found = self.read_table(&database, &table)?.value;
        let mut columns = column_names(found.storage_descriptor.as_ref());
        columns.extend(
            found
                .partition_keys
                .iter()
                .map(|key| key.name.to_lowercase()),
        );
        let Some(values) = of.partition else {
            let parent = stored::table(&database, &table);
            return Ok(Place {
                name: full_name(&database, &table),
                tree: Tree::Object,
                key: stored::table_statistics_of(&parent),
                parent,
                columns,
            });
        };
        columns.extend(self.partition_columns(&found, values)?);
        let parent = stored::partition(&database, &table, values);
        Ok(Place {
            name: partition_name(&database, &table, values),
            tree: Tree::Partition,
            key: stored::partition_statistics_of(&parent),
            parent,
            columns,
        })
    }

    fn partition_columns(&self, table: &Table, values: &[String]) -> Result<Vec<String>> {
        let database = table.database_name.as_deref().unwrap_or_default();
        let partition = self.get_partition(database, &table.name, values)?;
        Ok(column_names(partition.storage_descriptor.as_ref()))
    }
}

fn column_names(descriptor: Option<&StorageDescriptor>) -> Vec<String> {
    let columns = descriptor.into_iter().flat_map(|found| &found.columns);
    columns.map(|column| column.name.to_lowercase()).collect()
}

fn unchanged(found: Option<&Stored<Columns>>) -> Expected {
    found.map_or(Expected::Absent, Stored::unchanged)
}

impl Place {
    /// Adds to a transaction that these are all columns' statistics.
    fn put(
        &self,
        transaction: Transaction,
        unchanged: Expected,
        columns: &Columns,
    ) -> Result<Transaction> {
        let transaction = transaction
            .expect(self.tree, self.parent.clone(), Expected::Present)
            .expect(self.tree, self.key.clone(), unchanged);
        if columns.is_empty() {
            return Ok(transaction.delete(self.tree, self.key.clone()));
        }
        let payload = stored::encode(columns)?;
        Ok(transaction.put(self.tree, self.key.clone(), stored::SCHEMA, payload))
    }

    fn unknown(&self, column: &str) -> Error {
        Error::not_found(Kind::ColumnStatistics, format!("{} {column}", self.name))
    }

    fn check(&self, column: &ColumnStatistics) -> Result<()> {
        if !self.columns.contains(&column.column_name.to_lowercase()) {
            return Err(Error::invalid(format!(
                "{} has no column {}",
                self.name, column.column_name
            )));
        }
        check_data(&column.statistics_data).map_err(|reason| {
            Error::invalid(format!(
                "the statistics of column {} cannot be kept: {reason}",
                column.column_name
            ))
        })
    }
}

fn check_data(data: &ColumnStatisticsData) -> Result<(), String> {
    let members = [
        ("BOOLEAN", data.boolean_column_statistics_data.is_some()),
        ("DATE", data.date_column_statistics_data.is_some()),
        ("DECIMAL", data.decimal_column_statistics_data.is_some()),
        ("DOUBLE", data.double_column_statistics_data.is_some()),
        ("LONG", data.long_column_statistics_data.is_some()),
        ("STRING", data.string_column_statistics_data.is_some()),
        ("BINARY", data.binary_column_statistics_data.is_some()),
    ];
    let present = members.iter().filter(|(_, present)| *present);
    let present: Vec<_> = present.map(|(name, _)| *name).collect();
    if present != [data.r#type.as_str()] {
        return Err(format!(
            "their type is {} and what is given is of {present:?}",
            data.r#type
        ));
    }
    let decimals = data.decimal_column_statistics_data.iter();
    let mut decimals = decimals.flat_map(|data| [&data.minimum_value, &data.maximum_value]);
    match decimals.find_map(|number| number.as_ref().filter(|number| !is_decimal(number))) {
        Some(number) => Err(format!(
            "{:?} is not base64 of 1 to {MAX_DECIMAL_BYTES} bytes",
            number.unscaled_value.chars().take(100).collect::<String>()
        )),
        None => Ok(()),
    }
}

/// <https://datatracker.ietf.org/doc/html/rfc4648#section-4>
fn is_decimal(number: &DecimalNumber) -> bool {
    let text = number.unscaled_value.trim_end_matches('=');
    let padding = number.unscaled_value.len() - text.len();
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    number.unscaled_value.len().is_multiple_of(4)
        && padding <= 2
        && text.bytes().all(letter)
        && (1..=MAX_DECIMAL_BYTES).contains(&(text.len() * 3 / 4))
}

fn none<T>() -> Option<T> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_is_the_one_the_type_names() {
        let lengths = LengthStatistics::default();
        let data = ColumnStatisticsData {
            r#type: "STRING".to_owned(),
            string_column_statistics_data: Some(lengths.clone()),
            ..Default::default()
        };
        check_data(&data).unwrap();
        let two = ColumnStatisticsData {
            binary_column_statistics_data: Some(lengths),
            ..data.clone()
        };
        check_data(&two).unwrap_err();
        let other = ColumnStatisticsData {
            r#type: "LONG".to_owned(),
            ..data
        };
        assert_eq!(
            check_data(&other).unwrap_err(),
            "their type is LONG and what is given is of [\"STRING\"]"
        );
    }

    #[test]
    fn numbers_take_as_few_bytes_as_hold_them() {
        let text = |unscaled| DecimalNumber::of(unscaled, 2).unscaled_value;
        for (unscaled, expected) in [
            (0, "AA=="),
            (127, "fw=="),
            (128, "AIA="),
            (-1, "/w=="),
            (-128, "gA=="),
            (-129, "/38="),
            (i128::MAX, "f////////////////////w=="),
            (i128::MIN, "gAAAAAAAAAAAAAAAAAAAAA=="),
        ] {
            assert_eq!(text(unscaled), expected, "{unscaled}");
            assert!(is_decimal(&DecimalNumber::of(unscaled, 2)));
        }
    }

    #[test]
    fn decimals_are_base64_of_few_bytes() {
        let holds = |text: &str| {
            is_decimal(&DecimalNumber {
                unscaled_value: text.to_owned(),
                scale: 2,
            })
        };
        for good in ["AQ==", "AQI=", "AQID", "////////////////////+Q=="] {
            assert!(holds(good), "{good}");
        }
        for bad in [
            "",
            "A",
            "A===",
            "AQ=",
            "=AQ=",
            "A Q=",
            "é===",
            &"AAAA".repeat(6),
        ] {
            assert!(!holds(bad), "{bad}");
        }
    }
}
