//! From what the user named (file, folder, glob, URL, `-`) to the files to read: [`locate`].
//!
//! Folders are walked to the bottom; names that begin with `.` or `_` are left out, as in Hive.
//! The order is the order of the names, so that a table reads the same every time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use crate::compress::Member;
use crate::error::{Error, Result};
use crate::hive::FilePartition;
use crate::input::Input;
use crate::place::{Entry, Place};
use crate::remote::list::{self, At};
use crate::remote::location::Location;
use crate::remote::read::RemoteFile;
use crate::remote::spool::Spool;

const MAX_FOLDER_DEPTH: usize = 32;
const MAX_FILES: usize = 100_000;
pub(crate) const GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// On a disk, opened through its place.
    Local(Place),
    Remote(RemoteFile),
    Spool(Spool),
}

/// A file that exists, and where it is opened.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    pub(crate) origin: Origin,
    /// As errors name it; of an object, the URL with its whole key.
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) modified: std::time::SystemTime,
    /// The file inside, if this is an archive.
    pub(crate) member: Option<Arc<Member>>,
    /// The columns that its folders give; see `hive.rs`.
    pub(crate) partition: Option<FilePartition>,
}

impl SourceFile {
    /// The file as errors name it.
    pub(crate) fn name(&self) -> String {
        self.content_path().display().to_string()
    }

    /// Its bytes, from the beginning. Blocks; must be called where a Tokio runtime is.
    pub(crate) fn open(&self) -> Result<Input> {
        match &self.origin {
            Origin::Local(place) => {
                let input = self.open_local(place).map(Input::new)?;
                Ok(input.counted(place.remote().counters()))
            }
            Origin::Remote(file) => Ok(Input::new(file.open())),
            Origin::Spool(spool) => Ok(Input::new(spool.open())),
        }
    }

    pub(crate) fn open_local(&self, place: &Place) -> Result<File> {
        place
            .open(&self.path)
            .map_err(|e| Error::io("read", &self.path, e))
    }
}

/// All files that `paths` name, folders and globs expanded.
///
/// # Errors
/// [`Error::NotFound`] for a path, folder or glob without files; [`Error::Refused`] for one outside the place.
pub(crate) fn locate(place: &Place, paths: &[PathBuf]) -> Result<Vec<SourceFile>> {
    if paths.is_empty() {
        return Err(Error::NotFound(
            "no path was given: name at least one file, folder or glob".into(),
        ));
    }
    let mut files = Vec::new();
    for path in paths {
        match Location::parse(path)? {
            Some(location) => remote(place, &location, &mut files)?,
            None if place.is_standard_stream(path) => stdin(place, path, &mut files)?,
            None => locate_one(place, &local_path(path)?, &mut files)?,
        }
    }
    Ok(files)
}

fn remote(place: &Place, location: &Location, files: &mut Vec<SourceFile>) -> Result<()> {
    list::locate(place.remote(), location, &mut |found| {
        let origin = match found.at {
            At::Object(file) => Origin::Remote(file),
            At::Spool(spool) => Origin::Spool(spool),
        };
        let entry = Entry {
            is_dir: false,
            size: found.size,
            modified: found.modified,
        };
        push(origin, found.path, entry, files)
    })
}

fn stdin(place: &Place, path: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    let spool = place.stdin()?;
    let entry = Entry {
        is_dir: false,
        size: spool.size(),
        modified: std::time::SystemTime::UNIX_EPOCH,
    };
    push(Origin::Spool(spool), path.to_path_buf(), entry, files)
}

/// `file:///a/b` becomes `/a/b`.
pub(crate) fn local_path(path: &Path) -> Result<PathBuf> {
    let Some(text) = path.to_str() else {
        return Ok(path.to_path_buf());
    };
    if !text.contains("://") {
        return Ok(path.to_path_buf());
    }
    url::Url::parse(text)
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| {
            Error::NotFound(format!(
                "{text}: not a local path; write it as file:///folder/name"
            ))
        })
}

fn locate_one(place: &Place, path: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    place.check(path)?;
    match place.entry(path) {
        Ok(entry) if entry.is_dir => folder(place, path, files),
        Ok(entry) => push(local(place), path.to_path_buf(), entry, files),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("read", path, e)),
        Err(_) if is_glob(path) => expand(place, path, files),
        Err(_) => Err(not_found(place, path)),
    }
}

fn local(place: &Place) -> Origin {
    Origin::Local(place.clone())
}

fn push(origin: Origin, path: PathBuf, entry: Entry, files: &mut Vec<SourceFile>) -> Result<()> {
    if files.len() == MAX_FILES {
        return Err(Error::Unsupported(format!(
            "more than {MAX_FILES} files; name fewer with a narrower path"
        )));
    }
    files.push(SourceFile {
        origin,
        path,
        size: entry.size,
        modified: entry.modified,
        member: None,
        partition: None,
    });
    Ok(())
}

fn folder(place: &Place, path: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    let before = files.len();
    walk(place, path, 0, &mut |path, entry| {
        let path = path
            .strip_prefix(".")
            .map(Path::to_path_buf)
            .unwrap_or(path);
        push(local(place), path, entry, files)
    })?;
    if files.len() == before {
        return Err(Error::NotFound(format!(
            "{}: the folder holds no data files; names that begin with `.` or `_` do not count",
            path.display()
        )));
    }
    Ok(())
}

fn expand(place: &Place, path: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    let text = path.to_string_lossy();
    let pattern = Pattern::new(&text)
        .map_err(|e| Error::NotFound(format!("{text}: not a valid glob: {}", e.msg)))?;
    let base: PathBuf = path
        .components()
        .take_while(|c| !has_meta(&c.as_os_str().to_string_lossy()))
        .collect();
    let before = files.len();
    if place.entry(&base).is_ok() {
        walk(place, &base, 0, &mut |path, entry| {
            if pattern.matches_path_with(&path, GLOB) {
                push(local(place), path, entry, files)
            } else {
                Ok(())
            }
        })?;
    }
    if files.len() == before {
        return Err(Error::NotFound(format!(
            "{text}: no file matches this glob; use ** to look into folders"
        )));
    }
    Ok(())
}

fn walk(
    place: &Place,
    folder: &Path,
    depth: usize,
    found: &mut dyn FnMut(PathBuf, Entry) -> Result<()>,
) -> Result<()> {
    if depth > MAX_FOLDER_DEPTH {
        return Err(Error::Unsupported(format!(
            "{}: folders nested deeper than {MAX_FOLDER_DEPTH}; does a symlink lead back?",
            folder.display()
        )));
    }
    for name in place
        .names(folder)
        .map_err(|e| Error::io("list", folder, e))?
    {
        if is_hidden(&name) {
            continue;
        }
        let path = folder.join(name);
        let entry = place
            .entry(&path)
            .map_err(|e| Error::io("read", &path, e))?;
        if entry.is_dir {
            walk(place, &path, depth + 1, found)?;
        } else {
            found(path, entry)?;
        }
    }
    Ok(())
}

/// Hidden from readers: temporary files, manifests, markers.
pub(crate) fn is_hidden(name: &Path) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || name.starts_with('_')
}

fn is_glob(path: &Path) -> bool {
    has_meta(&path.to_string_lossy())
}

fn has_meta(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn not_found(place: &Place, path: &Path) -> Error {
    let given = path.display();
    match near_name(place, path) {
        Some(near) => Error::NotFound(format!(
            "{given}: no such file or folder; did you mean {}?",
            near.display()
        )),
        None => Error::NotFound(format!("{given}: no such file or folder")),
    }
}

/// The path with its first missing component replaced by the most similar existing name.
fn near_name(place: &Place, path: &Path) -> Option<PathBuf> {
    let missing = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && place.entry(p).is_err())
        .last()?;
    let wanted = missing.file_name()?.to_string_lossy().to_lowercase();
    let parent = missing.parent()?;
    let limit = (wanted.chars().count() / 3).max(1);
    let distance =
        |name: &PathBuf| strsim::osa_distance(&wanted, &name.to_string_lossy().to_lowercase());
    let near = place
        .names(parent)
        .ok()?
        .into_iter()
        .filter(|name| !is_hidden(name))
        .min_by_key(distance)?;
    if distance(&near) > limit {
        return None;
    }
    let rest = path.strip_prefix(missing).ok()?;
    let near = parent.join(near);
    Some(if rest.as_os_str().is_empty() {
        near
    } else {
        near.join(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &Place, path: &str) -> std::result::Result<Vec<String>, String> {
        let files = locate(place, &[PathBuf::from(path)]).map_err(|e| e.to_string())?;
        Ok(files.iter().map(SourceFile::name).collect())
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in [
            "in/a.csv",
            "in/b.csv",
            "in/deep/c.csv",
            "in/_hidden.csv",
            "in/.staged.csv",
            "year=2024/x.csv",
        ] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a\n1\n").unwrap();
        }
        std::fs::create_dir(root.path().join("empty")).unwrap();
        root
    }

    #[test]
    fn files_folders_and_globs() {
        let root = tree();
        let place = Place::rooted(root.path()).unwrap();
        assert_eq!(names(&place, "in/a.csv").unwrap(), ["in/a.csv"]);
        assert_eq!(
            names(&place, "in").unwrap(),
            ["in/a.csv", "in/b.csv", "in/deep/c.csv"]
        );
        assert_eq!(names(&place, "in/*.csv").unwrap(), ["in/a.csv", "in/b.csv"]);
        assert_eq!(
            names(&place, "in/**/*.csv").unwrap(),
            ["in/a.csv", "in/b.csv", "in/deep/c.csv"]
        );
        assert_eq!(names(&place, "year=*/x.csv").unwrap(), ["year=2024/x.csv"]);
        let url = format!("file://{}/in/a.csv", root.path().display());
        assert_eq!(names(&Place::ambient(), &url).unwrap().len(), 1);
    }

    #[test]
    fn what_is_missing_says_so() {
        let root = tree();
        let place = Place::rooted(root.path()).unwrap();
        let error = |path: &str| names(&place, path).unwrap_err();
        insta::assert_snapshot!(error("in/aa.csv"), @"in/aa.csv: no such file or folder; did you mean in/a.csv?");
        insta::assert_snapshot!(error("inn/a.csv"), @"inn/a.csv: no such file or folder; did you mean in/a.csv?");
        insta::assert_snapshot!(error("nothing/like/it.csv"), @"nothing/like/it.csv: no such file or folder");
        insta::assert_snapshot!(error("empty"), @"empty: the folder holds no data files; names that begin with `.` or `_` do not count");
        insta::assert_snapshot!(error("in/*.json"), @"in/*.json: no file matches this glob; use ** to look into folders");
        insta::assert_snapshot!(error("s4://bucket/key"), @"s4:// is not known; known are s3:// gs:// az:// abfss:// https:// file://");
    }

    #[test]
    fn a_rooted_place_cannot_be_left() {
        let root = tree();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.csv"), "a\n1\n").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("in/link")).unwrap();
        std::os::unix::fs::symlink(
            outside.path().join("secret.csv"),
            root.path().join("secret.csv"),
        )
        .unwrap();
        let place = Place::rooted(root.path()).unwrap();
        let absolute = outside.path().join("secret.csv");
        for path in [
            "../x",
            "in/../../x",
            "secret.csv",
            "in/link/secret.csv",
            "in",
            "in/**",
            absolute.to_str().unwrap(),
        ] {
            let error = locate(&place, &[PathBuf::from(path)]).unwrap_err();
            assert!(matches!(error, Error::Refused(_)), "{path}: {error}");
        }
        insta::assert_snapshot!(names(&place, "in/../../x").unwrap_err(), @"in/../../x: `..` is not allowed here; use a path inside the folder");
        insta::assert_snapshot!(names(&place, "secret.csv").unwrap_err(), @"secret.csv: leads out of the folder it must stay in; use a path inside it");
    }
}
