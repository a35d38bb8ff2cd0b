//! Plans that reach for what is not theirs.

use tenon_sdk::bindings::base::tenon::plugin::types::Error;
use tenon_sdk::bindings::plan::exports::tenon::plugin::plan::{
    Body, Expansion, Guest, Input, Output, Step,
};

use crate::Hostile;

/// Thirty tables, each twice the one before it.
const DOUBLES: &str = "doubles";
/// Definitions in definitions in definitions.
const NESTS: &str = "nests";

/// Each function and the query of its one step.
pub(crate) const ALL: &[(&str, &str)] = &[
    (
        "plan-defines-a-table",
        "create table stolen as select * from input0",
    ),
    ("plan-doubles-thirty-times", DOUBLES),
    ("plan-names-a-catalog-table", "select * from t.out"),
    ("plan-names-a-later-step", "select * from step1"),
    ("plan-names-itself", "select * from step0"),
    ("plan-nests-twenty-definitions", NESTS),
    ("plan-reads-a-file", "select * from '/etc/passwd'"),
    (
        "plan-reads-the-schema",
        "select * from information_schema.tables",
    ),
    ("plan-says-two-things", "select * from input0; select 1"),
    (
        "plan-sets-a-variable",
        "set datafusion.execution.batch_size = 1",
    ),
    (
        "plan-writes-a-file",
        "copy input0 to '/tmp/tenon-hostile.csv'",
    ),
];

fn written(query: &str) -> String {
    match query {
        DOUBLES => {
            let tables =
                (1..30).map(|n| format!("t{n} as (select a.* from t{0} a, t{0} b)", n - 1));
            let tables: Vec<String> = tables.collect();
            format!(
                "with t0 as (select * from input0), {} select * from t29",
                tables.join(", ")
            )
        }
        NESTS => format!(
            "{}select * from input0{}",
            "with t as (".repeat(20),
            ") select * from t".repeat(20)
        ),
        other => other.to_owned(),
    }
}

impl Guest for Hostile {
    fn expand(function: String, _config: String, _inputs: Vec<Input>) -> Result<Expansion, Error> {
        let Some((_, query)) = ALL.iter().find(|(name, _)| *name == function) else {
            return Err(Error::Unsupported(format!("there is no plan {function:?}")));
        };
        let step = Step {
            name: "step0".to_owned(),
            body: Body::Sql(written(query)),
        };
        Ok(Expansion {
            steps: vec![step],
            outputs: vec![Output {
                name: "out".to_owned(),
                step: "step0".to_owned(),
            }],
        })
    }
}

tenon_sdk::bindings::plan::export_plan!(Hostile with_types_in tenon_sdk::bindings::plan);
