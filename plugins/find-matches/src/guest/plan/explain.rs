//! `explain-match`: why two records do or do not mean the same thing.

use tenon_sdk::prelude::*;
use tenon_sdk::serde_json::json;

use super::literal;
use super::roles::{Positions, Roles};
use super::steps::{self, Pairing};
use super::table::Table;

pub(in crate::guest) struct ExplainMatch;

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    id: String,
    a: String,
    b: String,
    labels: Option<usize>,
    model: Option<usize>,
    accuracy_cost: Option<f64>,
}

impl Plan for ExplainMatch {
    const NAME: &'static str = "explain-match";
    const DOCS: &'static str = "Takes the score of two records apart, column by column, and tells whether they were compared at all.";

    fn expand(config: &Config, inputs: &[NamedInput]) -> Result<Expansion> {
        let settings: Settings = config.parse()?;
        let positions = Positions {
            labels: settings.labels,
            model: settings.model,
            previous: None,
        };
        let id = settings.id.as_str();
        let roles = Roles::of(inputs, positions, 1..=2, Some(id))?;
        let tables = Table::all(&roles.tables, id)?;
        let pairing = if tables.len() > 1 {
            Pairing::Link
        } else {
            Pairing::Dedupe
        };
        let plan = steps::numbered(Expansion::default(), &tables);
        let plan = steps::profiled(plan, &tables, pairing, roles.model);
        let plan = steps::nominated(plan, &tables, pairing, settings.accuracy_cost);
        let plan = steps::labelled(plan, roles.labels, id);
        let plan = steps::learned(plan, roles.labels.is_some(), None);
        Ok(explained(plan, &tables, &settings)
            .output("weights", "weights")
            .output("verdict", "verdict"))
    }
}

fn explained(plan: Expansion, tables: &[Table<'_>], settings: &Settings) -> Expansion {
    // Of two linked tables, the first record is of the first and the second of the second.
    let last = tables.len() - 1;
    let width = tables
        .iter()
        .map(|table| table.compared.len())
        .max()
        .unwrap_or(0);
    let side = |side: usize, t: usize, id: &str| {
        let own = tables[t].compared.len();
        let columns: Vec<String> = (0..width)
            .map(|c| {
                if c < own {
                    format!("t.c{c}")
                } else {
                    format!("cast(null as varchar) as c{c}")
                }
            })
            .collect();
        format!(
            "select cast({side} as bigint) as side, {} from text{t} t join ids on t.rid = ids.rid where ids.id = {} \
             and ids.source = {t}",
            columns.join(", "),
            literal(id)
        )
    };
    let (a, b) = (literal(&settings.a), literal(&settings.b));
    let either = if last == 0 {
        format!("or x.id = {b} and y.id = {a}")
    } else {
        String::new()
    };
    let config = json!({
        "a": settings.a,
        "b": settings.b,
        "tables": [0, last],
        "columns": [tables[0].compared, tables[last].compared],
    });
    plan.sql(
        "sides",
        format!(
            "{} union all {}",
            side(1, 0, &settings.a),
            side(2, last, &settings.b)
        ),
    )
    .sql(
        "named",
        format!(
            "select count(*) as named from nominated join ids x on nominated.a = x.rid join ids y on nominated.b = y.rid \
             where x.id = {a} and y.id = {b} {either}"
        ),
    )
    .apply("explained", "explain", &config, &["learned", "sides", "named"])
    .sql(
        "weights",
        "select place, feature, value_a, value_b, agreement, weight from explained order by place",
    )
    .sql(
        "verdict",
        "select probability, threshold, score, is_match, compared, reason from explained where place = 0",
    )
}
