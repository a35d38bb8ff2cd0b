//! [`Secrets`]: what encrypts passwords and keys before they are stored.
//!
//! ```text
//! sealed = 01 | nonce (12 bytes) | AES-256-GCM-SIV(master key, nonce, secret, what it belongs to)
//! ```
//!
//! What a secret belongs to (tenant, name, property) is authenticated with it: a sealed secret that is moved to
//! another place does not open. The cipher forgives a nonce used twice, <https://www.rfc-editor.org/rfc/rfc8452>.
//! The master key is a file of 32 bytes that only its owner may read; whoever has the data and not the key has
//! no secret.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};

const LAYOUT: u8 = 1;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;

/// Encrypts and decrypts secrets with one master key.
#[derive(Clone)]
pub struct Secrets {
    cipher: Aes256GcmSiv,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Secrets under this key.
    #[must_use]
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        Self {
            cipher: Aes256GcmSiv::new(&key.into()),
        }
    }

    /// Secrets under the key in the file, which is made if it is absent.
    ///
    /// # Errors
    /// When the file cannot be read or made, is not 32 bytes long, or others than its owner may read it.
    pub fn open(file: &Path) -> io::Result<Self> {
        if !file.try_exists()? {
            make_key(file)?;
        }
        let mode = fs::metadata(file)?.mode();
        if mode & 0o077 != 0 {
            let reason = format!(
                "{} can be read by others (mode {:o}); make it 600",
                file.display(),
                mode & 0o777
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let key = <[u8; KEY_BYTES]>::try_from(fs::read(file)?).map_err(|found| {
            let reason = format!(
                "{} has {} bytes, a master key has {KEY_BYTES}",
                file.display(),
                found.len()
            );
            io::Error::new(io::ErrorKind::InvalidData, reason)
        })?;
        Ok(Self::new(key))
    }

    /// Encrypts a secret that belongs to what `owner` names completely.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn seal(&self, owner: &[&str], secret: &[u8]) -> io::Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let payload = Payload {
            msg: secret,
            aad: &associated(owner),
        };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::Error::other("a secret cannot be encrypted"))?;
        Ok([&[LAYOUT], nonce.as_slice(), &sealed].concat())
    }

    /// The secret that was sealed for `owner` with this key; `None` for anything else.
    #[cfg(test)]
    pub(crate) fn unseal(&self, owner: &[&str], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed
            .strip_prefix(&[LAYOUT])?
            .split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: sealed,
            aad: &associated(owner),
        };
        self.cipher.decrypt(&Nonce::from(*nonce), payload).ok()
    }
}

/// The parts with their lengths, so that no two owners look alike.
fn associated(owner: &[&str]) -> Vec<u8> {
    let part = |part: &&str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
    owner.iter().flat_map(part).collect()
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Makes the file complete or not at all; one that someone else made meanwhile stays.
fn make_key(file: &Path) -> io::Result<()> {
    let new = file.with_extension(format!("new-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    written.write_all(&random::<KEY_BYTES>()?)?;
    written.sync_all()?;
    let linked = fs::hard_link(&new, file);
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_where_it_belongs() {
        let secrets = Secrets::new([7; 32]);
        let owner = ["1", "pg", "PASSWORD"];
        let sealed = secrets.seal(&owner, b"canary").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"canary"));
        assert_ne!(sealed, secrets.seal(&owner, b"canary").unwrap());
        assert_eq!(secrets.unseal(&owner, &sealed).unwrap(), b"canary");
        for other in [["2", "pg", "PASSWORD"], ["1", "pgP", "ASSWORD"]] {
            assert_eq!(secrets.unseal(&other, &sealed), None);
        }
        assert_eq!(Secrets::new([8; 32]).unseal(&owner, &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(secrets.unseal(&owner, &changed), None, "byte {at}");
            assert_eq!(secrets.unseal(&owner, &sealed[..at]), None);
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        let sealed = Secrets::open(&file).unwrap().seal(&["a"], b"s").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let again = Secrets::open(&file).unwrap();
        assert_eq!(again.unseal(&["a"], &sealed).unwrap(), b"s");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Secrets::open(&file).unwrap_err().to_string();
        assert!(
            error.ends_with("can be read by others (mode 644); make it 600"),
            "{error}"
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, b"short").unwrap();
        let error = Secrets::open(&file).unwrap_err().to_string();
        assert!(
            error.ends_with("has 5 bytes, a master key has 32"),
            "{error}"
        );
    }
}
