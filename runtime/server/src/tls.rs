//! [`TlsFiles`] and [`Tls`]: the server's certificate, read from PEM files and read again when they change.
//!
//! TLS 1.2 and 1.3 by rustls with ring; ALPN says `http/1.1`. The files are looked at every few seconds: their size and
//! time of change. New ones serve the connections that begin after that. Files that cannot be used leave the old
//! certificate in place, with one line in the log for each state of the files.
//!
//! Replace both files by renaming new ones over them, the key first or the certificate first: a certificate that does
//! not belong to its key is not taken, so the state in between is harmless.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ALL_VERSIONS, Error, InconsistentKeys, ServerConfig};

/// Where the certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those that vouch for it, in PEM, its own first.
    pub certificate: PathBuf,
    /// Its private key, in PEM (PKCS #8, PKCS #1 or SEC1), not encrypted.
    pub key: PathBuf,
    /// How often the files are looked at. Default 5 s.
    pub check_every: Duration,
}

impl TlsFiles {
    /// These files, looked at every five seconds.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            check_every: Duration::from_secs(5),
        }
    }
}

/// Why a certificate cannot be used. Says which file, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// What tells one state of a file from another: its size and time of change.
type Stamp = Option<(u64, SystemTime)>;

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    acceptor: Arc<ServerConfig>,
    seen: [Stamp; 2],
}

/// What a look at the files found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Unchanged,
    Reloaded,
    /// They changed and cannot be used.
    Kept(TlsError),
}

impl Tls {
    /// Reads the files. Blocks.
    pub(crate) fn open(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = stamps(files);
        let current = Arc::new(Current(RwLock::new(Arc::new(load(files, &provider)?))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(ALL_VERSIONS)
            .map_err(|error| TlsError(format!("TLS cannot be set up: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            files: files.clone(),
            current,
            acceptor: Arc::new(config),
            seen,
        })
    }

    /// What makes a connection a secure one.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.acceptor).into()
    }

    pub(crate) fn check_every(&self) -> Duration {
        self.files.check_every
    }

    /// Reads the files again if they changed. Blocks.
    pub(crate) fn look(&mut self) -> Look {
        let now = stamps(&self.files);
        if now == self.seen {
            return Look::Unchanged;
        }
        self.seen = now;
        match load(&self.files, self.acceptor.crypto_provider()) {
            Ok(key) => {
                let mut current = self
                    .current
                    .0
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(key);
                Look::Reloaded
            }
            Err(error) => Look::Kept(error),
        }
    }
}

/// The certificate for the next connection.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    [&files.certificate, &files.key].map(|path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.len(), found.modified().ok()?))
    })
}

fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let names = format!(
        "certificate {} and key {}",
        files.certificate.display(),
        files.key.display()
    );
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(key) => Ok(key),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(TlsError(format!(
            "{names} do not belong together; give the key that the certificate was made for"
        ))),
        Err(error) => Err(TlsError(format!("{names} cannot be used: {error}"))),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path, "certificate")?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError(format!(
            "certificate {} has no section BEGIN CERTIFICATE; give a PEM file",
            path.display()
        ))),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path, "key")?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        TlsError(format!(
            "key {} has no section BEGIN PRIVATE KEY; give a PEM file that is not encrypted",
            path.display()
        ))
    })
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path)
        .map_err(|error| TlsError(format!("{what} {} cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let files = TlsFiles::new(dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn served(tls: &Tls) -> Vec<u8> {
        tls.current.0.read().unwrap().cert[0].as_ref().to_vec()
    }

    #[test]
    fn changed_files_are_taken_and_broken_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), "one.example");
        let mut tls = Tls::open(&files).unwrap();
        let first = served(&tls);
        assert_eq!(tls.look(), Look::Unchanged);

        // A longer name, so that the size differs however coarse the file system's clock is.
        write(dir.path(), "another-name.example");
        assert_eq!(tls.look(), Look::Reloaded);
        let second = served(&tls);
        assert_ne!(first, second);

        std::fs::write(&files.certificate, "half a certificate").unwrap();
        let Look::Kept(error) = tls.look() else {
            panic!("taken")
        };
        assert!(
            error
                .to_string()
                .contains("cert.pem has no section BEGIN CERTIFICATE"),
            "{error}"
        );
        assert_eq!(
            tls.look(),
            Look::Unchanged,
            "one line for one state of the files"
        );
        assert_eq!(served(&tls), second);

        std::fs::remove_file(&files.certificate).unwrap();
        assert!(matches!(tls.look(), Look::Kept(_)));
        assert_eq!(served(&tls), second);
    }

    #[test]
    fn errors_name_the_file_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), "one.example");
        let refused = |files: &TlsFiles| Tls::open(files).unwrap_err().to_string();

        let other = tempfile::tempdir().unwrap();
        let strange = write(other.path(), "two.example");
        let mixed = TlsFiles::new(&files.certificate, &strange.key);
        assert!(refused(&mixed).contains("do not belong together; give the key"));

        let swapped = TlsFiles::new(&files.key, &files.certificate);
        assert!(refused(&swapped).contains("key.pem has no section BEGIN CERTIFICATE"));
        let absent = TlsFiles::new(&files.certificate, dir.path().join("none.pem"));
        assert!(refused(&absent).contains("none.pem cannot be read"));
        let no_key = TlsFiles::new(&files.certificate, &files.certificate);
        assert!(refused(&no_key).contains("cert.pem has no section BEGIN PRIVATE KEY"));
    }
}
