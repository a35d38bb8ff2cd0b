//! Tables from schemas and schemas from tables: [`table_from_schema`], [`schema_of`], [`TableFormat`].

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use arrow_schema::{Field, Schema};

use crate::error::{Error, Result};
use crate::hive::HiveType;
use crate::model::{Column, SerDeInfo, StorageDescriptor, Table, TableInput};

/// Metadata of an Arrow field that carries a column's comment.
const COMMENT: &str = "comment";

const TEXT_INPUT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const TEXT_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat";
const PARQUET_INPUT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
const PARQUET_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";
const PARQUET_SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
const CSV_SERDE: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
const QUOTED_CSV_SERDE: &str = "org.apache.hadoop.hive.serde2.OpenCSVSerde";
const JSON_SERDE: &str = "org.openx.data.jsonserde.JsonSerDe";
const HIVE_JSON_SERDE: &str = "org.apache.hive.hcatalog.data.JsonSerDe";
const AVRO_INPUT: &str = "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat";
const AVRO_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat";
const AVRO_SERDE: &str = "org.apache.hadoop.hive.serde2.avro.AvroSerDe";
const ORC_INPUT: &str = "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat";
const ORC_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat";
const ORC_SERDE: &str = "org.apache.hadoop.hive.ql.io.orc.OrcSerde";

/// How the files of a table are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with one header line.
    Csv,
    /// One JSON object in each line.
    Json,
    /// Apache Avro object container files.
    Avro,
    /// Apache ORC.
    Orc,
}

impl TableFormat {
    /// The format of a table: by its `classification`, else by its serialiser. `None` when neither is known.
    #[must_use]
    pub fn of(table: &Table) -> Option<Self> {
        let descriptor = table.storage_descriptor.as_ref();
        let classification = table.parameters.get("classification").or_else(|| {
            descriptor.and_then(|descriptor| descriptor.parameters.get("classification"))
        });
        if let Some(format) = classification.and_then(|name| name.parse().ok()) {
            return Some(format);
        }
        match descriptor?
            .serde_info
            .as_ref()?
            .serialization_library
            .as_deref()?
        {
            PARQUET_SERDE => Some(Self::Parquet),
            CSV_SERDE | QUOTED_CSV_SERDE => Some(Self::Csv),
            JSON_SERDE | HIVE_JSON_SERDE => Some(Self::Json),
            AVRO_SERDE => Some(Self::Avro),
            ORC_SERDE => Some(Self::Orc),
            _ => None,
        }
    }

    /// Glue's word for the format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Avro => "avro",
            Self::Orc => "orc",
        }
    }

    const fn input_format(self) -> &'static str {
        match self {
            Self::Parquet => PARQUET_INPUT,
            Self::Csv | Self::Json => TEXT_INPUT,
            Self::Avro => AVRO_INPUT,
            Self::Orc => ORC_INPUT,
        }
    }

    const fn output_format(self) -> &'static str {
        match self {
            Self::Parquet => PARQUET_OUTPUT,
            Self::Csv | Self::Json => TEXT_OUTPUT,
            Self::Avro => AVRO_OUTPUT,
            Self::Orc => ORC_OUTPUT,
        }
    }

    fn serde_info(self, columns: &[Column]) -> SerDeInfo {
        let (library, parameters) = match self {
            Self::Parquet => (PARQUET_SERDE, pairs([("serialization.format", "1")])),
            Self::Csv => (CSV_SERDE, pairs([("field.delim", ",")])),
            Self::Avro => (AVRO_SERDE, pairs([("serialization.format", "1")])),
            Self::Orc => (ORC_SERDE, pairs([("serialization.format", "1")])),
            Self::Json => {
                let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                (JSON_SERDE, pairs([("paths", names.join(",").as_str())]))
            }
        };
        SerDeInfo {
            name: None,
            serialization_library: Some(library.to_owned()),
            parameters,
        }
    }

    fn table_parameters(self) -> BTreeMap<String, String> {
        let mut parameters = pairs([("EXTERNAL", "TRUE"), ("classification", self.name())]);
        if self == Self::Csv {
            parameters.extend(pairs([("delimiter", ","), ("skip.header.line.count", "1")]));
        }
        parameters
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TableFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_lowercase().as_str() {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "avro" => Ok(Self::Avro),
            "orc" => Ok(Self::Orc),
            _ => Err(Error::invalid(format!(
                "unknown table format {name:?}, known are parquet, csv, json, avro and orc"
            ))),
        }
    }
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A definition for files of `format` with `schema` in the folder `location`, described with the classes Glue,
/// Athena, Hive and Spark look for. Not partitioned: move columns to `partition_keys` for that.
///
/// Hive has no word for nullability, so that is lost; comments are taken from the metadata `comment` of the fields.
///
/// # Errors
/// [`Error::InvalidInput`] when a column has a type the catalog cannot hold, a nested type in a csv table, or
/// the name of another column in different case.
pub fn table_from_schema(
    name: &str,
    schema: &Schema,
    location: &str,
    format: TableFormat,
) -> Result<TableInput> {
    let columns = schema.fields().iter().map(|field| column_of(field, format));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    check_distinct(columns.iter())?;
    let storage_descriptor = StorageDescriptor {
        location: Some(location.to_owned()),
        input_format: Some(format.input_format().to_owned()),
        output_format: Some(format.output_format().to_owned()),
        serde_info: Some(format.serde_info(&columns)),
        columns,
        ..Default::default()
    };
    Ok(TableInput {
        name: name.to_owned(),
        table_type: Some("EXTERNAL_TABLE".to_owned()),
        parameters: format.table_parameters(),
        storage_descriptor: Some(storage_descriptor),
        ..Default::default()
    })
}

fn column_of(field: &Field, format: TableFormat) -> Result<Column> {
    let hive_type = HiveType::from_arrow(field.name(), field.data_type());
    let hive_type = hive_type.map_err(|error| Error::invalid(error.to_string()))?;
    if format == TableFormat::Csv && !hive_type.is_primitive() {
        let name = field.name();
        return Err(Error::invalid(format!(
            "column {name:?} has type {hive_type}, which a csv file cannot hold"
        )));
    }
    Ok(Column {
        name: field.name().clone(),
        r#type: Some(hive_type.to_string()),
        comment: field.metadata().get(COMMENT).cloned(),
        parameters: BTreeMap::new(),
    })
}

/// The schema of a table: its columns, then its partition keys, all nullable. Comments become the metadata
/// `comment` of the fields.
///
/// # Errors
/// [`Error::InvalidInput`] when a column has no type or one that cannot be parsed, or two columns have the same
/// name apart from case.
pub fn schema_of(table: &Table) -> Result<Schema> {
    let columns = table
        .storage_descriptor
        .iter()
        .flat_map(|descriptor| &descriptor.columns);
    let columns: Vec<_> = columns.chain(&table.partition_keys).collect();
    check_distinct(columns.iter().copied())?;
    let fields = columns
        .into_iter()
        .map(field_of)
        .collect::<Result<Vec<_>>>()?;
    Ok(Schema::new(fields))
}

fn field_of(column: &Column) -> Result<Field> {
    let name = &column.name;
    let Some(text) = &column.r#type else {
        return Err(Error::invalid(format!("column {name:?} has no type")));
    };
    let hive_type: HiveType = text
        .parse()
        .map_err(|error| Error::invalid(format!("column {name:?}: {error}")))?;
    let field = Field::new(name, hive_type.to_arrow(), true);
    Ok(match &column.comment {
        None => field,
        Some(comment) => field.with_metadata([(COMMENT.to_owned(), comment.clone())].into()),
    })
}

fn check_distinct<'a>(columns: impl Iterator<Item = &'a Column>) -> Result<()> {
    let mut seen = HashSet::new();
    for column in columns {
        if !seen.insert(column.name.to_lowercase()) {
            let name = &column.name;
            return Err(Error::invalid(format!(
                "column {name:?} exists twice; column names ignore case"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, TimeUnit};

    use super::*;

    fn schema() -> Schema {
        let comment = [(COMMENT.to_owned(), "the key".to_owned())];
        Schema::new(vec![
            Field::new("id", DataType::Int64, true).with_metadata(comment.into()),
            Field::new("Name", DataType::Utf8, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("price", DataType::Decimal128(10, 2), true),
        ])
    }

    fn as_table(input: TableInput) -> Table {
        Table {
            name: input.name,
            storage_descriptor: input.storage_descriptor,
            partition_keys: input.partition_keys,
            parameters: input.parameters,
            ..Default::default()
        }
    }

    #[test]
    fn schemas_survive_the_way_through_the_catalog() {
        for format in [
            TableFormat::Parquet,
            TableFormat::Csv,
            TableFormat::Json,
            TableFormat::Avro,
            TableFormat::Orc,
        ] {
            let table = as_table(table_from_schema("t", &schema(), "s3://b/t/", format).unwrap());
            assert_eq!(schema_of(&table).unwrap(), schema(), "{format}");
            assert_eq!(TableFormat::of(&table), Some(format));
            let by_class = Table {
                parameters: BTreeMap::new(),
                ..table
            };
            assert_eq!(TableFormat::of(&by_class), Some(format));
        }
    }

    #[test]
    fn tables_name_the_classes_other_engines_look_for() {
        let input = table_from_schema("t", &schema(), "s3://b/t/", TableFormat::Parquet).unwrap();
        let json = serde_json::to_value(&input).unwrap();
        let expected = serde_json::json!({
            "Name": "t",
            "Retention": 0,
            "PartitionKeys": [],
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
            "StorageDescriptor": {
                "Columns": [
                    {"Name": "id", "Type": "bigint", "Comment": "the key"},
                    {"Name": "Name", "Type": "string"},
                    {"Name": "at", "Type": "timestamp"},
                    {"Name": "price", "Type": "decimal(10,2)"},
                ],
                "Location": "s3://b/t/",
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "Compressed": false,
                "NumberOfBuckets": 0,
                "SerdeInfo": {
                    "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                    "Parameters": {"serialization.format": "1"},
                },
                "StoredAsSubDirectories": false,
            },
        });
        assert_eq!(json, expected);
        let json = table_from_schema("t", &schema(), "s3://b/t/", TableFormat::Json).unwrap();
        let serde_info = json.storage_descriptor.unwrap().serde_info.unwrap();
        assert_eq!(serde_info.parameters["paths"], "id,Name,at,price");
    }

    #[test]
    fn partition_keys_come_last() {
        let mut table = as_table(table_from_schema("t", &schema(), "x", TableFormat::Csv).unwrap());
        let key = Column {
            name: "day".to_owned(),
            r#type: Some("date".to_owned()),
            ..Default::default()
        };
        table.partition_keys.push(key);
        let schema = schema_of(&table).unwrap();
        assert_eq!(schema.field(4).name(), "day");
        assert_eq!(schema.field(4).data_type(), &DataType::Date32);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let table = |fields: Vec<Field>, format| {
            table_from_schema("t", &Schema::new(fields), "x", format)
                .unwrap_err()
                .to_string()
        };
        let nested = Field::new("tags", DataType::new_list(DataType::Utf8, true), true);
        assert_eq!(
            table(vec![nested], TableFormat::Csv),
            "column \"tags\" has type array<string>, which a csv file cannot hold"
        );
        let time = Field::new("at", DataType::Time64(TimeUnit::Nanosecond), true);
        assert!(
            table(vec![time], TableFormat::Parquet)
                .starts_with("column \"at\" has type Time64(ns)")
        );
        let twice = vec![
            Field::new("a", DataType::Int8, true),
            Field::new("A", DataType::Int8, true),
        ];
        assert_eq!(
            table(twice, TableFormat::Json),
            "column \"A\" exists twice; column names ignore case"
        );

        let with_type = |r#type: Option<&str>| {
            let r#type = r#type.map(str::to_owned);
            let columns = vec![Column {
                name: "c".to_owned(),
                r#type,
                ..Default::default()
            }];
            let storage_descriptor = Some(StorageDescriptor {
                columns,
                ..Default::default()
            });
            schema_of(&Table {
                storage_descriptor,
                ..Default::default()
            })
            .unwrap_err()
            .to_string()
        };
        assert_eq!(with_type(None), "column \"c\" has no type");
        assert_eq!(
            with_type(Some("array<nit>")),
            "column \"c\": invalid type \"array<nit>\" at character 7: unknown type \"nit\""
        );
        assert!(
            "xml"
                .parse::<TableFormat>()
                .unwrap_err()
                .to_string()
                .contains("known are parquet, csv, json, avro and orc")
        );
    }
}
