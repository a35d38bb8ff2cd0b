//! Every operation of the disk fails once, in a run of its own: a full disk, an input/output error, a failed
//! sync. Nothing is acknowledged after a failed commit, and opening again shows everything that was.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

const NO_SPACE: i32 = 28;
const IO_ERROR: i32 = 5;

/// The machine's disk with one fault.
#[derive(Clone)]
struct FaultyDisk(Arc<Mutex<Fault>>);

#[derive(Default)]
struct Fault {
    /// Operations that succeed before the one that fails.
    left: u64,
    /// What failed: the operation and the kind of file.
    failed: Option<String>,
}

impl FaultyDisk {
    fn new(left: u64) -> Self {
        Self(Arc::new(Mutex::new(Fault { left, failed: None })))
    }

    fn check(&self, what: &str, path: &Path, code: i32) -> io::Result<()> {
        let mut fault = self.0.lock();
        if fault.failed.is_some() {
            return Ok(());
        }
        if fault.left > 0 {
            fault.left -= 1;
            return Ok(());
        }
        fault.failed = Some(format!("{what} {}", kind(path)));
        Err(io::Error::from_raw_os_error(code))
    }
}

/// Which kind of file or folder a path is of.
fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    match (&*folder.to_string_lossy(), path.extension()) {
        (folder @ ("journal" | "checkpoint"), Some(extension)) => {
            format!("{folder}/*.{}", extension.to_string_lossy())
        }
        (folder @ ("journal" | "checkpoint"), None) => format!("{folder}/*"),
        ("sled" | "blobs", _) => "sled/*".to_owned(),
        _ if name.starts_with(".tmp") => "dir".to_owned(),
        _ => name.into_owned(),
    }
}

impl Disk for FaultyDisk {
    fn sync(&self, path: &Path) -> io::Result<()> {
        self.check("sync", path, IO_ERROR)?;
        SystemDisk.sync(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.check("create folder", path, NO_SPACE)?;
        SystemDisk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.check("list", folder, IO_ERROR)?;
        SystemDisk.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.check("create", path, NO_SPACE)?;
        self.wrap(path, SystemDisk.create(path)?)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.check("open", path, IO_ERROR)?;
        self.wrap(path, SystemDisk.open(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check("rename", to, NO_SPACE)?;
        SystemDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check("remove", path, IO_ERROR)?;
        SystemDisk.remove(path)
    }
}

impl FaultyDisk {
    fn wrap(&self, path: &Path, file: Box<dyn DiskFile>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let outcome = self.disk.check("write", &self.path, NO_SPACE);
        let written = if outcome.is_ok() {
            bytes
        } else {
            &bytes[..bytes.len() / 2]
        };
        self.file.write_at(offset, written)?;
        outcome
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.check("read", &self.path, IO_ERROR)?;
        self.file.read_at(offset, buffer)
    }

    fn length(&self) -> io::Result<u64> {
        self.disk.check("length", &self.path, IO_ERROR)?;
        self.file.length()
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.check("sync", &self.path, IO_ERROR)?;
        self.file.sync()
    }
}

const TRANSACTIONS: u32 = 14;

fn small_files() -> StoreConfig {
    StoreConfig {
        segment_bytes: 8 * 1024,
        ..StoreConfig::default()
    }
}

/// Two lives of a store, with files of the journal and checkpoints in each; returns what was acknowledged.
fn live(dir: &Path, disk: &FaultyDisk) -> BTreeSet<u32> {
    let mut acknowledged = BTreeSet::new();
    for life in 0..2 {
        let opened =
            SledStore::open_with_disk(dir, &small_files(), &clock(), Arc::new(disk.clone()));
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                let text = error.to_string();
                assert!(disk.0.lock().failed.is_some(), "{text}");
                assert!(
                    text.starts_with("cannot ") || text.contains("damaged"),
                    "{text}"
                );
                return acknowledged;
            }
        };
        let mut refused = None;
        for number in 0..TRANSACTIONS {
            let number = life * TRANSACTIONS + number;
            match store.commit(put(&number.to_string(), &vec![number as u8; 2000])) {
                Ok(_) => {
                    assert_eq!(refused, None, "{number} was acknowledged after a failure");
                    acknowledged.insert(number);
                }
                Err(error) => {
                    assert!(matches!(error, Error::Stopped { .. }), "{error}");
                    refused = Some(number);
                }
            }
            if number % 5 == 4 {
                // A checkpoint that fails stops nothing.
                let _ = store.checkpoint();
            }
        }
    }
    acknowledged
}

#[test]
fn no_operation_of_the_disk_may_fail_unnoticed() {
    let mut failed = BTreeSet::new();
    for left in 0.. {
        let dir = scratch();
        let disk = FaultyDisk::new(left);
        let acknowledged = live(dir.path(), &disk);
        let Some(what) = disk.0.lock().failed.clone() else {
            assert_eq!(acknowledged.len(), 2 * TRANSACTIONS as usize);
            break;
        };
        let store = SledStore::open(dir.path(), &small_files(), &clock());
        let store = store.unwrap_or_else(|error| panic!("after a failed {what}: {error}"));
        for number in 0..2 * TRANSACTIONS {
            let payload = payload_of(&store, &number.to_string());
            let expected = Some(vec![number as u8; 2000]);
            let told = acknowledged.contains(&number);
            assert!(
                payload == expected || (!told && payload.is_none()),
                "after a failed {what}: {number} was acknowledged: {told}"
            );
        }
        failed.insert(what);
    }
    println!("{failed:#?}");
    for what in [
        "create journal/*.tmp",
        "write journal/*.tmp",
        "sync journal/*.tmp",
        "rename journal/*.log",
        "sync journal",
        "write journal/*.log",
        "sync journal/*.log",
        "open journal/*.log",
        "read journal/*.log",
        "remove journal/*.log",
        "list journal",
        "create checkpoint/*.tmp",
        "write checkpoint/*.tmp",
        "sync checkpoint/*.tmp",
        "rename checkpoint/*",
        "sync checkpoint",
        "list checkpoint",
        "write STATE.tmp",
        "sync STATE.tmp",
        "rename STATE",
        "sync sled/*",
    ] {
        assert!(
            failed.contains(what),
            "{what} was never made to fail: {failed:?}"
        );
    }
}
