//! [`Vault`]: the master key in its file, and what is made of it.
//!
//! ```text
//! <data>/master.key   64 hexadecimal digits, mode 0600, made when something must be encrypted first
//!   └ HMAC-SHA256(master key, label)  one key for each use
//!       "secrets"   AES-256-GCM-SIV over secrets of access keys; associated data: tenant, id
//!       "sessions"  the same over session tokens
//!       "lists"     the pagination tokens
//!       "check"     a fingerprint in the store, so that another key is noticed before it does harm
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::error::IdentityError;
use crate::token::{hex, unhex};

const NONCE_BYTES: usize = 12;

/// What keys are made for.
pub(super) const SECRETS: &str = "secrets";
pub(super) const SESSIONS: &str = "sessions";
pub(super) const LISTS: &str = "lists";
const CHECK: &str = "check";

/// Encrypts with keys made of the master key.
pub(super) struct Vault {
    path: PathBuf,
    master: OnceLock<[u8; 32]>,
}

impl Vault {
    /// The key in the file at `path`, if there is one.
    pub(super) fn open(path: PathBuf) -> Result<Self, IdentityError> {
        let master = OnceLock::new();
        if let Some(key) = read(&path)? {
            let _ = master.set(key);
        }
        Ok(Self { path, master })
    }

    pub(super) fn exists(&self) -> bool {
        self.master.get().is_some()
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> IdentityError {
        IdentityError::MasterKey {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// The key for one use; the file is made if need be.
    pub(super) fn key(&self, label: &str) -> Result<[u8; 32], IdentityError> {
        let master = match self.master.get() {
            Some(master) => *master,
            None => {
                let made = create(&self.path)?;
                *self.master.get_or_init(|| made)
            }
        };
        let mut block = [0; 64];
        block[..32].copy_from_slice(&master);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(label.as_bytes());
        Ok(mac.finalize().into_bytes().into())
    }

    /// What tells this key from another without telling the key.
    pub(super) fn fingerprint(&self) -> Result<String, IdentityError> {
        Ok(hex(&self.key(CHECK)?))
    }

    /// Encrypts; opens again only with the same label and the same associated parts.
    pub(super) fn seal(
        &self,
        label: &str,
        associated: &[&[u8]],
        text: &[u8],
    ) -> Result<String, IdentityError> {
        let nonce: [u8; NONCE_BYTES] = random().map_err(|error| self.refuse(error.to_string()))?;
        let aad = join(associated);
        let payload = Payload {
            msg: text,
            aad: &aad,
        };
        let sealed = self
            .cipher(label)?
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| self.refuse("it cannot encrypt a text of that length"))?;
        Ok(hex(&[nonce.as_slice(), &sealed].concat()))
    }

    /// What was sealed; `None` when it was not sealed so, or was changed.
    pub(super) fn unseal(
        &self,
        label: &str,
        associated: &[&[u8]],
        sealed: &str,
    ) -> Result<Option<Vec<u8>>, IdentityError> {
        if !self.exists() {
            return Ok(None);
        }
        let Some(bytes) = unhex(sealed) else {
            return Ok(None);
        };
        let Some((nonce, sealed)) = bytes.split_first_chunk::<NONCE_BYTES>() else {
            return Ok(None);
        };
        let aad = join(associated);
        let payload = Payload {
            msg: sealed,
            aad: &aad,
        };
        Ok(self
            .cipher(label)?
            .decrypt(&Nonce::from(*nonce), payload)
            .ok())
    }

    fn cipher(&self, label: &str) -> Result<Aes256GcmSiv, IdentityError> {
        Ok(Aes256GcmSiv::new(&self.key(label)?.into()))
    }
}

/// Parts with their lengths, so that no two lists read the same.
fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend((part.len() as u64).to_be_bytes());
        joined.extend(*part);
    }
    joined
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Option<[u8; 32]>, IdentityError> {
    let refuse = |reason: String| IdentityError::MasterKey {
        path: path.to_owned(),
        reason,
    };
    let mode = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.to_string())),
        Ok(metadata) => metadata.permissions().mode() & 0o777,
    };
    if mode & 0o077 != 0 {
        return Err(refuse(format!(
            "its mode is {mode:03o}, so others can read it; run chmod 600 on it, and make new access keys if \
             they may have"
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let key = unhex(text.trim()).and_then(|bytes| bytes.try_into().ok());
    key.map(Some).ok_or_else(|| {
        refuse("it is not 64 hexadecimal digits; restore the file from a backup".to_owned())
    })
}

/// Makes the key and its file, which is complete or absent whatever happens.
fn create(path: &Path) -> Result<[u8; 32], IdentityError> {
    write(path).map_err(|error| IdentityError::MasterKey {
        path: path.to_owned(),
        reason: format!("it cannot be made: {error}"),
    })
}

fn write(path: &Path) -> io::Result<[u8; 32]> {
    let key: [u8; 32] = random()?;
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(format!("{}\n", hex(&key)).as_bytes())?;
    file.sync_all()?;
    // A link fails where a rename would replace a key that is there.
    let linked = fs::hard_link(&part, path);
    fs::remove_file(&part)?;
    linked?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_made_once_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let vault = Vault::open(path.clone()).unwrap();
        assert!(!vault.exists() && !path.exists());
        let sealed = vault.seal(SECRETS, &[b"1", b"id"], b"secret").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let again = Vault::open(path.clone()).unwrap();
        let opened = again.unseal(SECRETS, &[b"1", b"id"], &sealed).unwrap();
        assert_eq!(opened.as_deref(), Some(b"secret".as_slice()));
        for (label, parts) in [
            (SESSIONS, [b"1".as_slice(), b"id"]),
            (SECRETS, [b"2", b"id"]),
            (SECRETS, [b"1i", b"d"]),
        ] {
            assert_eq!(again.unseal(label, &parts, &sealed).unwrap(), None);
        }
        let mut changed = sealed.into_bytes();
        let last = changed.len() - 1;
        changed[last] = if changed[last] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        for bad in [changed.as_str(), "", "zz", "00"] {
            assert_eq!(again.unseal(SECRETS, &[b"1", b"id"], bad).unwrap(), None);
        }

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Vault::open(path.clone()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("its mode is 640"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "00").unwrap();
        let error = Vault::open(path).map(|_| ()).unwrap_err();
        assert!(
            error.to_string().contains("not 64 hexadecimal digits"),
            "{error}"
        );
    }
}
