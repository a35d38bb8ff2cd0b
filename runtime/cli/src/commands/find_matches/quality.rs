//! How good a result is: what the matcher says in its output `quality`, as fields of a report.
//!
//! `expected` is what the model thinks of its own answers and needs no labels; `estimated` is measured on the labels, by
//! cross-validation, with the limits of a 95 % interval around it.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Explain, Failure};
use crate::report::{Cell, Report, cell, cell_as};

/// The output's one value, read.
#[derive(Debug, Deserialize)]
pub(super) struct Quality {
    pub(super) threshold: f64,
    expected: Expected,
    #[serde(default)]
    pub(super) estimated: Option<Estimated>,
    #[serde(default)]
    columns: Vec<Column>,
}

/// Missing where there is nothing to count, as in an empty table.
#[derive(Debug, Deserialize)]
struct Expected {
    precision: Option<f64>,
    recall: Option<f64>,
    pair_completeness: Option<f64>,
    candidates_per_record: Option<f64>,
}

/// What the labels say.
#[derive(Debug, Deserialize)]
pub(super) struct Estimated {
    precision: Interval,
    recall: Interval,
    pub(super) f1: Interval,
    max_f1: Interval,
    pr_auc: Interval,
    confusion: Map<String, Value>,
}

/// Low, middle, high.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Interval(f64, f64, f64);

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    importance: f64,
}

impl Quality {
    /// From the one row of the output.
    ///
    /// # Errors
    /// It is not what this version of the matcher writes.
    pub(super) fn read(row: &Map<String, Value>) -> Result<Self, Failure> {
        let text = row
            .get("quality")
            .and_then(Value::as_str)
            .unwrap_or_default();
        serde_json::from_str(text)
            .what(|| "cannot read what the matcher says about its quality")
            .hint("install the plugin of this version: `tenon plugin install plugins/find-matches`")
    }

    /// The same report with what is known.
    pub(super) fn add_to(&self, report: Report) -> Report {
        let expected = &self.expected;
        let report = report
            .field("threshold", number(Some(self.threshold)))
            .field("expected_precision", number(expected.precision))
            .field("expected_recall", number(expected.recall))
            .field(
                "candidates_per_record",
                number(expected.candidates_per_record),
            )
            .field("pair_completeness", number(expected.pair_completeness));
        match &self.estimated {
            Some(estimated) => estimated.add_to(report),
            None => report,
        }
    }

    /// The columns that say most, the first first.
    pub(super) fn columns(&self) -> Cell {
        let mut columns: Vec<&Column> = self.columns.iter().collect();
        columns.sort_by(|a, b| b.importance.total_cmp(&a.importance));
        let object = |column: &&Column| (column.name.clone(), column.importance.into());
        let values: Map<String, Value> = columns.iter().map(object).collect();
        let shown = columns
            .iter()
            .map(|c| format!("{} {:.0} %", c.name, 100.0 * c.importance));
        cell_as(values, shown.collect::<Vec<_>>().join(", "))
    }
}

impl Estimated {
    /// The same report with what the labels say.
    pub(super) fn add_to(&self, report: Report) -> Report {
        report
            .field("estimated_precision", self.precision.cell())
            .field("estimated_recall", self.recall.cell())
            .field("estimated_f1", self.f1.cell())
            .field("estimated_max_f1", self.max_f1.cell())
            .field("estimated_pr_auc", self.pr_auc.cell())
            .field("confusion", self.confusion())
    }

    /// How the labelled pairs were judged, each by a model that had not seen it.
    fn confusion(&self) -> Cell {
        let counts = self.confusion.iter();
        let shown = counts.map(|(name, count)| format!("{count} {}", name.replace('_', " ")));
        cell_as(self.confusion.clone(), shown.collect::<Vec<_>>().join(", "))
    }
}

impl Interval {
    /// `0.962 (0.941 to 0.978)`; an array for programs.
    pub(super) fn cell(self) -> Cell {
        cell_as(vec![self.0, self.1, self.2], self)
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ({:.3} to {:.3})", self.1, self.0, self.2)
    }
}

fn number(value: Option<f64>) -> Cell {
    match value {
        Some(value) => cell_as(value, format!("{value:.3}")),
        None => cell(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn quality(estimated: &Value) -> Quality {
        let text = json!({
            "labels": {"pairs": 40, "matches": 17, "sets": 40},
            "threshold": 0.5,
            "expected": {"precision": 0.98, "recall": 0.912, "pair_completeness": 0.95, "candidates_per_record": 3.5},
            "estimated": estimated,
            "columns": [
                {"name": "city", "kind": "name", "importance": 0.1},
                {"name": "phone", "kind": "code", "importance": 0.6},
            ],
        });
        let row = Map::from_iter([("quality".to_owned(), Value::String(text.to_string()))]);
        Quality::read(&row).unwrap()
    }

    #[test]
    fn without_labels_there_is_what_the_model_expects() {
        let table = quality(&Value::Null).add_to(Report::record()).to_table();
        assert_eq!(
            table,
            "threshold              0.500\nexpected precision     0.980\nexpected recall        0.912\n\
             candidates per record  3.500\npair completeness      0.950\n"
        );
    }

    #[test]
    fn with_labels_there_are_intervals_too() {
        let interval = json!([0.9, 0.95, 0.98]);
        let estimated = json!({
            "precision": interval, "recall": interval, "f1": interval, "max_f1": interval, "pr_auc": interval,
            "confusion": {"true_positives": 16, "false_positives": 1, "true_negatives": 22, "false_negatives": 1},
        });
        let quality = quality(&estimated);
        let report = quality.add_to(Report::record());
        assert!(
            report
                .to_table()
                .contains("estimated f1           0.950 (0.900 to 0.980)\n")
        );
        let shown = "16 true positives, 1 false positives, 22 true negatives, 1 false negatives";
        assert!(report.to_table().contains(shown), "{}", report.to_table());
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["estimated_f1"], interval);
        assert_eq!(json["confusion"]["true_negatives"], 22);
        assert_eq!(
            Report::record()
                .field("columns", quality.columns())
                .to_table(),
            "columns  phone 60 %, city 10 %\n"
        );
    }

    #[test]
    fn an_empty_table_has_no_precision() {
        let text = r#"{"threshold": 0.5, "expected": {"precision": null, "recall": null,
            "pair_completeness": null, "candidates_per_record": 0}}"#;
        let row = Map::from_iter([("quality".to_owned(), Value::String(text.to_owned()))]);
        let table = Quality::read(&row)
            .unwrap()
            .add_to(Report::record())
            .to_table();
        assert!(table.contains("expected precision     -\n"), "{table}");
    }

    #[test]
    fn what_is_no_quality_is_said() {
        let failure = Quality::read(&Map::new()).unwrap_err();
        assert!(failure.to_string().contains("quality"), "{failure}");
    }
}
