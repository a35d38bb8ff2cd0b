//! What a guest may use, and what of its answers is believed.
//!
//! ```text
//! Limits          every limit has a value: what an instance is started with
//! LIMITS          the list of them: name, unit, hard ceiling
//! LimitSettings   what somebody wrote, in a file or on a command line: some of them
//!
//! Limits::lowered_by(&LimitSettings) -> Limits, never above what was there
//! ```
//!
//! **To add a limit**: a field, its default, and a line in [`LIMITS`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Limits of one instance. Every field is finite by default; an operator may set other values
/// ([`Limits::set_by`]) and a tenant, a plugin or a run may only lower them ([`Limits::lowered_by`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of the instance, in bytes. Default 2 GiB: what it takes is charged to the run, whose own limit is
    /// the one that matters.
    pub memory_bytes: usize,
    /// Elements of all tables together. Default 20 000.
    pub table_elements: usize,
    /// CPU time of one call into the guest. Default 30 s. The guest yields to other tasks every
    /// [`TICK`] until then, and traps after it.
    pub call_time: Duration,
    /// Fuel of one call, where fuel is the meter ([`crate::Meter::Fuel`]): about one unit for each instruction.
    /// Default 100 000 million, some tens of seconds.
    pub call_fuel: u64,
    /// Bytes that one call may return. Default 64 MiB.
    pub output_bytes: usize,
    /// Bytes of log lines kept per instance. Default 64 KiB; later lines are counted and dropped.
    pub log_bytes: usize,
    /// Bytes kept of an error or panic message. Default 10 000.
    pub message_bytes: usize,
    /// Top-level columns of a schema that a guest answers. Default 4 096.
    pub columns: usize,
}

/// How often the clock of running guests ticks: the grain of yielding, time limits and
/// cancellation.
pub const TICK: Duration = Duration::from_millis(10);

/// Largest component that is loaded, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 50 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            table_elements: 20_000,
            call_time: Duration::from_secs(30),
            call_fuel: 100_000_000_000,
            output_bytes: 64 << 20,
            log_bytes: 64 << 10,
            message_bytes: 10_000,
            columns: 4_096,
        }
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes: `"64 MiB"`, `"64MB"`, or a number of bytes.
    Bytes,
    /// Time: `"30 s"`, `"500 ms"`, `"2 min"`, or a number of seconds. Counted in milliseconds.
    Time,
    /// Things: a number.
    Count,
}

/// One limit: what it is called and how it is read and set.
#[derive(Clone, Copy)]
pub struct Limit {
    /// The field of [`Limits`], and the key in settings.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What nobody may exceed, in bytes, milliseconds or things.
    pub ceiling: u64,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

/// Every limit.
pub const LIMITS: &[Limit] = &[
    Limit {
        name: "memory_bytes",
        unit: Unit::Bytes,
        // All that 32-bit addresses reach.
        ceiling: 4 << 30,
        get: |limits| limits.memory_bytes as u64,
        set: |limits, value| limits.memory_bytes = saturated(value),
    },
    Limit {
        name: "table_elements",
        unit: Unit::Count,
        ceiling: 100_000,
        get: |limits| limits.table_elements as u64,
        set: |limits, value| limits.table_elements = saturated(value),
    },
    Limit {
        name: "call_time",
        unit: Unit::Time,
        ceiling: 24 * 3600 * 1000,
        get: |limits| u64::try_from(limits.call_time.as_millis()).unwrap_or(u64::MAX),
        set: |limits, value| limits.call_time = Duration::from_millis(value),
    },
    Limit {
        name: "call_fuel",
        unit: Unit::Count,
        ceiling: 1_000_000_000_000_000,
        get: |limits| limits.call_fuel,
        set: |limits, value| limits.call_fuel = value,
    },
    Limit {
        name: "output_bytes",
        unit: Unit::Bytes,
        ceiling: 2 << 30,
        get: |limits| limits.output_bytes as u64,
        set: |limits, value| limits.output_bytes = saturated(value),
    },
    Limit {
        name: "log_bytes",
        unit: Unit::Bytes,
        ceiling: 64 << 20,
        get: |limits| limits.log_bytes as u64,
        set: |limits, value| limits.log_bytes = saturated(value),
    },
    Limit {
        name: "message_bytes",
        unit: Unit::Bytes,
        ceiling: 1 << 20,
        get: |limits| limits.message_bytes as u64,
        set: |limits, value| limits.message_bytes = saturated(value),
    },
    Limit {
        name: "columns",
        unit: Unit::Count,
        ceiling: 65_536,
        get: |limits| limits.columns as u64,
        set: |limits, value| limits.columns = saturated(value),
    },
];

fn saturated(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

impl Limit {
    /// The limit of this name.
    ///
    /// # Errors
    /// [`LimitError::Unknown`] with the names that there are.
    pub fn named(name: &str) -> Result<&'static Self, LimitError> {
        LIMITS
            .iter()
            .find(|limit| limit.name == name)
            .ok_or_else(|| LimitError::Unknown {
                name: clipped(name),
            })
    }

    /// Its value, in bytes, milliseconds or things.
    #[must_use]
    pub fn of(&self, limits: &Limits) -> u64 {
        (self.get)(limits)
    }

    /// A value with its unit, for people: `64 MiB`, `30 s`, `4096`.
    #[must_use]
    pub fn show(&self, value: u64) -> String {
        match self.unit {
            Unit::Bytes => shown(value, BYTES),
            Unit::Time => shown(value, TIMES),
            Unit::Count => value.to_string(),
        }
    }

    /// Reads a value: `64 MiB`, `30 s`, or a plain number in the limit's unit.
    ///
    /// # Errors
    /// [`LimitError::Unreadable`] showing the text and what is understood.
    pub fn parse(&self, text: &str) -> Result<u64, LimitError> {
        let (units, plain): (&[(&str, u64)], u64) = match self.unit {
            Unit::Bytes => (BYTES, 1),
            Unit::Time => (TIMES, 1000),
            Unit::Count => (&[], 1),
        };
        quantity(text, units, plain).ok_or_else(|| LimitError::Unreadable {
            limit: self.name,
            text: clipped(text),
            example: match self.unit {
                Unit::Bytes => "a size such as \"64 MiB\", or a number of bytes",
                Unit::Time => "a time such as \"30 s\", or a number of seconds",
                Unit::Count => "a number",
            },
        })
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const BYTES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

const TIMES: &[(&str, u64)] = &[("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// In the largest unit that says it exactly.
fn shown(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, size): &&(&str, u64)| value > 0 && value.is_multiple_of(*size);
    let smallest = units.last().copied().unwrap_or_default();
    let (unit, size) = units.iter().find(fits).copied().unwrap_or(smallest);
    format!("{} {unit}", value / size.max(1))
}

/// A size in bytes: `2 GiB`, `500MB`, or a plain number.
///
/// # Errors
/// The text is no size.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let refused = || {
        let text = clipped(text);
        format!("{text:?} is not a size: write one such as \"2 GiB\", or a number of bytes")
    };
    quantity(text, BYTES, 1).ok_or_else(refused)
}

/// A number and perhaps a unit, `plain` being the size of a number without one. Fractions of a unit count as far as
/// they are whole.
fn quantity(text: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = (text[..end].replace('_', ""), text[end..].trim_start());
    let is_unit = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
    let size = match unit {
        "" => plain,
        _ => units.iter().find(is_unit)?.1,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(size);
    }
    let fraction = number.parse::<f64>().ok()? * size as f64;
    // Doubles hold whole numbers up to here.
    let is_exact = fraction.is_finite() && fraction < (1_u64 << 53) as f64 && size > 1;
    is_exact.then_some(fraction as u64)
}

/// What a stranger wrote, short enough for a message.
fn clipped(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Some limits, as somebody wrote them: `memory_bytes = "64 MiB"`.
///
/// Read from a table or object whose keys are names of limits; unknown ones are refused. Values are texts with a unit
/// or plain numbers in the limit's unit. Also parsed from `memory_bytes=64MiB`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitSettings(BTreeMap<&'static str, u64>);

impl LimitSettings {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a limit to a text such as `64 MiB`.
    ///
    /// # Errors
    /// There is no such limit, or the text is no value for it.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), LimitError> {
        let limit = Limit::named(name)?;
        self.0.insert(limit.name, limit.parse(text)?);
        Ok(())
    }

    /// What is set for a limit, in bytes, milliseconds or things.
    #[must_use]
    pub fn get(&self, limit: &Limit) -> Option<u64> {
        self.0.get(limit.name).copied()
    }

    /// Adds what `other` sets, over what is here.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }
}

/// `name=value`, one limit.
impl FromStr for LimitSettings {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| LimitError::NoPair(clipped(text)))?;
        let mut settings = Self::default();
        settings.set(name.trim(), value)?;
        Ok(settings)
    }
}

impl Serialize for LimitSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = LIMITS.iter().filter_map(|limit| {
            let text = limit.show(self.get(limit)?);
            Some((limit.name, text))
        });
        serializer.collect_map(texts)
    }
}

impl<'de> Deserialize<'de> for LimitSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SettingsVisitor)
    }
}

struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = LimitSettings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limits by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LimitSettings, A::Error> {
        let mut settings = LimitSettings::default();
        while let Some(name) = map.next_key::<String>()? {
            let value: Written = map.next_value()?;
            let set = settings.set(&name, &value.text());
            set.map_err(serde::de::Error::custom)?;
        }
        Ok(settings)
    }
}

/// A value in a file: with a unit, or a number.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a limit is a text such as \"64 MiB\", or a number"
)]
enum Written {
    Whole(u64),
    Fraction(f64),
    Text(String),
}

impl Written {
    fn text(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Why a setting of a limit is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is no limit of this name.
    #[error("there is no limit {name:?}; there are {}", names())]
    Unknown {
        /// The name that was written.
        name: String,
    },

    /// Not `name=value`.
    #[error("{0:?} is not name=value, such as memory_bytes=64MiB")]
    NoPair(String),

    /// The text is no value for the limit.
    #[error("limit {limit}: {text:?} is not {example}")]
    Unreadable {
        /// The limit.
        limit: &'static str,
        /// What was written.
        text: String,
        /// What is understood.
        example: &'static str,
    },

    /// More than there is to give.
    #[error("limit {limit}: asked for {asked}, the maximum is {maximum}")]
    Above {
        /// The limit.
        limit: &'static str,
        /// What was asked for, with its unit.
        asked: String,
        /// What could have been, with its unit.
        maximum: String,
    },
}

fn names() -> String {
    LIMITS
        .iter()
        .map(|limit| limit.name)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Limits {
    /// These with an operator's settings, which may raise or lower them up to the hard ceilings.
    ///
    /// # Errors
    /// [`LimitError::Above`] for a value beyond its ceiling.
    pub fn set_by(&self, settings: &LimitSettings) -> Result<Self, LimitError> {
        let mut limits = self.clone();
        for limit in LIMITS {
            if let Some(value) = settings.get(limit) {
                check(limit, value, limit.ceiling)?;
                (limit.set)(&mut limits, value);
            }
        }
        Ok(limits)
    }

    /// These, lowered to what the settings say.
    ///
    /// # Errors
    /// [`LimitError::Above`] for a value above what is here: a request that cannot be met is refused, not cut.
    pub fn lowered_by(&self, settings: &LimitSettings) -> Result<Self, LimitError> {
        for limit in LIMITS {
            if let Some(value) = settings.get(limit) {
                check(limit, value, limit.of(self))?;
            }
        }
        Ok(self.capped_by(settings))
    }

    /// These, where the settings say less that: for who caps others without knowing what they have.
    #[must_use]
    pub fn capped_by(&self, settings: &LimitSettings) -> Self {
        let mut limits = self.clone();
        for limit in LIMITS {
            if let Some(value) = settings.get(limit) {
                (limit.set)(&mut limits, value.min(limit.of(self)));
            }
        }
        limits
    }

    /// The largest batch that the host sends in one call, in bytes: 16 MiB, or a quarter of the
    /// guest's memory when that is less.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        (16 << 20).min(self.memory_bytes / 4)
    }

    pub(crate) fn call_ticks(&self) -> u64 {
        u64::try_from(self.call_time.as_millis() / TICK.as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

fn check(limit: &Limit, value: u64, maximum: u64) -> Result<(), LimitError> {
    if value <= maximum {
        return Ok(());
    }
    Err(LimitError::Above {
        limit: limit.name,
        asked: limit.show(value),
        maximum: limit.show(maximum),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn settings(pairs: &[(&str, &str)]) -> LimitSettings {
        let mut settings = LimitSettings::default();
        for (name, text) in pairs {
            settings.set(name, text).unwrap();
        }
        settings
    }

    #[test]
    fn every_field_is_in_the_list_and_below_its_ceiling() {
        // A field more here is a compile error: then it belongs into the list.
        let Limits {
            memory_bytes: _,
            table_elements: _,
            call_time: _,
            call_fuel: _,
            output_bytes: _,
            log_bytes: _,
            message_bytes: _,
            columns: _,
        } = Limits::default();
        assert_eq!(LIMITS.len(), 8);
        for limit in LIMITS {
            assert!(limit.of(&Limits::default()) <= limit.ceiling, "{limit:?}");
            let mut limits = Limits::default();
            (limit.set)(&mut limits, 12);
            assert_eq!(limit.of(&limits), 12, "{limit:?}");
        }
    }

    #[test]
    fn a_request_can_only_lower() {
        let operator = Limits::default();
        let granted = operator
            .lowered_by(&settings(&[("call_time", "1 s")]))
            .unwrap();
        assert_eq!(granted.call_time, Duration::from_secs(1));
        assert_eq!(granted.memory_bytes, operator.memory_bytes);
        let wish = settings(&[("memory_bytes", "1 TiB"), ("call_time", "1 s")]);
        assert_eq!(
            operator.lowered_by(&wish).unwrap_err().to_string(),
            "limit memory_bytes: asked for 1 TiB, the maximum is 2 GiB"
        );
        let capped = operator.capped_by(&wish);
        assert_eq!(capped, granted);
    }

    #[test]
    fn an_operator_can_raise_up_to_the_ceiling() {
        let raised = Limits::default().set_by(&settings(&[("memory_bytes", "1 GiB")]));
        assert_eq!(raised.unwrap().memory_bytes, 1 << 30);
        let beyond = Limits::default().set_by(&settings(&[("call_time", "25 h")]));
        assert_eq!(
            beyond.unwrap_err().to_string(),
            "limit call_time: asked for 25 h, the maximum is 24 h"
        );
    }

    #[test]
    fn sizes_and_times_are_read_as_people_write_them() {
        let parsed = |name: &str, text: &str| Limit::named(name).unwrap().parse(text);
        for (name, text, value) in [
            ("memory_bytes", "64 MiB", 64 << 20),
            ("memory_bytes", "64MiB", 64 << 20),
            ("memory_bytes", "64mib", 64 << 20),
            ("memory_bytes", "1.5 GB", 1_500_000_000),
            ("memory_bytes", "65_536", 65_536),
            ("call_time", "30", 30_000),
            ("call_time", "0.25", 250),
            ("call_time", "500 ms", 500),
            ("call_time", "2 min", 120_000),
            ("columns", "12", 12),
        ] {
            assert_eq!(parsed(name, text), Ok(value), "{name} {text}");
        }
        for (name, text) in [
            ("memory_bytes", "64 parsecs"),
            ("memory_bytes", ""),
            ("memory_bytes", "MiB"),
            ("memory_bytes", "-1"),
            ("memory_bytes", "99999999999 TiB"),
            ("memory_bytes", "1.5"),
            ("call_time", "1.2.3 s"),
            ("columns", "12 B"),
            ("columns", "1.5"),
        ] {
            assert!(parsed(name, text).is_err(), "{name} {text}");
        }
    }

    #[test]
    fn what_is_wrong_in_settings_is_named() {
        let error = |text: &str| text.parse::<LimitSettings>().unwrap_err().to_string();
        assert_eq!(
            error("memory"),
            "\"memory\" is not name=value, such as memory_bytes=64MiB"
        );
        assert_eq!(
            error("memory=1"),
            "there is no limit \"memory\"; there are memory_bytes, table_elements, call_time, call_fuel, output_bytes, \
             log_bytes, message_bytes, columns"
        );
        assert_eq!(
            error("call_time=soon"),
            "limit call_time: \"soon\" is not a time such as \"30 s\", or a number of seconds"
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(index in 0..LIMITS.len(), value: u64) {
            let limit = &LIMITS[index];
            prop_assert_eq!(limit.parse(&limit.show(value)), Ok(value));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            for limit in LIMITS {
                let _ = limit.parse(&text);
            }
        }
    }

    #[test]
    fn a_batch_is_at_most_a_quarter_of_the_memory() {
        let small = Limits {
            memory_bytes: 4 << 20,
            ..Limits::default()
        };
        assert_eq!(small.batch_bytes(), 1 << 20);
        assert_eq!(Limits::default().batch_bytes(), 16 << 20);
    }
}
