//! A real store whose disk does not wait: tests that make thousands of transactions survive no power cut.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tenon_store::{Disk, DiskFile, ManualClock, SledStore, StoreConfig, SystemDisk};

struct FastDisk;

struct FastFile(Box<dyn DiskFile>);

impl Disk for FastDisk {
    fn sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        SystemDisk.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FastFile(SystemDisk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FastFile(SystemDisk.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }
}

impl DiskFile for FastFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The store in `dir`.
pub(super) fn open(dir: &Path, clock: &ManualClock) -> Arc<SledStore> {
    let config = StoreConfig {
        segment_bytes: 1 << 20,
        ..StoreConfig::default()
    };
    let store = SledStore::open_with_disk(dir, &config, clock, Arc::new(FastDisk));
    Arc::new(store.unwrap())
}
