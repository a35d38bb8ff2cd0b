//! [`Scratch`]: where processes of a server keep what does not fit into memory, each in a folder of its own.
//!
//! The folder of all is in the system's folder for temporary files, which may be a disk of its own. Where it is stands in
//! the data folder, so that the next server removes what one left that was killed: files there have no names, so that is
//! some empty folders.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::error::{Explain, Failure};

/// The file in `<data>` that says where it is.
const PLACE: &str = "scratch-folder";

/// How its name begins.
const PREFIX: &str = "tenon-scratch-";

/// A folder for folders of processes; it goes with the last that has it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Scratch(Arc<TempDir>);

impl Scratch {
    /// Makes it, and removes that of a server over the same data folder that was killed.
    ///
    /// # Errors
    /// It cannot be made or noted.
    pub(crate) fn open(data: &Path) -> Result<Self, Failure> {
        // Processes begin in another folder.
        Self::open_in(data, &std::path::absolute(std::env::temp_dir())?)
    }

    fn open_in(data: &Path, temporary: &Path) -> Result<Self, Failure> {
        let place = data.join(PLACE);
        if let Ok(left) = std::fs::read_to_string(&place) {
            remove_left(Path::new(&left));
        }
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(temporary)
            .what(|| format!("cannot make a folder in {}", temporary.display()))?;
        std::fs::write(&place, folder.path().as_os_str().as_encoded_bytes())
            .what(|| format!("cannot write {}", place.display()))?;
        Ok(Self(Arc::new(folder)))
    }

    /// A folder for one process.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn folder(&self) -> std::io::Result<TempDir> {
        TempDir::new_in(self.0.path())
    }
}

/// Removes what is named as only a scratch folder is.
fn remove_left(folder: &Path) {
    let name = folder.file_name().and_then(|name| name.to_str());
    if name.is_some_and(|name| name.starts_with(PREFIX)) {
        // It may have gone with the machine's restart.
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_server_left_is_removed_and_nothing_else() {
        let [data, temporary] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let open = || Scratch::open_in(data.path(), temporary.path()).unwrap();
        let count = || std::fs::read_dir(temporary.path()).unwrap().count();
        let killed = open();
        std::mem::forget(killed.folder().unwrap());
        std::mem::forget(killed);
        let other = temporary.path().join("another's");
        std::fs::create_dir(&other).unwrap();
        assert_eq!(count(), 2);
        let next = open();
        assert_eq!(count(), 2);
        drop(next.folder().unwrap());
        drop(next);
        assert_eq!(count(), 1);
        // A file that says something else removes nothing.
        std::fs::write(data.path().join(PLACE), other.to_str().unwrap()).unwrap();
        drop(open());
        assert!(other.is_dir());
    }
}
