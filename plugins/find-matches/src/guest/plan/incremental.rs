//! `find-incremental-matches`: new records into the groups of an earlier result, without comparing the old ones again.

use tenon_sdk::prelude::*;

use super::matches::check_share;
use super::quoted;
use super::roles::{Positions, Roles};
use super::steps::{self, Pairing, Respects};
use super::table::Table;

pub(in crate::guest) struct FindIncrementalMatches;

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    id: String,
    model: Option<usize>,
    /// The column of the existing records that holds their group.
    #[serde(default = "match_id")]
    match_id: String,
    accuracy_cost: Option<f64>,
}

fn match_id() -> String {
    "match_id".to_owned()
}

impl Plan for FindIncrementalMatches {
    const NAME: &'static str = "find-incremental-matches";
    const DOCS: &'static str = "Puts new records into the groups of an earlier result or into groups of their own, without comparing the earlier ones again.";

    fn expand(config: &Config, inputs: &[NamedInput]) -> Result<Expansion> {
        let settings: Settings = config.parse()?;
        check_share("accuracy_cost", settings.accuracy_cost)?;
        let positions = Positions {
            model: settings.model,
            ..Positions::default()
        };
        let id = settings.id.as_str();
        let roles = Roles::of(inputs, positions, 2..=2, Some(id))?;
        let Some(model) = roles.model else {
            return Err(Error::Unsupported(
                "find-incremental-matches needs the model of the earlier result: keep output 3 of find-matches and \
                 name its input"
                    .to_owned(),
            ));
        };
        let mut tables = Table::all(&roles.tables, id)?;
        let column = &settings.match_id;
        let existing = &tables[0].input.schema;
        let column = existing.field(tenon_sdk::column(existing, column)?).name();
        tables[0].compared.retain(|compared| compared != column);
        let respects = Respects {
            labels: false,
            previous: Some("stands"),
        };
        let plan = steps::numbered(Expansion::default(), &tables);
        let plan = steps::profiled(plan, &tables, Pairing::Fresh, Some(model));
        let plan = steps::nominated(plan, &tables, Pairing::Fresh, settings.accuracy_cost);
        let plan = steps::scored(plan, "profiled").sql(
            "earlier",
            format!(
                "select {} as rid, cast({} as bigint) as match_id from numbered0",
                steps::RID,
                quoted(column)
            ),
        );
        let plan = steps::grouped(plan, "profiled", false, respects);
        let plan = steps::results(plan, &tables, false);
        Ok(steps::merged(plan, true)
            .output("matches", "result")
            .output("pairs", "pairs")
            .output("clusters", "clusters")
            .output("merged", "merged"))
    }
}
