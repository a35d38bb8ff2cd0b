//! Names: which are allowed, and the folding of those of databases and tables to lower case.

use crate::error::{Error, Result};

const MAX_NAME_CHARS: usize = 255;

/// Keeps a key of two names within the store's limit.
const MAX_NAME_BYTES: usize = 1000;

/// A name of 1 to 255 characters, in lower case, without control characters other than tab.
/// `what` is for the message.
pub(crate) fn fold(what: &str, name: &str) -> Result<String> {
    let folded = name.to_lowercase();
    check(what, &folded)?;
    Ok(folded)
}

/// Whether `name` may be one, as it is. `what` is for the message.
pub(crate) fn check(what: &str, name: &str) -> Result<()> {
    let chars = name.chars().count();
    if chars == 0 {
        return Err(Error::invalid(format!("the {what} name is empty")));
    }
    if chars > MAX_NAME_CHARS || name.len() > MAX_NAME_BYTES {
        let bytes = name.len();
        return Err(Error::invalid(format!(
            "the {what} name has {chars} characters and {bytes} bytes, the limits are {MAX_NAME_CHARS} and \
             {MAX_NAME_BYTES}"
        )));
    }
    let forbidden = |c: &char| (*c < ' ' && *c != '\t') || matches!(c, '\u{fffe}' | '\u{ffff}');
    if let Some(forbidden) = name.chars().find(forbidden) {
        return Err(Error::invalid(format!(
            "the {what} name {name:?} contains {forbidden:?}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        assert_eq!(fold("table", "Orders Ä_2024").unwrap(), "orders ä_2024");
        fold("table", &"x".repeat(255)).unwrap();
        let error = |name: &str| fold("table", name).unwrap_err().to_string();
        assert_eq!(error(""), "the table name is empty");
        assert_eq!(error("a\nb"), "the table name \"a\\nb\" contains '\\n'");
        assert_eq!(
            error(&"x".repeat(256)),
            "the table name has 256 characters and 256 bytes, the limits are 255 and 1000"
        );
        assert!(error(&"\u{1f600}".repeat(255)).contains("1020 bytes"));
    }
}
