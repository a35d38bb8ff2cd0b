//! `find-matches`: the plan. Everything relational is here, as SQL for the host.

use tenon_sdk::prelude::*;
use tenon_sdk::serde_json::json;

/// Largest block whose pairs are compared. Keys that more records share are left to the tighter ones beside them.
pub const CAP: u64 = 60;
/// Best candidates kept for each record: more finds little and costs time, fewer loses large groups.
pub const TOP: u64 = 10;
/// Equal records beyond this many are represented by one of them: together they would overflow every block.
pub const REPEATS: u64 = 15;
/// The row number, next to the user's own columns.
const RID: &str = "__tenon_rid";

pub(super) struct FindMatches;

#[derive(serde::Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    /// The column that identifies a record; it is not compared.
    id: String,
}

impl Plan for FindMatches {
    const NAME: &'static str = "find-matches";
    const DOCS: &'static str = "Finds records that mean the same thing: within one table, or across two. Needs nothing but the name of the id column.";

    fn expand(config: &Config, inputs: &[NamedInput]) -> Result<Expansion> {
        let settings: Settings = config.parse()?;
        if inputs.len() > 2 {
            return Err(Error::Unsupported(format!(
                "find-matches takes one table or two, not {}",
                inputs.len()
            )));
        }
        let tables = inputs
            .iter()
            .map(|input| Table::of(input, &settings.id))
            .collect::<Result<Vec<_>>>()?;
        let plan = records(Expansion::default(), &tables);
        let plan = candidates(plan, tables.len() > 1);
        let plan = decide(plan, tables.len() > 1);
        Ok(results(plan, &tables)
            .output("matches", "result")
            .output("pairs", "pairs"))
    }
}

/// One input: which columns are compared, which come out.
struct Table<'a> {
    input: &'a NamedInput,
    id: &'a str,
    compared: Vec<&'a str>,
}

impl<'a> Table<'a> {
    fn of(input: &'a NamedInput, id: &str) -> Result<Self> {
        let id = input
            .schema
            .field(tenon_sdk::column(&input.schema, id)?)
            .name();
        let compared = input
            .schema
            .fields()
            .iter()
            .filter(|f| f.name() != id && is_text_like(f.data_type()));
        let compared: Vec<&str> = compared.map(|f| f.name().as_str()).collect();
        if compared.is_empty() {
            return Err(Error::Unsupported(format!(
                "there is no column to compare beside the id column {id:?}"
            )));
        }
        Ok(Self {
            input,
            id,
            compared,
        })
    }
}

/// Whether the host can write values of this type as text.
fn is_text_like(data_type: &DataType) -> bool {
    !data_type.is_nested()
        && !matches!(
            data_type,
            DataType::Binary
                | DataType::LargeBinary
                | DataType::FixedSizeBinary(_)
                | DataType::Null
        )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Numbers the rows, profiles the columns and encodes the records.
fn records(mut plan: Expansion, tables: &[Table<'_>]) -> Expansion {
    let mut texts: Vec<String> = Vec::new();
    for (t, table) in tables.iter().enumerate() {
        let before = if t == 0 {
            "0".to_owned()
        } else {
            "(select count(*) from numbered0)".to_owned()
        };
        let input = &table.input.name;
        plan = plan.sql(&format!("numbered{t}"), format!("select *, cast(row_number() over () - 1 + {before} as int unsigned) as {RID} from {input}"));
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
        let values: Vec<String> = (0..columns.len()).map(|c| format!("c{c}")).collect();
        plan = plan.sql(
            &format!("values{t}"),
            format!("select {} from text{t}", values.join(", ")),
        );
        texts.push(format!("values{t}"));
    }
    let names: Vec<&Vec<&str>> = tables.iter().map(|table| &table.compared).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    plan = plan.apply("profiled", "profile", &json!({ "tables": names }), &texts);
    for t in 0..tables.len() {
        plan = plan.apply(
            &format!("encoded{t}"),
            "encode",
            &json!({ "table": t }),
            &["profiled", &format!("text{t}")],
        );
    }
    let encoded: Vec<String> = (0..tables.len())
        .map(|t| {
            format!(
                "select rid, cast({t} as tinyint unsigned) as source, blob, keys from encoded{t}"
            )
        })
        .collect();
    let leader = if tables.len() > 1 {
        // Equal rows of one of two linked tables are never joined to each other.
        "rid".to_owned()
    } else {
        format!(
            "case when count(*) over (partition by blob) > {REPEATS} then min(rid) over (partition by blob) else rid end"
        )
    };
    plan.sql("rows", encoded.join(" union all "))
        .sql(
            "led",
            format!("select rid, source, blob, keys, {leader} as leader from rows"),
        )
        .sql(
            "encoded",
            "select rid, source, blob, keys from led where rid = leader",
        )
}

/// Pairs of records that share keys, the more telling ones first.
fn candidates(plan: Expansion, link: bool) -> Expansion {
    let (both, order) = if link {
        ("and min(source) < max(source)", "x.source < y.source")
    } else {
        ("", "x.rid < y.rid")
    };
    plan.sql("keyed", "select rid, source, unnest(keys) as k from encoded")
        .sql("sizes", format!("select k, count(*) as n from keyed group by k having count(*) between 2 and {CAP} {both}"))
        .sql("blocks", format!("select keyed.rid, keyed.source, keyed.k, ln(1.0 + {CAP}.0 / sizes.n) as weight from keyed join sizes on keyed.k = sizes.k"))
        .sql(
            "nominated",
            format!("select x.rid as a, y.rid as b, sum(x.weight) as weight from blocks x join blocks y on x.k = y.k and {order} group by x.rid, y.rid"),
        )
        .sql("sides", "select a as rid, a, b, weight from nominated union all select b as rid, a, b, weight from nominated")
        .sql("ranked", "select a, b, row_number() over (partition by rid order by weight desc, a, b) as place from sides")
        .sql("candidates", format!("select distinct a, b from ranked where place <= {TOP}"))
}

/// Compares, learns, scores and groups.
fn decide(plan: Expansion, link: bool) -> Expansion {
    plan.sql(
        "facing",
        "select candidates.a, candidates.b, x.blob as blob_a, y.blob as blob_b from candidates \
         join encoded x on candidates.a = x.rid join encoded y on candidates.b = y.rid",
    )
    .apply("compared", "compare", &json!({}), &["profiled", "facing"])
    .apply("random", "sample", &json!({}), &["profiled", "encoded"])
    .sql(
        "counted",
        "select pattern, count(*) as n from compared group by pattern",
    )
    .apply(
        "learned",
        "learn",
        &json!({}),
        &["profiled", "random", "counted"],
    )
    .apply("scored", "score", &json!({}), &["learned", "compared"])
    .sql(
        "doubled",
        "select leader as a, rid as b, blob as blob_a, blob as blob_b from led where rid <> leader",
    )
    .apply("repeated", "compare", &json!({}), &["profiled", "doubled"])
    .apply("repeats", "score", &json!({}), &["learned", "repeated"])
    .apply(
        "grouped",
        "cluster",
        &json!({ "link": link }),
        &["learned", "led", "scored", "repeats"],
    )
}

/// Every input row with its group; and the pairs that hold.
fn results(mut plan: Expansion, tables: &[Table<'_>]) -> Expansion {
    let columns = output_columns(tables);
    let mut results = Vec::new();
    let mut ids = Vec::new();
    for (t, table) in tables.iter().enumerate() {
        let own: Vec<String> = columns.iter().map(|column| column.of(table)).collect();
        let source = if tables.len() > 1 {
            format!("{} as match_source, ", t + 1)
        } else {
            String::new()
        };
        results.push(format!(
            "select {}, {source}cast(grouped.match_id as bigint) as match_id, grouped.match_confidence, n.{RID} \
             from numbered{t} n join grouped on n.{RID} = grouped.rid",
            own.join(", ")
        ));
        ids.push(format!(
            "select cast({} as varchar) as id, {RID} as rid from numbered{t}",
            quoted(table.id)
        ));
    }
    let names: Vec<String> = columns.iter().map(|c| quoted(c.name)).collect();
    let source = if tables.len() > 1 {
        "match_source, "
    } else {
        ""
    };
    plan = plan.sql("joined", results.join(" union all "));
    plan = plan.sql(
        "result",
        format!(
            "select {}, {source}match_id, match_confidence from joined order by {RID}",
            names.join(", ")
        ),
    );
    plan.sql("ids", ids.join(" union all ")).sql(
        "pairs",
        "select x.id as id1, y.id as id2, scored.probability from scored \
         join ids x on scored.a = x.rid join ids y on scored.b = y.rid \
         join grouped g on scored.a = g.rid join grouped h on scored.b = h.rid \
         where scored.is_match and g.match_id = h.match_id order by scored.probability desc, scored.a, scored.b",
    )
}

/// A column of the result.
struct OutputColumn<'a> {
    name: &'a str,
    /// Whether the tables disagree about its type, so that it comes out as text.
    mixed: bool,
}

impl OutputColumn<'_> {
    /// The column in one table's part of the result.
    fn of(&self, table: &Table<'_>) -> String {
        let name = quoted(self.name);
        match (table.input.schema.index_of(self.name).is_ok(), self.mixed) {
            (false, _) => format!("null as {name}"),
            (true, true) => format!("cast(n.{name} as varchar) as {name}"),
            (true, false) => format!("n.{name}"),
        }
    }
}

/// The columns of all tables, by name, in order of their first appearance.
fn output_columns<'a>(tables: &[Table<'a>]) -> Vec<OutputColumn<'a>> {
    let mut columns: Vec<(OutputColumn<'a>, &DataType)> = Vec::new();
    for field in tables.iter().flat_map(|table| table.input.schema.fields()) {
        match columns
            .iter_mut()
            .find(|(column, _)| column.name == field.name())
        {
            Some((column, data_type)) => column.mixed |= *data_type != field.data_type(),
            None => columns.push((
                OutputColumn {
                    name: field.name(),
                    mixed: false,
                },
                field.data_type(),
            )),
        }
    }
    columns.into_iter().map(|(column, _)| column).collect()
}
