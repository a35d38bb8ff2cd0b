//! `sessionize`: the events of a key, in the order of time, become sessions that end where nothing happens for a while.
//!
//! ```text
//! user  at      session  event_in_session      gap_seconds = 1800
//! ada   10:00   ae31…    1
//! ada   10:20   ae31…    2
//! ada   11:00   77c0…    1                     40 minutes later
//! bob   10:05   b2d9…    1
//! ```
//!
//! A session's id is made of the key and the time of its first event, so that another run over the same events, or
//! over more of them, gives the same ids. Events without a key or a time belong to no session. The host brings the events of a
//! key to one instance and sorts them; all that is kept between batches is the session in hand.

use std::borrow::Cow;
use std::sync::Arc;

use tenon_sdk::arrow_array::types::{
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use tenon_sdk::arrow_schema::TimeUnit;
use tenon_sdk::prelude::*;
use tenon_sdk::serde::{Deserialize, Serialize};

/// What a job says.
#[derive(Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    /// The column whose equal values are one visitor.
    key: String,
    /// The column of the time: a timestamp, or milliseconds since 1970 as an int64.
    time: String,
    /// How long nothing must happen for a session to end.
    #[serde(default = "half_an_hour")]
    gap_seconds: u32,
}

fn half_an_hour() -> u32 {
    1800
}

/// The session in hand; its times in the unit of the column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "tenon_sdk::serde")]
struct Current {
    key: String,
    id: String,
    last: i64,
    events: i64,
}

/// One partition.
struct Sessionize {
    key: usize,
    time: usize,
    gap: i64,
    ticks_per_second: i64,
    output: SchemaRef,
    current: Option<Current>,
}

fn ticks_per_second(data_type: &DataType) -> Option<i64> {
    Some(match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 1,
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Int64 => 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1_000_000_000,
        _ => return None,
    })
}

fn output(input: &Schema) -> Result<SchemaRef> {
    let mut fields: Vec<_> = input.fields().iter().cloned().collect();
    for (name, data_type) in [
        ("session", DataType::Utf8),
        ("event_in_session", DataType::Int64),
    ] {
        if input.index_of(name).is_ok() {
            return Err(Error::Unsupported(format!(
                "the input has a column {name:?} already"
            )));
        }
        fields.push(Arc::new(Field::new(name, data_type, true)));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// 128 bits of FNV-1a over the key and the first time in nanoseconds, so that ids do not hang on the column's unit.
fn session_id(key: &str, nanoseconds: i128) -> String {
    let bytes = key.bytes().chain(nanoseconds.to_le_bytes());
    let hash = bytes.fold(0x6c62272e07bb014262b821756295c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000000001000000000000000000013b)
    });
    format!("{hash:032x}")
}

fn key_at(column: &ArrayRef, row: usize) -> Option<Cow<'_, str>> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Int64 => column
            .as_primitive::<Int64Type>()
            .value(row)
            .to_string()
            .into(),
        _ => column.as_string::<i32>().value(row).into(),
    })
}

fn times(column: &ArrayRef) -> &[i64] {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            column.as_primitive::<TimestampSecondType>().values()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            column.as_primitive::<TimestampMillisecondType>().values()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().values()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            column.as_primitive::<TimestampNanosecondType>().values()
        }
        _ => column.as_primitive::<Int64Type>().values(),
    }
}

impl Sessionize {
    /// The session of the next event, which is counted.
    fn event(&mut self, key: &str, time: i64) -> &Current {
        let goes_on = |c: &Current| c.key == key && time.saturating_sub(c.last) <= self.gap;
        let current = match self.current.take().filter(goes_on) {
            Some(current) => Current {
                last: time,
                events: current.events + 1,
                ..current
            },
            None => Current {
                key: key.to_owned(),
                id: session_id(
                    key,
                    i128::from(time) * i128::from(1_000_000_000 / self.ticks_per_second),
                ),
                last: time,
                events: 1,
            },
        };
        self.current.insert(current)
    }
}

#[tenon_sdk::plugin]
impl Stream for Sessionize {
    const NAME: &'static str = "sessionize";
    const DOCS: &'static str = "Splits the events of a key into sessions, at gaps in time: adds session and event_in_session.";

    fn bind(config: &Config, inputs: &[SchemaRef]) -> Result<StreamBinding> {
        let [input] = inputs else {
            return Err(Error::Unsupported(format!(
                "it takes one input, not {}",
                inputs.len()
            )));
        };
        let this = Self::open(config, inputs)?;
        Ok(StreamBinding {
            inputs: vec![Input {
                needs: (0..input.fields().len()).collect(),
                distribution: Distribution::Hash(vec![this.key]),
                ordering: vec![(this.key, false, false), (this.time, false, false)],
            }],
            output: this.output,
            deterministic: true,
        })
    }

    fn open(config: &Config, inputs: &[SchemaRef]) -> Result<Self> {
        let settings: Settings = config.parse()?;
        let input = &inputs[0];
        let key = tenon_sdk::column(input, &settings.key)?;
        let time = tenon_sdk::column(input, &settings.time)?;
        let (key_type, time_type) = (input.field(key).data_type(), input.field(time).data_type());
        if !matches!(key_type, DataType::Utf8 | DataType::Int64) {
            return Err(Error::Unsupported(format!(
                "key {:?} is {key_type}, not text or an int64",
                settings.key
            )));
        }
        let ticks_per_second = ticks_per_second(time_type).ok_or_else(|| {
            Error::Unsupported(format!(
                "time {:?} is {time_type}, not a timestamp or an int64 of milliseconds",
                settings.time
            ))
        })?;
        Ok(Self {
            key,
            time,
            gap: i64::from(settings.gap_seconds) * ticks_per_second,
            ticks_per_second,
            output: output(input)?,
            current: None,
        })
    }

    fn push(&mut self, _input: usize, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let (keys, time_column) = (batch.column(self.key), batch.column(self.time));
        let times = times(time_column);
        let mut sessions = tenon_sdk::arrow_array::builder::StringBuilder::new();
        let mut events = Vec::with_capacity(batch.num_rows());
        for (row, time) in times.iter().enumerate() {
            let Some(key) = key_at(keys, row).filter(|_| time_column.is_valid(row)) else {
                sessions.append_null();
                events.push(None);
                continue;
            };
            let current = self.event(&key, *time);
            sessions.append_value(&current.id);
            events.push(Some(current.events));
        }
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(sessions.finish()));
        columns.push(Arc::new(Int64Array::from(events)));
        Ok(vec![RecordBatch::try_new(
            Arc::clone(&self.output),
            columns,
        )?])
    }

    fn finish(&mut self, _input: usize) -> Result<Vec<RecordBatch>> {
        Ok(vec![])
    }

    fn snapshot(&self) -> Result<Vec<u8>> {
        tenon_sdk::serde_json::to_vec(&self.current).map_err(|e| Error::Internal(e.to_string()))
    }

    fn restore(config: &Config, inputs: &[SchemaRef], snapshot: &[u8]) -> Result<Self> {
        let current = tenon_sdk::serde_json::from_slice(snapshot).map_err(|e| {
            Error::Internal(format!("the snapshot is none of this function's: {e}"))
        })?;
        Ok(Self {
            current,
            ..Self::open(config, inputs)?
        })
    }
}

#[cfg(test)]
mod tests;
