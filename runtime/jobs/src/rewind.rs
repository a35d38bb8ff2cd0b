//! Going back: which run added which files to a bookmark, kept apart for the runs that moved it last.
//!
//! ```text
//! run 3 read a, b   run 5 read c   run 8 read a, which was written again
//! bookmark: a (8), b, c           rewound to run 5: a (3), b, c: the next run reads a
//!                                 rewound to run 3: a (3), b:    the next run reads a and c
//! ```
//!
//! A step says for each file what it was when it was read, and what the bookmark knew of it before, so that steps can be
//! undone from the newest back. What is kept is bounded, by dropping the oldest steps; what cannot be undone is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenon_store::{Transaction, Tree};

use crate::bookmark::{BookmarkEntry, BookmarkHead, NodeBookmark, SeenFile, entry_of};
use crate::error::{Error, Kind, Result};
use crate::job::Nodes;
use crate::jobs::TenantJobs;
use crate::run::JobRun;
use crate::stored::{self, Place, SCHEMA, StoredRun, Tally};

/// Runs whose steps are kept, at most.
const MAX_STEPS: usize = 1000;

/// What all steps of a job take in the store, in bytes, about.
const MAX_STEP_BYTES: usize = 32 << 20;

/// Which runs moved a bookmark, in the order in which they did. That need not be the order of their numbers: among runs
/// that wait a later one may have the higher priority.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct History {
    /// What the bookmark was before the first step is what it was after this run, and after runs that ended later and
    /// moved nothing. After a reset, the number of the next run.
    from: u64,
    /// When that run ended, or the bookmark was reset; 0 where only the number is known.
    #[serde(default)]
    since_unix_millis: u64,
    steps: Vec<Moved>,
}

/// When a run ended, in milliseconds since 1970, and its number.
type End = (u64, u64);

/// When runs that were looked at ended, by their numbers.
type Ends = BTreeMap<u64, Option<End>>;

/// What the bookmark was after a run: how many of the steps that are kept had been made, and when that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    steps: usize,
    end: End,
}

/// A run that moved the bookmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Moved {
    number: u64,
    run: String,
    attempt: u32,
    nodes: Vec<String>,
    bytes: usize,
    /// Files that it read; earlier releases did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<usize>,
}

/// What a run added to the bookmark of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Step {
    files: BTreeMap<String, StepFile>,
    /// The bookmark was full: it forgot files, so that it was not as it had been any more.
    #[serde(default)]
    pub(crate) forgot: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StepFile {
    now: SeenFile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<SeenFile>,
}

impl Step {
    /// What `read` adds to `known`.
    pub(crate) fn of(known: &NodeBookmark, read: &NodeBookmark) -> Self {
        let files = read.files.iter().map(|(path, now)| {
            let file = StepFile {
                now: now.clone(),
                before: known.files.get(path).cloned(),
            };
            (path.clone(), file)
        });
        Self {
            files: files.collect(),
            forgot: false,
        }
    }

    fn undo(self, bookmark: &mut NodeBookmark) {
        for (path, file) in self.files {
            match file.before {
                Some(before) => bookmark.files.insert(path, before),
                None => bookmark.files.remove(&path),
            };
        }
    }
}

impl TenantJobs {
    /// Sets a bookmark back to what it was after the last run that moved it, up to and with `run`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job and the run, [`Error::InvalidInput`] where that is not known any more,
    /// [`Error::Conflict`], [`Error::Store`].
    pub fn rewind_bookmark(&self, job: &str, run: &str) -> Result<BookmarkEntry> {
        let number = self.stored_job(job)?.value.number;
        let (head, bookmarks) = self.retry(Kind::Bookmark, job, || {
            let (old, unchanged) = self.head(number)?;
            let mut history = self.history(number, &old)?;
            let mut ends = Ends::new();
            let kept = self.point(&history, (job, number), run, &mut ends)?.steps;
            let undone = history.steps.split_off(kept);
            let last = history.steps.last();
            let head = BookmarkHead {
                version: old.version + 1,
                run: last.map_or(0, |step| step.number),
                attempt: last.map_or(0, |step| step.attempt),
                previous_run_id: old.run_id,
                run_id: last.map(|step| step.run.clone()),
            };
            let key = stored::bookmark(number);
            let transaction = self
                .transaction()
                .expect(Tree::Bookmark, key.clone(), unchanged)
                .put(Tree::Bookmark, key, SCHEMA, stored::encode(&head)?)
                .put(
                    Tree::Bookmark,
                    stored::history(number),
                    SCHEMA,
                    stored::encode(&history)?,
                );
            let (transaction, bookmarks) = self.without_steps(transaction, job, number, undone)?;
            self.commit(transaction)?;
            Ok((head, bookmarks))
        })?;
        Ok(entry_of(job, head, &bookmarks))
    }

    /// What the bookmark was after a run, which is refused where that is not known.
    fn point(
        &self,
        history: &History,
        job: (&str, u64),
        run: &str,
        ends: &mut Ends,
    ) -> Result<Point> {
        let (name, number) = job;
        let found = self.stored_run(number, name, run)?.value;
        let not_yet = || {
            Error::invalid(format!(
                "run {run} of job {name} has not ended: what the bookmark will be after it is not known yet; wait for it or \
                 name another run"
            ))
        };
        let end = end_of(&found).ok_or_else(not_yet)?;
        let steps = match history.position(found.place.number) {
            Some(position) => position + 1,
            None => {
                history.check(name, run, end)?;
                self.steps_before(history, number, end, ends)?
            }
        };
        Ok(Point { steps, end })
    }

    /// How many of the steps had been made when a run ended that made none itself: it read nothing, failed, or left the
    /// bookmark. The bookmark was then what the last run before it had left.
    fn steps_before(
        &self,
        history: &History,
        job: u64,
        end: End,
        ends: &mut Ends,
    ) -> Result<usize> {
        for (position, moved) in history.steps.iter().enumerate().rev() {
            let other = self.end_of_step(job, moved.number, ends)?;
            if other.is_some_and(|other| other <= end) {
                return Ok(position + 1);
            }
        }
        Ok(0)
    }

    /// When the run of a step ended.
    fn end_of_step(&self, job: u64, number: u64, ends: &mut Ends) -> Result<Option<End>> {
        if let Some(end) = ends.get(&number) {
            return Ok(*end);
        }
        let place = Place { job, number };
        let found = self.read::<StoredRun>(Tree::Run, &stored::run(place))?;
        let end = found.and_then(|found| end_of(&found.value));
        ends.insert(number, end);
        Ok(end)
    }

    /// Undoes steps, the newest first, and removes them; says what is left of the bookmark.
    fn without_steps(
        &self,
        mut transaction: Transaction,
        job: &str,
        number: u64,
        undone: Vec<Moved>,
    ) -> Result<(Transaction, BTreeMap<String, NodeBookmark>)> {
        let mut bookmarks = self.bookmarks(number)?;
        for moved in undone.into_iter().rev() {
            let place = Place {
                job: number,
                number: moved.number,
            };
            for node in &moved.nodes {
                let key = stored::step(place, node);
                let step = self.read::<Step>(Tree::Bookmark, &key)?;
                let step = step.map(|step| step.value).unwrap_or_default();
                if step.forgot {
                    return Err(Error::invalid(format!(
                        "the bookmark of job {job} was full after run {} and forgot files: what it was before is not known; \
                         reset it to read everything again",
                        moved.run
                    )));
                }
                step.undo(bookmarks.entry(node.clone()).or_default());
                transaction = transaction.delete(Tree::Bookmark, key);
            }
        }
        for (node, bookmark) in &bookmarks {
            let key = stored::node_bookmark(number, node);
            transaction = transaction.put(Tree::Bookmark, key, SCHEMA, stored::encode(bookmark)?);
        }
        Ok((transaction, bookmarks))
    }

    /// Counts what was modified before a moment as read, and nothing else, for each source of the job.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job, [`Error::Conflict`], [`Error::Store`].
    pub fn set_bookmark(&self, job: &str, before_unix_millis: u64) -> Result<BookmarkEntry> {
        let stored_job = self.stored_job(job)?.value;
        let number = stored_job.number;
        let nodes = stored_job.job.definition.nodes().cloned();
        let sources = sources(&nodes.unwrap_or_default());
        let head = self.retry(Kind::Bookmark, job, || {
            let (old, unchanged) = self.head(number)?;
            let head = BookmarkHead {
                version: old.version + 1,
                ..BookmarkHead::default()
            };
            let key = stored::bookmark(number);
            let transaction = self
                .transaction()
                .expect(Tree::Bookmark, key.clone(), unchanged)
                .put(Tree::Bookmark, key, SCHEMA, stored::encode(&head)?);
            let mut transaction = self.without_history(transaction, number, &old)?;
            let bookmark = NodeBookmark {
                floor_millis: before_unix_millis,
                ..NodeBookmark::default()
            };
            let known = self.bookmarked_nodes(number)?.into_iter();
            let nodes: BTreeSet<String> = known.chain(sources.iter().cloned()).collect();
            for node in nodes {
                let key = stored::node_bookmark(number, &node);
                transaction =
                    transaction.put(Tree::Bookmark, key, SCHEMA, stored::encode(&bookmark)?);
            }
            self.commit(transaction)?;
            Ok(head)
        })?;
        self.entry(job, number, head)
    }

    /// The files that runs read after `from` and up to `to`, in the order in which they moved the bookmark, as what is to
    /// be read by each source of `nodes`; runs are named by their ids, and without them the first and the last are meant.
    pub(crate) fn read_between(
        &self,
        job: (&str, u64),
        nodes: &Nodes,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<BTreeMap<String, NodeBookmark>> {
        let (name, number) = job;
        let (head, _) = self.head(number)?;
        let history = self.history(number, &head)?;
        let mut ends = Ends::new();
        let mut point = |run: Option<&str>| {
            run.map(|run| self.point(&history, job, run, &mut ends))
                .transpose()
        };
        let (first, last) = (point(from)?, point(to)?);
        if let (Some(first), Some(last)) = (first, last)
            && last < first
        {
            return Err(Error::invalid(format!(
                "the run of --job-bookmark-to, {}, ended before that of --job-bookmark-from, {}: between them is nothing; \
                 exchange them",
                to.unwrap_or_default(),
                from.unwrap_or_default()
            )));
        }
        if from.is_none() && history.from > 0 {
            return Err(Error::invalid(format!(
                "what the first runs of job {name} read is not kept apart any more: name a later one in --job-bookmark-from"
            )));
        }
        let after = first.map_or(0, |first| first.steps);
        let until = last.map_or(history.steps.len(), |last| last.steps);
        let mut all: BTreeMap<String, NodeBookmark> = sources(nodes)
            .into_iter()
            .map(|node| (node, NodeBookmark::default()))
            .collect();
        for moved in &history.steps[after..until] {
            let place = Place {
                job: number,
                number: moved.number,
            };
            for node in &moved.nodes {
                let step = self.read::<Step>(Tree::Bookmark, &stored::step(place, node))?;
                let step = step.map(|step| step.value).unwrap_or_default();
                let read = step.files.into_iter().map(|(path, file)| (path, file.now));
                all.entry(node.clone()).or_default().files.extend(read);
            }
        }
        for bookmark in all.values_mut() {
            bookmark.only = true;
        }
        Ok(all)
    }

    /// Keeps what a run added to a bookmark with this head, and forgets the oldest steps when there are too many.
    pub(crate) fn with_steps(
        &self,
        mut transaction: Transaction,
        place: Place,
        run: &JobRun,
        (head, steps): (&BookmarkHead, &BTreeMap<String, Step>),
    ) -> Result<Transaction> {
        let mut history = self.history(place.job, head)?;
        let mut bytes = 0;
        for (node, step) in steps {
            let record = stored::encode(step)?;
            bytes += record.len();
            let key = stored::step(place, node);
            transaction = transaction.put(Tree::Bookmark, key, SCHEMA, record);
        }
        history.steps.push(Moved {
            number: place.number,
            run: run.id.clone(),
            attempt: run.attempt,
            nodes: steps.keys().cloned().collect(),
            bytes,
            files: Some(steps.values().map(|step| step.files.len()).sum()),
        });
        let dropped = history.bound();
        if let Some(last) = dropped.last() {
            let last = Place {
                job: place.job,
                number: last.number,
            };
            let found = self.read::<StoredRun>(Tree::Run, &stored::run(last))?;
            let end = found.and_then(|found| end_of(&found.value));
            // One that is dropped at once ends in this transaction.
            history.since_unix_millis = end.map_or(self.now().unix_millis(), |(millis, _)| millis);
        }
        for moved in dropped {
            transaction = removed(transaction, place.job, &moved);
        }
        let record = stored::encode(&history)?;
        Ok(transaction.put(Tree::Bookmark, stored::history(place.job), SCHEMA, record))
    }

    /// Forgets which run read what: the bookmark, which has this head, is about to be what no run left.
    pub(crate) fn without_history(
        &self,
        transaction: Transaction,
        job: u64,
        head: &BookmarkHead,
    ) -> Result<Transaction> {
        let (tally, _) = self.read_or_default::<Tally>(Tree::Run, &stored::tally(job))?;
        let old = self.history(job, head)?;
        let steps = old.steps.iter();
        let transaction = steps.fold(transaction, |transaction, moved| {
            removed(transaction, job, moved)
        });
        let history = History {
            from: tally.newest + 1,
            since_unix_millis: self.now().unix_millis(),
            steps: Vec::new(),
        };
        let record = stored::encode(&history)?;
        Ok(transaction.put(Tree::Bookmark, stored::history(job), SCHEMA, record))
    }

    /// Which runs moved the bookmark; of one that an earlier release moved, only that it was.
    fn history(&self, job: u64, head: &BookmarkHead) -> Result<History> {
        let found = self.read::<History>(Tree::Bookmark, &stored::history(job))?;
        Ok(found.map_or(
            History {
                from: head.run,
                ..History::default()
            },
            |found| found.value,
        ))
    }
}

/// When a run ended; nothing while it waits or is under way.
fn end_of(run: &StoredRun) -> Option<End> {
    let ended = run.run.completed_on?;
    Some((ended.unix_millis(), run.place.number))
}

fn removed(transaction: Transaction, job: u64, moved: &Moved) -> Transaction {
    let place = Place {
        job,
        number: moved.number,
    };
    moved.nodes.iter().fold(transaction, |transaction, node| {
        transaction.delete(Tree::Bookmark, stored::step(place, node))
    })
}

/// The nodes that read no others.
fn sources(nodes: &Nodes) -> Vec<String> {
    let is_source = |node: &serde_json::Value| {
        let kind = node.as_object().and_then(|node| node.values().next());
        let inputs = kind.and_then(|kind| kind.get("Inputs")?.as_array());
        inputs.is_none_or(Vec::is_empty)
    };
    let found = nodes.iter().filter(|(_, node)| is_source(node));
    found.map(|(id, _)| id.clone()).collect()
}

impl History {
    /// Where the step of a run is, if it moved the bookmark and that was neither undone nor is too long ago.
    fn position(&self, number: u64) -> Option<usize> {
        self.steps.iter().position(|step| step.number == number)
    }

    /// Whether what the bookmark was after a run that has no step is known.
    fn check(&self, job: &str, run: &str, end: End) -> Result<()> {
        let (_, number) = end;
        let is_later = match self.since_unix_millis {
            0 => number > self.from,
            since => end > (since, self.from),
        };
        if is_later || number == self.from {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "what the bookmark of job {job} was after run {run} is not known any more: it was reset or set since, or that is \
             too long ago; `tenon job bookmark show` lists the runs that can be named"
        )))
    }

    /// Drops the oldest steps beyond the limits, and returns them.
    fn bound(&mut self) -> Vec<Moved> {
        let mut bytes: usize = self.steps.iter().map(|step| step.bytes).sum();
        let mut dropped = 0;
        while self.steps.len() - dropped > MAX_STEPS || bytes > MAX_STEP_BYTES {
            bytes -= self.steps[dropped].bytes;
            self.from = self.steps[dropped].number;
            dropped += 1;
        }
        self.steps.drain(..dropped).collect()
    }
}

/// What is known of a job's bookmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookmarkState {
    /// As `GetJobBookmark` has it; nothing before a run moved it.
    pub entry: Option<BookmarkEntry>,
    /// The runs that it can be set back to, the oldest first, each with the files that it read.
    pub runs: Vec<(String, usize)>,
}

impl TenantJobs {
    /// The bookmark of a job and how far it can be set back.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the job, [`Error::Store`].
    pub fn bookmark_state(&self, job: &str) -> Result<BookmarkState> {
        let number = self.stored_job(job)?.value.number;
        let head = self.read::<BookmarkHead>(Tree::Bookmark, &stored::bookmark(number))?;
        let head = head.map(|head| head.value);
        let history = self.history(number, &head.clone().unwrap_or_default())?;
        let mut runs = Vec::with_capacity(history.steps.len());
        for moved in &history.steps {
            runs.push((moved.run.clone(), self.files_of(number, moved)?));
        }
        let entry = head.map(|head| self.entry(job, number, head)).transpose()?;
        Ok(BookmarkState { entry, runs })
    }

    /// How many files a run read; where that was not kept, its steps say.
    fn files_of(&self, job: u64, moved: &Moved) -> Result<usize> {
        if let Some(files) = moved.files {
            return Ok(files);
        }
        let place = Place {
            job,
            number: moved.number,
        };
        let mut files = 0;
        for node in &moved.nodes {
            let step = self.read::<Step>(Tree::Bookmark, &stored::step(place, node))?;
            files += step.map_or(0, |step| step.value.files.len());
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(version: u64) -> SeenFile {
        SeenFile {
            size: version,
            etag: None,
            modified_millis: version,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever runs read, undoing the steps of the last ones gives the bookmark that the run before left.
        #[test]
        fn undone_steps_leave_what_was(
            reads in prop::collection::vec(prop::collection::btree_map("[a-d]", 0..4_u64, 0..4), 0..8),
            back in 0..8_usize,
        ) {
            let mut bookmark = NodeBookmark::default();
            let (mut states, mut steps) = (vec![bookmark.clone()], Vec::new());
            for read in &reads {
                let mut files = NodeBookmark::default();
                for (path, version) in read {
                    files.add(path.clone(), file(*version));
                }
                steps.push(Step::of(&bookmark, &files));
                bookmark.files.extend(files.files);
                states.push(bookmark.clone());
            }
            let kept = reads.len().saturating_sub(back);
            for step in steps.drain(kept..).rev() {
                step.undo(&mut bookmark);
            }
            prop_assert_eq!(&bookmark, &states[kept]);
        }
    }

    #[test]
    fn the_oldest_steps_are_dropped_and_their_runs_refused() {
        let step = |number| Moved {
            number,
            run: format!("jr_{number}"),
            attempt: 0,
            nodes: vec!["n".to_owned()],
            bytes: MAX_STEP_BYTES / 3,
            files: None,
        };
        let mut history = History {
            steps: Vec::from([7, 5, 6].map(step)),
            ..History::default()
        };
        assert_eq!(history.bound(), []);
        history.steps.push(step(8));
        let dropped = history.bound();
        assert_eq!(
            dropped.iter().map(|step| step.number).collect::<Vec<_>>(),
            [7]
        );
        // After run 7 all later steps can be undone; what was before it is gone.
        history.since_unix_millis = 70;
        assert_eq!(history.position(5), Some(0));
        history.check("j", "jr_7", (70, 7)).unwrap();
        history.check("j", "jr_8", (60, 8)).unwrap_err();
        history.check("j", "jr_2", (80, 2)).unwrap();
        history.steps.push(step(9));
        assert_eq!(history.bound().len(), 1);
        history.since_unix_millis = 75;
        // Run 5 came after it.
        history.check("j", "jr_7", (70, 7)).unwrap_err();
        history.check("j", "jr_5", (75, 5)).unwrap();
    }

    #[test]
    fn a_history_without_times_goes_by_numbers() {
        let history: History = serde_json::from_str(r#"{"from":3,"steps":[]}"#).unwrap();
        history.check("j", "jr_2", (90, 2)).unwrap_err();
        history.check("j", "jr_3", (90, 3)).unwrap();
    }
}
