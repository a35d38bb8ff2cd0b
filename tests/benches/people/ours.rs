//! [`Ours`]: `tenon match` as a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tenon_tests::{component, tenon};

use crate::Measured;
use crate::score::Score;
use crate::set::Set;

/// A data folder with the matcher in it.
pub(crate) struct Ours {
    folder: PathBuf,
}

impl Ours {
    /// Installs the plugin below this folder; what it is compiled to is there for all runs.
    pub(crate) fn new(folder: &Path) -> Self {
        let ours = Self {
            folder: folder.to_path_buf(),
        };
        let plugin = folder.join("find-matches.wasm");
        std::fs::write(&plugin, component("plugins/find-matches")).unwrap();
        ours.tenon(&["plugin", "install", plugin.to_str().unwrap()]);
        let warm = folder.join("warm.csv");
        std::fs::write(&warm, "id,name\n1,ann lee\n2,anne lee\n").unwrap();
        ours.tenon(&["match", warm.to_str().unwrap(), "--id", "id"]);
        ours
    }

    /// What lies beside the results.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a command prints.
    pub(crate) fn tenon(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(tenon());
        command.args(arguments).current_dir(&self.folder);
        command.env("TENON_DATA", self.path("data"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        output.stdout
    }

    /// Matches a set, with labels where there are some.
    pub(crate) fn run(&self, set: &Set, labels: Option<&Path>) -> Measured {
        let (out, pairs) = (self.path("matched.csv"), self.path("pairs.csv"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut arguments = vec!["match".to_owned()];
        arguments.extend(set.files.iter().map(|file| text(file)));
        arguments.extend(["--id", "id", "--output", "json", "-o"].map(str::to_owned));
        arguments.extend([text(&out), "--pairs".to_owned(), text(&pairs)]);
        if let Some(labels) = labels {
            arguments.extend(["--labels".to_owned(), text(labels)]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let start = Instant::now();
        let said = self.tenon(&arguments);
        let seconds = start.elapsed().as_secs_f64();
        let said: Value = serde_json::from_slice(&said).unwrap();
        let number = |name: &str| said[name].as_f64().unwrap_or(f64::NAN);
        let paired = set
            .paired(&pairs)
            .into_iter()
            .map(|(pair, _)| pair)
            .collect();
        Measured {
            system: match labels {
                Some(_) => "tenon, taught".to_owned(),
                None => "tenon, no labels".to_owned(),
            },
            seconds,
            peak_bytes: said["peak_memory_bytes"].as_u64().unwrap_or(0),
            cluster: Score::of(&set.grouped(&out, "match_id"), &set.truth),
            pair: Score::of(&paired, &set.truth),
            candidates_per_record: number("candidates_per_record"),
            pair_completeness: number("pair_completeness"),
            stages: stages(&said),
        }
    }
}

/// CPU time of each node that took some.
fn stages(said: &Value) -> Vec<(String, f64)> {
    let nodes = said["nodes"].as_array().into_iter().flatten();
    let stage = |node: &Value| {
        let seconds = node["cpu_micros"].as_f64()? / 1e6;
        let name = format!("{} CPU", node["id"].as_str()?);
        (seconds >= 0.005).then_some((name, seconds))
    };
    nodes.filter_map(stage).collect()
}
