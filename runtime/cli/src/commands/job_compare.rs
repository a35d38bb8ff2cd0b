//! `tenon job compare`: two runs side by side, node by node, and what differs in what they ran.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tenon_jobs::{NodeMetrics, RunMetrics};

use crate::error::Failure;
use crate::remote::{Remote, escaped};
use crate::report::{Cell, Report, bytes, cell, cell_as, human_bytes, human_time};
use crate::shell::Shell;

#[derive(Deserialize)]
struct Run {
    id: String,
    job: String,
    state: String,
    execution_seconds: u64,
    metrics: RunMetrics,
}

#[derive(Deserialize)]
struct Definition {
    is_known: bool,
    nodes: Option<Value>,
    arguments: BTreeMap<String, String>,
}

/// How a quantity is shown to people.
type Show = fn(f64) -> String;

/// A quantity of a node.
type Quantity = (&'static str, fn(&NodeMetrics) -> Option<f64>, Show);

#[expect(
    clippy::cast_precision_loss,
    reason = "both values are compared as they are shown"
)]
const QUANTITIES: [Quantity; 13] = [
    ("rows_in", |node| Some(node.rows_in as f64), plain),
    ("rows_out", |node| Some(node.rows_out as f64), plain),
    ("rows_dropped", |node| Some(node.rows_dropped as f64), plain),
    (
        "rows_quarantined",
        |node| Some(node.rows_quarantined as f64),
        plain,
    ),
    ("retries", |node| Some(node.retries as f64), plain),
    ("bytes_read", |node| node.bytes_read.map(|n| n as f64), size),
    (
        "bytes_written",
        |node| node.bytes_written.map(|n| n as f64),
        size,
    ),
    (
        "spilled_bytes",
        |node| Some(node.spilled_bytes as f64),
        size,
    ),
    ("cpu_micros", |node| Some(node.cpu_micros as f64), micros),
    ("memory_bytes", |node| Some(node.memory_bytes as f64), size),
    (
        "memory_byte_seconds",
        |node| Some(node.memory_byte_seconds),
        gb_seconds,
    ),
    (
        "plugin_cpu_micros",
        |node| Some(node.plugin.as_ref()?.cpu_micros as f64),
        micros,
    ),
    ("cost", |node| node.cost, money),
];

/// A text of a node.
type Text = (&'static str, fn(&NodeMetrics) -> Option<&str>);

const TEXTS: [Text; 3] = [
    ("kind", |node| Some(&node.kind)),
    ("plugin", |node| Some(&node.plugin.as_ref()?.name)),
    ("plugin_digest", |node| Some(&node.plugin.as_ref()?.digest)),
];

/// Two values of one thing, the first run's and the second's.
struct Pair {
    what: &'static str,
    a: Value,
    b: Value,
    shown: [String; 2],
}

/// Compares two runs of the account below the path `runs`.
pub(crate) fn run(
    shell: &Shell,
    remote: &Remote,
    runs: &str,
    [a, b]: [&str; 2],
) -> Result<(), Failure> {
    let at = |run: &str| format!("{runs}/{}", escaped(run));
    let (first, second): (Run, Run) = (remote.get(&at(a))?, remote.get(&at(b))?);
    let ran = |run: &str| remote.get::<Definition>(&format!("{}/definition", at(run)));
    let differences = differences(&ran(a)?, &ran(b)?);
    let nodes = compared(&first.metrics.nodes, &second.metrics.nodes);
    if shell.is_json() {
        return shell.print(&as_record(&first, &second, &nodes, &differences));
    }
    shell.print(&heads(&first, &second))?;
    shell.print_text("\n")?;
    shell.print(&node_table(&nodes))?;
    shell.print_text("\n")?;
    shell.print(&definition_table(&differences))
}

fn heads(a: &Run, b: &Run) -> Report {
    let mut heads = Report::list(&[
        "run",
        "job",
        "state",
        "execution_seconds",
        "cpu",
        "memory",
        "peak_memory_bytes",
    ]);
    for run in [a, b] {
        heads.row([
            cell(run.id.as_str()),
            cell(run.job.as_str()),
            cell(run.state.as_str()),
            cell(run.execution_seconds),
            cell(micros(run.metrics.cpu_micros as f64)),
            cell(gb_seconds(run.metrics.memory_byte_seconds)),
            run.metrics
                .peak_memory_bytes
                .map_or_else(|| cell(Value::Null), bytes),
        ]);
    }
    heads
}

/// For each node of either run, in the order of the first one's, what is known of it.
fn compared(a: &[NodeMetrics], b: &[NodeMetrics]) -> Vec<(String, Vec<Pair>)> {
    let named =
        |nodes: &[NodeMetrics], name: &str| nodes.iter().find(|node| node.node == name).cloned();
    let mut seen = BTreeSet::new();
    let names = a.iter().chain(b).map(|node| node.node.as_str());
    let names = names.filter(|name| seen.insert((*name).to_owned()));
    let names: Vec<&str> = names.collect();
    let nodes = names.into_iter().map(|name| {
        let pairs = pairs(named(a, name).as_ref(), named(b, name).as_ref());
        (name.to_owned(), pairs)
    });
    nodes.collect()
}

fn pairs(a: Option<&NodeMetrics>, b: Option<&NodeMetrics>) -> Vec<Pair> {
    let texts = TEXTS.into_iter().map(|(what, of)| {
        let [a, b] = [a, b].map(|node| node.and_then(of).filter(|text| !text.is_empty()));
        Pair {
            what,
            a: json!(a),
            b: json!(b),
            shown: [a, b].map(|text| text.unwrap_or("-").to_owned()),
        }
    });
    let quantities = QUANTITIES.into_iter().map(|(what, of, show)| {
        let [a, b] = [a, b].map(|node| node.and_then(of));
        Pair {
            what,
            a: number(a),
            b: number(b),
            shown: [a, b].map(|value| value.map_or_else(|| "-".to_owned(), show)),
        }
    });
    texts.chain(quantities).collect()
}

/// Whole where it is whole.
fn number(value: Option<f64>) -> Value {
    match value {
        Some(value) if value.fract() == 0.0 && value.abs() < 9e15 => json!(value as i64),
        value => json!(value),
    }
}

/// What differs, and how many rows there were: the rest is the same.
fn node_table(nodes: &[(String, Vec<Pair>)]) -> Report {
    let mut table = Report::list(&["node", "what", "a", "b", "change"])
        .when_empty("neither run says what its nodes did");
    for (node, pairs) in nodes {
        let told = pairs
            .iter()
            .filter(|pair| pair.a != pair.b || pair.what == "rows_out");
        for pair in told {
            table.row([
                cell(node.as_str()),
                cell(pair.what),
                cell(pair.shown[0].as_str()),
                cell(pair.shown[1].as_str()),
                change(pair),
            ]);
        }
    }
    table
}

/// By how much the second value is more than the first.
fn change(pair: &Pair) -> Cell {
    match (pair.a.as_f64(), pair.b.as_f64()) {
        (Some(a), Some(b)) if a == b => cell("="),
        (Some(a), Some(b)) if a > 0.0 => cell(format!("{:+.0} %", (b / a - 1.0) * 100.0)),
        _ => cell(Value::Null),
    }
}

/// A member of what was run, and its two values.
type Difference = (String, Value, Value);

fn differences(a: &Definition, b: &Definition) -> Option<Vec<Difference>> {
    if !(a.is_known && b.is_known) {
        return None;
    }
    let flat = |definition: &Definition| {
        let mut members = BTreeMap::new();
        let nodes = definition.nodes.clone().unwrap_or_default();
        flatten("", &nodes, &mut members);
        flatten("arguments", &json!(definition.arguments), &mut members);
        members
    };
    let (a, b) = (flat(a), flat(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |members: &BTreeMap<String, Value>, name: &String| {
        members.get(name).cloned().unwrap_or_default()
    };
    let all = names.into_iter();
    let all = all.map(|name| (name.clone(), value(&a, name), value(&b, name)));
    Some(all.filter(|(_, a, b)| a != b).collect())
}

/// Members as `node.S3CsvSource.Paths[0]`.
fn flatten(path: &str, value: &Value, members: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (name, value) in object {
                let below = match path.is_empty() {
                    true => name.clone(),
                    false => format!("{path}.{name}"),
                };
                flatten(&below, value, members);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{at}]"), item, members);
            }
        }
        value => {
            members.insert(path.to_owned(), value.clone());
        }
    }
}

fn definition_table(differences: &Option<Vec<Difference>>) -> Report {
    let table = Report::list(&["member", "a", "b"]);
    let Some(differences) = differences else {
        return table.when_empty("what the runs ran is not known of both");
    };
    let mut table = table.when_empty("both ran the same definition");
    for (member, a, b) in differences {
        table.row([cell(member.as_str()), cell(a.clone()), cell(b.clone())]);
    }
    table
}

fn as_record(
    a: &Run,
    b: &Run,
    nodes: &[(String, Vec<Pair>)],
    differences: &Option<Vec<Difference>>,
) -> Report {
    let head = |run: &Run| {
        json!({
            "run": run.id,
            "job": run.job,
            "state": run.state,
            "execution_seconds": run.execution_seconds,
            "cpu_micros": run.metrics.cpu_micros,
            "memory_byte_seconds": run.metrics.memory_byte_seconds,
            "peak_memory_bytes": run.metrics.peak_memory_bytes,
            "cost": run.metrics.cost,
        })
    };
    let nodes = nodes.iter().map(|(node, pairs)| {
        let values = pairs.iter();
        let values = values.map(|pair| (pair.what.to_owned(), json!({"a": pair.a, "b": pair.b})));
        let mut shown: Map<String, Value> = values.collect();
        shown.insert("node".to_owned(), json!(node));
        Value::Object(shown)
    });
    let differences = differences.as_ref().map(|differences| {
        let all = differences.iter();
        let all = all.map(|(member, a, b)| json!({"member": member, "a": a, "b": b}));
        all.collect::<Vec<_>>()
    });
    Report::record()
        .field("a", cell_as(head(a), ""))
        .field("b", cell_as(head(b), ""))
        .field("nodes", cell_as(nodes.collect::<Vec<_>>(), ""))
        .field("definition", cell_as(json!(differences), ""))
}

fn plain(value: f64) -> String {
    format!("{value:.0}")
}

fn size(value: f64) -> String {
    human_bytes(value as u64)
}

fn micros(value: f64) -> String {
    human_time(Duration::from_micros(value as u64))
}

fn gb_seconds(value: f64) -> String {
    format!("{:.3} GB s", value / 1e9)
}

fn money(value: f64) -> String {
    format!("{value:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(nodes: Value, argument: &str) -> Definition {
        Definition {
            is_known: true,
            nodes: Some(nodes),
            arguments: [("--day".to_owned(), argument.to_owned())].into(),
        }
    }

    #[test]
    fn members_that_differ_are_named() {
        let a = definition(
            json!({"n": {"S3CsvSource": {"Paths": ["a", "b"], "Name": "n"}}}),
            "1",
        );
        let b = definition(
            json!({"n": {"S3CsvSource": {"Paths": ["a", "c"], "Name": "n"}}}),
            "1",
        );
        let found = differences(&a, &b).unwrap();
        assert_eq!(
            found,
            [("n.S3CsvSource.Paths[1]".to_owned(), json!("b"), json!("c"))]
        );
        let other = definition(json!({}), "2");
        let members: Vec<_> = differences(&other, &definition(json!({}), "1"))
            .unwrap()
            .into_iter()
            .map(|(member, ..)| member)
            .collect();
        assert_eq!(members, ["arguments.--day"]);
        let unknown = Definition {
            is_known: false,
            ..definition(json!({}), "1")
        };
        assert!(differences(&a, &unknown).is_none());
    }

    #[test]
    fn nodes_of_one_run_alone_are_compared_with_nothing() {
        let node = |name: &str, rows_out| NodeMetrics {
            node: name.to_owned(),
            rows_out,
            ..NodeMetrics::default()
        };
        let nodes = compared(&[node("x", 5)], &[node("x", 10), node("y", 1)]);
        let rows = |at: usize| {
            let pair = nodes[at]
                .1
                .iter()
                .find(|pair| pair.what == "rows_out")
                .unwrap();
            (pair.a.clone(), pair.b.clone())
        };
        assert_eq!(
            (rows(0), rows(1)),
            ((json!(5), json!(10)), (Value::Null, json!(1)))
        );
        assert!(node_table(&nodes).to_table().contains("+100 %"));
    }
}
