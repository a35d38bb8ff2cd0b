//! [`Timestamp`]: times as Glue's JSON has them.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970. In JSON a number of seconds, with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time so many milliseconds after the beginning of 1970.
    #[must_use]
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_millis(self) -> u64 {
        self.0
    }
}

impl From<SystemTime> for Timestamp {
    /// Times before 1970 become its beginning.
    fn from(time: SystemTime) -> Self {
        let age = time.duration_since(SystemTime::UNIX_EPOCH);
        Self(u64::try_from(age.unwrap_or_default().as_millis()).unwrap_or(u64::MAX))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Ok(Self((seconds * 1000.0).round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_seconds_and_reads_back() {
        for millis in [0, 1, 999, 1_764_242_000_123, 1_764_242_000_999] {
            let time = Timestamp::from_unix_millis(millis);
            let text = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time);
        }
        let text = serde_json::to_string(&Timestamp::from_unix_millis(1500)).unwrap();
        assert_eq!(text, "1.5");
    }
}
