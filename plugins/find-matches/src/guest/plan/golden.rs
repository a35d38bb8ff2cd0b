//! `golden-records`: one record for each group, put together from its members by rules (survivorship).

use tenon_sdk::prelude::*;

use super::{literal, quoted};

pub(in crate::guest) struct GoldenRecords;

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    #[serde(default = "match_id")]
    match_id: String,
    /// For columns without one of their own.
    #[serde(default = "most_complete")]
    rule: String,
    /// `column: rule`.
    #[serde(default)]
    rules: Vec<String>,
}

fn match_id() -> String {
    "match_id".to_owned()
}

fn most_complete() -> String {
    "most_complete".to_owned()
}

/// Which of a group's values survives.
enum Rule {
    /// That of the record with the most values.
    MostComplete,
    /// The most frequent.
    Majority,
    /// The longest as text.
    Longest,
    /// That of the record with the largest value in this column.
    MostRecent(String),
    /// That of the record whose value in this column stands first in the list.
    Source(String, Vec<String>),
    Min,
    Max,
}

const RULES: &str = "most_complete, majority, longest, most_recent(COLUMN), source(COLUMN, first, second, ...), min, max";

impl Rule {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')')),
            None => (text, Some("")),
        };
        let arguments: Option<Vec<String>> = arguments.map(|list| {
            let parts = list.split(',').map(|part| part.trim().to_owned());
            parts.filter(|part| !part.is_empty()).collect()
        });
        let rule = match (name, arguments.as_deref()) {
            ("most_complete", Some([])) => Self::MostComplete,
            ("majority", Some([])) => Self::Majority,
            ("longest", Some([])) => Self::Longest,
            ("min", Some([])) => Self::Min,
            ("max", Some([])) => Self::Max,
            ("most_recent", Some([column])) => Self::MostRecent(column.clone()),
            ("source", Some([column, order @ ..])) if !order.is_empty() => {
                Self::Source(column.clone(), order.to_vec())
            }
            _ => {
                return Err(Error::Unsupported(format!(
                    "{text:?} is no rule; there are {RULES}"
                )));
            }
        };
        Ok(rule)
    }

    /// The column that the rule itself reads.
    fn column(&self) -> Option<&str> {
        match self {
            Self::MostRecent(column) | Self::Source(column, _) => Some(column),
            _ => None,
        }
    }

    /// The surviving value of the column at `at`. `columns` are all columns: a rule may read another one.
    fn survivor(&self, at: usize, columns: &[(&str, &DataType)]) -> String {
        let value = format!("{PREFIX}v{at}");
        let first = |order: &str| {
            format!(
                "first_value({value} order by {order}, {PREFIX}rid) filter (where {value} is not null)"
            )
        };
        match self {
            Self::MostComplete => first(&format!("{PREFIX}fullness desc")),
            Self::Majority => first(&format!("{PREFIX}n{at} desc")),
            Self::Longest => first(&format!("character_length(cast({value} as varchar)) desc")),
            Self::MostRecent(column) => {
                let other = columns.iter().position(|(name, _)| name == column);
                match other {
                    Some(other) => first(&ordered(other, columns, "desc nulls last")),
                    None => first(&format!("{} desc nulls last", quoted(column))),
                }
            }
            Self::Source(column, order) => {
                let ranks: Vec<String> = order
                    .iter()
                    .enumerate()
                    .map(|(rank, source)| format!("when {} then {rank}", literal(source)))
                    .collect();
                let column = quoted(column);
                first(&format!(
                    "case cast({column} as varchar) {} else {} end",
                    ranks.join(" "),
                    order.len()
                ))
            }
            Self::Min => first(&ordered(at, columns, "asc nulls last")),
            Self::Max => first(&ordered(at, columns, "desc nulls last")),
        }
    }

    /// The column, of all, that it orders by value.
    fn orders(&self, at: usize, columns: &[(&str, &DataType)]) -> Option<usize> {
        match self {
            Self::Min | Self::Max => Some(at),
            Self::MostRecent(column) => columns.iter().position(|(name, _)| name == column),
            _ => None,
        }
    }
}

/// Names of the plan's own columns begin so, that they meet none of the user's.
const PREFIX: &str = "__tenon_";

/// Orders by a column: texts that are all numbers by number.
fn ordered(at: usize, columns: &[(&str, &DataType)], direction: &str) -> String {
    let value = format!("{PREFIX}v{at}");
    if is_text(columns[at].1) {
        format!(
            "case when {PREFIX}numeric{at} then try_cast({value} as double) end {direction}, {value} {direction}"
        )
    } else {
        format!("{value} {direction}")
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

impl Plan for GoldenRecords {
    const NAME: &'static str = "golden-records";
    const DOCS: &'static str =
        "Makes one record of each group of matches: rules say which value of each column survives.";

    fn expand(config: &Config, inputs: &[NamedInput]) -> Result<Expansion> {
        let settings: Settings = config.parse()?;
        let [input] = inputs else {
            return Err(Error::Unsupported(format!(
                "golden-records takes one table with match ids, not {}",
                inputs.len()
            )));
        };
        let schema = &input.schema;
        tenon_sdk::column(schema, &settings.match_id)?;
        let columns: Vec<(&str, &DataType)> = schema
            .fields()
            .iter()
            .map(|field| (field.name().as_str(), field.data_type()))
            .filter(|(name, _)| *name != settings.match_id && *name != "match_confidence")
            .collect();
        if columns.is_empty() {
            return Err(Error::Unsupported(format!(
                "there is no column beside {:?} to make records of",
                settings.match_id
            )));
        }
        if columns.iter().any(|(name, _)| *name == "records") {
            return Err(Error::Unsupported(
                "the column \"records\" has the name of one that comes out beside it; rename it first".to_owned(),
            ));
        }
        let rules = rules(&settings, schema, &columns)?;
        Ok(golden(&settings, input, &columns, &rules).output("golden", "golden"))
    }
}

/// The rule of each column.
fn rules(
    settings: &Settings,
    schema: &SchemaRef,
    columns: &[(&str, &DataType)],
) -> Result<Vec<Rule>> {
    let mut own = Vec::new();
    for text in &settings.rules {
        let Some((column, rule)) = text.split_once(':') else {
            return Err(Error::Unsupported(format!(
                "{text:?} is not of the form COLUMN: RULE; rules are {RULES}"
            )));
        };
        let column = column.trim();
        tenon_sdk::column(schema, column)?;
        own.push((column, rule));
    }
    let rule = |(name, _): &(&str, &DataType)| {
        let text = own.iter().find(|(column, _)| column == name);
        let rule = Rule::parse(text.map_or(settings.rule.as_str(), |(_, rule)| rule))?;
        if let Some(column) = rule.column() {
            tenon_sdk::column(schema, column)?;
        }
        Ok(rule)
    };
    columns.iter().map(rule).collect()
}

/// Empty texts are missing values. A record without a match id is a group of its own.
fn golden(
    settings: &Settings,
    input: &NamedInput,
    columns: &[(&str, &DataType)],
    rules: &[Rule],
) -> Expansion {
    let group = quoted(&settings.match_id);
    let values: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, (name, data_type))| {
            let name = quoted(name);
            if is_text(data_type) {
                format!("nullif({name}, '') as {PREFIX}v{at}")
            } else {
                format!("{name} as {PREFIX}v{at}")
            }
        })
        .collect();
    let fullness: Vec<String> = (0..columns.len())
        .map(|at| format!("case when {PREFIX}v{at} is null then 0 else 1 end"))
        .collect();
    let survivors: Vec<String> = columns
        .iter()
        .zip(rules)
        .enumerate()
        .map(|(at, ((name, _), rule))| {
            format!("{} as {}", rule.survivor(at, columns), quoted(name))
        })
        .collect();
    Expansion::default()
        .sql(
            "members",
            format!(
                "select *, {}, row_number() over () as {PREFIX}rid from {}",
                values.join(", "),
                input.name
            ),
        )
        .sql(
            "ranked",
            format!(
                "select *, {} as {PREFIX}fullness, case when {group} is null then {PREFIX}rid end as {PREFIX}alone{} \
                 from members",
                fullness.join(" + "),
                extras(&group, columns, rules).concat()
            ),
        )
        .sql(
            "golden",
            format!(
                "select {group}, count(*) as records, {} from ranked group by {group}, {PREFIX}alone \
                 order by try_cast({group} as double) nulls last, {group} nulls last, min({PREFIX}rid)",
                survivors.join(", ")
            ),
        )
}

/// What rules need of all records: how frequent a value is in its group, whether a column of texts is one of numbers.
fn extras(group: &str, columns: &[(&str, &DataType)], rules: &[Rule]) -> Vec<String> {
    let mut extras = Vec::new();
    let mut numeric = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        if matches!(rule, Rule::Majority) {
            extras.push(format!(
                ", count({PREFIX}v{at}) over (partition by {group}, {PREFIX}v{at}) as {PREFIX}n{at}"
            ));
        }
        numeric.extend(
            rule.orders(at, columns)
                .filter(|at| is_text(columns[*at].1)),
        );
    }
    numeric.sort_unstable();
    numeric.dedup();
    extras.extend(numeric.into_iter().map(|at| {
        format!(
            ", bool_and({PREFIX}v{at} is null or try_cast({PREFIX}v{at} as double) is not null) over () \
             as {PREFIX}numeric{at}"
        )
    }));
    extras
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_none_are_named() {
        assert!(matches!(Rule::parse(" majority "), Ok(Rule::Majority)));
        assert!(matches!(
            Rule::parse("source(origin, crm, web)"),
            Ok(Rule::Source(column, order)) if column == "origin" && order == ["crm", "web"]
        ));
        for wrong in [
            "",
            "newest",
            "most_recent",
            "most_recent(a, b)",
            "source(x)",
            "min(",
            "max(a)",
        ] {
            let error = Rule::parse(wrong).map(|_| ()).unwrap_err().to_string();
            assert!(
                error.contains("is no rule; there are most_complete"),
                "{error}"
            );
        }
    }
}
