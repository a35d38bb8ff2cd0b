//! The ahead-of-time cache: compiled components on disk.
//!
//! ```text
//! <dir>/key                      32 random bytes, readable by the owner only
//! <dir>/<wasm sha256>-<engine compatibility hash>.aot     MAC (32 bytes) · machine code
//! ```
//!
//! The MAC (HMAC-SHA-256 over file name and code) is checked on every load, because loading
//! machine code is running it. A file that fails the check is treated as absent: the component is
//! compiled again and the file replaced. Files appear by rename, so that concurrent processes and
//! a crash in the middle leave either the old state or the new one.
//!
//! Chosen: read and verify the whole file. Refused: mapping it, because the file could change
//! between the check and its use.

use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::door::Authentic;

const MAC_BYTES: usize = 32;

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// Opens or creates the folder.
    pub(crate) fn open(dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            key: read_or_make_key(&dir.join("key"))?,
        })
    }

    /// The compiled form of a component, if it is there and authentic.
    pub(crate) fn get(&self, engine: &Engine, digest: &str) -> Option<Authentic> {
        let name = file_name(engine, digest);
        let mut bytes = std::fs::read(self.dir.join(&name)).ok()?;
        let code = bytes.split_off(bytes.len().min(MAC_BYTES));
        self.mac(&name, &code).verify_slice(&bytes).ok()?;
        Some(Authentic::vouched(code))
    }

    /// Keeps a compiled component. The caller may ignore a failure: it costs only time.
    pub(crate) fn put(&self, engine: &Engine, digest: &str, code: &[u8]) -> std::io::Result<()> {
        let name = file_name(engine, digest);
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&self.mac(&name, code).finalize().into_bytes())?;
        file.write_all(code)?;
        file.as_file().sync_data()?;
        file.persist(self.dir.join(name)).map_err(|e| e.error)?;
        Ok(())
    }

    #[expect(clippy::expect_used, reason = "HMAC accepts keys of any length")]
    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC accepts keys of any length");
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        mac
    }
}

/// The name of a component's compiled form. Whatever changes the machine code (wasmtime's
/// version and settings, the CPU's features) is in the engine's compatibility hash.
fn file_name(engine: &Engine, digest: &str) -> String {
    let mut hash = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    let compatibility: String = hash
        .0
        .finalize()
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("{digest}-{compatibility}.aot")
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

fn read_or_make_key(path: &Path) -> std::io::Result<[u8; 32]> {
    match read_key(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            make_key(path)?;
            read_key(path)
        }
        other => other,
    }
}

fn read_key(path: &Path) -> std::io::Result<[u8; 32]> {
    let bytes = std::fs::read(path)?;
    bytes.try_into().map_err(|_| {
        let text = format!(
            "{} does not hold a key of 32 bytes; delete it and the .aot files beside it",
            path.display()
        );
        std::io::Error::new(std::io::ErrorKind::InvalidData, text)
    })
}

/// Writes a fresh key unless another process did so first.
fn make_key(path: &Path) -> std::io::Result<()> {
    let mut key = [0u8; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut key)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    // tempfile creates files readable by the owner only.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&key)?;
    file.as_file().sync_data()?;
    match file.persist_noclobber(path) {
        Err(e) if e.error.kind() != std::io::ErrorKind::AlreadyExists => Err(e.error),
        _ => Ok(()),
    }
}
