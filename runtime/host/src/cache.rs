//! The ahead-of-time cache: compiled components on disk.
//!
//! ```text
//! <dir>/key                      32 random bytes, readable by the owner only
//! <dir>/lock                     held by whoever writes; says nothing else
//! <dir>/.tmp*                    being written
//! <dir>/<wasm sha256>-<engine compatibility>.aot     MAC (32 bytes) · machine code
//! ```
//!
//! The MAC (keyed BLAKE3 over file name and code) is checked on every load, because loading
//! machine code is running it. A file that fails the check is treated as absent: the component is
//! compiled again and the file replaced.
//!
//! Several processes may share the folder. Files appear by rename, so that a reader and a crash in the
//! middle find either the old state or the new one; readers take no lock. A writer holds the lock,
//! which the kernel frees when its process ends. So a temporary file that is seen under the lock was left by a crash,
//! whatever its age, and is removed. Before a file is written, those used longest ago make room for it: a
//! load sets a file's time of modification.
//!
//! Chosen: read and verify the whole file. Refused: mapping it, because the file could change
//! between the check and its use. Chosen: BLAKE3, because the check is most of what a warm start waits for, and HMAC-SHA-256
//! takes about six times as long. Refused: an index of sizes and times, a second truth that a crash could part
//! from the files; the folder is read when something is written, after seconds of compiling.

use std::fs::{DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::door::Authentic;

const MAC_BYTES: usize = 32;
/// How files that are being written are named.
const TEMPORARY: &str = ".tmp";
/// How long a writer waits for another one. Past that the component is not kept, which costs only time.
const LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_POLL: Duration = Duration::from_millis(10);

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    max_bytes: u64,
    key: [u8; 32],
}

impl Cache {
    /// Opens or creates the folder, which is to hold at most `max_bytes` of compiled components.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            max_bytes,
            key: read_or_make_key(dir)?,
        })
    }

    /// The compiled form of a component, if it is there and authentic.
    pub(crate) fn get(&self, engine: &Engine, digest: &str) -> Option<Authentic> {
        self.read(&file_name(engine, digest))
            .map(Authentic::vouched)
    }

    /// Keeps a compiled component. The caller may ignore a failure: it costs only time.
    pub(crate) fn put(&self, engine: &Engine, digest: &str, code: &[u8]) -> Result<()> {
        self.write(&file_name(engine, digest), code)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut file = File::open(self.dir.join(name)).ok()?;
        let mut mac = [0; MAC_BYTES];
        file.read_exact(&mut mac).ok()?;
        let mut code = Vec::new();
        file.read_to_end(&mut code).ok()?;
        // Hashes are compared in constant time.
        (self.mac(name, &code) == blake3::Hash::from_bytes(mac)).then_some(())?;
        touch(&file);
        Some(code)
    }

    fn write(&self, name: &str, code: &[u8]) -> Result<()> {
        let bytes = (MAC_BYTES + code.len()) as u64;
        if bytes > self.max_bytes {
            let text = format!(
                "it has {bytes} bytes and the whole cache may have {}",
                self.max_bytes
            );
            return Err(Error::new(ErrorKind::FileTooLarge, text));
        }
        let _lock = lock(&self.dir)?;
        remove_leftovers(&self.dir)?;
        self.make_room(name, bytes)?;
        let mut file = temporary(&self.dir)?;
        file.write_all(self.mac(name, code).as_bytes())?;
        file.write_all(code)?;
        file.as_file().sync_data()?;
        file.persist(self.dir.join(name)).map_err(|e| e.error)?;
        Ok(())
    }

    /// Removes what was used longest ago until `bytes` more fit. `replaced` is about to be overwritten.
    fn make_room(&self, replaced: &str, bytes: u64) -> Result<()> {
        let mut kept: Vec<Kept> = std::fs::read_dir(&self.dir)?
            .filter_map(|entry| Kept::of(&entry.ok()?.path()))
            .filter(|kept| !kept.path.ends_with(replaced))
            .collect();
        kept.sort_unstable_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let mut total: u64 = kept.iter().map(|kept| kept.bytes).sum();
        for oldest in kept {
            if total.saturating_add(bytes) <= self.max_bytes {
                break;
            }
            remove(&oldest.path)?;
            tracing::debug!("the compiled {} made room", oldest.path.display());
            total -= oldest.bytes;
        }
        Ok(())
    }

    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        mac.finalize()
    }
}

/// A compiled component in the folder.
struct Kept {
    used: SystemTime,
    bytes: u64,
    path: PathBuf,
}

impl Kept {
    /// `None` for other files, and for one that another process has just removed.
    fn of(path: &Path) -> Option<Self> {
        path.extension().filter(|extension| *extension == "aot")?;
        let file = std::fs::symlink_metadata(path).ok()?;
        Some(Self {
            used: file.modified().ok()?,
            bytes: file.len(),
            path: path.to_path_buf(),
        })
    }
}

/// Says that a file was used just now. Where that is not allowed, the order of eviction is that of writing.
fn touch(file: &File) {
    let omit = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    };
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: omit,
        last_modification: now,
    };
    if let Err(e) = rustix::fs::futimens(file, &times) {
        tracing::debug!("the use of a compiled component was not noted: {e}");
    }
}

/// Waits for the right to write into the folder. It ends when the file is dropped, or with the process.
fn lock(dir: &Path) -> Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file = options.open(dir.join("lock"))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_POLL);
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let text = format!("another process has been writing for {LOCK_WAIT:?}");
                return Err(Error::new(ErrorKind::ResourceBusy, text));
            }
            Err(std::fs::TryLockError::Error(e)) => return Err(e),
        }
    }
}

/// A file under construction: readable by the owner only, gone unless it is given its name.
fn temporary(dir: &Path) -> Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(dir)
}

/// Removes what crashed writers left. Call it under the lock.
fn remove_leftovers(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(TEMPORARY.as_bytes())
        {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file; that somebody else did so first is as good.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The name of a component's compiled form.
fn file_name(engine: &Engine, digest: &str) -> String {
    format!("{digest}-{}.aot", compatibility(engine))
}

/// Whatever changes the machine code, as 16 hexadecimal digits: wasmtime's version and settings, the CPU's features.
pub(crate) fn compatibility(engine: &Engine) -> String {
    let mut hash = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    let bytes = hash.0.finalize();
    bytes.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Feeds `Hash` into SHA-256: the standard hasher's output is not stable between releases.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn read_or_make_key(dir: &Path) -> Result<[u8; 32]> {
    let path = dir.join("key");
    match read_key(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            make_key(&path, dir)?;
            read_key(&path)
        }
        other => other,
    }
}

fn read_key(path: &Path) -> Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let unusable = |why: &str| {
        let text = format!(
            "{} {why}; delete it and the .aot files beside it",
            path.display()
        );
        Error::new(ErrorKind::InvalidData, text)
    };
    // Who reads the key can write machine code that this host runs.
    if file.metadata()?.permissions().mode() & 0o007 != 0 {
        return Err(unusable("is open to every user of this machine"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    bytes
        .try_into()
        .map_err(|_| unusable("does not hold a key of 32 bytes"))
}

/// Writes a fresh key unless another process did so first.
fn make_key(path: &Path, dir: &Path) -> Result<()> {
    let mut key = [0u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    // Held so that no writer takes the temporary file for a leftover.
    let _lock = lock(dir)?;
    let mut file = temporary(dir)?;
    file.write_all(&key)?;
    file.as_file().sync_data()?;
    match file.persist_noclobber(path) {
        Err(e) if e.error.kind() != ErrorKind::AlreadyExists => Err(e.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
