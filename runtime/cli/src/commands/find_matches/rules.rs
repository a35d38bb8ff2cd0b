//! Which value of a group its golden record gets, as the command line says it.
//!
//! ```text
//! --rule 'phone: most_recent(updated)'    for one column
//! --rule longest                          for all columns that no other rule names
//! ```
//!
//! What a rule is, the plugin knows: here only what it is for is told apart.

use super::graph::Call;
use super::usage;
use crate::error::Failure;

/// One `--rule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// The column it is for; none for all others.
    column: Option<String>,
    rule: String,
}

/// Reads one, for clap.
pub(super) fn parse(text: &str) -> Result<Rule, String> {
    let (column, rule) = match text.split_once(':') {
        Some((column, rule)) if !column.contains('(') => (Some(column.trim()), rule.trim()),
        _ => (None, text.trim()),
    };
    if column == Some("") {
        return Err(format!("{text:?} names no column in front of the colon"));
    }
    Ok(Rule {
        column: column.map(str::to_owned),
        rule: rule.to_owned(),
    })
}

/// The same call with these rules.
///
/// # Errors
/// Two are for all columns.
pub(super) fn add(call: Call, rules: &[Rule]) -> Result<Call, Failure> {
    let (single, general): (Vec<&Rule>, Vec<&Rule>) =
        rules.iter().partition(|rule| rule.column.is_some());
    if let [first, second, ..] = general.as_slice() {
        let what = format!(
            "--rule: {} and {} are both for all columns",
            first.rule, second.rule
        );
        return Err(usage(what).with_hint("put a column in front of one: --rule 'COLUMN: RULE'"));
    }
    let call = match general.first() {
        Some(rule) => call.text("rule", rule.rule.as_str()),
        None => call,
    };
    let texts = single.iter().filter_map(|rule| {
        let column = rule.column.as_ref()?;
        Some(format!("{column}: {}", rule.rule))
    });
    Ok(call.list("rules", texts.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(column: Option<&str>, rule: &str) -> Rule {
        Rule {
            column: column.map(str::to_owned),
            rule: rule.to_owned(),
        }
    }

    #[test]
    fn a_rule_is_for_a_column_or_for_all() {
        assert_eq!(parse("name:longest"), Ok(rule(Some("name"), "longest")));
        assert_eq!(parse(" majority "), Ok(rule(None, "majority")));
        assert_eq!(
            parse("phone: most_recent(updated)"),
            Ok(rule(Some("phone"), "most_recent(updated)"))
        );
        // A colon in the values of a rule is not the one behind a column.
        assert_eq!(
            parse("source(system, crm:eu)"),
            Ok(rule(None, "source(system, crm:eu)"))
        );
        assert!(parse(" : min").is_err());
    }

    #[test]
    fn only_one_rule_is_for_all_columns() {
        let call = || Call::new("golden", "golden-records");
        assert!(add(call(), &[rule(None, "min"), rule(Some("a"), "max")]).is_ok());
        assert!(add(call(), &[rule(None, "min"), rule(None, "max")]).is_err());
    }
}
