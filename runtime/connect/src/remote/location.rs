//! [`Location`]: where a path leads that is a URL.
//!
//! Keys are taken as they are written, as S3's own tools do: nothing is decoded in them. What is after `https://` is a
//! whole URL, with its query.

use std::path::{Path, PathBuf};

use object_store::path::Path as Key;

use crate::error::{Error, Result};

/// What kind of place a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    S3,
    Gcs,
    Azure,
    Web,
    Memory,
}

/// Every scheme we know, as it is written.
const SCHEMES: &[(&str, Scheme)] = &[
    ("s3", Scheme::S3),
    ("s3a", Scheme::S3),
    ("s3n", Scheme::S3),
    ("gs", Scheme::Gcs),
    ("az", Scheme::Azure),
    ("abfs", Scheme::Azure),
    ("abfss", Scheme::Azure),
    ("http", Scheme::Web),
    ("https", Scheme::Web),
    ("memory", Scheme::Memory),
];

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) scheme: Scheme,
    /// Scheme and bucket as they were written, which every path below begins with: `s3a://bucket`.
    pub(crate) root: String,
    /// The bucket; for Azure `container` or `container@account.host`; for the web the whole URL.
    pub(crate) bucket: String,
    /// What follows the bucket, without the slash between them.
    pub(crate) key: String,
}

impl Location {
    /// The location of a path, or none if it is no URL or names a local file.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an unknown scheme, [`Error::NotFound`] for a URL without a bucket.
    pub(crate) fn parse(path: &Path) -> Result<Option<Self>> {
        let Some((text, (name, rest))) = path
            .to_str()
            .and_then(|text| Some((text, text.split_once("://")?)))
        else {
            return Ok(None);
        };
        let lower = name.to_ascii_lowercase();
        if lower == "file" {
            return Ok(None);
        }
        let Some((_, scheme)) = SCHEMES.iter().find(|(known, _)| *known == lower) else {
            return Err(Error::Unsupported(format!(
                "{name}:// is not known; known are s3:// gs:// az:// abfss:// https:// file://"
            )));
        };
        if *scheme == Scheme::Web {
            return Self::of_url(text).map(Some);
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::NotFound(format!(
                "{text}: names no bucket; write it as {lower}://bucket/folder/name"
            )));
        }
        if !bucket.bytes().all(is_of_bucket) {
            return Err(Error::NotFound(format!(
                "{text}: {bucket:?} is not the name of a bucket"
            )));
        }
        Ok(Some(Self {
            scheme: *scheme,
            root: format!("{lower}://{bucket}"),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }))
    }

    fn of_url(text: &str) -> Result<Self> {
        let url = url::Url::parse(text)
            .map_err(|e| Error::NotFound(format!("{}: not a URL: {e}", without_query(text))))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Unsupported(format!(
                "{}: a URL has no user name and no password; give them to a connection",
                url.host_str().unwrap_or_default()
            )));
        }
        Ok(Self {
            scheme: Scheme::Web,
            root: without_query(text).to_owned(),
            bucket: url.to_string(),
            key: String::new(),
        })
    }

    /// As people read it: without a query, which may hold a key.
    pub(crate) fn name(&self) -> String {
        match self.key.as_str() {
            "" => self.root.clone(),
            key => format!("{}/{key}", self.root),
        }
    }

    /// What connections are compared with: the bucket, and the whole.
    pub(crate) fn canonical(&self) -> (String, String) {
        (canonical(&self.root), canonical(&self.name()))
    }

    /// The path of an object in the same bucket.
    pub(crate) fn path_of(&self, key: &Key) -> PathBuf {
        match key.as_ref() {
            "" => PathBuf::from(&self.root),
            key => PathBuf::from(format!("{}/{key}", self.root)),
        }
    }
}

/// `key` as the object store's own type.
///
/// # Errors
/// [`Error::Unsupported`] for a key with an empty, `.` or `..` part: no store would find it again.
pub(crate) fn parse_key(location: &Location, key: &str) -> Result<Key> {
    Key::parse(key).map_err(|_| {
        Error::Unsupported(format!(
            "{}: a key has no empty, `.` or `..` part between slashes; correct the path",
            location.name()
        ))
    })
}

/// The URL with its scheme as we call it: `S3A://b` is `s3://b`.
pub(crate) fn canonical(url: &str) -> String {
    let Some((name, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let name = name.to_ascii_lowercase();
    let name = match SCHEMES.iter().find(|(known, _)| *known == name) {
        Some((_, Scheme::S3)) => "s3",
        Some((_, Scheme::Azure)) => "az",
        _ => &name,
    };
    format!("{name}://{rest}")
}

/// Up to the query or fragment.
pub(crate) fn without_query(url: &str) -> &str {
    url.find(['?', '#']).map_or(url, |end| &url[..end])
}

fn is_of_bucket(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@' | b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> std::result::Result<Option<Location>, String> {
        Location::parse(Path::new(text)).map_err(|e| e.to_string())
    }

    #[test]
    fn urls_in_their_parts() {
        let of = |text: &str| {
            let location = parsed(text).unwrap().unwrap();
            (location.scheme, location.bucket, location.key)
        };
        let own = |scheme, bucket: &str, key: &str| (scheme, bucket.to_owned(), key.to_owned());
        assert_eq!(of("s3://b/a/b%20c"), own(Scheme::S3, "b", "a/b%20c"));
        assert_eq!(of("S3A://b"), own(Scheme::S3, "b", ""));
        assert_eq!(of("gs://b/x/"), own(Scheme::Gcs, "b", "x/"));
        assert_eq!(
            of("abfss://c@acc.dfs.core.windows.net/k"),
            own(Scheme::Azure, "c@acc.dfs.core.windows.net", "k")
        );
        assert_eq!(
            of("https://h/x.csv?sig=1"),
            own(Scheme::Web, "https://h/x.csv?sig=1", "")
        );
        for text in ["a/b.csv", "file:///a/b.csv", "s3:/b", "C:\\x"] {
            assert_eq!(parsed(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_location_says_so() {
        let error = |text: &str| parsed(text).unwrap_err();
        insta::assert_snapshot!(error("ftp://me:canary@h/x"), @"ftp:// is not known; known are s3:// gs:// az:// abfss:// https:// file://");
        insta::assert_snapshot!(error("s3:///x"), @"s3:///x: names no bucket; write it as s3://bucket/folder/name");
        insta::assert_snapshot!(error("s3://b?c/x"), @r#"s3://b?c/x: "b?c" is not the name of a bucket"#);
        insta::assert_snapshot!(error("https://me:canary@h/x"), @"h: a URL has no user name and no password; give them to a connection");
        insta::assert_snapshot!(error("http://[x/?canary"), @"http://[x/: not a URL: invalid IPv6 address");
        let location = parsed("s3://b/a//b").unwrap().unwrap();
        insta::assert_snapshot!(parse_key(&location, "a//b").unwrap_err(), @"s3://b/a//b: a key has no empty, `.` or `..` part between slashes; correct the path");
    }

    #[test]
    fn a_query_is_never_shown() {
        let location = parsed("https://h/x.csv?sig=canary").unwrap().unwrap();
        assert_eq!(location.name(), "https://h/x.csv");
    }
}
