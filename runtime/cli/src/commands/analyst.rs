//! [`ProcessAnalyst`]: statistics for a server, found out by [`analyze_worker`] processes below the folders that the
//! operator granted.
//!
//! ```text
//! --data-root ACCOUNT=DIR     tables of ACCOUNT may lie below DIR; everything else is refused
//! ```
//!
//! What an account's definition of a table says is a wish: its location counts only when it leads below a granted folder
//! in its text, and the worker opens it so that no symbolic link leads out either.

use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;

use async_trait::async_trait;
use tenon_catalog::{ColumnStatistics, StorageDescriptor, Table};
use tenon_server::{Analysis, AnalysisError, Analyst};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::analyze_worker::{self, Answer, Order};
use super::compile_worker::this_program;
use crate::error::Failure;
use crate::exit::Exit;

/// Bytes of an answer, at most.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Bytes kept of what a worker says on stderr.
const STDERR_BYTES: u64 = 16 << 10;

/// Characters of a location that are shown.
const SHOWN_CHARS: usize = 300;

/// A folder that an account's tables may be read in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataRoot {
    account: String,
    folder: PathBuf,
}

impl FromStr for DataRoot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (account, folder) = text.split_once('=').ok_or("write ACCOUNT=DIR")?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("account {account:?} is not twelve digits"));
        }
        if folder.is_empty() {
            return Err("the folder is missing behind `=`".to_owned());
        }
        Ok(Self {
            account: account.to_owned(),
            folder: folder.into(),
        })
    }
}

impl DataRoot {
    /// The folder as it was given and as it is, both absolute.
    ///
    /// # Errors
    /// It is no folder, or `data`, where accounts and secrets are kept, is in it or around it.
    fn open(&self, data: &Path) -> Result<Granted, Failure> {
        let shown = self.folder.display();
        let refuse = |reason: &str| {
            Failure::new(format!("--data-root {}={shown}: {reason}", self.account))
                .with_exit(Exit::Usage)
        };
        let real = self
            .folder
            .canonicalize()
            .map_err(|e| refuse(&e.to_string()))?;
        if !real.is_dir() {
            return Err(refuse("it is no folder"));
        }
        let data = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
        if real.starts_with(&data) || data.starts_with(&real) {
            return Err(
                refuse("tenon's own data folder is there").with_hint("give a folder of data alone")
            );
        }
        Ok(Granted {
            account: self.account.clone(),
            given: std::path::absolute(&self.folder)?,
            real,
        })
    }
}

/// A folder that is there.
#[derive(Debug, Clone)]
struct Granted {
    account: String,
    given: PathBuf,
    real: PathBuf,
}

/// Finds out statistics in processes of their own.
#[derive(Debug)]
pub(crate) struct ProcessAnalyst {
    program: PathBuf,
    roots: Vec<Granted>,
    memory_bytes: u64,
}

impl ProcessAnalyst {
    /// An analyst that reads below `roots`, with so much memory for each run. `data` is tenon's own folder.
    ///
    /// # Errors
    /// A root is none, or the program does not find itself.
    pub(crate) fn new(roots: &[DataRoot], data: &Path, memory_bytes: u64) -> Result<Self, Failure> {
        let roots = roots.iter().map(|root| root.open(data));
        Ok(Self {
            program: this_program()?,
            roots: roots.collect::<Result<_, _>>()?,
            memory_bytes,
        })
    }

    /// The granted folder that a location is in, and the path below it.
    fn locate(
        &self,
        account: &str,
        what: &str,
        descriptor: Option<&StorageDescriptor>,
    ) -> Result<(&Granted, PathBuf), AnalysisError> {
        let location = descriptor
            .and_then(|descriptor| descriptor.location.as_deref())
            .filter(|location| !location.is_empty())
            .ok_or_else(|| AnalysisError(format!("{what} has no location")))?;
        let shown: String = location.chars().take(SHOWN_CHARS).collect();
        if let Some((scheme, _)) = location.split_once("://")
            && scheme != "file"
        {
            return Err(AnalysisError(format!(
                "{what} lies at {shown}, and this server reads only files of its own machine"
            )));
        }
        let path = Path::new(location.strip_prefix("file://").unwrap_or(location));
        let mut roots = self.roots.iter().filter(|root| root.account == account);
        let found = roots.find_map(|root| {
            let below = path
                .strip_prefix(&root.real)
                .or_else(|_| path.strip_prefix(&root.given));
            Some((root, below.ok()?))
        });
        let is_plain = |below: &Path| {
            below
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        match found {
            Some((root, below)) if is_plain(below) => Ok((root, or_here(below))),
            _ => Err(AnalysisError(format!(
                "{what} lies at {shown}, which is in no folder that account {account} may have read; the server's \
                 operator grants one with --data-root"
            ))),
        }
    }

    /// What a worker is to do: the locations of the table and its partitions lead from one root.
    fn order(&self, analysis: Analysis) -> Result<Order, AnalysisError> {
        let Analysis {
            account,
            mut table,
            mut partitions,
            ..
        } = analysis;
        let mut root = None;
        let what = name(&table);
        let mut lead = |what: &str, descriptor: Option<&mut StorageDescriptor>| {
            let (found, below) = self.locate(&account, what, descriptor.as_deref())?;
            if root.get_or_insert(found).real != found.real {
                return Err(AnalysisError(format!(
                    "{what} lies in another granted folder than the rest"
                )));
            }
            if let Some(descriptor) = descriptor {
                descriptor.location = Some(below.to_string_lossy().into_owned());
            }
            Ok(())
        };
        if table.partition_keys.is_empty() {
            lead(&what, table.storage_descriptor.as_mut())?;
        }
        for partition in &mut partitions {
            let what = format!("partition {:?} of {what}", partition.values);
            lead(&what, partition.storage_descriptor.as_mut())?;
        }
        let root = match root {
            Some(root) => root,
            // Without partitions there is nothing to read, from a folder all the same.
            None => {
                self.locate(&account, &what, table.storage_descriptor.as_ref())?
                    .0
            }
        };
        Ok(Order {
            root: root.real.clone(),
            table,
            partitions,
            columns: analysis.columns,
            sample_percent: analysis.sample_percent,
            analyzed_time: analysis.analyzed_time,
            memory_bytes: self.memory_bytes,
        })
    }

    fn worker(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .arg(analyze_worker::NAME)
            .env_clear()
            .current_dir("/")
            // Ctrl-C is for the server, which ends its workers itself.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Where operators keep what does not fit into memory.
        if let Some(folder) = std::env::var_os("TMPDIR") {
            command.env("TMPDIR", folder);
        }
        command.spawn()
    }

    async fn ask(
        &self,
        order: &Order,
    ) -> std::io::Result<Result<Vec<ColumnStatistics>, AnalysisError>> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let mut child = self.worker()?;
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
        let what = name(table);
        self.locate(account, &what, table.storage_descriptor.as_ref())
            .map(drop)
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

/// The root itself is `.`, since a location is not empty.
fn or_here(path: &Path) -> PathBuf {
    match path.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use tenon_catalog::Partition;

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
        ProcessAnalyst::new(&roots, &data, 1 << 30).unwrap()
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

    #[test]
    fn roots_are_written_account_first() {
        let refused = |text: &str| text.parse::<DataRoot>().unwrap_err();
        assert_eq!(refused("/srv"), "write ACCOUNT=DIR");
        assert_eq!(refused("1=/srv"), "account \"1\" is not twelve digits");
        assert_eq!(refused("111122223333="), "the folder is missing behind `=`");
        let root: DataRoot = "111122223333=/srv/a=b".parse().unwrap();
        assert_eq!(root.folder, Path::new("/srv/a=b"));
    }
}
