//! [`Secret`]: text that is used and never shown.

use std::fmt;
use std::sync::Arc;

/// A key, a token or a password. Neither `Debug` nor any error shows it, and it has no `Display`. Cheap to clone.
///
/// ```
/// use tenon_connect::Secret;
/// assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the secret, as it is and as it stands in URLs.
    pub(crate) fn blot(&self, text: String) -> String {
        if self.0.is_empty() {
            return text;
        }
        let in_query: String = url::form_urlencoded::byte_serialize(self.0.as_bytes()).collect();
        let in_path = in_query.replace('+', "%20");
        let spellings = [&*self.0, in_query.as_str(), in_path.as_str()];
        spellings
            .iter()
            .fold(text, |text, secret| text.replace(secret, "***"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_blotted() {
        let secret = Secret::new("a/b+c d");
        let said = "key=a/b+c d, ?sig=a%2Fb%2Bc+d&x, a%2Fb%2Bc%20d".to_owned();
        assert_eq!(secret.blot(said), "key=***, ?sig=***&x, ***");
        assert_eq!(Secret::new("").blot("whole".to_owned()), "whole");
    }
}
