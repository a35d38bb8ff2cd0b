//! Schemas to and from the contract's flat field lists, on the guest's side.

use std::sync::Arc;

use arrow_schema::{
    DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit, UnionFields,
    UnionMode,
};

use crate::accepts::Accepts;
use crate::bindings::base::tenon::plugin::types as wit;
use crate::error::{Error, Result};

/// Rebuilds a schema that the host sent.
pub(crate) fn schema_from(flat: &[wit::Field]) -> Result<SchemaRef> {
    let mut rest = flat;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        fields.push(take_field(&mut rest)?);
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn take_field(rest: &mut &[wit::Field]) -> Result<FieldRef> {
    let Some((field, after)) = rest.split_first() else {
        return Err(Error::Internal("the schema ends early".to_owned()));
    };
    *rest = after;
    let children = (0..field.children)
        .map(|_| take_field(rest))
        .collect::<Result<Vec<_>>>()?;
    let data_type = parse_format(&field.format, children).ok_or_else(|| {
        Error::Unsupported(format!(
            "column {:?} has format {:?}, which this SDK does not know",
            field.name, field.format
        ))
    })?;
    Ok(Arc::new(
        Field::new(&field.name, data_type, field.nullable)
            .with_metadata(field.metadata.iter().cloned().collect()),
    ))
}

fn parse_format(format: &str, mut children: Vec<FieldRef>) -> Option<DataType> {
    if !format.starts_with('+') && !children.is_empty() {
        let keys = parse_format(format, Vec::new())?;
        let values = children.pop()?.data_type().clone();
        return Some(DataType::Dictionary(Box::new(keys), Box::new(values)));
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
        "+s" => DataType::Struct(Fields::from(children)),
        "+l" => DataType::List(children.pop()?),
        "+L" => DataType::LargeList(children.pop()?),
        "+m" => DataType::Map(children.pop()?, false),
        "+ms" => DataType::Map(children.pop()?, true),
        "vu" => DataType::Utf8View,
        "vz" => DataType::BinaryView,
        "+vl" => DataType::ListView(children.pop()?),
        "+vL" => DataType::LargeListView(children.pop()?),
        "+r" => {
            let values = children.pop()?;
            DataType::RunEndEncoded(children.pop()?, values)
        }
        other => return parse_parametrised(other, children),
    };
    Some(simple)
}

fn parse_parametrised(format: &str, mut children: Vec<FieldRef>) -> Option<DataType> {
    if let Some(union) = format.strip_prefix("+u") {
        let (mode, ids) = union.split_once(':')?;
        let mode = match mode {
            "s" => UnionMode::Sparse,
            _ => UnionMode::Dense,
        };
        let ids = ids.split(',').filter(|id| !id.is_empty());
        let ids: Vec<i8> = ids.map(|id| id.parse().ok()).collect::<Option<_>>()?;
        return Some(DataType::Union(
            UnionFields::try_new(ids, children).ok()?,
            mode,
        ));
    }
    if let Some(size) = format.strip_prefix("+w:") {
        return Some(DataType::FixedSizeList(children.pop()?, size.parse().ok()?));
    }
    if let Some(size) = format.strip_prefix("w:") {
        return Some(DataType::FixedSizeBinary(size.parse().ok()?));
    }
    if let Some(unit) = format.strip_prefix("tD") {
        return Some(DataType::Duration(parse_unit(unit)?));
    }
    if let Some(decimal) = format.strip_prefix("d:") {
        let parts: Vec<&str> = decimal.split(',').collect();
        let (precision, scale) = (parts.first()?.parse().ok()?, parts.get(1)?.parse().ok()?);
        return Some(match parts.get(2).copied().unwrap_or("128") {
            "32" => DataType::Decimal32(precision, scale),
            "64" => DataType::Decimal64(precision, scale),
            "256" => DataType::Decimal256(precision, scale),
            _ => DataType::Decimal128(precision, scale),
        });
    }
    let (unit, zone) = format.strip_prefix("ts")?.split_once(':')?;
    Some(DataType::Timestamp(
        parse_unit(unit)?,
        (!zone.is_empty()).then(|| Arc::from(zone)),
    ))
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

/// Flattens a schema that this plugin answers.
pub(crate) fn schema_to(schema: &Schema) -> Result<Vec<wit::Field>> {
    let mut flat = Vec::new();
    schema
        .fields()
        .iter()
        .try_for_each(|field| push_field(field, &mut flat))?;
    Ok(flat)
}

fn push_field(field: &Field, flat: &mut Vec<wit::Field>) -> Result<()> {
    let children = children(field.data_type());
    flat.push(wit::Field {
        name: field.name().clone(),
        format: format_of(field.data_type(), field.name())?,
        nullable: field.is_nullable(),
        children: u32::try_from(children.len()).unwrap_or(u32::MAX),
        metadata: field
            .metadata()
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    });
    children
        .iter()
        .try_for_each(|child| push_field(child, flat))
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
        DataType::Dictionary(_, values) => {
            vec![Arc::new(Field::new(
                "values",
                values.as_ref().clone(),
                true,
            ))]
        }
        _ => Vec::new(),
    }
}

/// How many fields a type makes in pre-order, itself included.
pub(crate) fn field_count(data_type: &DataType) -> usize {
    let below = children(data_type);
    1 + below
        .iter()
        .map(|f| field_count(f.data_type()))
        .sum::<usize>()
}

/// The type in which values of `data_type` arrive at a guest that accepts these forms: what the host does with it.
fn arriving_type(data_type: &DataType, accepts: Accepts) -> DataType {
    let child = |field: &FieldRef| Arc::new(arriving_field(field, accepts));
    match data_type {
        DataType::Utf8View if !accepts.views => DataType::Utf8,
        DataType::BinaryView if !accepts.views => DataType::Binary,
        DataType::Dictionary(_, values) if !accepts.dictionaries => arriving_type(values, accepts),
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(arriving_type(values, accepts)))
        }
        DataType::RunEndEncoded(_, values) if !accepts.runs => {
            arriving_type(values.data_type(), accepts)
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

/// The field as it will arrive; unpacked values may be missing.
fn arriving_field(field: &Field, accepts: Accepts) -> Field {
    let data_type = arriving_type(field.data_type(), accepts);
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

/// A schema that the host described, in the types in which its columns will arrive.
pub(crate) fn arriving_schema(flat: &[wit::Field], accepts: Accepts) -> Result<SchemaRef> {
    let schema = schema_from(flat)?;
    let fields = schema
        .fields()
        .iter()
        .map(|field| Arc::new(arriving_field(field, accepts)));
    Ok(Arc::new(Schema::new(fields.collect::<Fields>())))
}

fn format_of(data_type: &DataType, column: &str) -> Result<String> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 's',
        TimeUnit::Millisecond => 'm',
        TimeUnit::Microsecond => 'u',
        TimeUnit::Nanosecond => 'n',
    };
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
        DataType::Timestamp(u, zone) => {
            return Ok(format!("ts{}:{}", unit(u), zone.as_deref().unwrap_or("")));
        }
        DataType::Duration(u) => return Ok(format!("tD{}", unit(u))),
        other => {
            return Err(Error::Unsupported(format!(
                "column {column:?} has type {other}, which cannot cross"
            )));
        }
    };
    Ok(text.to_owned())
}
