//! [`ProcessAnalyst`]: statistics for a server, found out by [`analyze_worker`] processes below the folders that the
//! operator granted.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tenon_catalog::{ColumnStatistics, Table};
use tenon_server::{Analysis, AnalysisError, Analyst};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::analyze_worker::{self, Answer, Order};
use super::child;
use super::data_root::DataRoots;
use super::scratch::Scratch;
use crate::error::Failure;

/// Bytes of an answer, at most.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Bytes kept of what a worker says on stderr.
const STDERR_BYTES: u64 = 16 << 10;

/// Finds out statistics in processes of their own.
#[derive(Debug)]
pub(crate) struct ProcessAnalyst {
    program: PathBuf,
    roots: DataRoots,
    scratch: Scratch,
    memory_bytes: u64,
}

impl ProcessAnalyst {
    /// An analyst that reads below `roots`, with so much memory for each run.
    ///
    /// # Errors
    /// The program does not find itself.
    pub(crate) fn new(
        roots: DataRoots,
        scratch: Scratch,
        memory_bytes: u64,
    ) -> Result<Self, Failure> {
        Ok(Self {
            program: child::this_program()?,
            roots,
            scratch,
            memory_bytes,
        })
    }

    /// What a worker is to do: the locations of the table and its partitions lead from one root.
    fn order(&self, analysis: Analysis) -> Result<Order, AnalysisError> {
        let Analysis {
            account,
            mut table,
            mut partitions,
            ..
        } = analysis;
        let what = name(&table);
        let mut one = self.roots.one_of(&account);
        one.lead_to_table(&what, &mut table, &mut partitions, false)
            .map_err(AnalysisError)?;
        if one.root().is_none() {
            // Without partitions there is nothing to read, from a folder all the same.
            one.lead_to(&what, table.storage_descriptor.as_mut(), false)
                .map_err(AnalysisError)?;
        }
        Ok(Order {
            root: one.root().map(Path::to_path_buf).unwrap_or_default(),
            table,
            partitions,
            columns: analysis.columns,
            sample_percent: analysis.sample_percent,
            analyzed_time: analysis.analyzed_time,
            memory_bytes: self.memory_bytes,
        })
    }

    fn worker(&self, scratch: &Path) -> std::io::Result<Child> {
        let command = child::command(&self.program, analyze_worker::NAME, scratch);
        Command::from(command).kill_on_drop(true).spawn()
    }

    async fn ask(
        &self,
        order: &Order,
    ) -> std::io::Result<Result<Vec<ColumnStatistics>, AnalysisError>> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let scratch = self.scratch.folder()?;
        let mut child = self.worker(scratch.path())?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let asked = async {
            let mut stdin = stdin?;
            // A worker that ended early says why elsewhere.
            let _ = stdin.write_all(&line).await;
            // Kept open: the worker ends when it ends.
            Some(stdin)
        };
        let (_stdin, answer, said) = tokio::join!(
            asked,
            first(stdout, MAX_ANSWER_BYTES),
            first(stderr, STDERR_BYTES)
        );
        let status = child.wait().await?;
        let said = String::from_utf8_lossy(&said);
        if !said.trim().is_empty() {
            tracing::debug!("a process that reads data said: {}", said.trim_end());
        }
        Ok(match serde_json::from_slice(&answer) {
            Ok(Answer::Found(statistics)) => Ok(statistics),
            Ok(Answer::Failed(reason)) => Err(AnalysisError(reason)),
            Err(_) => Err(AnalysisError(format!(
                "the process that read the data ended without an answer ({status}): a file of it may be damaged, or need \
                 more memory than there is"
            ))),
        })
    }
}

#[async_trait]
impl Analyst for ProcessAnalyst {
    fn admit(&self, account: &str, table: &Table) -> Result<(), AnalysisError> {
        let mut descriptor = table.storage_descriptor.clone();
        let mut one = self.roots.one_of(account);
        one.lead_to(&name(table), descriptor.as_mut(), false)
            .map_err(AnalysisError)
    }

    async fn analyze(&self, analysis: Analysis) -> Result<Vec<ColumnStatistics>, AnalysisError> {
        let order = self.order(analysis)?;
        self.ask(&order).await.unwrap_or_else(|error| {
            Err(AnalysisError(format!(
                "a process that reads the data cannot be started: {error}"
            )))
        })
    }
}

/// The beginning of what is said; the rest is read and dropped, so that nobody waits.
async fn first(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut kept = pipe.take(most);
        // What came before an error counts.
        let _ = kept.read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut kept.into_inner(), &mut tokio::io::sink()).await;
    }
    bytes
}

fn name(table: &Table) -> String {
    format!(
        "table {}.{}",
        table.database_name.as_deref().unwrap_or_default(),
        table.name
    )
}

#[cfg(test)]
mod tests {
    use tenon_catalog::{Partition, StorageDescriptor};

    use super::super::data_root::DataRoot;
    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn analyst(folder: &Path) -> ProcessAnalyst {
        let roots = ["sales", "lab"].map(|name| {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            format!("{ACCOUNT}={}", folder.join(name).display())
                .parse::<DataRoot>()
                .unwrap()
        });
        let data = folder.join("data");
        std::fs::create_dir_all(&data).unwrap();
        let roots = DataRoots::open(&roots, &data).unwrap();
        let scratch = Scratch::open(&data).unwrap();
        ProcessAnalyst::new(roots, scratch, 1 << 30).unwrap()
    }

    fn at(location: Option<&str>) -> StorageDescriptor {
        StorageDescriptor {
            location: location.map(str::to_owned),
            ..StorageDescriptor::default()
        }
    }

    fn table(location: Option<&str>) -> Table {
        Table {
            name: "t".to_owned(),
            database_name: Some("d".to_owned()),
            storage_descriptor: Some(at(location)),
            ..Table::default()
        }
    }

    fn analysis(table: Table, partitions: &[&str]) -> Analysis {
        let partitions = partitions.iter().map(|location| Partition {
            values: vec!["1".to_owned()],
            storage_descriptor: Some(at(Some(location))),
            ..Partition::default()
        });
        Analysis {
            account: ACCOUNT.to_owned(),
            table,
            partitions: partitions.collect(),
            columns: Vec::new(),
            sample_percent: 100.0,
            analyzed_time: tenon_catalog::Timestamp::from_unix_millis(0),
        }
    }

    #[test]
    fn only_what_was_granted_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let analyst = analyst(folder.path());
        let base = folder.path().display().to_string();
        let admits = |account: &str, location: &str| analyst.admit(account, &table(Some(location)));
        for location in ["sales", "sales/", "sales/t/x.csv", "lab/t"] {
            admits(ACCOUNT, &format!("{base}/{location}")).unwrap();
            admits(ACCOUNT, &format!("file://{base}/{location}")).unwrap();
        }
        for location in [
            format!("{base}/other/t"),
            format!("{base}/salesmen"),
            format!("{base}/sales/../data"),
            format!("{base}/sales/t/../../data"),
            base.clone(),
            "/".to_owned(),
            "sales/t".to_owned(),
            "file://sales/t".to_owned(),
            "s3://bucket/t".to_owned(),
            format!("FILE://{base}/sales"),
        ] {
            let said = admits(ACCOUNT, &location).unwrap_err().0;
            assert!(
                said.starts_with(&format!("table d.t lies at {location}, ")),
                "{said}"
            );
        }
        admits("999999999999", &format!("{base}/sales")).unwrap_err();
        for location in [None, Some("")] {
            let said = analyst.admit(ACCOUNT, &table(location)).unwrap_err().0;
            assert_eq!(said, "table d.t has no location");
        }
    }

    #[test]
    fn a_worker_gets_one_root_and_paths_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let analyst = analyst(folder.path());
        let base = folder.path().display().to_string();
        let order = |table: Table, partitions: &[&str]| analyst.order(analysis(table, partitions));
        let plain = order(table(Some(&format!("{base}/sales"))), &[]).unwrap();
        assert_eq!(
            plain.root,
            folder.path().join("sales").canonicalize().unwrap()
        );
        let location = plain.table.storage_descriptor.unwrap().location;
        assert_eq!(location.as_deref(), Some("."));

        let mut partitioned = table(Some(&format!("{base}/sales/t")));
        partitioned
            .partition_keys
            .push(tenon_catalog::Column::default());
        let inside = format!("{base}/lab/t/day=1");
        let found = order(partitioned.clone(), &[&inside]).unwrap();
        assert_eq!(
            found.root,
            folder.path().join("lab").canonicalize().unwrap()
        );
        let location = found.partitions[0]
            .storage_descriptor
            .clone()
            .unwrap()
            .location;
        assert_eq!(location.as_deref(), Some("t/day=1"));
        let outside = format!("{base}/data/day=2");
        let said = order(partitioned.clone(), &[&inside, &outside])
            .unwrap_err()
            .0;
        assert!(
            said.starts_with("partition [\"1\"] of table d.t lies at "),
            "{said}"
        );
        let other = format!("{base}/sales/day=2");
        let said = order(partitioned.clone(), &[&inside, &other])
            .unwrap_err()
            .0;
        assert!(
            said.ends_with("lies in another granted folder than the rest"),
            "{said}"
        );
        order(partitioned, &[]).unwrap();
    }

    #[tokio::test]
    async fn a_process_that_says_nothing_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().display().to_string();
        for (program, reason) in [
            ("/bin/sh", "ended without an answer (exit status: "),
            ("/nowhere/tenon", "cannot be started"),
        ] {
            let analyst = ProcessAnalyst {
                program: program.into(),
                ..analyst(folder.path())
            };
            let asked = analysis(table(Some(&format!("{base}/sales"))), &[]);
            let said = analyst.analyze(asked).await.unwrap_err().0;
            assert!(said.contains(reason), "{said}");
        }
    }
}
