//! [`HiveType`] to and from Arrow's [`DataType`].
//!
//! | Hive | to Arrow | from Arrow, also |
//! |---|---|---|
//! | boolean | Boolean | |
//! | tinyint, smallint, int, bigint | Int8, Int16, Int32, Int64 | UInt8 → smallint, UInt16 → int, UInt32 → bigint |
//! | float, double | Float32, Float64 | Float16 → float |
//! | decimal(p,s) | Decimal128(p,s) | UInt64 → decimal(20,0); Decimal32, 64, 256 up to 38 digits; negative scales |
//! | string, char(n), varchar(n) | Utf8 | LargeUtf8, Utf8View, Null → string |
//! | binary | Binary | LargeBinary, BinaryView, FixedSizeBinary |
//! | date | Date32 | Date64 |
//! | timestamp | Timestamp(Microsecond, no zone) | every unit; a zone is dropped, the instant stays, in UTC |
//! | array<> | List, nullable elements | LargeList, ListView, LargeListView, FixedSizeList |
//! | map<,> | Map, nullable values | |
//! | struct<> | Struct, nullable fields | |
//!
//! Dictionary and run-end encoding stand for the type of their values. Every value of the Arrow type exists in
//! the Hive type, except nanoseconds, which a microsecond timestamp cuts. Time, Duration, Interval and Union
//! have no counterpart and are refused, as are maps whose keys are not primitive.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::hive::{HiveType, MAX_TYPE_DEPTH};

const MAX_PRECISION: u8 = 38;

/// An Arrow type Hive has no word for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column:?} has type {data_type}, which the catalog cannot hold: {reason}")]
pub struct UnsupportedType {
    /// The column, with dots before nested fields.
    pub column: String,
    /// Its Arrow type.
    pub data_type: String,
    /// Why not, and what to use.
    pub reason: String,
}

impl HiveType {
    /// The Arrow type of a column of this type.
    #[must_use]
    pub fn to_arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            // At most 38, so it fits.
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::String | Self::Char(_) | Self::VarChar(_) => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Array(element) => DataType::new_list(element.to_arrow(), true),
            Self::Map(key, value) => map_type(key.to_arrow(), value.to_arrow()),
            Self::Struct(fields) => {
                let field = |(name, field_type): &(String, Self)| {
                    Field::new(name, field_type.to_arrow(), true)
                };
                DataType::Struct(fields.iter().map(field).collect())
            }
        }
    }

    /// The type that holds every value of a column `column` of Arrow type `data_type`; see the module's table.
    ///
    /// # Errors
    /// [`UnsupportedType`] naming the column, or the nested field, and its type.
    pub fn from_arrow(column: &str, data_type: &DataType) -> Result<Self, UnsupportedType> {
        convert(column, data_type, 1)
    }
}

fn map_type(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]);
    DataType::Map(
        Arc::new(Field::new("entries", DataType::Struct(entries), false)),
        false,
    )
}

fn convert(column: &str, data_type: &DataType, depth: usize) -> Result<HiveType, UnsupportedType> {
    if depth > MAX_TYPE_DEPTH {
        return Err(unsupported(
            column,
            data_type,
            &format!("it is nested deeper than {MAX_TYPE_DEPTH} levels"),
        ));
    }
    Ok(match data_type {
        DataType::Boolean => HiveType::Boolean,
        DataType::Int8 => HiveType::TinyInt,
        DataType::Int16 | DataType::UInt8 => HiveType::SmallInt,
        DataType::Int32 | DataType::UInt16 => HiveType::Int,
        DataType::Int64 | DataType::UInt32 => HiveType::BigInt,
        DataType::UInt64 => HiveType::Decimal {
            precision: 20,
            scale: 0,
        },
        DataType::Float16 | DataType::Float32 => HiveType::Float,
        DataType::Float64 => HiveType::Double,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal(column, data_type, *precision, *scale)?,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            HiveType::String
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => HiveType::Binary,
        DataType::Date32 | DataType::Date64 => HiveType::Date,
        DataType::Timestamp(..) => HiveType::Timestamp,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => HiveType::Array(Box::new(convert(
            &below(column, "element"),
            field.data_type(),
            depth + 1,
        )?)),
        DataType::Map(entries, _) => map(column, data_type, entries, depth)?,
        DataType::Struct(fields) => structure(column, fields, depth)?,
        DataType::Dictionary(_, values) => convert(column, values, depth + 1)?,
        DataType::RunEndEncoded(_, values) => convert(column, values.data_type(), depth + 1)?,
        DataType::Time32(_) | DataType::Time64(_) => {
            return Err(unsupported(
                column,
                data_type,
                "cast it to string or bigint",
            ));
        }
        DataType::Duration(_) | DataType::Interval(_) => {
            return Err(unsupported(column, data_type, "cast it to bigint"));
        }
        DataType::Union(..) => {
            return Err(unsupported(
                column,
                data_type,
                "use a struct with one field for each type",
            ));
        }
    })
}

fn decimal(
    column: &str,
    data_type: &DataType,
    precision: u8,
    scale: i8,
) -> Result<HiveType, UnsupportedType> {
    // A negative scale means zeros before the point: they need digits of their own.
    let zeros = if scale < 0 { scale.unsigned_abs() } else { 0 };
    let precision = precision.saturating_add(zeros);
    let scale = u8::try_from(scale).unwrap_or(0);
    if precision > MAX_PRECISION || scale > precision {
        let reason = format!(
            "it needs {precision} digits with {scale} after the point, the limit is {MAX_PRECISION}"
        );
        return Err(unsupported(column, data_type, &reason));
    }
    Ok(HiveType::Decimal { precision, scale })
}

fn map(
    column: &str,
    data_type: &DataType,
    entries: &Field,
    depth: usize,
) -> Result<HiveType, UnsupportedType> {
    let DataType::Struct(entries) = entries.data_type() else {
        return Err(unsupported(
            column,
            data_type,
            "its entries are not a struct",
        ));
    };
    let [key, value] = entries.as_ref() else {
        return Err(unsupported(column, data_type, "its entries are not pairs"));
    };
    let key = convert(&below(column, "key"), key.data_type(), depth + 1)?;
    if !key.is_primitive() {
        return Err(unsupported(
            column,
            data_type,
            &format!("the key of a map is primitive, not {key}"),
        ));
    }
    let value = convert(&below(column, "value"), value.data_type(), depth + 1)?;
    Ok(HiveType::Map(Box::new(key), Box::new(value)))
}

fn structure(column: &str, fields: &Fields, depth: usize) -> Result<HiveType, UnsupportedType> {
    let mut converted = Vec::with_capacity(fields.len());
    for field in fields {
        let field_type = convert(&below(column, field.name()), field.data_type(), depth + 1)?;
        converted.push((field.name().clone(), field_type));
    }
    Ok(HiveType::Struct(converted))
}

fn below(column: &str, field: &str) -> String {
    format!("{column}.{field}")
}

fn unsupported(column: &str, data_type: &DataType, reason: &str) -> UnsupportedType {
    UnsupportedType {
        column: column.to_owned(),
        data_type: data_type.to_string(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{IntervalUnit, UnionFields, UnionMode};
    use proptest::prelude::*;

    use super::*;
    use crate::hive::tests::any_type;

    /// The type with `char` and `varchar` as `string`: what Arrow can tell.
    fn without_lengths(hive_type: &HiveType) -> HiveType {
        let inner = |part: &HiveType| Box::new(without_lengths(part));
        match hive_type {
            HiveType::Char(_) | HiveType::VarChar(_) => HiveType::String,
            HiveType::Array(element) => HiveType::Array(inner(element)),
            HiveType::Map(key, value) => HiveType::Map(inner(key), inner(value)),
            HiveType::Struct(fields) => HiveType::Struct(
                fields
                    .iter()
                    .map(|(name, part)| (name.clone(), without_lengths(part)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn types_survive_the_way_to_arrow_and_back(hive_type in any_type()) {
            let arrow = hive_type.to_arrow();
            let back = HiveType::from_arrow("c", &arrow).unwrap();
            prop_assert_eq!(&back, &without_lengths(&hive_type));
            prop_assert_eq!(back.to_arrow(), arrow);
        }
    }

    #[test]
    fn wider_types_hold_what_hive_has_no_word_for() {
        let item = |data_type| Arc::new(Field::new("x", data_type, false));
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8));
        let cases = [
            (DataType::UInt8, "smallint"),
            (DataType::UInt16, "int"),
            (DataType::UInt32, "bigint"),
            (DataType::UInt64, "decimal(20,0)"),
            (DataType::Float16, "float"),
            (DataType::Decimal32(9, 2), "decimal(9,2)"),
            (DataType::Decimal64(18, 18), "decimal(18,18)"),
            (DataType::Decimal256(38, 10), "decimal(38,10)"),
            (DataType::Decimal128(5, -3), "decimal(8,0)"),
            (DataType::Utf8View, "string"),
            (DataType::Null, "string"),
            (DataType::FixedSizeBinary(16), "binary"),
            (DataType::BinaryView, "binary"),
            (DataType::Date64, "date"),
            (
                DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Oslo".into())),
                "timestamp",
            ),
            (
                DataType::FixedSizeList(item(DataType::UInt8), 3),
                "array<smallint>",
            ),
            (
                DataType::LargeListView(item(DataType::Utf8View)),
                "array<string>",
            ),
            (dictionary.clone(), "string"),
            (
                DataType::RunEndEncoded(item(DataType::Int32), item(dictionary)),
                "string",
            ),
        ];
        for (arrow, expected) in cases {
            assert_eq!(
                HiveType::from_arrow("c", &arrow).unwrap().to_string(),
                expected,
                "{arrow}"
            );
        }
    }

    #[test]
    fn what_cannot_be_held_is_named_with_its_column() {
        let error = |data_type: DataType| HiveType::from_arrow("c", &data_type).unwrap_err();
        assert_eq!(
            error(DataType::Time32(TimeUnit::Second)).to_string(),
            "column \"c\" has type Time32(s), which the catalog cannot hold: cast it to string or bigint"
        );
        let nested = DataType::Struct(
            vec![Field::new(
                "d",
                DataType::new_list(DataType::Duration(TimeUnit::Second), true),
                true,
            )]
            .into(),
        );
        assert_eq!(error(nested).column, "c.d.element");
        assert!(
            error(DataType::Decimal256(39, 0))
                .reason
                .contains("39 digits")
        );
        assert!(
            error(DataType::Decimal128(38, -1))
                .reason
                .contains("39 digits")
        );
        assert_eq!(
            error(DataType::Interval(IntervalUnit::DayTime)).reason,
            "cast it to bigint"
        );
        assert!(
            error(DataType::Union(UnionFields::empty(), UnionMode::Dense))
                .reason
                .contains("struct")
        );
        let key = DataType::new_list(DataType::Int8, true);
        assert!(
            error(map_type(key, DataType::Int8))
                .reason
                .contains("not array<tinyint>")
        );
        let deep =
            (0..MAX_TYPE_DEPTH).fold(DataType::Int8, |inner, _| DataType::new_list(inner, true));
        assert!(error(deep).reason.contains("deeper than 64 levels"));
    }
}
