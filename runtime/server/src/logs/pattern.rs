//! Filter patterns for lines of plain text.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>
//!
//! ```text
//! a b        lines with both          ?a ?b     lines with one of them
//! "a b"      lines with this phrase   a -b      lines with a and without b
//! ```

use super::invalid;
use crate::fault::Fault;

/// What a line must have to be wanted.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// Reads a pattern; the empty one wants every line.
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        if rest.starts_with(['{', '[', '%']) {
            return Err(invalid(
                "filterPattern: lines of runs are plain text; patterns of terms are known (a \"b c\" ?d -e), of JSON, of \
                 fields and regular expressions are not",
            ));
        }
        while let Some(first) = rest.chars().next() {
            let (list, term) = match first {
                '?' => (&mut pattern.any, &rest[1..]),
                '-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = next_term(term)?;
            if !term.is_empty() {
                list.push(term);
            }
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    pub(super) fn wants(&self, line: &str) -> bool {
        let has = |term: &String| line.contains(term.as_str());
        self.all.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && !self.none.iter().any(has)
    }
}

/// A word or a phrase, and what comes behind.
fn next_term(text: &str) -> Result<(String, &str), Fault> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let (mut term, mut is_escaped) = (String::new(), false);
    for (at, character) in quoted.char_indices() {
        match character {
            '"' if !is_escaped => return Ok((term, &quoted[at + 1..])),
            '\\' if !is_escaped => is_escaped = true,
            character => {
                term.push(character);
                is_escaped = false;
            }
        }
    }
    Err(invalid("filterPattern: a quotation mark is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_all_one_of_or_none() {
        let wants = |pattern: &str, line: &str| Pattern::read(pattern).unwrap().wants(line);
        assert!(wants("", "anything") && wants("  ", ""));
        assert!(wants("rows out", "3 out of 4 rows") && !wants("rows out", "3 rows"));
        assert!(wants("\"rows out\"", "3 rows out") && !wants("\"rows out\"", "out rows"));
        assert!(wants("?a ?b", "b") && !wants("?a ?b", "c"));
        assert!(wants("a -b", "a") && !wants("a -b", "a b") && !wants("-\"b c\"", "ab c"));
        assert!(wants(r#""say \"x\"""#, r#"they say "x""#));
        for bad in ["{ $.a = 1 }", "[a, b]", "%x%", "\"a"] {
            assert_eq!(
                Pattern::read(bad).unwrap_err().name,
                "InvalidParameterException"
            );
        }
    }
}
