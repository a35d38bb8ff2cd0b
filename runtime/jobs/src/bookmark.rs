//! Bookmarks: which files the sources of a job have read, so that its next run reads only others.
//!
//! A bookmark is a set, not a time: a file is new when its path was never read, or was read with another size or
//! another content. So a file that arrives late, is written again, or carries the same second as one that was read is
//! not lost. The set is bounded; beyond that the files that were modified longest ago are forgotten, and what is not
//! in the set and was last modified before the floor counts as read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenon_store::{Expected, Transaction, Tree};

use crate::error::{Error, Kind, Result};
use crate::jobs::{Stored, TenantJobs};
use crate::rewind::Step;
use crate::stored::{self, Place, SCHEMA};

/// What one node's set may take in the store, in bytes, about.
const MAX_SET_BYTES: usize = 8 << 20;

/// What a file takes there besides its path and etag, in bytes, about.
const FILE_BYTES: usize = 96;

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// Bytes.
    pub size: u64,
    /// What the store of the file calls its content, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it was last modified, in milliseconds since 1970.
    pub modified_millis: u64,
}

impl SeenFile {
    /// Whether `self` may have other content than `other`, under the same path.
    fn differs(&self, other: &Self) -> bool {
        let content = match (&self.etag, &other.etag) {
            (Some(one), Some(two)) => one != two,
            _ => self.modified_millis != other.modified_millis,
        };
        content || self.size != other.size
    }
}

/// What one source node has read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeBookmark {
    /// By path.
    pub(crate) files: BTreeMap<String, SeenFile>,
    /// Files that are not in the set and are older count as read.
    #[serde(default)]
    pub(crate) floor_millis: u64,
    /// The set is what is to be read, and nothing else: files that earlier runs read. Never kept so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) only: bool,
}

impl NodeBookmark {
    /// Whether a file is to be read.
    #[must_use]
    pub fn is_new(&self, path: &str, file: &SeenFile) -> bool {
        match self.files.get(path) {
            // One that was written again since is not what that run read.
            Some(seen) if self.only => !seen.differs(file),
            None if self.only => false,
            Some(seen) => seen.differs(file),
            None => file.modified_millis >= self.floor_millis,
        }
    }

    /// Adds a file that was read.
    pub fn add(&mut self, path: String, file: SeenFile) {
        self.files.insert(path, file);
    }

    /// Files in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The same within `limit` bytes: the files modified longest ago are forgotten, and the floor is above them.
    fn bounded(mut self, limit: usize) -> Self {
        let bytes = |(path, file): (&String, &SeenFile)| {
            path.len() + file.etag.as_ref().map_or(0, String::len) + FILE_BYTES
        };
        let mut total: usize = self.files.iter().map(bytes).sum();
        if total <= limit {
            return self;
        }
        let mut by_age: Vec<(u64, usize, String)> = self
            .files
            .iter()
            .map(|(path, file)| (file.modified_millis, bytes((path, file)), path.clone()))
            .collect();
        by_age.sort_unstable();
        for (modified, size, path) in by_age {
            if total <= limit {
                break;
            }
            total -= size;
            self.files.remove(&path);
            self.floor_millis = self.floor_millis.max(modified.saturating_add(1));
        }
        self
    }
}

/// Whose state a job's bookmark is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct BookmarkHead {
    pub(crate) version: u64,
    pub(crate) run: u64,
    pub(crate) attempt: u32,
    pub(crate) previous_run_id: Option<String>,
    pub(crate) run_id: Option<String>,
}

/// A job's bookmark, as in Glue's JSON.
/// <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BookmarkEntry {
    /// The job.
    pub job_name: String,
    /// Rises with every change.
    pub version: u64,
    /// The number of the run that left it so.
    pub run: u64,
    /// And which attempt that was.
    pub attempt: u32,
    /// The run that changed it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_run_id: Option<String>,
    /// The run that left it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// JSON: for each node how many files it remembers and when the newest was modified.
    pub job_bookmark: String,
}

impl TenantJobs {
    /// The bookmark of a job; with `run_id` only when that run left it so.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job, for one that has no bookmark, or one of another run; [`Error::Store`].
    pub fn get_bookmark(&self, job: &str, run_id: Option<&str>) -> Result<BookmarkEntry> {
        let number = self.stored_job(job)?.value.number;
        let head = self.read::<BookmarkHead>(Tree::Bookmark, &stored::bookmark(number))?;
        let head = head.map(|head| head.value);
        let wanted =
            |head: &BookmarkHead| run_id.is_none_or(|id| head.run_id.as_deref() == Some(id));
        let absent = || match run_id {
            None => Error::not_found(Kind::Bookmark, job),
            Some(id) => Error::not_found(Kind::Bookmark, format!("{job} as of run {id}")),
        };
        let head = head.filter(wanted).ok_or_else(absent)?;
        self.entry(job, number, head)
    }

    /// Forgets what the job has read: its next run reads everything.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job, [`Error::Conflict`], [`Error::Store`].
    pub fn reset_bookmark(&self, job: &str) -> Result<BookmarkEntry> {
        let number = self.stored_job(job)?.value.number;
        let head = self.retry(Kind::Bookmark, job, || {
            let (old, unchanged) = self.head(number)?;
            let head = BookmarkHead {
                version: old.version + 1,
                ..BookmarkHead::default()
            };
            let nodes = self.bookmarked_nodes(number)?;
            let key = stored::bookmark(number);
            let transaction = self
                .transaction()
                .expect(Tree::Bookmark, key.clone(), unchanged)
                .put(Tree::Bookmark, key, SCHEMA, stored::encode(&head)?);
            let transaction = self.without_history(transaction, number, &old)?;
            let transaction = nodes.into_iter().fold(transaction, |transaction, node| {
                transaction.delete(Tree::Bookmark, stored::node_bookmark(number, &node))
            });
            self.commit(transaction)?;
            Ok(head)
        })?;
        self.entry(job, number, head)
    }

    /// The nodes of the job that have read something.
    pub(crate) fn bookmarked_nodes(&self, job: u64) -> Result<Vec<String>> {
        let (mut nodes, mut after) = (Vec::new(), None);
        loop {
            let below = stored::node_bookmarks(job);
            let (keys, next) = self.keys(Tree::Bookmark, &below, after.as_ref())?;
            nodes.extend(keys.iter().map(stored::bookmarked_node));
            after = next;
            if after.is_none() {
                return Ok(nodes);
            }
        }
    }

    /// What each node of the job has read.
    pub(crate) fn bookmarks(&self, job: u64) -> Result<BTreeMap<String, NodeBookmark>> {
        let (mut all, mut after) = (BTreeMap::new(), None);
        loop {
            let below = stored::node_bookmarks(job);
            let (found, next) = self.list(Tree::Bookmark, &below, after.as_ref(), 100)?;
            for (key, bookmark) in found {
                all.insert(stored::bookmarked_node(&key), bookmark);
            }
            after = next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Adds what a run has read to the bookmark, in the transaction of its success.
    pub(crate) fn with_bookmarks(
        &self,
        transaction: Transaction,
        place: Place,
        run: &crate::run::JobRun,
        bookmarks: &BTreeMap<String, NodeBookmark>,
    ) -> Result<Transaction> {
        if bookmarks.is_empty() {
            return Ok(transaction);
        }
        let (old, unchanged) = self.head(place.job)?;
        let head = BookmarkHead {
            version: old.version + 1,
            run: place.number,
            attempt: run.attempt,
            previous_run_id: old.run_id.clone(),
            run_id: Some(run.id.clone()),
        };
        let key = stored::bookmark(place.job);
        let mut transaction = transaction
            .expect(Tree::Bookmark, key.clone(), unchanged)
            .put(Tree::Bookmark, key, SCHEMA, stored::encode(&head)?);
        let mut steps = BTreeMap::new();
        for (node, read) in bookmarks {
            let key = stored::node_bookmark(place.job, node);
            let known = self.read::<NodeBookmark>(Tree::Bookmark, &key)?;
            let mut known = known.map(|known| known.value).unwrap_or_default();
            let mut step = Step::of(&known, read);
            known.files.extend(read.files.clone());
            let all = known.files.len();
            let bounded = known.bounded(MAX_SET_BYTES);
            step.forgot = bounded.files.len() < all;
            steps.insert(node.clone(), step);
            transaction = transaction.put(Tree::Bookmark, key, SCHEMA, stored::encode(&bounded)?);
        }
        self.with_steps(transaction, place, run, (&old, &steps))
    }

    pub(crate) fn head(&self, job: u64) -> Result<(BookmarkHead, Expected)> {
        let found = self.read::<BookmarkHead>(Tree::Bookmark, &stored::bookmark(job))?;
        let unchanged = found.as_ref().map_or(Expected::Absent, Stored::unchanged);
        Ok((
            found.map(|found| found.value).unwrap_or_default(),
            unchanged,
        ))
    }

    pub(crate) fn entry(
        &self,
        job: &str,
        number: u64,
        head: BookmarkHead,
    ) -> Result<BookmarkEntry> {
        Ok(entry_of(job, head, &self.bookmarks(number)?))
    }
}

/// A bookmark as it is shown.
pub(crate) fn entry_of(
    job: &str,
    head: BookmarkHead,
    bookmarks: &BTreeMap<String, NodeBookmark>,
) -> BookmarkEntry {
    let nodes = bookmarks.iter().map(|(node, bookmark)| {
        let files = bookmark.files.values();
        let newest = files.map(|file| file.modified_millis).max();
        let shown = json!({"files": bookmark.len(), "newest_modified_millis": newest});
        (node.clone(), shown)
    });
    let nodes: serde_json::Map<_, _> = nodes.collect();
    BookmarkEntry {
        job_name: job.to_owned(),
        version: head.version,
        run: head.run,
        attempt: head.attempt,
        previous_run_id: head.previous_run_id,
        run_id: head.run_id,
        job_bookmark: json!(nodes).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(size: u64, modified_millis: u64) -> SeenFile {
        SeenFile {
            size,
            etag: None,
            modified_millis,
        }
    }

    #[test]
    fn late_rewritten_and_simultaneous_files_are_new() {
        let mut bookmark = NodeBookmark::default();
        bookmark.add("a".to_owned(), file(1, 1000));
        bookmark.add(
            "etag".to_owned(),
            SeenFile {
                etag: Some("x".to_owned()),
                ..file(1, 1000)
            },
        );
        assert!(!bookmark.is_new("a", &file(1, 1000)));
        assert!(bookmark.is_new("a", &file(2, 1000)), "another size");
        assert!(bookmark.is_new("a", &file(1, 1001)), "written again");
        assert!(bookmark.is_new("b", &file(1, 1000)), "the same moment");
        assert!(bookmark.is_new("b", &file(1, 1)), "late");
        let touched = SeenFile {
            etag: Some("x".to_owned()),
            ..file(1, 9)
        };
        assert!(!bookmark.is_new("etag", &touched), "the same content");
        let other = SeenFile {
            etag: Some("y".to_owned()),
            ..file(1, 1000)
        };
        assert!(bookmark.is_new("etag", &other));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Bounding never makes a file that was read new again, and keeps within the limit.
        #[test]
        fn a_bounded_set_reads_nothing_twice(
            files in prop::collection::btree_map("[a-d]{1,4}", (0..9_u64, 0..50_u64), 0..60),
            limit in 0..8000_usize,
        ) {
            let mut bookmark = NodeBookmark::default();
            for (path, (size, modified)) in &files {
                bookmark.add(path.clone(), file(*size, *modified));
            }
            let bounded = bookmark.bounded(limit);
            prop_assert!(bounded.len() * FILE_BYTES <= limit);
            for (path, (size, modified)) in &files {
                prop_assert!(!bounded.is_new(path, &file(*size, *modified)));
            }
            prop_assert!(bounded.is_new("late-but-newer-than-the-floor", &file(1, bounded.floor_millis)));
        }
    }
}
