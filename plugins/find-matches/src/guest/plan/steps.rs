//! Steps that plans share, in the order in which they are added.

use tenon_sdk::prelude::*;
use tenon_sdk::serde_json::json;

use super::quoted;
use super::table::{Table, output_columns};
use crate::profile::column_key;

/// How sure an earlier result was of a record's place.
const CONFIDENCE: &str = "match_confidence";
/// The row number, next to the user's own columns.
pub(super) const RID: &str = "__tenon_rid";

/// `numbered{t}`: rows with their number, over all tables. `text{t}`: number and compared columns as text. `ids`: `id` as
/// text, `rid`, `source` (which table, from 0).
pub(super) fn numbered(mut plan: Expansion, tables: &[Table<'_>]) -> Expansion {
    let mut ids = Vec::new();
    for (t, table) in tables.iter().enumerate() {
        let before: Vec<String> = (0..t)
            .map(|t| format!(" + (select count(*) from numbered{t})"))
            .collect();
        let (input, before) = (&table.input.name, before.concat());
        plan = plan.sql(
            &format!("numbered{t}"),
            format!("select *, cast(row_number() over () - 1{before} as int unsigned) as {RID} from {input}"),
        );
        let columns: Vec<String> = table
            .compared
            .iter()
            .enumerate()
            .map(|(c, name)| format!("cast({} as varchar) as c{c}", quoted(name)))
            .collect();
        plan = plan.sql(
            &format!("text{t}"),
            format!(
                "select {RID} as rid, {} from numbered{t}",
                columns.join(", ")
            ),
        );
        ids.push(format!(
            "select cast({} as varchar) as id, {RID} as rid, cast({t} as bigint) as source from numbered{t}",
            quoted(table.id)
        ));
    }
    plan.sql("ids", ids.join(" union all "))
}

/// `profiled`: the archive of the tables' profile, or a kept model that fits them.
pub(super) fn profiled(
    mut plan: Expansion,
    tables: &[Table<'_>],
    pairing: Pairing,
    model: Option<&NamedInput>,
) -> Expansion {
    let names: Vec<&Vec<&str>> = tables.iter().map(|table| &table.compared).collect();
    if let Some(model) = model {
        let config = json!({ "tables": names, "link": pairing == Pairing::Link });
        return plan.apply("profiled", "open-model", &config, &[&model.name]);
    }
    let mut counted = Vec::new();
    for half in 0..2 {
        let columns: Vec<Vec<usize>> = tables
            .iter()
            .map(|table| columns_of(half, tables, table))
            .collect();
        if columns.iter().all(Vec::is_empty) {
            continue;
        }
        let mut values = Vec::new();
        for (t, columns) in columns.iter().enumerate() {
            let name = format!("values{half}_{t}");
            // A table none of whose columns is of this half still has rows to count.
            let own: Vec<String> = columns.iter().map(|c| format!("c{c}")).collect();
            let own = if own.is_empty() {
                "c0".to_owned()
            } else {
                own.join(", ")
            };
            plan = plan.sql(&name, format!("select {own} from text{t}"));
            values.push(name);
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let config = json!({ "tables": names, "columns": columns });
        plan = plan.apply(&format!("counted{half}"), "count-columns", &config, &values);
        counted.push(format!("select part from counted{half}"));
    }
    // Side by side: each counts half of the columns, over all rows.
    plan.sql("parts", counted.join(" union all ")).apply(
        "profiled",
        "profile",
        &json!({}),
        &["parts"],
    )
}

/// The columns of a table that one of two instances counts. Columns of one name go together, whatever their tables.
fn columns_of(half: usize, tables: &[Table<'_>], table: &Table<'_>) -> Vec<usize> {
    let mut keys: Vec<String> = Vec::new();
    for name in tables.iter().flat_map(|table| &table.compared) {
        let key = column_key(name);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let half_of = |name: &str| {
        keys.iter()
            .position(|key| *key == column_key(name))
            .map(|at| at % 2)
    };
    let own = table.compared.iter().enumerate();
    own.filter(|(_, name)| half_of(name) == Some(half))
        .map(|(at, _)| at)
        .collect()
}

/// How the tables stand to each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    /// One table, in itself.
    Dedupe,
    /// Two tables, across.
    Link,
    /// A table that was matched, and new rows of the same columns.
    Fresh,
}

impl Pairing {
    fn facing(self) -> &'static str {
        match self {
            Self::Dedupe => "all",
            Self::Link => "across",
            Self::Fresh => "fresh",
        }
    }
}

/// `encoded`: blob and keys of every record. `nominated`: the pairs worth comparing.
pub(super) fn nominated(
    mut plan: Expansion,
    tables: &[Table<'_>],
    pairing: Pairing,
    accuracy: Option<f64>,
) -> Expansion {
    let mut encoded = Vec::new();
    for (t, table) in tables.iter().enumerate() {
        let config = json!({
            "table": if pairing == Pairing::Link { t } else { 0 },
            "source": t,
            "columns": table.compared,
        });
        let inputs = ["profiled", &format!("text{t}")];
        plan = plan.apply(&format!("encoded{t}"), "encode", &config, &inputs);
        encoded.push(format!("select * from encoded{t}"));
    }
    let config = json!({ "facing": pairing.facing(), "accuracy": accuracy.unwrap_or(0.5) });
    plan.sql("encoded", encoded.join(" union all ")).apply(
        "nominated",
        "nominate",
        &config,
        &["encoded"],
    )
}

/// `labelled`: the label rows with the records that they name.
pub(super) fn labelled(plan: Expansion, labels: Option<&NamedInput>, id: &str) -> Expansion {
    let Some(labels) = labels else { return plan };
    let (input, id) = (&labels.name, quoted(id));
    plan.sql(
        "label_rows",
        format!(
            "select cast(row_number() over () as bigint unsigned) as line, \
             coalesce(cast(labeling_set_id as varchar), '') as labeling_set_id, \
             coalesce(cast(label as varchar), '') as label, coalesce(cast({id} as varchar), '') as id from {input}"
        ),
    )
    .sql(
        "labelled",
        "select l.line, l.labeling_set_id, l.label, l.id, ids.rid from label_rows l left join ids on l.id = ids.id",
    )
}

/// `learned`: the archive with a model; its second column is the quality to expect.
pub(super) fn learned(plan: Expansion, labels: bool, precision_recall: Option<f64>) -> Expansion {
    let config = json!({ "labels": labels, "precision_recall": precision_recall });
    let mut inputs = vec!["profiled"];
    inputs.extend(labels.then_some("labelled"));
    inputs.extend(["nominated", "encoded"]);
    plan.apply("learned", "learn", &config, &inputs)
}

/// `scored`: all candidates with their probability. `model` is the step that has the archive.
pub(super) fn scored(plan: Expansion, model: &str) -> Expansion {
    plan.apply(
        "scored",
        "score",
        &json!({}),
        &[model, "encoded", "nominated"],
    )
}

/// What grouping respects.
#[derive(Clone, Copy, Default)]
pub(super) struct Respects {
    pub(super) labels: bool,
    /// An earlier result (step `earlier`): `names` or `stands`.
    pub(super) previous: Option<&'static str>,
}

/// `grouped`: the group of every record.
pub(super) fn grouped(plan: Expansion, model: &str, link: bool, respects: Respects) -> Expansion {
    let config = json!({
        "link": link,
        "labels": respects.labels,
        "previous": respects.previous.unwrap_or("none"),
    });
    let mut inputs = vec![model];
    inputs.extend(respects.labels.then_some("labelled"));
    inputs.extend(respects.previous.map(|_| "earlier"));
    inputs.extend(["encoded", "scored"]);
    plan.apply("grouped", "cluster", &config, &inputs)
}

/// `result`: every row with its group. `pairs`: the pairs that hold. `clusters`: one row for each group.
pub(super) fn results(plan: Expansion, tables: &[Table<'_>], source: bool) -> Expansion {
    let columns = output_columns(tables);
    let mut results = Vec::new();
    for (t, table) in tables.iter().enumerate() {
        let own: Vec<String> = columns.iter().map(|column| column.of(table)).collect();
        let number = if source {
            format!("cast({} as bigint) as match_source, ", t + 1)
        } else {
            String::new()
        };
        // What was not looked at again keeps what an earlier run said.
        let confidence = if table.has_number(CONFIDENCE) {
            format!("coalesce(grouped.match_confidence, cast(n.{CONFIDENCE} as double))")
        } else {
            "grouped.match_confidence".to_owned()
        };
        results.push(format!(
            "select {}, {number}grouped.match_id, {confidence} as match_confidence, n.{RID} from numbered{t} n \
             join grouped on n.{RID} = grouped.rid",
            own.join(", ")
        ));
    }
    let names: Vec<String> = columns.iter().map(|column| quoted(column.name)).collect();
    let source = if source { "match_source, " } else { "" };
    plan.sql("joined", results.join(" union all "))
        .sql(
            "result",
            format!(
                "select {}, {source}match_id, match_confidence from joined order by {RID}",
                names.join(", ")
            ),
        )
        .sql(
            "pairs",
            "select x.id as id1, y.id as id2, scored.probability from scored \
             join ids x on scored.a = x.rid join ids y on scored.b = y.rid \
             join grouped g on scored.a = g.rid join grouped h on scored.b = h.rid \
             where scored.is_match and g.match_id = h.match_id order by scored.probability desc, scored.a, scored.b",
        )
        .sql(
            "groups",
            "select match_id, count(*) as records, case when count(*) = 1 then 1.0 else max(weakest) end as confidence, \
             max(weakest_a) as a, max(weakest_b) as b from grouped group by match_id",
        )
        .sql(
            "clusters",
            "select groups.match_id, groups.records, groups.confidence, x.id as weakest_id1, y.id as weakest_id2 \
             from groups left join ids x on groups.a = x.rid left join ids y on groups.b = y.rid order by groups.match_id",
        )
}

/// `earlier`: the records' groups in an earlier result. Linked tables may use the same ids: the result says whose is which.
pub(super) fn earlier(plan: Expansion, previous: &NamedInput, id: &str) -> Expansion {
    let (rows, id) = (&previous.name, quoted(id));
    let source = if previous.schema.index_of("match_source").is_ok() {
        "and cast(p.match_source as bigint) = ids.source + 1"
    } else {
        ""
    };
    plan.sql(
        "earlier",
        format!(
            "select ids.rid, cast(p.match_id as bigint) as match_id from {rows} p join ids \
             on cast(p.{id} as varchar) = ids.id {source}"
        ),
    )
}

/// `merged`: earlier groups that became one or were split. Without an earlier result there are none.
pub(super) fn merged(plan: Expansion, earlier: bool) -> Expansion {
    if !earlier {
        return plan.sql(
            "merged",
            "select match_id as previous_id, match_id from grouped where false",
        );
    }
    plan.sql(
        "moves",
        "select distinct p.match_id as previous_id, g.match_id from earlier p join grouped g on p.rid = g.rid \
         where p.match_id is not null",
    )
    .sql(
        "counted_moves",
        "select previous_id, match_id, count(*) over (partition by previous_id) as parts from moves",
    )
    .sql(
        "merged",
        "select previous_id, match_id from counted_moves where previous_id <> match_id or parts > 1 \
         order by previous_id, match_id",
    )
}
