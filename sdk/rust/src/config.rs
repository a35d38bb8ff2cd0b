//! The configuration of one call: a JSON object.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The JSON object that a job gives to a function.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config(Map<String, Value>);

impl Config {
    /// Parses the text that the host passed; empty means no settings.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(other) => Err(Error::Config(format!(
                "the configuration must be a JSON object, not {other}"
            ))),
            Err(e) => Err(Error::Config(format!("the configuration is not JSON: {e}"))),
        }
    }

    /// All settings as one typed value. Put `#[serde(deny_unknown_fields)]` on it, so that
    /// a misspelt key is an error.
    ///
    /// # Errors
    /// A key is missing, unknown, or of the wrong type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(Value::Object(self.0.clone()))
            .map_err(|e| Error::Config(e.to_string()))
    }

    /// One setting.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// One text setting.
    ///
    /// # Errors
    /// The key is there and not a string.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::Config(format!(
                "{key} must be a string, not {other}"
            ))),
        }
    }
}
