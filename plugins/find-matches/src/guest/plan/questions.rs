//! `find-questions`: what a person should label next, pair by pair and as Glue's label sets.

use tenon_sdk::prelude::*;
use tenon_sdk::serde_json::json;

use super::quoted;
use super::roles::{Positions, Roles};
use super::steps::{self, Pairing, RID};
use super::table::{Table, output_columns, refuse_names};

pub(in crate::guest) struct FindQuestions;

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    id: String,
    labels: Option<usize>,
    model: Option<usize>,
    sets: Option<usize>,
    rows: Option<usize>,
    questions: Option<usize>,
    accuracy_cost: Option<f64>,
}

/// Rows of a set at most, as for labels that come back.
const ROWS: usize = 50;

impl Plan for FindQuestions {
    const NAME: &'static str = "find-questions";
    const DOCS: &'static str =
        "Chooses what a person should label next: pairs of records, and label sets in Glue's form.";

    fn expand(config: &Config, inputs: &[NamedInput]) -> Result<Expansion> {
        let settings: Settings = config.parse()?;
        let positions = Positions {
            labels: settings.labels,
            model: settings.model,
            previous: None,
        };
        let id = settings.id.as_str();
        let roles = Roles::of(inputs, positions, 1..=2, Some(id))?;
        let rows = settings.rows.unwrap_or(10);
        if !(2..=ROWS).contains(&rows) {
            return Err(Error::Unsupported(format!(
                "parameter \"rows\" is {rows}; a label set has 2 to {ROWS}"
            )));
        }
        let tables = Table::all(&roles.tables, id)?;
        refuse_names(
            &tables,
            &[
                "labeling_set_id",
                "label",
                "question",
                "side",
                "probability",
            ],
        )?;
        let pairing = if tables.len() > 1 {
            Pairing::Link
        } else {
            Pairing::Dedupe
        };
        let labels = roles.labels.is_some();
        let plan = steps::numbered(Expansion::default(), &tables);
        let plan = steps::profiled(plan, &tables, pairing, roles.model);
        let plan = steps::nominated(plan, &tables, pairing, settings.accuracy_cost);
        let plan = steps::labelled(plan, roles.labels, id);
        let plan = steps::learned(plan, labels, None);
        let config = json!({
            "labels": labels,
            "sets": settings.sets.unwrap_or(10),
            "rows": rows,
            "questions": settings.questions.unwrap_or(20),
        });
        let mut read = vec!["learned"];
        read.extend(labels.then_some("labelled"));
        read.extend(["nominated", "encoded"]);
        let plan = plan.apply("asked", "ask", &config, &read);
        Ok(shown(plan, &tables, labels)
            .output("sets", "sets")
            .output("questions", "questions"))
    }
}

/// The chosen records with all their columns as text.
fn shown(plan: Expansion, tables: &[Table<'_>], labels: bool) -> Expansion {
    let columns = output_columns(tables);
    let parts: Vec<String> = tables
        .iter()
        .enumerate()
        .map(|(t, table)| {
            let own: Vec<String> = columns.iter().map(|column| column.text_of(table)).collect();
            format!(
                "select a.kind as __kind, a.number as __number, a.place as __place, a.probability as __probability, {} \
                 from asked a join numbered{t} n on a.rid = n.{RID}",
                own.join(", ")
            )
        })
        .collect();
    let names: Vec<String> = columns.iter().map(|column| quoted(column.name)).collect();
    let names = names.join(", ");
    // Sets go on counting after those that were labelled, so that files can be joined.
    let before = if labels {
        " + (select coalesce(max(try_cast(labeling_set_id as bigint)), 0) from label_rows)"
    } else {
        ""
    };
    plan.sql("chosen", parts.join(" union all "))
        .sql(
            "sets",
            format!(
                "select cast(__number{before} as varchar) as labeling_set_id, '' as label, {names} from chosen \
                 where __kind = 'set' order by __number, __place"
            ),
        )
        .sql(
            "questions",
            format!(
                "select __number as question, __place as side, __probability as probability, {names} from chosen \
                 where __kind = 'question' order by __number, __place"
            ),
        )
}
