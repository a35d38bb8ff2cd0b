//! Labels from somebody who knows the truth: the pairs that the matcher asks for, in rounds.

use std::path::PathBuf;
use std::time::Instant;

use crate::ours::Ours;
use crate::set::{Set, position};

/// Questions of a round. Each round reads the table again, so that many small ones take long.
const ROUND: usize = 100;

/// What came of it.
pub(crate) struct Taught {
    /// Glue's file of labels.
    pub(crate) file: PathBuf,
    /// In words.
    pub(crate) said: String,
}

/// Answers this many questions.
pub(crate) fn teach(ours: &Ours, set: &Set, labels: usize) -> Taught {
    let file = ours.path("labels.csv");
    let header = ["labeling_set_id", "label", "id"].map(str::to_owned);
    let (mut rows, mut matches) = (Vec::new(), 0);
    let start = Instant::now();
    let mut rounds = 0;
    while rows.len() / 2 < labels {
        let wanted = ROUND.min(labels - rows.len() / 2);
        let asked = ask(ours, set, wanted, !rows.is_empty());
        if asked.is_empty() {
            break;
        }
        for [a, b] in asked {
            let same = set.truth.contains(&set.pair(&a, &b));
            matches += usize::from(same);
            let name = format!("pair-{}", rows.len() / 2 + 1);
            let second = if same { "A" } else { "B" };
            rows.push([name.clone(), "A".to_owned(), a]);
            rows.push([name, second.to_owned(), b]);
        }
        let mut writer = csv::Writer::from_path(&file).unwrap();
        writer.write_record(&header).unwrap();
        rows.iter()
            .for_each(|row| writer.write_record(row).unwrap());
        writer.flush().unwrap();
        rounds += 1;
    }
    let said = format!(
        "{} labels, {matches} of them matches, in {rounds} rounds of {:.1} s",
        rows.len() / 2,
        start.elapsed().as_secs_f64() / f64::from(rounds.max(1))
    );
    Taught { file, said }
}

/// The ids of the pairs that the matcher would like to know about.
fn ask(ours: &Ours, set: &Set, questions: usize, has_labels: bool) -> Vec<[String; 2]> {
    let out = ours.path("questions.csv");
    std::fs::write(ours.path("questions.toml"), job(set, questions, has_labels)).unwrap();
    ours.tenon(&["run", "questions.toml"]);
    let mut reader = csv::Reader::from_path(&out).unwrap();
    let [question, side, id] = ["question", "side", "id"].map(|name| position(&mut reader, name));
    let mut rows: Vec<(u32, u32, String)> = reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            (
                row[question].parse().unwrap(),
                row[side].parse().unwrap(),
                row[id].to_owned(),
            )
        })
        .collect();
    rows.sort();
    rows.chunks(2)
        .map(|pair| [pair[0].2.clone(), pair[1].2.clone()])
        .collect()
}

fn job(set: &Set, questions: usize, has_labels: bool) -> String {
    let mut text = String::from("name = \"questions\"\n");
    let mut inputs = Vec::new();
    let mut source = |name: String, path: &str| {
        text += &format!(
            "[nodes.{name}.S3CsvSource]\nName = \"{name}\"\nPaths = [{path:?}]\nAllText = true\n"
        );
        inputs.push(format!("{name:?}"));
    };
    for (at, file) in set.files.iter().enumerate() {
        source(format!("records{at}"), file.to_str().unwrap());
    }
    let mut role = String::new();
    if has_labels {
        source("labels".to_owned(), "labels.csv");
        let position = set.files.len();
        role = format!(", {{ Name = \"labels\", Type = \"int\", Value = [\"{position}\"] }}");
    }
    let inputs = inputs.join(", ");
    text + &format!(
        r#"
[nodes.questions.DynamicTransform]
Name = "questions"
TransformName = "find-questions"
Path = "tenon:find-matches@0"
FunctionName = "find-questions"
Inputs = [{inputs}]
Parameters = [
    {{ Name = "id", Type = "str", Value = ["id"] }},
    {{ Name = "questions", Type = "int", Value = ["{questions}"] }}{role}
]
[nodes.asked.SelectFromCollection]
Name = "asked"
Inputs = ["questions"]
Index = 1
[nodes.out.S3DirectTarget]
Name = "out"
Inputs = ["asked"]
Path = "questions.csv"
Format = "csv"
"#
    )
}
