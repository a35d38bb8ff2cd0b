//! Creating, changing and deleting jobs, and their tags.

use tenon_store::{Expected, Transaction, Tree};

use crate::error::{Error, Kind, Result};
use crate::job::{Job, JobDefinition, Tags};
use crate::jobs::{MAX_PAGE, Page, Stored, TenantJobs};
use crate::stored::{self, Place, SCHEMA, StoredJob, StoredRun};

/// Jobs and ML transforms of a tenant get numbers from 1.
const FIRST_JOB: u64 = 1;

/// Runs of a deleted job that are removed in one transaction.
const REMOVED_AT_ONCE: usize = 500;

impl TenantJobs {
    /// Creates a job with these tags.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]; [`Error::InvalidInput`] when a member is out of range or the planner says that the
    /// graph cannot run; [`Error::Store`].
    pub fn create_job(&self, name: &str, definition: JobDefinition, tags: Tags) -> Result<Job> {
        let definition = definition.checked()?;
        self.plan(name, &definition)?;
        let now = self.now();
        let job = Job {
            name: name.to_owned(),
            created_on: now,
            last_modified_on: now,
            definition,
        };
        let key = stored::job(name);
        self.retry(Kind::Job, name, || {
            if self.read::<StoredJob>(Tree::Object, &key)?.is_some() {
                return Err(Error::AlreadyExists {
                    kind: Kind::Job,
                    name: name.to_owned(),
                });
            }
            let (number, unchanged) = self.next_number()?;
            let stored = StoredJob {
                number,
                job: job.clone(),
                tags: tags.clone(),
            };
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), Expected::Absent)
                .expect(Tree::Object, stored::next_job(), unchanged)
                .put(
                    Tree::Object,
                    stored::next_job(),
                    SCHEMA,
                    stored::encode(&(number + 1))?,
                )
                .put(Tree::Object, key.clone(), SCHEMA, stored::encode(&stored)?);
            self.commit(transaction)
        })?;
        Ok(job)
    }

    /// The job called `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn get_job(&self, name: &str) -> Result<Job> {
        Ok(self.stored_job(name)?.value.job)
    }

    /// Replaces the whole definition: what is left out is gone. Runs that are under way keep what they began with.
    ///
    /// # Errors
    /// [`Error::NotFound`]; as [`TenantJobs::create_job`].
    pub fn update_job(&self, name: &str, definition: JobDefinition) -> Result<()> {
        self.stored_job(name)?;
        let definition = definition.checked()?;
        self.plan(name, &definition)?;
        self.change_job(name, |stored| {
            stored.job.last_modified_on = self.now();
            stored.job.definition = definition.clone();
            Ok(())
        })?;
        // It may allow more runs at once.
        self.jobs.bell.ring_for(self.tenant);
        Ok(())
    }

    /// Deletes a job with its runs, bookmarks and tags. One that is not there is deleted already. Workers of runs
    /// that are under way are stopped.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is changed all the time, [`Error::Store`].
    pub fn delete_job(&self, name: &str) -> Result<()> {
        let number = self.retry(Kind::Job, name, || {
            let key = stored::job(name);
            let Some(found) = self.read::<StoredJob>(Tree::Object, &key)? else {
                return Ok(None);
            };
            let number = found.value.number;
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), found.unchanged())
                .put(Tree::Object, stored::remains(number), SCHEMA, Vec::new())
                .delete(Tree::Object, key);
            self.commit(transaction)?;
            Ok(Some(number))
        })?;
        if let Some(number) = number {
            self.remove_remains(number)?;
            self.jobs.bell.ring();
        }
        Ok(())
    }

    /// Jobs in the order of their names, at most `limit`, after `after`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list_jobs(&self, after: Option<&str>, limit: usize) -> Result<Page<(Job, Tags)>> {
        let after = after.map(stored::job);
        let (found, next) =
            self.list::<StoredJob>(Tree::Object, &stored::jobs(), after.as_ref(), limit)?;
        let items: Vec<_> = found
            .into_iter()
            .map(|(_, stored)| (stored.job, stored.tags))
            .collect();
        Ok(Page {
            next: next.and(items.last().map(|(job, _)| job.name.clone())),
            items,
        })
    }

    /// The tags of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn job_tags(&self, name: &str) -> Result<Tags> {
        Ok(self.stored_job(name)?.value.tags)
    }

    /// Changes the tags of a job; nothing is changed when `change` refuses.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`]; what `change` says, as [`Error::InvalidInput`].
    pub fn change_job_tags(
        &self,
        name: &str,
        change: impl Fn(&mut Tags) -> Result<(), String>,
    ) -> Result<()> {
        self.change_job(name, |stored| {
            change(&mut stored.tags).map_err(Error::invalid)
        })
    }

    fn change_job(&self, name: &str, change: impl Fn(&mut StoredJob) -> Result<()>) -> Result<()> {
        self.retry(Kind::Job, name, || {
            let mut stored = self.stored_job(name)?;
            change(&mut stored.value)?;
            let key = stored::job(name);
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), stored.unchanged())
                .put(Tree::Object, key, SCHEMA, stored::encode(&stored.value)?);
            self.commit(transaction)
        })
    }

    pub(crate) fn stored_job(&self, name: &str) -> Result<Stored<StoredJob>> {
        let found = self.read(Tree::Object, &stored::job(name))?;
        found.ok_or_else(|| Error::not_found(Kind::Job, name))
    }

    /// The number of the next job, or of the next ML transform, and the precondition that nobody else takes it.
    pub(crate) fn next_number(&self) -> Result<(u64, Expected)> {
        let counter = self.read::<u64>(Tree::Object, &stored::next_job())?;
        let unchanged = counter.as_ref().map_or(Expected::Absent, Stored::unchanged);
        Ok((
            counter.map_or(FIRST_JOB, |counter| counter.value),
            unchanged,
        ))
    }

    /// Removes what is left of jobs that were deleted, also by a server that died over it.
    pub(crate) fn remove_all_remains(&self) -> Result<()> {
        let (keys, _) = self.keys(Tree::Object, &stored::all_remains(), None)?;
        for key in keys {
            let mut reader = key.reader();
            if let (Ok(_), Ok(job)) = (reader.u8(), reader.u64()) {
                self.remove_remains(job)?;
            }
        }
        Ok(())
    }

    /// Nobody finds these records any more; nothing is added to them but ends of runs that were under way.
    pub(crate) fn remove_remains(&self, job: u64) -> Result<()> {
        let unnoted = self.without_note();
        loop {
            let (runs, _) =
                unnoted.list::<StoredRun>(Tree::Run, &stored::runs(job), None, REMOVED_AT_ONCE)?;
            if runs.is_empty() {
                break;
            }
            let all = runs.into_iter();
            let transaction = all.fold(unnoted.transaction(), |transaction, (_, run)| {
                without_run(transaction, &run)
            });
            unnoted.commit(transaction)?;
        }
        for (tree, below) in [
            (Tree::Bookmark, stored::node_bookmarks(job)),
            (Tree::Idempotency, stored::tokens(job)),
            (Tree::Run, stored::run_ids(job)),
            (Tree::Run, stored::logs(job)),
            (Tree::Run, stored::definitions(job)),
            (Tree::Run, stored::label_pieces(job)),
            (Tree::Run, stored::models(job)),
            (Tree::Bookmark, stored::all_steps(job)),
        ] {
            unnoted.remove_below(tree, &below)?;
        }
        let transaction = unnoted
            .transaction()
            .delete(Tree::Run, stored::tally(job))
            .delete(Tree::Bookmark, stored::bookmark(job))
            .delete(Tree::Bookmark, stored::history(job))
            .delete(Tree::Object, stored::remains(job));
        unnoted.commit(transaction)
    }

    pub(crate) fn remove_below(&self, tree: Tree, below: &tenon_store::Key) -> Result<()> {
        loop {
            let (keys, next) = self.keys(tree, below, None)?;
            debug_assert!(keys.len() <= MAX_PAGE);
            let all = keys.into_iter();
            let transaction = all.fold(self.transaction(), |transaction, key| {
                transaction.delete(tree, key)
            });
            if transaction.is_empty() {
                return Ok(());
            }
            self.commit(transaction)?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    fn without_note(&self) -> Self {
        self.jobs.tenant(self.tenant)
    }
}

/// Removes everything about a run.
fn without_run(transaction: Transaction, run: &StoredRun) -> Transaction {
    let place: Place = run.place;
    transaction
        .delete(Tree::Run, stored::run(place))
        .delete(Tree::Run, stored::run_id(place.job, &run.run.id))
        .delete(Tree::Run, stored::place_of(&run.run.id))
        .delete(Tree::Due, stored::waiting(run))
        .delete(Tree::Due, stored::active(place))
}
