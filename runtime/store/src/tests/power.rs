//! Power cuts without pulling a plug: a [`Disk`] that remembers what was synced. What a cut leaves is exactly
//! that: the content of each file at its last sync, under the names its folder had at its last sync. And a disk
//! that fails.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

/// What would survive a power cut.
#[derive(Default)]
struct RememberingDisk {
    contents: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    names: Mutex<BTreeMap<PathBuf, Vec<PathBuf>>>,
}

impl Disk for RememberingDisk {
    fn sync(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
            let entries = entries.collect::<io::Result<_>>()?;
            self.names.lock().insert(path.to_owned(), entries);
        } else {
            self.contents
                .lock()
                .insert(path.to_owned(), fs::read(path)?);
        }
        Ok(())
    }
}

impl RememberingDisk {
    /// Writes what survives of `from` to `to`.
    fn restore(&self, from: &Path, to: &Path) {
        let contents = self.contents.lock();
        for (folder, names) in &*self.names.lock() {
            let Ok(below) = folder.strip_prefix(from) else {
                continue;
            };
            fs::create_dir_all(to.join(below)).unwrap();
            for name in names.iter().filter(|name| !name.is_dir()) {
                let content = contents.get(name).cloned();
                // An empty file has no content to sync. sled may bring a new snapshot between two of our
                // steps; the next sync covers it.
                let empty = fs::metadata(name).is_ok_and(|file| file.len() == 0);
                let snapshot = name.to_string_lossy().contains("/snap.");
                let covered = content.is_some() || empty || snapshot;
                assert!(covered, "{} was never synced", name.display());
                let content = content.unwrap_or_default();
                fs::write(to.join(name.strip_prefix(from).unwrap()), content).unwrap();
            }
        }
    }
}

fn open_with(dir: &Path, disk: Arc<dyn Disk>) -> SledStore {
    SledStore::open_with_disk(dir, &StoreConfig::default(), &clock(), disk).unwrap()
}

#[test]
fn a_power_cut_after_any_commit_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RememberingDisk::default());
    let store = open_with(dir.path(), disk.clone());
    for number in 0..120_usize {
        // Rewrites, growth, chunks and deletes; enough volume for several segments of the log.
        let name = (number % 7).to_string();
        let size = if number % 5 == 0 { 60_000 } else { 100 };
        let mut transaction = put(&name, &vec![number as u8; size]);
        if number % 11 == 10 {
            transaction = Transaction::new(TENANT).delete(Tree::Object, key(&name));
        }
        store.commit(transaction).unwrap();
        if number % 4 != 0 {
            continue;
        }
        let after_cut = tempfile::tempdir().unwrap();
        disk.restore(dir.path(), after_cut.path());
        let survivor = open_sled(after_cut.path());
        let all = |store: &dyn Store| {
            store
                .scan(TENANT, Tree::Object, &Key::new(), None, 100)
                .unwrap()
        };
        assert!(all(&*survivor) == all(&store), "after commit {number}");
    }
}

/// Succeeds a number of times, then fails.
struct FailingDisk {
    left: Mutex<usize>,
}

impl Disk for FailingDisk {
    fn sync(&self, _path: &Path) -> io::Result<()> {
        let mut left = self.left.lock();
        *left = left
            .checked_sub(1)
            .ok_or_else(|| io::Error::from_raw_os_error(5))?;
        Ok(())
    }
}

#[test]
fn a_failed_sync_is_never_acknowledged_and_stops_the_store() {
    let mut stopped = 0;
    for successes in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FailingDisk {
            left: Mutex::new(successes),
        });
        let config = StoreConfig::default();
        let store = match SledStore::open_with_disk(dir.path(), &config, &clock(), disk.clone()) {
            Ok(store) => store,
            Err(error) => {
                assert!(error.to_string().starts_with("cannot sync "), "{error}");
                continue;
            }
        };
        let failed = (0..1000)
            .find_map(|number: u32| store.commit(put(&number.to_string(), b"")).err())
            .unwrap();
        let text = failed.to_string();
        assert!(
            text.starts_with("the store has stopped accepting writes: cannot sync "),
            "{text}"
        );
        assert!(text.ends_with("; restart to see what was stored"), "{text}");
        // A disk that works again changes nothing: the lost write stays lost.
        *disk.left.lock() = 1000;
        assert!(matches!(
            store.commit(put("later", b"")),
            Err(Error::Stopped { .. })
        ));
        assert!(
            store.get(TENANT, Tree::Object, &key("0")).is_ok(),
            "reads go on"
        );
        stopped += 1;
    }
    assert!(stopped > 5);
}
