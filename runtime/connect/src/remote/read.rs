//! Reading objects: [`RemoteFile`], and the blocking [`RemoteInput`] that fetches ahead.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetResult, ObjectMeta};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::remote::store::Store;

/// Bytes of the first range of a file: what is read of it may be its header alone.
const FIRST_RANGE_BYTES: u64 = 1 << 20;

/// One object as it was when it was found. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RemoteFile {
    pub(crate) store: Arc<Store>,
    pub(crate) key: Key,
    pub(crate) size: u64,
    /// Strong entity tag; without one, only the size tells that the object has changed.
    tag: Option<String>,
    /// As errors name it.
    name: Arc<str>,
}

impl RemoteFile {
    pub(crate) fn new(store: &Arc<Store>, meta: &ObjectMeta, name: &str) -> Self {
        Self {
            store: Arc::clone(store),
            key: meta.location.clone(),
            size: meta.size,
            tag: meta.e_tag.as_deref().and_then(strong),
            name: name.into(),
        }
    }

    /// What tells its content from another under the same name, where the store says that.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Starts to read a range, or the whole. What comes is the object that was found, or an error.
    pub(crate) async fn get(&self, range: Option<Range<u64>>) -> Result<GetResult> {
        let options = GetOptions {
            if_match: self.tag.clone(),
            range: range.map(Into::into),
            ..GetOptions::default()
        };
        let got = self.store.objects.get_opts(&self.key, options).await;
        let got = got.map_err(|e| self.failed(&e))?;
        let is_other = match (&self.tag, got.meta.e_tag.as_deref().and_then(strong)) {
            (Some(known), Some(found)) => *known != found,
            _ => false,
        };
        // Not every server looks at the tag it is asked for.
        if is_other || got.meta.size != self.size {
            return Err(Error::Changed(format!(
                "{}: it was written over while it was read; run again",
                self.name
            )));
        }
        Ok(got)
    }

    /// The bytes of a range. A body that is cut off is asked for again from where it was cut.
    ///
    /// # Errors
    /// [`Error::Changed`] if the object is not the one that was found.
    pub(crate) async fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        // A damaged footer may ask for anything.
        if range.start > range.end || range.end > self.size {
            return Err(Error::Corrupt {
                file: self.name.to_string(),
                message: format!(
                    "bytes {}..{} are asked for, the object has {}",
                    range.start, range.end, self.size
                ),
            });
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let bytes = self.get(Some(range)).await?.bytes().await;
        bytes.map_err(|e| self.failed(&e))
    }

    pub(crate) fn failed(&self, error: &object_store::Error) -> Error {
        self.store.failed("read", &self.name, error)
    }

    /// The bytes from the beginning. Must be called where a Tokio runtime is and blocking is allowed.
    pub(crate) fn open(&self) -> RemoteInput {
        RemoteInput {
            file: self.clone(),
            handle: Handle::current(),
            position: 0,
            current: Bytes::new(),
            current_start: 0,
            ahead: VecDeque::new(),
            next_range_bytes: FIRST_RANGE_BYTES,
        }
    }
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteFile({})", self.name)
    }
}

/// A tag that names one content and no other: quoted, as requests want it.
fn strong(tag: &str) -> Option<String> {
    match tag {
        tag if tag.starts_with("W/") => None,
        tag if tag.starts_with('"') => Some(tag.to_owned()),
        tag => Some(format!("\"{tag}\"")),
    }
}

/// A range that is being fetched. Stops when it is dropped.
struct Fetch {
    range: Range<u64>,
    task: JoinHandle<Result<Bytes>>,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An object as a blocking reader.
///
/// ```text
/// bytes   0        1M               3M                        7M
///         ├─ first ─┼───── twice ─────┼──── twice, to the limit ────┼ ...
///                   position ▲        └─ fetched while the reader is here, two ranges at most
/// ```
///
/// A seek to a place that is neither here nor on its way begins again with a small range.
pub(crate) struct RemoteInput {
    file: RemoteFile,
    handle: Handle,
    position: u64,
    current: Bytes,
    current_start: u64,
    /// Consecutive ranges after the current one.
    ahead: VecDeque<Fetch>,
    next_range_bytes: u64,
}

impl RemoteInput {
    /// Makes the range with the position in it the current one.
    fn advance(&mut self) -> Result<()> {
        let is_ahead = self.ahead.iter().any(|f| f.range.contains(&self.position));
        if !is_ahead {
            self.ahead.clear();
            self.next_range_bytes = FIRST_RANGE_BYTES.min(self.limit());
            self.start_fetch(self.position);
        }
        while let Some(mut fetch) = self.ahead.pop_front() {
            if !fetch.range.contains(&self.position) {
                continue;
            }
            if is_ahead {
                self.fetch_ahead(fetch.range.end);
            }
            let bytes = self
                .handle
                .block_on(&mut fetch.task)
                .map_err(Error::joined)?;
            self.current = bytes?;
            self.current_start = fetch.range.start;
            return Ok(());
        }
        Ok(())
    }

    /// Starts to fetch what follows, as far as it is not on its way.
    fn fetch_ahead(&mut self, current_end: u64) {
        let wanted = self.file.store.options.ranges_ahead;
        while self.ahead.len() < wanted {
            let start = self.ahead.back().map_or(current_end, |last| last.range.end);
            if start >= self.file.size {
                return;
            }
            self.start_fetch(start);
        }
    }

    fn start_fetch(&mut self, start: u64) {
        let end = start
            .saturating_add(self.next_range_bytes)
            .min(self.file.size);
        self.next_range_bytes = self.next_range_bytes.saturating_mul(2).min(self.limit());
        let (file, range) = (self.file.clone(), start..end);
        let task = {
            let range = range.clone();
            self.handle.spawn(async move { file.fetch(range).await })
        };
        self.ahead.push_back(Fetch { range, task });
    }

    fn limit(&self) -> u64 {
        self.file.store.options.range_bytes.max(1)
    }

    /// What of the current range follows the position.
    fn rest(&self) -> Option<Bytes> {
        let offset = self.position.checked_sub(self.current_start)?;
        let offset = usize::try_from(offset).ok()?;
        (offset < self.current.len()).then(|| self.current.slice(offset..))
    }
}

impl Read for RemoteInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.position >= self.file.size {
            return Ok(0);
        }
        if self.rest().is_none() {
            self.advance().map_err(io::Error::other)?;
        }
        let Some(rest) = self.rest() else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        };
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for RemoteInput {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let target = match position {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.file.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
