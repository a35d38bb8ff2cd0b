//! Which value of a group its golden record gets, as the command line says it.
//!
//! ```text
//! --rule 'phone: most_recent(updated)'    for one column
//! --rule longest                          for all columns that no other rule names
//! ```

use super::graph::Call;
use super::usage;
use crate::error::Failure;

/// What a rule may be; those with `(` take columns or values.
const RULES: [&str; 7] = [
    "most_complete",
    "majority",
    "longest",
    "min",
    "max",
    "most_recent(",
    "source(",
];

const FORMS: &str = "most_complete, majority, longest, min, max, most_recent(COLUMN) or source(COLUMN, FIRST, SECOND)";

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
    if !is_rule(rule) {
        return Err(format!("{rule:?} is no rule; use {FORMS}"));
    }
    Ok(Rule {
        column: column.map(str::to_owned),
        rule: rule.to_owned(),
    })
}

fn is_rule(text: &str) -> bool {
    RULES.iter().any(|rule| match rule.strip_suffix('(') {
        None => text == *rule,
        Some(_) => {
            let inside = text
                .strip_prefix(rule)
                .and_then(|rest| rest.strip_suffix(')'));
            inside.is_some_and(|inside| !inside.trim().is_empty())
        }
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
    }

    #[test]
    fn what_is_no_rule_is_refused_with_those_there_are() {
        for text in [
            "name: shortest",
            "most_recent",
            "most_recent()",
            "source( )",
            "longest(x)",
            ": min",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(
            parse("name: shortest")
                .unwrap_err()
                .contains("most_recent(COLUMN)")
        );
    }

    #[test]
    fn only_one_rule_is_for_all_columns() {
        let call = || Call::new("golden", "golden-records");
        assert!(add(call(), &[rule(None, "min"), rule(Some("a"), "max")]).is_ok());
        assert!(add(call(), &[rule(None, "min"), rule(None, "max")]).is_err());
    }
}
