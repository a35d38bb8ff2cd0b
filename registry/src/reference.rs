//! [`Reference`]: how people and jobs name a plugin.
//!
//! ```text
//! [tenon:] name [ @ selector ]
//!
//! find-matches                  the newest release
//! find-matches@1                the newest 1.x.y           (as ^1)
//! find-matches@0.1              the newest 0.1.y           (as ^0.1)
//! find-matches@0.1.3            exactly this version
//! find-matches@>=0.1, <0.3      any requirement of the semver crate
//! find-matches@sha256:<64 hex>  exactly these bytes
//! ```
//!
//! Prereleases follow the semver crate: they match only when the selector names a prerelease of the same
//! `major.minor.patch`. A full version is taken literally, because a job that says `0.1.3` means to be pinned;
//! write `^0.1.3` for "that or newer".

use std::fmt;
use std::str::FromStr;

use semver::{Comparator, Op, Version, VersionReq};

use crate::digest::Digest;
use crate::error::{Error, Result, shorten};
use crate::manifest::PluginName;

const SCHEME: &str = "tenon:";
const MAX_REFERENCE_BYTES: usize = 512;

/// A plugin by name and, optionally, by version or digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Which plugin.
    pub name: PluginName,
    /// Which of its versions.
    pub selector: Selector,
}

/// Which versions of a plugin a [`Reference`] accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Any release; the newest is meant.
    Newest,
    /// Versions that fulfil a requirement; the newest of them is meant.
    Requirement(VersionReq),
    /// Exactly these bytes.
    Digest(Digest),
}

impl Selector {
    /// Whether a version with this digest is accepted.
    #[must_use]
    pub fn accepts(&self, version: &Version, digest: &Digest) -> bool {
        match self {
            Self::Newest => version.pre.is_empty(),
            Self::Requirement(requirement) => requirement.matches(version),
            Self::Digest(wanted) => wanted == digest,
        }
    }

    /// Whether it means one version and no other, whatever else there is.
    #[must_use]
    pub fn pins(&self) -> bool {
        match self {
            Self::Newest => false,
            Self::Requirement(requirement) => match requirement.comparators.as_slice() {
                [only] => only.op == Op::Exact && only.minor.is_some() && only.patch.is_some(),
                _ => false,
            },
            Self::Digest(_) => true,
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(invalid(
                text,
                format!("it is longer than {MAX_REFERENCE_BYTES} bytes"),
            ));
        }
        let bare = text.strip_prefix(SCHEME).unwrap_or(text);
        let (name, selector) = match bare.split_once('@') {
            None => (bare, Selector::Newest),
            Some((name, selector)) => (name, parse_selector(text, selector)?),
        };
        Ok(Self {
            name: PluginName::new(name)?,
            selector,
        })
    }
}

fn parse_selector(reference: &str, selector: &str) -> Result<Selector> {
    if selector.is_empty() {
        return Err(invalid(
            reference,
            "nothing follows the @; name a version such as @1, or leave the @ out",
        ));
    }
    if selector.starts_with("sha256:") {
        let digest = selector
            .parse()
            .map_err(|error| invalid(reference, format!("{error}")))?;
        return Ok(Selector::Digest(digest));
    }
    if let Ok(version) = Version::parse(selector) {
        return Ok(Selector::Requirement(exactly(version)));
    }
    match VersionReq::parse(selector) {
        Ok(requirement) => Ok(Selector::Requirement(requirement)),
        Err(error) => Err(invalid(
            reference,
            format!("{selector:?} is not a version, requirement or digest: {error}"),
        )),
    }
}

fn exactly(version: Version) -> VersionReq {
    let comparator = Comparator {
        op: Op::Exact,
        major: version.major,
        minor: Some(version.minor),
        patch: Some(version.patch),
        pre: version.pre,
    };
    VersionReq {
        comparators: vec![comparator],
    }
}

fn invalid(reference: &str, reason: impl Into<String>) -> Error {
    Error::InvalidReference {
        reference: shorten(reference),
        reason: reason.into(),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Newest => write!(f, "{}", self.name),
            Selector::Requirement(requirement) => write!(f, "{}@{requirement}", self.name),
            Selector::Digest(digest) => write!(f, "{}@{digest}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(reference: &str, version: &str) -> bool {
        let reference: Reference = reference.parse().unwrap();
        reference
            .selector
            .accepts(&Version::parse(version).unwrap(), &Digest::of(b""))
    }

    #[test]
    fn partial_versions_are_carets_and_full_versions_are_exact() {
        assert!(accepts("p@1", "1.9.9") && !accepts("p@1", "2.0.0"));
        assert!(accepts("p@0.1", "0.1.9") && !accepts("p@0.1", "0.2.0"));
        assert!(accepts("p@0.1.3", "0.1.3") && !accepts("p@0.1.3", "0.1.4"));
        assert!(accepts("tenon:p@^0.1.3", "0.1.4") && !accepts("tenon:p@^0.1.3", "0.1.2"));
        assert!(accepts("p@>=0.1, <0.3", "0.2.7") && !accepts("p@>=0.1, <0.3", "0.3.0"));
        assert!(accepts("p@*", "3.0.0"));
    }

    #[test]
    fn prereleases_match_only_when_named() {
        for reference in ["p", "p@1", "p@*", "p@1.0.0"] {
            assert!(!accepts(reference, "1.0.0-rc.1"), "{reference}");
        }
        assert!(accepts("p@1.0.0-rc.1", "1.0.0-rc.1") && !accepts("p@1.0.0-rc.1", "1.0.0-rc.2"));
        assert!(accepts("p@^1.0.0-rc.1", "1.0.0-rc.2") && accepts("p@^1.0.0-rc.1", "1.0.0"));
    }

    #[test]
    fn digests_match_bytes() {
        let digest = Digest::of(b"bytes");
        let reference: Reference = format!("tenon:p@{digest}").parse().unwrap();
        let version = Version::new(1, 0, 0);
        assert!(reference.selector.accepts(&version, &digest));
        assert!(!reference.selector.accepts(&version, &Digest::of(b"others")));
        assert_eq!(reference.to_string(), format!("p@{digest}"));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let cases = [
            ("p@", "nothing follows the @"),
            (
                "p@latest",
                "\"latest\" is not a version, requirement or digest",
            ),
            ("p@sha256:12", "64 lower-case hex digits"),
            ("p@1@2", "\"1@2\" is not a version"),
            ("../p@1", "invalid plugin name \"../p\""),
            ("s3:p", "invalid plugin name \"s3:p\""),
            ("", "invalid plugin name \"\""),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        assert!("p@1, ".repeat(200).parse::<Reference>().is_err());
    }
}
