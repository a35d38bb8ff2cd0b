//! [`Registry`]: a folder of plugins. Install once, resolve by reference, load with the digest checked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Result, shorten};
use crate::manifest::{Manifest, PluginName};
use crate::publish::{self, TEMPORARY_PREFIX};
use crate::reference::{Reference, Selector};
use crate::section::{MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, read_manifest, validate_component};

const RECORD_FORMAT: u32 = 1;
const MAX_RECORD_BYTES: u64 = 2 * MAX_MANIFEST_BYTES;
const MAX_NAMES_SHOWN: usize = 20;

/// What [`Registry::install`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Plugin name, from the manifest.
    pub name: PluginName,
    /// Plugin version, from the manifest.
    pub version: Version,
    /// Digest of the component.
    pub digest: Digest,
}

/// What the registry knows about one installed version: the content of `plugins/<name>/<version>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    /// Digest of the component.
    pub digest: Digest,
    /// Size of the component in bytes.
    pub size_bytes: u64,
    /// When it was installed, in milliseconds since 1970-01-01 UTC.
    pub installed_unix_millis: u64,
    /// No reference picks it any more but one that pins it; see [`Registry::yank`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub yanked: bool,
    /// Copy of the manifest in the component.
    pub manifest: Manifest,
}

/// One version of a plugin, picked by [`Registry::resolve`]; [`Registry::load`] takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Plugin name.
    pub name: PluginName,
    /// The version picked.
    pub version: Version,
    /// Digest of its component: what a run should remember.
    pub digest: Digest,
    /// Size of the component in bytes.
    pub size_bytes: u64,
    /// Its manifest.
    pub manifest: Manifest,
}

type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// A folder of plugins. Several processes may use one folder at the same time.
///
/// All methods block on files and can take as long as reading and hashing 50 MiB; async callers use
/// `spawn_blocking`.
pub struct Registry {
    root: PathBuf,
    clock: Clock,
}

impl Registry {
    /// Opens the registry in `root`, creating folders that are missing.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder cannot be created.
    #[expect(
        clippy::disallowed_methods,
        reason = "the default of the clock that is passed in"
    )]
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with_clock(root, SystemTime::now)
    }

    /// As [`Registry::open`], with the clock that stamps records.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder cannot be created.
    pub fn open_with_clock(
        root: impl Into<PathBuf>,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Result<Self> {
        let registry = Self {
            root: root.into(),
            clock: Box::new(clock),
        };
        publish::create_folder(&registry.blobs())?;
        publish::create_folder(&registry.plugins())?;
        Ok(registry)
    }

    /// The folder this registry lives in.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Adds a component that carries a manifest. Adding the same bytes again changes nothing and succeeds.
    ///
    /// When it returns, the plugin is on disk for good; a process killed before that leaves either nothing or
    /// the whole version. The component is validated, not compiled.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the version exists with other bytes; [`Error::NotAComponent`],
    /// [`Error::NoManifest`], [`Error::InvalidManifest`], [`Error::TooLarge`] for bytes that are not a plugin;
    /// [`Error::BadRecord`] when the version's record is damaged; [`Error::Io`].
    pub fn install(&self, bytes: &[u8]) -> Result<Installed> {
        let manifest = read_manifest(bytes)?;
        validate_component(bytes)?;
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        let digest = Digest::of(bytes);
        let path = self.record_path(&name, &version);
        if path.exists() {
            self.check_same(&name, &version, &digest)?;
        }
        self.write_blob(&digest, bytes)?;
        publish::create_folder(&self.plugins().join(name.as_str()))?;
        let record = self.record_of(manifest, digest, bytes.len() as u64);
        if !publish::create(&path, &to_json(&path, &record)?)? {
            self.check_same(&name, &version, &digest)?;
        }
        Ok(Installed {
            name,
            version,
            digest,
        })
    }

    /// Picks the newest version that answers to `reference`; see [`Reference`] for the forms.
    ///
    /// # Errors
    /// [`Error::InvalidReference`], [`Error::InvalidName`]; [`Error::NotFound`] listing what there is, with a
    /// suggestion when a name is near; [`Error::BadRecord`]; [`Error::Io`].
    pub fn resolve(&self, reference: &str) -> Result<Resolved> {
        let wanted: Reference = reference.parse()?;
        let versions = self.versions(&wanted.name)?;
        let newest = versions
            .values()
            .rev()
            .find(|record| answers(record, &wanted.selector));
        match newest {
            Some(record) => Ok(resolved(record.clone())),
            None => {
                let available = self.describe_available(&wanted.name, &versions)?;
                Err(Error::NotFound {
                    reference: shorten(reference),
                    available,
                })
            }
        }
    }

    /// One version, also a yanked one.
    ///
    /// # Errors
    /// [`Error::NotFound`] listing what there is; [`Error::BadRecord`]; [`Error::Io`].
    pub fn record(&self, name: &PluginName, version: &Version) -> Result<Record> {
        if self.record_path(name, version).exists() {
            return self.read_record(name, version);
        }
        let versions = self.versions(name)?;
        Err(Error::NotFound {
            reference: format!("{name}@{version}"),
            available: self.describe_available(name, &versions)?,
        })
    }

    /// Withdraws a version, or with `yanked` false takes that back. Nothing is removed: what pins the version or its
    /// digest goes on as before, everything else picks another one, and its number stays taken.
    ///
    /// # Errors
    /// As [`Registry::record`].
    pub fn yank(&self, name: &PluginName, version: &Version, yanked: bool) -> Result<Record> {
        let record = Record {
            yanked,
            ..self.record(name, version)?
        };
        let path = self.record_path(name, version);
        publish::replace(&path, &to_json(&path, &record)?)?;
        Ok(record)
    }

    /// Reads the component's bytes and checks their digest.
    ///
    /// # Errors
    /// [`Error::Tampered`] naming the file, the expected and the found digest; [`Error::TooLarge`];
    /// [`Error::Io`] when the file is missing or unreadable.
    pub fn load(&self, plugin: &Resolved) -> Result<Vec<u8>> {
        let path = self.blob_path(&plugin.digest);
        let bytes = read_bounded(&path, MAX_COMPONENT_BYTES)?;
        let found = Digest::of(&bytes);
        if found != plugin.digest {
            return Err(Error::Tampered {
                path,
                expected: plugin.digest,
                found,
            });
        }
        Ok(bytes)
    }

    /// Every installed version, by name, then from the oldest version to the newest.
    ///
    /// # Errors
    /// [`Error::BadRecord`] naming a record that cannot be read; [`Error::Io`].
    pub fn list(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for name in self.names()? {
            records.extend(self.versions(&name)?.into_values());
        }
        Ok(records)
    }

    fn record_of(&self, manifest: Manifest, digest: Digest, size_bytes: u64) -> Record {
        let since_epoch: Duration = (self.clock)()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let installed_unix_millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Record {
            format: RECORD_FORMAT,
            digest,
            size_bytes,
            installed_unix_millis,
            yanked: false,
            manifest,
        }
    }

    fn check_same(&self, name: &PluginName, version: &Version, offered: &Digest) -> Result<()> {
        let installed = self.read_record(name, version)?.digest;
        if installed == *offered {
            return Ok(());
        }
        Err(Error::Conflict {
            plugin: format!("{name}@{version}"),
            installed,
            offered: *offered,
        })
    }

    /// Writes the component unless it is there. One that is there but damaged is replaced.
    fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.blob_path(digest);
        let intact = read_bounded(&path, MAX_COMPONENT_BYTES).is_ok_and(|stored| stored == bytes);
        if intact {
            Ok(())
        } else {
            publish::replace(&path, bytes)
        }
    }

    /// Names of all plugins, in order. Folders that no plugin could have made are passed over.
    fn names(&self) -> Result<Vec<PluginName>> {
        let mut names: Vec<_> = file_names(&self.plugins())?
            .into_iter()
            .filter_map(|name| PluginName::new(name).ok())
            .collect();
        names.sort();
        Ok(names)
    }

    fn versions(&self, name: &PluginName) -> Result<BTreeMap<Version, Record>> {
        let mut versions = BTreeMap::new();
        for file in file_names(&self.plugins().join(name.as_str()))? {
            let version = file
                .strip_suffix(".json")
                .and_then(|stem| Version::parse(stem).ok());
            if let Some(version) = version.filter(|_| !file.starts_with(TEMPORARY_PREFIX)) {
                let record = self.read_record(name, &version)?;
                versions.insert(version, record);
            }
        }
        Ok(versions)
    }

    fn read_record(&self, name: &PluginName, version: &Version) -> Result<Record> {
        let path = self.record_path(name, version);
        let bad = |reason: String| Error::BadRecord {
            path: path.clone(),
            reason,
        };
        let json = read_bounded(&path, MAX_RECORD_BYTES)?;
        let head: RecordHead =
            serde_json::from_slice(&json).map_err(|error| bad(error.to_string()))?;
        if head.format > RECORD_FORMAT {
            let newer = head.format;
            return Err(bad(format!(
                "it has format {newer}, this build reads up to {RECORD_FORMAT}: use a newer tenon"
            )));
        }
        let record: Record =
            serde_json::from_slice(&json).map_err(|error| bad(error.to_string()))?;
        if (&record.manifest.name, &record.manifest.version) != (name, version) {
            let Manifest { name, version, .. } = &record.manifest;
            return Err(bad(format!("it describes {name}@{version}")));
        }
        Ok(record)
    }

    fn describe_available(
        &self,
        name: &PluginName,
        versions: &BTreeMap<Version, Record>,
    ) -> Result<String> {
        if !versions.is_empty() {
            return Ok(format!(
                "installed versions of {name}: {}",
                join(versions.keys().rev())
            ));
        }
        let names = self.names()?;
        if names.is_empty() {
            return Ok("no plugin is installed".to_owned());
        }
        let installed = join(names.iter());
        match nearest(name, &names) {
            Some(near) => Ok(format!(
                "did you mean {near:?}? installed plugins: {installed}",
                near = near.as_str()
            )),
            None => Ok(format!("installed plugins: {installed}")),
        }
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(format!("{}.wasm", digest.hex()))
    }

    /// Safe as a path: a [`PluginName`] is checked, and a semver version has no separator and starts with a digit.
    fn record_path(&self, name: &PluginName, version: &Version) -> PathBuf {
        self.plugins()
            .join(name.as_str())
            .join(format!("{version}.json"))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// The part of a record that every format has.
#[derive(Deserialize)]
struct RecordHead {
    format: u32,
}

/// Whether this version may be picked.
fn answers(record: &Record, selector: &Selector) -> bool {
    let version = &record.manifest.version;
    selector.accepts(version, &record.digest) && (!record.yanked || selector.pins())
}

fn resolved(record: Record) -> Resolved {
    Resolved {
        name: record.manifest.name.clone(),
        version: record.manifest.version.clone(),
        digest: record.digest,
        size_bytes: record.size_bytes,
        manifest: record.manifest,
    }
}

fn to_json(path: &Path, record: &Record) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(record).map_err(|error| Error::BadRecord {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

/// Reads at most `limit` bytes, so that a replaced file cannot exhaust memory.
fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("read", path))?.len();
    let too_large = |size| Error::TooLarge {
        what: path.display().to_string(),
        size,
        limit,
    };
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    let read = file
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))? as u64;
    if read > limit {
        Err(too_large(read))
    } else {
        Ok(bytes)
    }
}

/// Names in a folder that are valid UTF-8; none when the folder does not exist.
fn file_names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", folder))?;
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

fn join(items: impl ExactSizeIterator<Item = impl ToString>) -> String {
    let more = items.len().saturating_sub(MAX_NAMES_SHOWN);
    let shown: Vec<_> = items
        .take(MAX_NAMES_SHOWN)
        .map(|item| item.to_string())
        .collect();
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", shown.join(", "))
}

/// The name most like `wanted`, if any is near enough to be a slip of the finger.
fn nearest<'a>(wanted: &PluginName, names: &'a [PluginName]) -> Option<&'a PluginName> {
    const NEAR: f64 = 0.6;
    let likeness =
        |name: &PluginName| strsim::normalized_damerau_levenshtein(wanted.as_str(), name.as_str());
    let best = names
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= NEAR).then_some(best)
}

#[cfg(test)]
mod tests;
