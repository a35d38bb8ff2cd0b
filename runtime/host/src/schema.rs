//! Arrow schemas to and from the contract's flat field lists.
//!
//! Outward, what a guest does not accept is simplified ([`wire_type`]): views become plain strings and binaries,
//! dictionaries and runs their values, list views lists; the batches are converted alike (`flatten`). Inward,
//! nothing is believed: names, depth, widths and format strings are checked, and what this host cannot
//! rebuild is refused at `bind`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit, UnionFields,
    UnionMode,
};

pub(crate) use crate::bindings::tenon::plugin::types::Accepts;
use crate::bindings::tenon::plugin::types::{FieldParam, FieldResult};
use crate::error::{Error, Result};
use crate::guest::clip;

/// Deepest nesting of a column.
pub(crate) const MAX_DEPTH: usize = 32;
const MAX_NAME_BYTES: usize = 255;
/// Most fields of a schema, nested ones included.
const MAX_FIELDS: usize = 1 << 17;
const MAX_METADATA: usize = 64;
const MAX_METADATA_BYTES: usize = 4096;

/// Name of the field that stands for the values of a dictionary, which have none in Arrow.
const DICTIONARY_VALUES: &str = "values";

/// Everything as it is: what `bind` is told.
pub(crate) const AS_IT_IS: Accepts = Accepts {
    views: true,
    dictionaries: true,
    runs: true,
    list_views: true,
    constants: true,
};

/// The type in which values of `data_type` cross to a guest that accepts these forms. Inside of unions nothing is
/// rewritten.
pub(crate) fn wire_type(data_type: &DataType, accepts: Accepts) -> DataType {
    let child = |field: &FieldRef| Arc::new(wire_field(field, accepts));
    match data_type {
        DataType::Utf8View if !accepts.views => DataType::Utf8,
        DataType::BinaryView if !accepts.views => DataType::Binary,
        DataType::Dictionary(_, values) if !accepts.dictionaries => wire_type(values, accepts),
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(wire_type(values, accepts)))
        }
        DataType::RunEndEncoded(_, values) if !accepts.runs => {
            wire_type(values.data_type(), accepts)
        }
        DataType::RunEndEncoded(ends, values) => {
            DataType::RunEndEncoded(Arc::clone(ends), child(values))
        }
        DataType::ListView(field) if !accepts.list_views => DataType::List(child(field)),
        DataType::LargeListView(field) if !accepts.list_views => DataType::LargeList(child(field)),
        DataType::ListView(field) => DataType::ListView(child(field)),
        DataType::LargeListView(field) => DataType::LargeListView(child(field)),
        DataType::List(field) => DataType::List(child(field)),
        DataType::LargeList(field) => DataType::LargeList(child(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(child(field), *size),
        DataType::Map(field, sorted) => DataType::Map(child(field), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(child).collect()),
        other => other.clone(),
    }
}

/// The field as it crosses. The values of a dictionary or of runs may be missing where their own field says that nothing
/// is: Arrow counts only keys.
fn wire_field(field: &Field, accepts: Accepts) -> Field {
    let data_type = wire_type(field.data_type(), accepts);
    let unpacked = match field.data_type() {
        DataType::Dictionary(_, _) => !accepts.dictionaries,
        DataType::RunEndEncoded(_, _) => !accepts.runs,
        _ => false,
    };
    let nullable = field.is_nullable() || unpacked;
    field
        .clone()
        .with_data_type(data_type)
        .with_nullable(nullable)
}

/// The columns at `projection`, in the types in which they cross.
pub(crate) fn wire_schema(schema: &Schema, projection: &[usize], accepts: Accepts) -> SchemaRef {
    let fields = projection
        .iter()
        .map(|&i| Arc::new(wire_field(schema.field(i), accepts)));
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Fields>(),
        schema.metadata().clone(),
    ))
}

/// A schema as an argument of a call: the fields in pre-order, borrowed from the schema.
#[derive(Debug, Default)]
pub(crate) struct FlatSchema<'a>(Vec<FlatField<'a>>);

#[derive(Debug)]
struct FlatField<'a> {
    name: &'a str,
    format: String,
    nullable: bool,
    children: u32,
    metadata: Vec<(&'a str, &'a str)>,
}

impl<'a> FlatSchema<'a> {
    /// Flattens a schema.
    ///
    /// # Errors
    /// A column's type has no form in the contract.
    pub(crate) fn of(schema: &'a Schema) -> Result<Self> {
        let mut flat = Self::default();
        for field in schema.fields() {
            flat.push(field, field.name())?;
        }
        Ok(flat)
    }

    fn push(&mut self, field: &'a Field, column: &str) -> Result<()> {
        let metadata = field.metadata().iter();
        let mut metadata: Vec<_> = metadata.map(|(k, v)| (k.as_str(), v.as_str())).collect();
        // The map has no order of its own, and equal input should look equal to the guest.
        metadata.sort_unstable();
        self.push_type(
            field.name(),
            field.is_nullable(),
            metadata,
            field.data_type(),
            column,
        )
    }

    fn push_type(
        &mut self,
        name: &'a str,
        nullable: bool,
        metadata: Vec<(&'a str, &'a str)>,
        data_type: &'a DataType,
        column: &str,
    ) -> Result<()> {
        self.0.push(FlatField {
            name,
            format: format_of(data_type, column)?,
            nullable,
            children: u32::try_from(child_count(data_type)).unwrap_or(u32::MAX),
            metadata,
        });
        match data_type {
            DataType::List(f)
            | DataType::LargeList(f)
            | DataType::ListView(f)
            | DataType::LargeListView(f)
            | DataType::FixedSizeList(f, _)
            | DataType::Map(f, _) => self.push(f, column),
            DataType::Struct(fields) => fields.iter().try_for_each(|f| self.push(f, column)),
            DataType::Union(fields, _) => fields.iter().try_for_each(|(_, f)| self.push(f, column)),
            DataType::RunEndEncoded(ends, values) => {
                self.push(ends, column)?;
                self.push(values, column)
            }
            DataType::Dictionary(_, values) => {
                self.push_type(DICTIONARY_VALUES, true, Vec::new(), values, column)
            }
            _ => Ok(()),
        }
    }

    /// The argument.
    pub(crate) fn params(&self) -> Vec<FieldParam<'_>> {
        let fields = self.0.iter().map(|flat| FieldParam {
            name: flat.name,
            format: &flat.format,
            nullable: flat.nullable,
            children: flat.children,
            metadata: &flat.metadata,
        });
        fields.collect()
    }
}

fn child_count(data_type: &DataType) -> usize {
    children(data_type).len()
}

/// The direct children of a nested type; of a dictionary, a field that stands for its values.
pub(crate) fn children(data_type: &DataType) -> Vec<FieldRef> {
    match data_type {
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::ListView(f)
        | DataType::LargeListView(f)
        | DataType::FixedSizeList(f, _)
        | DataType::Map(f, _) => vec![Arc::clone(f)],
        DataType::Struct(fields) => fields.iter().cloned().collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, f)| Arc::clone(f)).collect(),
        DataType::RunEndEncoded(ends, values) => vec![Arc::clone(ends), Arc::clone(values)],
        DataType::Dictionary(_, values) => vec![Arc::new(Field::new(
            DICTIONARY_VALUES,
            DataType::clone(values),
            true,
        ))],
        _ => Vec::new(),
    }
}

/// How many fields a type makes in pre-order, itself included.
pub(crate) fn field_count(data_type: &DataType) -> usize {
    let below = children(data_type);
    1 + below
        .iter()
        .map(|child| field_count(child.data_type()))
        .sum::<usize>()
}

/// The Arrow C data format string of a wire type.
fn format_of(data_type: &DataType, column: &str) -> Result<String> {
    let text = match data_type {
        DataType::Null => "n",
        DataType::Boolean => "b",
        DataType::Int8 => "c",
        DataType::UInt8 => "C",
        DataType::Int16 => "s",
        DataType::UInt16 => "S",
        DataType::Int32 => "i",
        DataType::UInt32 => "I",
        DataType::Int64 => "l",
        DataType::UInt64 => "L",
        DataType::Float16 => "e",
        DataType::Float32 => "f",
        DataType::Float64 => "g",
        DataType::Binary => "z",
        DataType::LargeBinary => "Z",
        DataType::Utf8 => "u",
        DataType::LargeUtf8 => "U",
        DataType::Date32 => "tdD",
        DataType::Date64 => "tdm",
        DataType::Time32(TimeUnit::Second) => "tts",
        DataType::Time32(TimeUnit::Millisecond) => "ttm",
        DataType::Time64(TimeUnit::Microsecond) => "ttu",
        DataType::Time64(TimeUnit::Nanosecond) => "ttn",
        DataType::Interval(IntervalUnit::YearMonth) => "tiM",
        DataType::Interval(IntervalUnit::DayTime) => "tiD",
        DataType::Interval(IntervalUnit::MonthDayNano) => "tin",
        DataType::List(_) => "+l",
        DataType::LargeList(_) => "+L",
        DataType::Struct(_) => "+s",
        DataType::Map(_, false) => "+m",
        DataType::Map(_, true) => "+ms",
        DataType::Utf8View => "vu",
        DataType::BinaryView => "vz",
        DataType::ListView(_) => "+vl",
        DataType::LargeListView(_) => "+vL",
        DataType::RunEndEncoded(_, _) => "+r",
        DataType::Dictionary(keys, _) => return format_of(keys, column),
        DataType::Union(fields, mode) => {
            let ids: Vec<String> = fields.iter().map(|(id, _)| id.to_string()).collect();
            let letter = match mode {
                UnionMode::Sparse => 's',
                UnionMode::Dense => 'd',
            };
            return Ok(format!("+u{letter}:{}", ids.join(",")));
        }
        DataType::FixedSizeBinary(n) => return Ok(format!("w:{n}")),
        DataType::FixedSizeList(_, n) => return Ok(format!("+w:{n}")),
        DataType::Decimal32(p, s) => return Ok(format!("d:{p},{s},32")),
        DataType::Decimal64(p, s) => return Ok(format!("d:{p},{s},64")),
        DataType::Decimal128(p, s) => return Ok(format!("d:{p},{s}")),
        DataType::Decimal256(p, s) => return Ok(format!("d:{p},{s},256")),
        DataType::Timestamp(unit, zone) => {
            return Ok(format!(
                "ts{}:{}",
                unit_letter(*unit),
                zone.as_deref().unwrap_or("")
            ));
        }
        DataType::Duration(unit) => return Ok(format!("tD{}", unit_letter(*unit))),
        other => {
            return Err(Error::Unsupported(format!(
                "column {column:?} has type {other}, which plugins cannot take yet"
            )));
        }
    };
    Ok(text.to_owned())
}

fn unit_letter(unit: TimeUnit) -> char {
    match unit {
        TimeUnit::Second => 's',
        TimeUnit::Millisecond => 'm',
        TimeUnit::Microsecond => 'u',
        TimeUnit::Nanosecond => 'n',
    }
}

/// Rebuilds a schema that a guest answered.
///
/// # Errors
/// [`Error::Contract`] naming the field and what is wrong with it.
pub(crate) fn from_wire(flat: &[FieldResult], max_columns: usize) -> Result<SchemaRef> {
    if flat.len() > MAX_FIELDS {
        return Err(Error::contract(format!(
            "its schema has {} fields; {MAX_FIELDS} are allowed, nested ones included",
            flat.len()
        )));
    }
    let mut rest = flat;
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut names = HashSet::new();
    while !rest.is_empty() {
        if fields.len() == max_columns {
            return Err(Error::contract(format!(
                "its schema has more than {max_columns} columns"
            )));
        }
        let field = take_field(&mut rest, 0)?;
        if !names.insert(field.name().clone()) {
            return Err(Error::contract(format!(
                "its schema has two columns named {:?}",
                field.name()
            )));
        }
        fields.push(field);
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn take_field(rest: &mut &[FieldResult], depth: usize) -> Result<FieldRef> {
    let Some((field, after)) = rest.split_first() else {
        return Err(Error::contract(
            "its schema ends before the children that it announces",
        ));
    };
    *rest = after;
    check_names(field)?;
    if depth >= MAX_DEPTH {
        return Err(Error::contract(format!(
            "field {:?} is nested deeper than {MAX_DEPTH} levels",
            field.name
        )));
    }
    let mut children = Vec::new();
    for _ in 0..field.children {
        children.push(take_field(rest, depth + 1)?);
    }
    let data_type = parse_format(&field.format, children).ok_or_else(|| {
        Error::contract(format!(
            "field {:?} has the format {:?} with {} children, which means no type",
            field.name,
            clip(&field.format, MAX_NAME_BYTES),
            field.children
        ))
    })?;
    let metadata = field.metadata.iter().cloned().collect();
    Ok(Arc::new(
        Field::new(&field.name, data_type, field.nullable).with_metadata(metadata),
    ))
}

fn check_names(field: &FieldResult) -> Result<()> {
    if field.name.len() > MAX_NAME_BYTES {
        return Err(Error::contract(format!(
            "a field name has {} bytes; {MAX_NAME_BYTES} are allowed",
            field.name.len()
        )));
    }
    let bytes: usize = field.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
    if field.metadata.len() > MAX_METADATA || bytes > MAX_METADATA_BYTES {
        return Err(Error::contract(format!(
            "field {:?} has {bytes} bytes of metadata in {} entries; {MAX_METADATA_BYTES} in {MAX_METADATA} are allowed",
            field.name,
            field.metadata.len()
        )));
    }
    Ok(())
}

/// The type that a format string and its children mean; `None` when they mean none.
fn parse_format(format: &str, children: Vec<FieldRef>) -> Option<DataType> {
    if let Some(nested) = format.strip_prefix('+') {
        return parse_nested(nested, children);
    }
    if !children.is_empty() {
        return parse_dictionary(format, &children);
    }
    let simple = match format {
        "n" => DataType::Null,
        "b" => DataType::Boolean,
        "c" => DataType::Int8,
        "C" => DataType::UInt8,
        "s" => DataType::Int16,
        "S" => DataType::UInt16,
        "i" => DataType::Int32,
        "I" => DataType::UInt32,
        "l" => DataType::Int64,
        "L" => DataType::UInt64,
        "e" => DataType::Float16,
        "f" => DataType::Float32,
        "g" => DataType::Float64,
        "z" => DataType::Binary,
        "Z" => DataType::LargeBinary,
        "u" => DataType::Utf8,
        "U" => DataType::LargeUtf8,
        "tdD" => DataType::Date32,
        "tdm" => DataType::Date64,
        "tts" => DataType::Time32(TimeUnit::Second),
        "ttm" => DataType::Time32(TimeUnit::Millisecond),
        "ttu" => DataType::Time64(TimeUnit::Microsecond),
        "ttn" => DataType::Time64(TimeUnit::Nanosecond),
        "tiM" => DataType::Interval(IntervalUnit::YearMonth),
        "tiD" => DataType::Interval(IntervalUnit::DayTime),
        "tin" => DataType::Interval(IntervalUnit::MonthDayNano),
        "vu" => DataType::Utf8View,
        "vz" => DataType::BinaryView,
        other => return parse_parametrised(other),
    };
    Some(simple)
}

/// An integer with one child: keys and values.
fn parse_dictionary(format: &str, children: &[FieldRef]) -> Option<DataType> {
    let keys = parse_format(format, Vec::new()).filter(DataType::is_dictionary_key_type)?;
    let [values] = children else { return None };
    let nested = matches!(values.data_type(), DataType::Dictionary(_, _));
    (!nested).then(|| DataType::Dictionary(Box::new(keys), Box::new(values.data_type().clone())))
}

fn parse_runs(children: &[FieldRef]) -> Option<DataType> {
    let [ends, values] = children else {
        return None;
    };
    let fits = ends.data_type().is_run_ends_type() && !ends.is_nullable();
    fits.then(|| DataType::RunEndEncoded(Arc::clone(ends), Arc::clone(values)))
}

fn parse_union(format: &str, children: Vec<FieldRef>) -> Option<DataType> {
    let (mode, ids) = format.split_once(':')?;
    let mode = match mode {
        "us" => UnionMode::Sparse,
        "ud" => UnionMode::Dense,
        _ => return None,
    };
    let ids: Vec<i8> = match ids {
        "" => Vec::new(),
        ids => ids
            .split(',')
            .map(|id| id.parse().ok().filter(|id| *id >= 0))
            .collect::<Option<_>>()?,
    };
    // Refuses ids that come twice and numbers that differ.
    let fields = UnionFields::try_new(ids, children).ok()?;
    Some(DataType::Union(fields, mode))
}

fn parse_nested(format: &str, mut children: Vec<FieldRef>) -> Option<DataType> {
    match format {
        "s" => return Some(DataType::Struct(children.into())),
        "r" => return parse_runs(&children),
        _ if format.starts_with('u') => return parse_union(format, children),
        _ => {}
    }
    let child = children.pop().filter(|_| children.is_empty())?;
    match format {
        "l" => Some(DataType::List(child)),
        "L" => Some(DataType::LargeList(child)),
        "vl" => Some(DataType::ListView(child)),
        "vL" => Some(DataType::LargeListView(child)),
        "m" | "ms" => is_map_entry(&child).then(|| DataType::Map(child, format == "ms")),
        _ => {
            let size: i32 = format.strip_prefix("w:")?.parse().ok()?;
            (0..=1 << 20)
                .contains(&size)
                .then_some(DataType::FixedSizeList(child, size))
        }
    }
}

fn is_map_entry(entry: &Field) -> bool {
    let keyed =
        matches!(entry.data_type(), DataType::Struct(kv) if kv.len() == 2 && !kv[0].is_nullable());
    keyed && !entry.is_nullable()
}

fn parse_parametrised(format: &str) -> Option<DataType> {
    if let Some(size) = format.strip_prefix("w:") {
        let size: i32 = size.parse().ok()?;
        return (0..=1 << 20)
            .contains(&size)
            .then_some(DataType::FixedSizeBinary(size));
    }
    if let Some(decimal) = format.strip_prefix("d:") {
        return parse_decimal(decimal);
    }
    if let Some(duration) = format.strip_prefix("tD") {
        return Some(DataType::Duration(parse_unit(duration)?));
    }
    let (unit, zone) = format.strip_prefix("ts")?.split_once(':')?;
    if zone.len() > MAX_NAME_BYTES {
        return None;
    }
    let zone = (!zone.is_empty()).then(|| Arc::from(zone));
    Some(DataType::Timestamp(parse_unit(unit)?, zone))
}

fn parse_decimal(text: &str) -> Option<DataType> {
    let mut parts = text.split(',');
    let precision: u8 = parts.next()?.parse().ok()?;
    let scale: i8 = parts.next()?.parse().ok()?;
    let bits = parts.next().unwrap_or("128");
    if parts.next().is_some() || precision == 0 || i16::from(scale) > i16::from(precision) {
        return None;
    }
    match bits {
        "32" if precision <= 9 => Some(DataType::Decimal32(precision, scale)),
        "64" if precision <= 18 => Some(DataType::Decimal64(precision, scale)),
        "128" if precision <= 38 => Some(DataType::Decimal128(precision, scale)),
        "256" if precision <= 76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

fn parse_unit(letter: &str) -> Option<TimeUnit> {
    match letter {
        "s" => Some(TimeUnit::Second),
        "m" => Some(TimeUnit::Millisecond),
        "u" => Some(TimeUnit::Microsecond),
        "n" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(data_type: DataType) -> FieldRef {
        Arc::new(Field::new("item", data_type, true))
    }

    fn owned(flat: &FlatSchema<'_>) -> Vec<FieldResult> {
        let fields = flat.params().into_iter().map(|f| FieldResult {
            name: f.name.to_owned(),
            format: f.format.to_owned(),
            nullable: f.nullable,
            children: f.children,
            metadata: f
                .metadata
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        });
        fields.collect()
    }

    /// What an SDK accepts unless its author says otherwise.
    const PLAIN: Accepts = Accepts {
        views: false,
        dictionaries: false,
        runs: false,
        list_views: false,
        constants: false,
    };

    fn union(mode: UnionMode, ids: &[i8]) -> DataType {
        let fields = [item(DataType::Int32), item(DataType::Utf8)];
        let fields = UnionFields::try_new(ids.iter().copied(), fields).unwrap();
        DataType::Union(fields, mode)
    }

    #[test]
    fn schemas_survive_the_wire() {
        let entries = DataType::Struct(
            vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Int32, true),
            ]
            .into(),
        );
        let types = [
            DataType::Null,
            DataType::Boolean,
            DataType::Int64,
            DataType::Float16,
            DataType::Decimal128(38, 10),
            DataType::Decimal256(76, -3),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Timestamp(TimeUnit::Second, None),
            DataType::Duration(TimeUnit::Nanosecond),
            DataType::FixedSizeBinary(16),
            DataType::FixedSizeList(item(DataType::Float32), 3),
            DataType::LargeList(item(DataType::Struct(
                vec![Field::new("x", DataType::Date32, false)].into(),
            ))),
            DataType::Map(Arc::new(Field::new("entries", entries, false)), false),
            DataType::Utf8View,
            DataType::BinaryView,
            DataType::ListView(item(DataType::Utf8View)),
            DataType::LargeListView(item(DataType::Null)),
            DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8)),
            DataType::RunEndEncoded(
                Arc::new(Field::new("run_ends", DataType::Int32, false)),
                Arc::new(Field::new("values", DataType::Utf8, true)),
            ),
            union(UnionMode::Sparse, &[0, 1]),
            union(UnionMode::Dense, &[7, 3]),
        ];
        let fields: Vec<Field> = types
            .into_iter()
            .enumerate()
            .map(|(i, t)| {
                Field::new(format!("c{i}"), t, i % 2 == 0)
                    .with_metadata([("k".to_owned(), i.to_string())].into())
            })
            .collect();
        let schema = Schema::new(fields);
        let back = from_wire(&owned(&FlatSchema::of(&schema).unwrap()), 100).unwrap();
        assert_eq!(*back, schema);
    }

    #[test]
    fn views_and_dictionaries_cross_as_plain_values() {
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8View));
        assert_eq!(wire_type(&dictionary, PLAIN), DataType::Utf8);
        assert_eq!(wire_type(&dictionary, AS_IT_IS), dictionary);
        assert_eq!(
            wire_type(&DataType::ListView(item(DataType::BinaryView)), PLAIN),
            DataType::List(item(DataType::Binary))
        );
    }

    #[test]
    fn lies_about_schemas_are_refused() {
        let field = |name: &str, format: &str, children: u32| FieldResult {
            name: name.into(),
            format: format.into(),
            nullable: true,
            children,
            metadata: vec![],
        };
        let refused = |flat: &[FieldResult]| from_wire(flat, 4).unwrap_err().to_string();
        assert!(
            refused(&[field("a", "+s", 2), field("b", "i", 0)])
                .contains("ends before the children")
        );
        assert!(refused(&[field("a", "q", 0)]).contains(r#"format "q""#));
        assert!(refused(&[field("a", "f", 1), field("b", "i", 0)]).contains("with 1 children"));
        assert!(refused(&[field("a", "+r", 1), field("b", "i", 0)]).contains("means no type"));
        let runs = [
            field("a", "+r", 2),
            field("ends", "u", 0),
            field("b", "i", 0),
        ];
        assert!(refused(&runs).contains("means no type"), "ends are numbers");
        assert!(refused(&[field("a", "+us:0,0", 1), field("b", "i", 0)]).contains("no type"));
        assert!(refused(&[field("a", "+us:-1", 1), field("b", "i", 0)]).contains("no type"));
        assert!(refused(&[field("a", "+us:0,1", 1), field("b", "i", 0)]).contains("no type"));
        let twice = [field("a", "i", 1), field("b", "i", 1), field("c", "u", 0)];
        assert!(refused(&twice).contains("no type"), "a dictionary of one");
        assert!(refused(&[field("a", "w:-1", 0)]).contains("means no type"));
        assert!(refused(&[field("a", "d:99,1", 0)]).contains("means no type"));
        assert!(refused(&[field("a", "i", 0), field("a", "i", 0)]).contains("two columns"));
        assert!(refused(&[field(&"x".repeat(300), "i", 0)]).contains("300 bytes"));
        assert!(refused(&vec![field("a", "+l", 1); 40]).contains("deeper than 32"));
        let many: Vec<_> = (0..5).map(|i| field(&i.to_string(), "i", 0)).collect();
        assert!(refused(&many).contains("more than 4 columns"));
    }
}
