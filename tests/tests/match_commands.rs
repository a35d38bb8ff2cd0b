//! `tenon match` and its verbs as processes, on the people of the example: what each writes and says, answers from a pipe, and
//! Ctrl-C in the middle of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tenon_registry::Registry;
use tenon_tests::{component, root, tenon};

/// Long enough for anything that ends, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Records that are matched first; the rest comes later.
const FIRST: usize = 1_200;

/// A folder with the matcher installed and some of the people of the example.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let registry = Registry::open(desk.path("data/registry")).unwrap();
        let plugin = component("plugins/find-matches");
        registry.install(&plugin).unwrap();
        let people = std::fs::read_to_string(root().join("examples/match-people/people.csv"));
        let people = people.unwrap();
        let lines: Vec<&str> = people.lines().collect();
        desk.write("people.csv", &lines[..=FIRST]);
        desk.write(
            "new.csv",
            &[&lines[..1], &lines[FIRST + 1..FIRST + 301]].concat(),
        );
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, lines: &[&str]) {
        std::fs::write(self.path(name), lines.join("\n") + "\n").unwrap();
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The people of a truth file that are in the first part, as pairs of ids.
    fn true_pairs(&self) -> Vec<(String, String)> {
        let truth =
            std::fs::read_to_string(root().join("examples/match-people/truth.csv")).unwrap();
        let ids: Vec<String> = self
            .lines("people.csv")
            .iter()
            .filter_map(|line| id(line))
            .collect();
        let pairs = truth
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(','));
        let pairs = pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
        pairs
            .filter(|(a, b)| ids.contains(a) && ids.contains(b))
            .collect()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(tenon());
        command
            .args(args)
            .env("TENON_DATA", self.path("data"))
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path());
        command
    }

    /// What it says as JSON.
    fn json(&self, args: &[&str]) -> Value {
        let output = self
            .command(args)
            .args(["--output", "json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same with answers from a pipe.
    fn answered(&self, args: &[&str], answers: &str) -> (Value, String) {
        let mut child = self.start(args);
        child
            .stdin
            .take()
            .unwrap()
            .write_all(answers.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        (
            serde_json::from_slice(&output.stdout).unwrap(),
            said(&output),
        )
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.args(["--output", "json"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }
}

fn id(line: &str) -> Option<String> {
    line.split(',').next().map(str::to_owned)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The ids of the people and their groups, of a CSV with `match_id` in front of `match_confidence`.
fn groups(lines: &[String]) -> Vec<(String, String)> {
    let header: Vec<&str> = lines[0].split(',').collect();
    // Counted from the end, where no value holds a comma.
    let from_end = header.len() - 1 - header.iter().position(|name| *name == "match_id").unwrap();
    let group = |line: &String| line.rsplit(',').nth(from_end).unwrap().to_owned();
    lines[1..]
        .iter()
        .map(|line| (id(line).unwrap(), group(line)))
        .collect()
}

const LABEL: [&str; 6] = ["match", "label", "people.csv", "--id", "id", "--labels"];

#[test]
fn a_run_writes_all_that_it_was_asked_for_and_says_how_good_it_is() {
    let desk = Desk::new();
    let report = desk.json(&[
        "match",
        "people.csv",
        "--id",
        "id",
        "-o",
        "matched.csv",
        "--pairs",
        "pairs.csv",
        "--clusters",
        "clusters.csv",
        "--golden",
        "golden.csv",
        "--rule",
        "surname: longest",
        "--save-model",
        "model.parquet",
    ]);
    assert_eq!(report["records"], FIRST);
    assert_eq!(report["groups"], desk.lines("clusters.csv").len() - 1);
    assert_eq!(report["pairs"], desk.lines("pairs.csv").len() - 1);
    assert_eq!(
        desk.lines("golden.csv").len(),
        desk.lines("clusters.csv").len()
    );
    assert!(desk.lines("golden.csv")[0].starts_with("match_id,records,"));
    let expected = |name: &str| report[name].as_f64().unwrap();
    assert!(
        (0.5..=1.0).contains(&expected("expected_precision")),
        "{report}"
    );
    assert!(
        (0.5..=1.0).contains(&expected("expected_recall")),
        "{report}"
    );
    assert_eq!(report.get("estimated_f1"), None, "nothing was labelled");
    assert!(
        report["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["id"] == "matches")
    );
    let mut groups: Vec<String> = groups(&desk.lines("matched.csv"))
        .into_iter()
        .map(|row| row.1)
        .collect();
    groups.sort();
    groups.dedup();
    assert_eq!(report["groups"], groups.len());

    // With the model that was kept, the same comes out.
    let again = desk.json(&[
        "match",
        "people.csv",
        "--id",
        "id",
        "-o",
        "again.csv",
        "--model",
        "model.parquet",
    ]);
    assert_eq!(again["groups"], report["groups"]);
    assert_eq!(desk.lines("again.csv"), desk.lines("matched.csv"));
}

#[test]
fn new_records_join_groups_that_keep_their_ids() {
    let desk = Desk::new();
    let find = [
        "match",
        "people.csv",
        "--id",
        "id",
        "-o",
        "matched.csv",
        "--save-model",
        "model.parquet",
    ];
    desk.json(&find);
    let report = desk.json(&[
        "match",
        "add",
        "new.csv",
        "--to",
        "matched.csv",
        "--model",
        "model.parquet",
        "--id",
        "id",
        "-o",
        "all.csv",
        "--merged",
        "merged.csv",
    ]);
    assert_eq!(
        (&report["records_before"], &report["records_added"]),
        (&FIRST.into(), &300.into())
    );
    assert_eq!(report["records"], FIRST + 300);
    let all = groups(&desk.lines("all.csv"));
    let kept = groups(&desk.lines("matched.csv"))
        .into_iter()
        .filter(|row| all.contains(row))
        .count();
    let changed = desk.lines("merged.csv").len() - 1;
    assert!(
        kept + 20 * changed >= FIRST,
        "{kept} of {FIRST} kept their group, {changed} groups changed"
    );
    assert!(kept > FIRST * 9 / 10, "{kept}");
    let golden = desk.json(&[
        "match",
        "golden",
        "all.csv",
        "-o",
        "golden.csv",
        "--rule",
        "majority",
    ]);
    assert_eq!(
        (&golden["records"], &golden["golden_records"]),
        (&report["records"], &report["groups"])
    );
}

#[test]
fn an_explanation_sums_up_to_the_score_in_every_form() {
    let desk = Desk::new();
    let (a, b) = desk.true_pairs().swap_remove(0);
    let explain = ["match", "explain", "people.csv", &a, &b, "--id", "id"];
    let report = desk.json(&[&explain[..], &["--svg", "why.svg"]].concat());
    let weights = report["weights"].as_array().unwrap();
    let sum: f64 = weights
        .iter()
        .map(|weight| weight["weight"].as_f64().unwrap())
        .sum();
    assert!(
        (sum - report["score_bits"].as_f64().unwrap()).abs() < 1e-6,
        "{report}"
    );
    assert_eq!(weights[0]["place"], 0);
    let picture = std::fs::read_to_string(desk.path("why.svg")).unwrap();
    assert_eq!(picture.matches("<rect").count(), weights.len() + 1);
    assert!(picture.contains("prefers-color-scheme: dark"));
    let text = desk.command(&explain).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    let first = text.lines().next().unwrap();
    assert!(first.starts_with(&format!("{a} and {b} ")), "{text}");
    assert!(text.lines().last().unwrap().starts_with("score "), "{text}");
    let refused = desk
        .command(&["match", "explain", "people.csv", &a, "nobody", "--id", "id"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("nobody"), "{}", said(&refused));
}

#[test]
fn sets_have_the_form_of_glue() {
    let desk = Desk::new();
    let report = desk.json(&[
        "match",
        "sets",
        "people.csv",
        "--id",
        "id",
        "-o",
        "sets.csv",
        "--sets",
        "3",
        "--rows",
        "5",
    ]);
    assert_eq!(
        (&report["sets"], report["records"].as_u64().unwrap() <= 15),
        (&3.into(), true)
    );
    let lines = desk.lines("sets.csv");
    assert!(
        lines[0].starts_with("labeling_set_id,label,id,given_name,"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1..]
            .iter()
            .all(|line| line.split(',').nth(1) == Some(""))
    );
}

#[test]
fn answers_from_a_pipe_are_labels_and_the_last_can_be_taken_back() {
    let desk = Desk::new();
    let label = [&LABEL[..], &["labels.csv", "--questions", "4"]].concat();
    let (report, said) = desk.answered(&label, "y\nn\nmaybe\nu\np\nn\nf\n");
    assert_eq!(
        (&report["pairs"], &report["same"], &report["different"]),
        (&3.into(), &1.into(), &2.into())
    );
    assert_eq!(report["unsure"], 0, "it was taken back");
    assert!(said.contains("answer with one of the letters"), "{said}");
    let lines = desk.lines("labels.csv");
    assert!(
        lines[0].starts_with("labeling_set_id,label,id,"),
        "{}",
        lines[0]
    );
    let rows: Vec<Vec<&str>> = lines[1..]
        .iter()
        .map(|line| line.splitn(4, ',').collect())
        .collect();
    let labels: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(labels, ["A", "A", "A", "B", "A", "B"]);
    assert!(
        rows.chunks(2)
            .all(|pair| pair[0][0] == pair[1][0] && pair[0][2] != pair[1][2])
    );

    // The next session goes on: what was answered counts and is not asked again.
    let (report, _) = desk.answered(&label, "n\n");
    assert_eq!(
        (&report["pairs"], &report["different"]),
        (&4.into(), &3.into())
    );
    let pairs: Vec<Vec<String>> = desk.lines("labels.csv")[1..]
        .chunks(2)
        .map(|pair| {
            pair.iter()
                .filter_map(|line| line.split(',').nth(2))
                .map(str::to_owned)
                .collect()
        })
        .collect();
    assert!(!pairs[..3].contains(&pairs[3]), "{pairs:?}");
}

#[test]
fn after_a_round_the_quality_is_measured_on_the_labels() {
    let desk = Desk::new();
    let truth = desk.true_pairs();
    let label = [&LABEL[..], &["labels.csv", "--questions", "30"]].concat();
    // What is asked first does not depend on the answers: look at the questions, then answer them rightly.
    let (_, asked) = desk.answered(&label, &"u\n".repeat(30));
    let ids: Vec<(String, String)> = asked
        .lines()
        .filter(|line| line.starts_with("id "))
        .map(two_ids)
        .collect();
    assert!(ids.len() >= 30, "{asked}");
    let is_true = |(a, b): &(String, String)| {
        truth.contains(&(a.clone(), b.clone())) || truth.contains(&(b.clone(), a.clone()))
    };
    let answers: String = ids[..30]
        .iter()
        .map(|pair| if is_true(pair) { "y\n" } else { "n\n" })
        .collect();
    assert!(answers.contains('y') && answers.contains('n'), "{answers}");
    let (report, said) = desk.answered(&label, &answers);
    assert!(said.contains("estimated F1 "), "{said}");
    let f1: Vec<f64> = serde_json::from_value(report["estimated_f1"].clone()).unwrap();
    assert!(
        f1.len() == 3 && f1[0] <= f1[1] && f1[1] <= f1[2] && f1[2] <= 1.0,
        "{f1:?}"
    );

    let find = [
        "match",
        "people.csv",
        "--id",
        "id",
        "--labels",
        "labels.csv",
        "--enforce-labels",
        "-o",
        "matched.csv",
    ];
    let report = desk.json(&find);
    assert!(report["estimated_f1"].is_array(), "{report}");
    let groups = groups(&desk.lines("matched.csv"));
    let group = |id: &String| groups.iter().find(|row| row.0 == *id).unwrap().1.clone();
    for (pair, answer) in ids[..30].iter().zip(answers.lines()) {
        assert_eq!(group(&pair.0) == group(&pair.1), answer == "y", "{pair:?}");
    }
}

/// The ids in a screen's line of the id column.
fn two_ids(line: &str) -> (String, String) {
    let mut words = line.split_whitespace().skip(1);
    (
        words.next().unwrap().to_owned(),
        words.next().unwrap().to_owned(),
    )
}

#[test]
fn ctrl_c_loses_no_answer() {
    let desk = Desk::new();
    let mut child = desk.start(&[&LABEL[..], &["labels.csv"]].concat());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"y\nn\n").unwrap();
    wait_for(&desk.path("labels.csv"), 5);
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(
        said(&output).contains("the answers so far are in labels.csv"),
        "{}",
        said(&output)
    );
    assert_eq!(desk.lines("labels.csv").len(), 5);
}

fn wait_for(path: &Path, lines: usize) {
    let started = Instant::now();
    let count = || std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
    while count() < lines {
        assert!(
            started.elapsed() < PATIENCE,
            "{} lines in {}",
            count(),
            path.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_model_is_for_as_many_tables_as_it_was_made_for() {
    let desk = Desk::new();
    desk.json(&[
        "match",
        "people.csv",
        "--id",
        "id",
        "-o",
        "matched.csv",
        "--save-model",
        "model.parquet",
    ]);
    let link = [
        "match",
        "people.csv",
        "new.csv",
        "--id",
        "id",
        "-o",
        "linked.csv",
        "--model",
        "model.parquet",
    ];
    let output = desk.command(&link).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("was made for one table"),
        "{}",
        said(&output)
    );
    assert!(!desk.path("linked.csv").exists());
}

#[test]
fn files_that_share_ids_are_refused_before_the_first_question() {
    let desk = Desk::new();
    let people = desk.lines("people.csv");
    let some: Vec<&str> = people[..=200].iter().map(String::as_str).collect();
    desk.write("some.csv", &some);
    let label = [
        "match",
        "label",
        "people.csv",
        "some.csv",
        "--id",
        "id",
        "--labels",
        "labels.csv",
    ];
    let mut child = desk.start(&label);
    // It may have ended before it reads.
    let _ = child.stdin.take().unwrap().write_all(b"y\nn\nf\n");
    let output = child.wait_with_output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("both files have a record whose id is"),
        "{said}"
    );
    assert!(!said.contains("Question 1"), "{said}");
    assert!(!desk.path("labels.csv").exists());
}

#[test]
fn what_is_wrong_is_said_in_one_line_with_its_code() {
    let desk = Desk::new();
    desk.write(
        "strangers.csv",
        &["labeling_set_id,label,id", "s1,A,p0000", "s1,A,nobody"],
    );
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["match", "people.csv", "--id", "key"],
            1,
            "there is no column \"key\"",
        ),
        (
            &["match", "people.csv", "--id", "id", "--labels", "nope.csv"],
            3,
            "nope.csv",
        ),
        (
            &[
                "match",
                "people.csv",
                "--id",
                "id",
                "--model",
                "nope.parquet",
            ],
            3,
            "nope.parquet",
        ),
        (
            &[
                "match",
                "people.csv",
                "--id",
                "id",
                "--labels",
                "strangers.csv",
            ],
            1,
            "nobody",
        ),
        (
            &["match", "golden", "people.csv", "-o", "golden.csv"],
            1,
            "match_id",
        ),
        (
            &[
                "match",
                "people.csv",
                "--id",
                "id",
                "--golden",
                "g.csv",
                "--rule",
                "shoe: longest",
            ],
            1,
            "shoe",
        ),
        (
            &[
                "match",
                "people.csv",
                "--id",
                "id",
                "--golden",
                "g.csv",
                "--rule",
                "surname: shortest",
            ],
            1,
            "\"shortest\" is no rule",
        ),
        (
            &[
                "match",
                "add",
                "new.csv",
                "--to",
                "people.csv",
                "--model",
                "nope.parquet",
                "--id",
                "id",
                "-o",
                "all.csv",
            ],
            3,
            "nope.parquet",
        ),
        (
            &[
                "match",
                "label",
                "nope.csv",
                "--id",
                "id",
                "--labels",
                "labels.csv",
            ],
            3,
            "nope.csv",
        ),
    ];
    for (args, code, words) in cases {
        let output = desk.command(args).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(
            said.lines()
                .filter(|line| line.starts_with("error: "))
                .count()
                == 1,
            "{args:?}: {said}"
        );
    }
    for left in [
        "labels.csv",
        "golden.csv",
        "g.csv",
        "people-matched.csv",
        "all.csv",
    ] {
        assert!(!desk.path(left).exists(), "{left} was left behind");
    }
}
