//! [`EvaluationMetrics`]: how good a transform is by its labels, as in Glue's JSON, made of what the plugin says.
//! <https://docs.aws.amazon.com/glue/latest/webapi/API_FindMatchesMetrics.html>

use serde::{Deserialize, Serialize};

/// Columns whose importance is kept, and characters of their names: Glue's limits.
const MAX_COLUMNS: usize = 100;
const MAX_NAME: usize = 255;

/// The metrics of a kind of transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EvaluationMetrics {
    /// `FIND_MATCHES`.
    pub transform_type: String,
    /// Those of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find_matches_metrics: Option<FindMatchesMetrics>,
}

/// How well matches were found. Absent is what too few labels say nothing about.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FindMatchesMetrics {
    /// 0 to 1.
    #[serde(rename = "AreaUnderPRCurve", skip_serializing_if = "Option::is_none")]
    pub area_under_pr_curve: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
    /// 0 to 1.
    #[serde(rename = "F1", skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// Labelled pairs by what they are and what was said of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion_matrix: Option<ConfusionMatrix>,
    /// The most important first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column_importances: Option<Vec<ColumnImportance>>,
}

/// Pairs of labelled records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub struct ConfusionMatrix {
    pub num_true_positives: i64,
    pub num_false_positives: i64,
    pub num_true_negatives: i64,
    pub num_false_negatives: i64,
}

/// How much a column tells.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ColumnImportance {
    /// Its name.
    pub column_name: String,
    /// 0 to 1.
    pub importance: f64,
}

/// What the plugin says, as far as it is needed.
#[derive(Deserialize)]
struct Quality {
    estimated: Option<Estimated>,
    #[serde(default)]
    columns: Vec<Column>,
}

/// The lower end, the middle and the upper end; what is no number is null.
type Interval = [Option<f64>; 3];

#[derive(Deserialize)]
struct Estimated {
    precision: Interval,
    recall: Interval,
    f1: Interval,
    pr_auc: Interval,
    confusion: Confusion,
}

#[derive(Deserialize)]
struct Confusion {
    true_positives: i64,
    false_positives: i64,
    true_negatives: i64,
    false_negatives: i64,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    importance: Option<f64>,
}

impl EvaluationMetrics {
    /// What the plugin says of its quality, in Glue's words: the middle of each interval.
    ///
    /// # Errors
    /// The text is not that JSON, as a sentence.
    pub fn of_quality(json: &str) -> Result<Self, String> {
        let quality: Quality = serde_json::from_str(json).map_err(|error| {
            format!("what the plugin says of its quality cannot be read: {error}")
        })?;
        let mut columns: Vec<_> = quality.columns.into_iter().map(importance).collect();
        columns.sort_by(|one, other| other.importance.total_cmp(&one.importance));
        let middle = |of: fn(&Estimated) -> Interval| {
            let estimated = quality.estimated.as_ref();
            estimated.and_then(|estimated| of(estimated)[1]).map(share)
        };
        let metrics = FindMatchesMetrics {
            area_under_pr_curve: middle(|estimated| estimated.pr_auc),
            precision: middle(|estimated| estimated.precision),
            recall: middle(|estimated| estimated.recall),
            f1: middle(|estimated| estimated.f1),
            confusion_matrix: quality.estimated.map(|estimated| ConfusionMatrix {
                num_true_positives: estimated.confusion.true_positives,
                num_false_positives: estimated.confusion.false_positives,
                num_true_negatives: estimated.confusion.true_negatives,
                num_false_negatives: estimated.confusion.false_negatives,
            }),
            column_importances: Some(columns),
        };
        Ok(Self {
            transform_type: super::transform::FIND_MATCHES.to_owned(),
            find_matches_metrics: Some(metrics),
        }
        .bounded())
    }

    /// Within what clients are promised, whatever a worker says.
    pub(super) fn bounded(mut self) -> Self {
        super::transform::FIND_MATCHES.clone_into(&mut self.transform_type);
        if let Some(metrics) = &mut self.find_matches_metrics {
            let shares = [
                &mut metrics.area_under_pr_curve,
                &mut metrics.precision,
                &mut metrics.recall,
                &mut metrics.f1,
            ];
            for number in shares.into_iter().flatten() {
                *number = share(*number);
            }
            if let Some(columns) = &mut metrics.column_importances {
                columns.truncate(MAX_COLUMNS);
                for column in columns {
                    column.importance = share(column.importance);
                    column.column_name = column.column_name.chars().take(MAX_NAME).collect();
                }
            }
        }
        self
    }
}

fn importance(column: Column) -> ColumnImportance {
    ColumnImportance {
        column_name: column.name,
        importance: share(column.importance.unwrap_or(0.0)),
    }
}

/// 0 to 1; what is no number is 0.
fn share(number: f64) -> f64 {
    if number.is_nan() {
        return 0.0;
    }
    number.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quality_is_told_in_glues_words() {
        let quality = json!({
            "labels": {"pairs": 9, "matches": 4, "sets": 2}, "threshold": 0.9,
            "estimated": {
                "precision": [0.1, 0.2, 0.3], "recall": [0.3, 0.4, 0.5], "f1": [0.1, 0.25, 0.4], "max_f1": [0, 0, 0],
                "pr_auc": [null, 0.6, 1.2],
                "confusion": {"true_positives": 1, "false_positives": 2, "true_negatives": 3, "false_negatives": 4}},
            "columns": [{"name": "city", "kind": "text", "importance": 0.2}, {"name": "name", "kind": "name", "importance": 3}],
        });
        let metrics = EvaluationMetrics::of_quality(&quality.to_string()).unwrap();
        assert_eq!(
            serde_json::to_value(metrics).unwrap(),
            json!({"TransformType": "FIND_MATCHES", "FindMatchesMetrics": {
                "AreaUnderPRCurve": 0.6, "Precision": 0.2, "Recall": 0.4, "F1": 0.25,
                "ConfusionMatrix": {"NumTruePositives": 1, "NumFalsePositives": 2, "NumTrueNegatives": 3,
                    "NumFalseNegatives": 4},
                "ColumnImportances": [
                    {"ColumnName": "name", "Importance": 1.0}, {"ColumnName": "city", "Importance": 0.2}]}})
        );
    }

    #[test]
    fn what_too_few_labels_do_not_say_is_absent() {
        let metrics = EvaluationMetrics::of_quality(r#"{"estimated": null}"#).unwrap();
        assert_eq!(
            serde_json::to_value(metrics).unwrap(),
            json!({"TransformType": "FIND_MATCHES", "FindMatchesMetrics": {"ColumnImportances": []}})
        );
        let refused = EvaluationMetrics::of_quality("{").unwrap_err();
        assert!(refused.contains("cannot be read"), "{refused}");
    }

    #[test]
    fn what_a_worker_says_is_kept_within_bounds() {
        let wild = EvaluationMetrics {
            transform_type: "X".to_owned(),
            find_matches_metrics: Some(FindMatchesMetrics {
                precision: Some(f64::NAN),
                recall: Some(-1.0),
                column_importances: Some(vec![
                    ColumnImportance {
                        column_name: "n".repeat(999),
                        importance: 7.0,
                    };
                    200
                ]),
                ..FindMatchesMetrics::default()
            }),
        };
        let tame = wild.bounded();
        assert_eq!(tame.transform_type, "FIND_MATCHES");
        let metrics = tame.find_matches_metrics.unwrap();
        assert_eq!((metrics.precision, metrics.recall), (Some(0.0), Some(0.0)));
        let columns = metrics.column_importances.unwrap();
        assert_eq!(columns.len(), 100);
        assert!(columns[0].column_name.len() == 255 && columns[0].importance == 1.0);
    }
}
