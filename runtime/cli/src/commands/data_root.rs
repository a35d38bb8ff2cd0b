//! `--data-root ACCOUNT=DIR`: the folders that runs of an account's jobs may read and write.
//!
//! What a tenant's definition says is a wish: a path counts only when it leads below a granted folder in its text, and
//! the worker opens it so that no symbolic link leads out either.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::error::Failure;
use crate::exit::Exit;

/// Characters of a path that are shown.
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

    /// The granted folder that a path of an account is in, and the path below it. A relative path is below the first
    /// folder of the account.
    ///
    /// # Errors
    /// The path is in none, as a sentence for whoever wrote it.
    pub(crate) fn locate(&self, account: &str, path: &str) -> Result<(&Path, PathBuf), String> {
        let shown: String = path.chars().take(SHOWN_CHARS).collect();
        if let Some((scheme, _)) = path.split_once("://")
            && scheme != "file"
        {
            return Err(format!(
                "{shown} is not on this server's own machine, and nothing else is read or written yet"
            ));
        }
        let path = Path::new(path.strip_prefix("file://").unwrap_or(path));
        let mut roots = self.0.iter().filter(|root| root.account == account);
        let found = roots.find_map(|root| {
            if path.is_relative() {
                return Some((root, path));
            }
            let below = path
                .strip_prefix(&root.real)
                .or_else(|_| path.strip_prefix(&root.given));
            Some((root, below.ok()?))
        });
        let is_plain =
            |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        match found {
            Some((root, below)) if below.components().all(is_plain) => {
                Ok((&root.real, Path::new(".").join(below)))
            }
            _ => Err(format!(
                "{shown} is in no folder that account {account} may use; the server's operator grants one with --data-root"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_a_granted_folder_of_the_account_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        for folder in [&own, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        let grant = |account: &str, folder: &Path| {
            format!("{account}={}", folder.display()).parse().unwrap()
        };
        let granted = [grant("111111111111", &own), grant("222222222222", &other)];
        let roots = DataRoots::open(&granted, &dir.path().join("data")).unwrap();
        let found = |path: &str| roots.locate("111111111111", path).map(|(_, below)| below);
        let absolute = |folder: &Path, path: &str| folder.join(path).to_string_lossy().into_owned();
        for path in [
            "a/b.csv".to_owned(),
            absolute(&own, "a/b.csv"),
            format!("file://{}", absolute(&own, "a/b.csv")),
        ] {
            assert_eq!(found(&path), Ok(PathBuf::from("./a/b.csv")));
        }
        for path in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "s3://b/x",
            "file:///etc",
            &absolute(&other, "x"),
        ] {
            found(path).unwrap_err();
        }
        roots.locate("333333333333", "x").unwrap_err();
        let around = DataRoots::open(&granted, &own.join("data"));
        assert!(around.unwrap_err().to_string().contains("own data folder"));
        for bad in ["x", "1=a", "111111111111="] {
            bad.parse::<DataRoot>().unwrap_err();
        }
    }
}
