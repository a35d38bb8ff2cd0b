//! `find-matches`: records that mean the same thing, within one table or across two.

use tenon_sdk::prelude::*;

use super::roles::{Positions, Roles};
use super::steps::{self, Pairing, Respects};
use super::table::Table;

pub(in crate::guest) struct FindMatches;

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    /// The column that identifies a record; it is not compared.
    id: String,
    labels: Option<usize>,
    model: Option<usize>,
    previous: Option<usize>,
    precision_recall: Option<f64>,
    accuracy_cost: Option<f64>,
    #[serde(default)]
    enforce_labels: bool,
    /// Whether a model that comes with labels learns from them; it may know them already.
    #[serde(default = "yes")]
    retrain: bool,
}

fn yes() -> bool {
    true
}

/// Refuses a trade-off outside of 0 to 1.
pub(super) fn check_share(name: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => Err(Error::Unsupported(format!(
            "parameter {name:?} is {value}; it goes from 0 to 1"
        ))),
        _ => Ok(()),
    }
}

impl Plan for FindMatches {
    const NAME: &'static str = "find-matches";
    const DOCS: &'static str = "Finds records that mean the same thing: within one table, or across two. Needs nothing but the name of the id column.";

    fn expand(config: &Config, inputs: &[NamedInput]) -> Result<Expansion> {
        let settings: Settings = config.parse()?;
        check_share("precision_recall", settings.precision_recall)?;
        check_share("accuracy_cost", settings.accuracy_cost)?;
        let positions = Positions {
            labels: settings.labels,
            model: settings.model,
            previous: settings.previous,
        };
        let id = settings.id.as_str();
        let roles = Roles::of(inputs, positions, 1..=2, Some(id))?;
        if settings.enforce_labels && roles.labels.is_none() {
            return Err(Error::Unsupported(
                "enforce_labels needs labels: name their input".to_owned(),
            ));
        }
        let tables = Table::all(&roles.tables, id)?;
        let link = tables.len() > 1;
        let pairing = if link { Pairing::Link } else { Pairing::Dedupe };
        let labels = roles.labels.is_some();
        let respects = Respects {
            labels: settings.enforce_labels,
            previous: roles.previous.map(|_| "names"),
        };
        let plan = steps::numbered(Expansion::default(), &tables);
        let plan = steps::profiled(plan, &tables, pairing, roles.model);
        let plan = steps::nominated(plan, &tables, pairing, settings.accuracy_cost);
        let plan = steps::labelled(plan, roles.labels, id);
        let taught = labels && (settings.retrain || roles.model.is_none());
        let plan = steps::learned(plan, taught, settings.precision_recall);
        let plan = steps::scored(plan, "learned");
        let plan = match roles.previous {
            Some(previous) => steps::earlier(plan, previous, id),
            None => plan,
        };
        let plan = steps::grouped(plan, "learned", link, respects);
        let plan = steps::results(plan, &tables, link);
        let plan = steps::merged(plan, roles.previous.is_some())
            .sql("model", "select archive as model from learned")
            .sql("quality", "select quality from learned");
        Ok(plan
            .output("matches", "result")
            .output("pairs", "pairs")
            .output("clusters", "clusters")
            .output("model", "model")
            .output("quality", "quality")
            .output("merged", "merged"))
    }
}
