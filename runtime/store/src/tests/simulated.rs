//! [`SimulatedDisk`]: a disk in memory that keeps what was not synced apart, and at a power cut drops, tears and
//! reorders it.
//!
//! Of the writes to a file since its last sync any subset arrives, in any order, and of each of them any
//! sectors. Of the changes to names since their folder was synced the first few arrive, because file systems
//! journal names in order. The engine's own files are not here; the tests damage them by other means.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::StdRng;

use super::*;

const SECTOR_BYTES: usize = 512;

/// Files below a directory; paths elsewhere are taken as synced.
#[derive(Clone)]
pub(super) struct SimulatedDisk {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default, Clone)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes to names that no sync of their folder has covered.
    open_names: Vec<NameChange>,
    /// Operations until the power is cut; `None` never.
    left: Option<u64>,
    /// What the operation was that was cut.
    cut_in: Option<String>,
}

#[derive(Default, Clone)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
    open_writes: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, file) => drop(names.insert(path.clone(), *file)),
            Self::Rename(from, to) => {
                let file = names.remove(from);
                file.map(|file| names.insert(to.clone(), file));
            }
            Self::Unlink(path) => drop(names.remove(path)),
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        let (Self::Link(path, _) | Self::Rename(path, _) | Self::Unlink(path)) = self;
        path.parent() == Some(folder)
    }
}

impl State {
    /// Counts an operation; fails when the power is off.
    fn step(&mut self, what: &str, path: &Path) -> io::Result<()> {
        match &mut self.left {
            Some(0) => {
                self.cut_in.get_or_insert_with(|| {
                    let extension = path
                        .extension()
                        .map(|text| text.to_string_lossy().into_owned());
                    format!("{what} {}", extension.unwrap_or_default())
                });
                Err(io::Error::other("the power is off"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    content.resize(content.len().max(at + bytes.len()), 0);
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

impl SimulatedDisk {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            state: Arc::default(),
        }
    }

    /// Cuts the power after this many operations.
    pub(super) fn cut_after(&self, operations: u64) {
        self.state.lock().left = Some(operations);
    }

    /// The operation that met the cut, if there was one.
    pub(super) fn cut_in(&self) -> Option<String> {
        self.state.lock().cut_in.clone()
    }

    /// What a cut at this moment leaves, below another directory.
    pub(super) fn after_cut(&self, root: &Path, random: &mut StdRng) -> Self {
        let before = self.state.lock().clone();
        let mut names = before.durable_names;
        let arrived = random.random_range(0..=before.open_names.len());
        for change in &before.open_names[..arrived] {
            change.apply(&mut names);
        }
        let files = before.files.into_iter().map(|file| {
            let content = survive(file, random);
            Content {
                durable: content.clone(),
                current: content,
                open_writes: Vec::new(),
            }
        });
        let state = State {
            files: files.collect(),
            durable_names: names.clone(),
            names,
            ..State::default()
        };
        Self {
            root: root.to_owned(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn name(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }
}

/// The content of a file after a cut.
fn survive(file: Content, random: &mut StdRng) -> Vec<u8> {
    let mut content = file.durable;
    let mut open = file.open_writes;
    // All, none, or some in any order.
    let chance = [0.0, 0.5, 0.9, 1.0][random.random_range(0..4)];
    while !open.is_empty() {
        let (at, bytes) = open.swap_remove(random.random_range(0..open.len()));
        let mut start = 0;
        while start < bytes.len() {
            let end = ((at + start + 1).next_multiple_of(SECTOR_BYTES) - at).min(bytes.len());
            if random.random_bool(chance) {
                write(&mut content, at + start, &bytes[start..end]);
            }
            start = end;
        }
    }
    content
}

impl Disk for SimulatedDisk {
    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step("sync folder", path)?;
        let folder = self.name(path);
        let open = std::mem::take(&mut state.open_names);
        for change in open {
            if change.is_in(&folder) {
                change.apply(&mut state.durable_names);
            } else {
                state.open_names.push(change);
            }
        }
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.state.lock().step("create folder", path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.step("list", folder)?;
        let folder = self.name(folder);
        let names = state.names.keys();
        let names = names.filter(|name| name.parent() == Some(&folder));
        Ok(names
            .map(|name| name.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.step("create", path)?;
        let file = state.files.len();
        state.files.push(Content::default());
        let change = NameChange::Link(self.name(path), file);
        change.apply(&mut state.names);
        state.open_names.push(change);
        Ok(self.file(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.step("open", path)?;
        match state.names.get(&self.name(path)) {
            Some(file) => Ok(self.file(path, *file)),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step("rename", to)?;
        let change = NameChange::Rename(self.name(from), self.name(to));
        change.apply(&mut state.names);
        state.open_names.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step("remove", path)?;
        let change = NameChange::Unlink(self.name(path));
        change.apply(&mut state.names);
        state.open_names.push(change);
        Ok(())
    }
}

impl SimulatedDisk {
    fn file(&self, path: &Path, file: usize) -> Box<dyn DiskFile> {
        Box::new(SimulatedFile {
            state: Arc::clone(&self.state),
            path: path.to_owned(),
            file,
        })
    }
}

struct SimulatedFile {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    file: usize,
}

impl DiskFile for SimulatedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let was_on = state.cut_in.is_none();
        let outcome = state.step("write", &self.path);
        // The write that is cut may arrive in part.
        if outcome.is_ok() || was_on {
            let content = &mut state.files[self.file];
            write(&mut content.current, offset as usize, bytes);
            content.open_writes.push((offset as usize, bytes.to_vec()));
        }
        outcome
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.step("read", &self.path)?;
        let content = &state.files[self.file].current;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let size = rest.len().min(buffer.len());
        buffer[..size].copy_from_slice(&rest[..size]);
        Ok(size)
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.step("length", &self.path)?;
        Ok(state.files[self.file].current.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step("sync", &self.path)?;
        let content = &mut state.files[self.file];
        content.durable.clone_from(&content.current);
        content.open_writes.clear();
        Ok(())
    }
}
