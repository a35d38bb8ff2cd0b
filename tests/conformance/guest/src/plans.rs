//! The `plan` functions.

use tenon_sdk::prelude::*;
use tenon_sdk::serde_json::json;

/// Sums with the plugin's own functions.
pub(crate) struct Totals;

impl Plan for Totals {
    const NAME: &'static str = "totals";
    const DOCS: &'static str = "Sums n + 1 by k.";

    fn expand(_config: &Config, _inputs: &[NamedInput]) -> Result<Expansion> {
        Ok(Expansion::default()
            .apply("more", "add-one", &json!({}), &["input0"])
            .sql(
                "summed",
                r#"select k, total("add-one") as total, total(add_one(n)) as again
                   from more group by k order by k"#,
            )
            .output("totals", "summed"))
    }
}

/// Applies itself.
pub(crate) struct Itself;

impl Plan for Itself {
    const NAME: &'static str = "itself";
    const DOCS: &'static str = "A plan that applies a plan.";

    fn expand(_config: &Config, _inputs: &[NamedInput]) -> Result<Expansion> {
        Ok(Expansion::default()
            .apply("again", "itself", &json!({}), &["input0"])
            .output("out", "again"))
    }
}
