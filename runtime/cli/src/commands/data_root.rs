//! `--data-root ACCOUNT=DIR`: the folders that processes of a server may read and write for an account.
//!
//! ```text
//! --data-root ACCOUNT=DIR     tables and files of ACCOUNT may lie below DIR; everything else is refused
//! ```
//!
//! What an account's definition of a table or a job says is a wish: a location counts only when it leads below a granted
//! folder in its text, and the process opens it so that no symbolic link leads out either.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use tenon_catalog::{Partition, StorageDescriptor, Table};

use crate::error::Failure;
use crate::exit::Exit;

/// Characters of a location that are shown.
const SHOWN_CHARS: usize = 300;

/// A folder that an account was granted.
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
            let refused = refuse("tenon's own data folder is there");
            return Err(refused.with_hint("give a folder of data alone"));
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

/// All folders that were granted.
#[derive(Debug, Clone)]
pub(crate) struct DataRoots(Vec<Granted>);

impl DataRoots {
    /// Opens them. `data` is tenon's own folder.
    ///
    /// # Errors
    /// One of them is no folder, or `data`, where accounts and secrets are kept, is in it or around it.
    pub(crate) fn open(roots: &[DataRoot], data: &Path) -> Result<Self, Failure> {
        let roots = roots.iter().map(|root| root.open(data));
        Ok(Self(roots.collect::<Result<_, _>>()?))
    }

    /// The granted folder that a location of an account is in, and the path below it.
    ///
    /// # Errors
    /// It is in none, as a sentence for whoever wrote it that begins with `what`.
    pub(crate) fn locate(
        &self,
        account: &str,
        what: &str,
        location: &str,
    ) -> Result<(&Path, String), String> {
        let shown: String = location.chars().take(SHOWN_CHARS).collect();
        if let Some((scheme, _)) = location.split_once("://")
            && scheme != "file"
        {
            return Err(format!(
                "{what} lies at {shown}, which takes a connection: name one in the job's Connections, or as Connection of the node; \
                 partitions lie below their table"
            ));
        }
        let text = location.strip_prefix("file://").unwrap_or(location);
        if text.contains("://") {
            return Err(format!(
                "{what} lies at {shown}, which is no path of a file"
            ));
        }
        let path = Path::new(text);
        let mut roots = self.0.iter().filter(|root| root.account == account);
        let found = roots.find_map(|root| {
            let below = path
                .strip_prefix(&root.real)
                .or_else(|_| path.strip_prefix(&root.given));
            Some((root, below.ok()?))
        });
        let is_plain = |below: &Path| {
            let mut parts = below.components();
            parts.all(|part| matches!(part, Component::Normal(_)))
        };
        match found {
            Some((root, below)) if is_plain(below) => {
                Ok((&root.real, written(below, text.ends_with('/'))))
            }
            _ => Err(format!(
                "{what} lies at {shown}, which is in no folder that account {account} may use; the server's operator \
                 grants one with --data-root"
            )),
        }
    }

    /// For what one process works on: everything must lie in the same granted folder.
    pub(crate) fn one_of<'a>(&'a self, account: &'a str) -> OneRoot<'a> {
        OneRoot {
            roots: self,
            account,
            root: None,
        }
    }
}

/// The granted folder in which everything lies that a process works on.
pub(crate) struct OneRoot<'a> {
    roots: &'a DataRoots,
    account: &'a str,
    root: Option<&'a Path>,
}

impl<'a> OneRoot<'a> {
    /// A location as a path below the folder; a URL stays what it is where a connection is `connected` to it.
    ///
    /// # Errors
    /// It is in no granted folder, or not in that of the rest; it is a URL and there is no connection.
    pub(crate) fn lead(
        &mut self,
        what: &str,
        location: &str,
        connected: bool,
    ) -> Result<String, String> {
        if connected && is_url(location) {
            return Ok(location.to_owned());
        }
        let (found, below) = self.roots.locate(self.account, what, location)?;
        if *self.root.get_or_insert(found) != found {
            return Err(format!(
                "{what} lies in another granted folder than the rest"
            ));
        }
        Ok(below)
    }

    /// A pattern of files as it is for whoever knows the folder by its real path alone; one that is about no whole path
    /// of this machine, or about one outside, stays what it is.
    pub(crate) fn lead_pattern(&self, pattern: &str) -> String {
        let path = pattern.strip_prefix("file://").unwrap_or(pattern);
        let mut roots = self.roots.0.iter();
        let found = roots.find_map(|root| {
            let rest = path.strip_prefix(root.given.to_str()?)?;
            let is_whole =
                root.account == self.account && (rest.is_empty() || rest.starts_with('/'));
            is_whole.then(|| format!("{}{rest}", root.real.display()))
        });
        found.unwrap_or_else(|| path.to_owned())
    }

    /// The same for the location of a table or a partition, which it takes the place of.
    ///
    /// # Errors
    /// As for [`Self::lead`]; there is no location.
    pub(crate) fn lead_to(
        &mut self,
        what: &str,
        descriptor: Option<&mut StorageDescriptor>,
        connected: bool,
    ) -> Result<(), String> {
        let location = descriptor.and_then(|descriptor| descriptor.location.as_mut());
        match location.filter(|location| !location.is_empty()) {
            None => Err(format!("{what} has no location")),
            Some(location) => {
                *location = self.lead(what, location, connected)?;
                Ok(())
            }
        }
    }

    /// The same for a table that is read: its own location, or those of its partitions.
    ///
    /// # Errors
    /// As for [`Self::lead_to`].
    pub(crate) fn lead_to_table(
        &mut self,
        what: &str,
        table: &mut Table,
        partitions: &mut [Partition],
        connected: bool,
    ) -> Result<(), String> {
        if table.partition_keys.is_empty() {
            return self.lead_to(what, table.storage_descriptor.as_mut(), connected);
        }
        let of_table = location_of(table.storage_descriptor.as_ref());
        let of_table = of_table.filter(|location| connected && is_url(location));
        for partition in partitions {
            let what = format!("partition {:?} of {what}", partition.values);
            let own = location_of(partition.storage_descriptor.as_ref()).unwrap_or_default();
            // The connection is for the table: what lies elsewhere would be asked for without its keys, or by them.
            let below = of_table.is_some_and(|table| {
                let table = table.trim_end_matches('/');
                own.strip_prefix(table)
                    .is_some_and(|rest| rest.starts_with('/'))
            });
            self.lead_to(&what, partition.storage_descriptor.as_mut(), below)?;
        }
        Ok(())
    }

    /// The folder, when anything was in one.
    pub(crate) const fn root(&self) -> Option<&'a Path> {
        self.root
    }
}

fn location_of(descriptor: Option<&StorageDescriptor>) -> Option<&str> {
    descriptor?.location.as_deref()
}

/// Whether a location is not one of this machine.
fn is_url(location: &str) -> bool {
    let scheme = location.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme != "file")
}

/// A path as it is handed on: nothing stands in it that could be taken for another kind of location. `.` for the folder itself.
fn written(below: &Path, is_folder: bool) -> String {
    let plain: PathBuf = below.components().collect();
    match (plain.as_os_str().is_empty(), is_folder) {
        (true, _) => ".".to_owned(),
        (false, true) => format!("{}/", plain.display()),
        (false, false) => plain.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_works_on_lies_in_one_granted_folder_of_the_account() {
        let dir = tempfile::tempdir().unwrap();
        let folders = ["own", "also", "other"].map(|name| dir.path().join(name));
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
        }
        let accounts = ["111111111111", "111111111111", "222222222222"];
        let granted: Vec<DataRoot> = accounts
            .iter()
            .zip(&folders)
            .map(|(account, folder)| format!("{account}={}", folder.display()).parse().unwrap())
            .collect();
        let roots = DataRoots::open(&granted, &dir.path().join("data")).unwrap();
        let [own, also, other] = folders.map(|folder| folder.display().to_string());
        let mut one = roots.one_of("111111111111");
        assert_eq!(
            one.lead("in", &format!("{own}/a/b.csv"), false).unwrap(),
            "a/b.csv"
        );
        assert_eq!(
            one.lead("in", &format!("file://{own}/"), false).unwrap(),
            "."
        );
        assert_eq!(
            one.lead("out", &format!("{own}/a//b/"), false).unwrap(),
            "a/b/"
        );
        let said = one.lead("out", &format!("{also}/x"), false).unwrap_err();
        assert_eq!(said, "out lies in another granted folder than the rest");
        for path in [
            &format!("{own}/../x"),
            &format!("{other}/x"),
            "a.csv",
            "s3://b/x",
            // Cut off at the granted folder, a URL would be left.
            &format!("file://{own}/https://h/x.csv"),
            &format!("{own}/s3://b/x"),
        ] {
            let said = one.lead("in", path, false).unwrap_err();
            assert!(said.starts_with(&format!("in lies at {path}, ")), "{said}");
        }
        // With a connection a bucket may be anywhere, and a file may not.
        assert_eq!(one.lead("in", "s3://b/x", true).unwrap(), "s3://b/x");
        for path in ["/etc/passwd", "file:///etc/passwd", "a.csv"] {
            one.lead("in", path, true).unwrap_err();
        }
        let around = DataRoots::open(&granted, &dir.path().join("own/data"));
        assert!(around.unwrap_err().to_string().contains("own data folder"));
    }

    #[test]
    fn patterns_of_whole_paths_are_about_the_real_folder() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let granted = format!("111111111111={}", link.display());
        let roots = DataRoots::open(&[granted.parse().unwrap()], &dir.path().join("data"));
        let roots = roots.unwrap();
        let own = roots.one_of("111111111111");
        let (real, link) = (real.canonicalize().unwrap(), link.display().to_string());
        let led = format!("{}/in/**.tmp", real.display());
        assert_eq!(own.lead_pattern(&format!("{link}/in/**.tmp")), led);
        assert_eq!(own.lead_pattern(&format!("file://{link}/in/**.tmp")), led);
        for same in ["**.tmp", "s3://b/x", "/elsewhere/*", &format!("{link}er/x")] {
            assert_eq!(own.lead_pattern(same), same);
        }
        let other = roots.one_of("222222222222");
        assert_eq!(
            other.lead_pattern(&format!("{link}/x")),
            format!("{link}/x")
        );
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
