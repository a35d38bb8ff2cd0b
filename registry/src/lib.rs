//! Which plugins exist: `name@version` to digest to bytes.
//!
//! A plugin is one WebAssembly component that carries its own [`Manifest`] in a custom section, so a file
//! that was mailed, copied or downloaded still says what it is. A [`Registry`] is a folder of such files:
//!
//! ```text
//! <root>/blobs/sha256/<hex>.wasm          the bytes, named by what they are
//! <root>/plugins/<name>/<version>.json    the record: digest, size, time of install, copy of the manifest
//! ```
//!
//! | module | what |
//! |---|---|
//! | `manifest` | [`Manifest`], [`PluginName`]: what a plugin says about itself, checked |
//! | `section` | [`embed`], [`read_manifest`]: the manifest inside the component |
//! | `digest` | [`Digest`]: sha256 of the component |
//! | `reference` | [`Reference`]: `find-matches@1`, `name@sha256:...` |
//! | `folder` | [`Registry`]: install, resolve, load, list |
//! | `publish` | files that appear whole or not at all |
//!
//! **Chosen: a version is written once.** The record is published by an atomic create that fails when the
//! name is taken, so two processes that install different bytes as the same version cannot both win. Nothing
//! else is shared: there is no lock file and no index that could be stale or left behind by a killed process.
//! A process killed between blob and record leaves an unreferenced blob, which the next install of the same
//! bytes adopts.
//!
//! **Chosen: the manifest travels inside the component**, not beside it. A side file can be lost or swapped;
//! a section is covered by the digest.
//!
//! **Chosen: a version is withdrawn, not removed.** A yanked version answers only to references that pin it, so jobs
//! that named it go on, and its number is never used for other bytes.
//!
//! **Refused: trusting the folder.** Bytes are hashed on every [`Registry::load`]; names are checked before
//! they become paths. Not enforced: that the folder's owner is honest about records. A record that names
//! another valid blob is believed.
//!
//! This crate opens no sockets. Pulling from and pushing to a remote registry is the server's business.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails should say so at once"
    )
)]

mod digest;
mod error;
mod folder;
mod manifest;
mod publish;
mod reference;
mod section;

pub use digest::{Digest, ParseDigestError};
pub use error::{Error, Result};
pub use folder::{Installed, Record, Registry, Resolved};
pub use manifest::{Example, Function, FunctionKind, LimitValue, Manifest, PluginName};
pub use reference::{Reference, Selector};
/// As manifests and references have it.
pub use semver::Version;

pub use section::{
    MANIFEST_SECTION, MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, embed, read_manifest,
};
