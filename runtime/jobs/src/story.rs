//! What is told of a run, line by line: [`Told`], as the two streams that CloudWatch has of each run of Glue.
//!
//! ```text
//! output   the run begins │ what plugins say, debug and info │ what each node did, how the run ended
//! error                   │ what plugins say, warn and error │ why the run did not succeed
//! ```
//!
//! Lines are only added, at the end, so that who reads a stream may go on where it stopped. What the run itself says is
//! made of its record and kept nowhere else.

use tenon_store::Tree;

use crate::error::Result;
use crate::jobs::{MAX_PAGE, TenantJobs};
use crate::log::LogLine;
use crate::metrics::{NodeMetrics, RunMetrics};
use crate::run::{JobRun, RunState};
use crate::stored::{self, Place, StoredJob, StoredRun};
use crate::time::Timestamp;

/// One of the streams of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// What happens.
    Output,
    /// What is wrong.
    Error,
}

/// A line of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When; never before the line above it.
    pub time: Timestamp,
    /// What.
    pub message: String,
}

/// A run and what one of its streams says so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The run.
    pub run: JobRun,
    /// In the order in which they were added.
    pub lines: Vec<Line>,
}

/// Which run's stream, to be read later. Their order is that in which their runs were accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// When the run was accepted.
    pub begun_unix_millis: u64,
    /// The run's id.
    pub run: String,
    place: Place,
}

impl Stream {
    fn of(run: &StoredRun) -> Self {
        Self {
            begun_unix_millis: run.run.started_on.unix_millis(),
            run: run.run.id.clone(),
            place: run.place,
        }
    }

    /// What it is called in few characters, digits and a point: the same for as long as its job is there.
    #[must_use]
    pub fn number(&self) -> String {
        format!("{}.{}", self.place.job, self.place.number)
    }
}

impl TenantJobs {
    /// The stream of the run with this id, whatever its job; `None` when there is no such run, or nothing is said yet.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn told(&self, run: &str, channel: Channel) -> Result<Option<Told>> {
        match self.place_of(run)? {
            Some(place) => self.told_at(place, channel),
            None => Ok(None),
        }
    }

    /// The stream of the run with this id, without what it says; `None` when there is no such run.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn stream(&self, run: &str) -> Result<Option<(JobRun, Stream)>> {
        let Some(place) = self.place_of(run)? else {
            return Ok(None);
        };
        let found = self.read::<StoredRun>(Tree::Run, &stored::run(place))?;
        Ok(found.map(|found| (found.value.run.clone(), Stream::of(&found.value))))
    }

    /// What is said in a stream by now; `None` when that is nothing, or its job was deleted.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn told_of(&self, stream: &Stream, channel: Channel) -> Result<Option<Told>> {
        self.told_at(stream.place, channel)
    }

    fn told_at(&self, place: Place, channel: Channel) -> Result<Option<Told>> {
        match self.read::<StoredRun>(Tree::Run, &stored::run(place))? {
            Some(found) => self.tell(found.value, channel),
            None => Ok(None),
        }
    }

    /// What is said in a stream of a run that [`Self::visit_runs`] showed; `None` when that is nothing.
    fn tell(&self, run: StoredRun, channel: Channel) -> Result<Option<Told>> {
        let log = self.log_of(run.place)?;
        let lines = lines(&run, log, channel);
        Ok((!lines.is_empty()).then_some(Told {
            run: run.run,
            lines,
        }))
    }

    /// Shows every run of the tenant to `visit`, job by job.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn visit_runs(&self, mut visit: impl FnMut(JobRun, RunMetrics)) -> Result<()> {
        self.visit_stored(|run| {
            let live = self.jobs.live.get(self.tenant, run.place);
            visit(run.run, live.unwrap_or(run.metrics));
            Ok(())
        })
    }

    /// Shows the streams of all runs of the tenant to `visit`, job by job, without reading what they say.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn visit_streams(&self, mut visit: impl FnMut(&JobRun, Stream)) -> Result<()> {
        self.visit_stored(|run| {
            visit(&run.run, Stream::of(&run));
            Ok(())
        })
    }

    /// Shows every stream that says something to `visit`, job by job, and holds one at a time.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn visit_told(
        &self,
        channel: Channel,
        wanted: impl Fn(&JobRun) -> bool,
        mut visit: impl FnMut(Told),
    ) -> Result<()> {
        self.visit_stored(|run| {
            if wanted(&run.run)
                && let Some(told) = self.tell(run, channel)?
            {
                visit(told);
            }
            Ok(())
        })
    }

    /// Runs of jobs, then task runs of ML transforms.
    fn visit_stored(&self, mut visit: impl FnMut(StoredRun) -> Result<()>) -> Result<()> {
        self.visit_jobs(|job| self.visit_below(job.number, &mut visit).map(|()| true))?;
        for transform in self.transform_numbers()? {
            self.visit_below(transform, &mut visit)?;
        }
        Ok(())
    }

    fn visit_below(&self, job: u64, visit: &mut impl FnMut(StoredRun) -> Result<()>) -> Result<()> {
        let (below, mut after) = (stored::runs(job), None);
        loop {
            let (found, next) =
                self.list::<StoredRun>(Tree::Run, &below, after.as_ref(), MAX_PAGE)?;
            for (_, run) in found {
                visit(run)?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Where the run with this id is, of a job or of a task.
    fn place_of(&self, run: &str) -> Result<Option<Place>> {
        match self.find_run(run)? {
            Some((_, place)) => Ok(Some(place)),
            None => self.find_task(run),
        }
    }

    /// Where the run with this id is, and the job that it is of.
    pub(crate) fn find_run(&self, run: &str) -> Result<Option<(StoredJob, Place)>> {
        match self.read::<Place>(Tree::Run, &stored::place_of(run))? {
            Some(place) => self.with_job(place.value),
            None => self.search_run(run),
        }
    }

    /// The same with the job of the run there; nothing once it was deleted.
    fn with_job(&self, place: Place) -> Result<Option<(StoredJob, Place)>> {
        let Some(run) = self.read::<StoredRun>(Tree::Run, &stored::run(place))? else {
            return Ok(None);
        };
        let job = self.read::<StoredJob>(Tree::Object, &stored::job(&run.value.run.job_name))?;
        let job = job.map(|job| job.value);
        Ok(job
            .filter(|job| job.number == place.job)
            .map(|job| (job, place)))
    }

    /// Looks in every job: runs of earlier releases are found among those of their jobs alone.
    fn search_run(&self, run: &str) -> Result<Option<(StoredJob, Place)>> {
        let mut found = None;
        self.visit_jobs(|job| {
            let number = self.read::<u64>(Tree::Run, &stored::run_id(job.number, run))?;
            found = number.map(|number| {
                let place = Place {
                    job: job.number,
                    number: number.value,
                };
                (job, place)
            });
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Shows all jobs to `visit`, until it has enough.
    fn visit_jobs(&self, mut visit: impl FnMut(StoredJob) -> Result<bool>) -> Result<()> {
        let mut after = None;
        loop {
            let below = stored::jobs();
            let (found, next) =
                self.list::<StoredJob>(Tree::Object, &below, after.as_ref(), MAX_PAGE)?;
            for (_, job) in found {
                if !visit(job)? {
                    return Ok(());
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

fn lines(run: &StoredRun, log: Vec<LogLine>, channel: Channel) -> Vec<Line> {
    let begun = run.running_since.unwrap_or(run.run.started_on);
    let ended = run
        .run
        .completed_on
        .filter(|_| run.run.job_run_state.is_final());
    let mut lines = Vec::new();
    if channel == Channel::Output && run.running_since.is_some() {
        lines.push(Line {
            time: begun,
            message: format!(
                "run {} of {} {} begins, attempt {}",
                run.run.id,
                run.task.as_ref().map_or("job", |_| "ML transform"),
                run.run.job_name,
                run.run.attempt
            ),
        });
    }
    let said = log.into_iter().filter(|line| channel_of(line) == channel);
    lines.extend(said.map(|line| Line {
        time: Timestamp::from_unix_millis(line.time_unix_millis),
        message: match line.node.is_empty() {
            true => format!("{}: {}", line.level, line.message),
            false => format!("node {:?}: {}: {}", line.node, line.level, line.message),
        },
    }));
    if let Some(time) = ended {
        let end = match channel {
            Channel::Output => end(run),
            Channel::Error => why(run),
        };
        lines.extend(end.into_iter().map(|message| Line { time, message }));
    }
    in_order(&mut lines, begun, ended);
    lines
}

/// Worker and server may disagree about the time: no line is before the one above it, none outside of the run.
fn in_order(lines: &mut [Line], begun: Timestamp, ended: Option<Timestamp>) {
    let mut before = begun;
    for line in lines {
        let time = line.time.max(before);
        line.time = ended.map_or(time, |ended| time.min(ended.max(begun)));
        before = line.time;
    }
}

fn channel_of(line: &LogLine) -> Channel {
    match line.level.as_str() {
        "warn" | "error" => Channel::Error,
        _ => Channel::Output,
    }
}

/// Why a run did not succeed, and what to try.
fn why(run: &StoredRun) -> Vec<String> {
    match &run.problem {
        Some(problem) => vec![problem.problem.clone(), format!("try: {}", problem.hint)],
        // Earlier releases kept one text.
        None => run.run.error_message.clone().into_iter().collect(),
    }
}

/// What the nodes did, and how the run ended.
fn end(run: &StoredRun) -> Vec<String> {
    if run.running_since.is_none() {
        // It never began: why is for the other stream.
        return Vec::new();
    }
    let mut said: Vec<String> = run.metrics.nodes.iter().map(node).collect();
    let (state, seconds) = (run.run.job_run_state, run.run.execution_time);
    let verb = match state {
        RunState::Succeeded => "succeeded",
        RunState::Stopped => "stopped",
        RunState::Timeout => "ran out of time",
        _ => "failed",
    };
    said.push(format!(
        "run {} {verb} after {seconds} s: CPU {:.3} s, {} bytes read, {} rows and {} bytes written",
        run.run.id,
        run.metrics.cpu_micros as f64 / 1e6,
        run.metrics.bytes_read(),
        run.metrics.rows_written(),
        run.metrics.bytes_written()
    ));
    said
}

fn node(node: &NodeMetrics) -> String {
    let mut text = format!("node {:?}", node.node);
    if !node.kind.is_empty() {
        text += &format!(" ({})", node.kind);
    }
    text += &format!(": {} rows in, {} rows out", node.rows_in, node.rows_out);
    let counts = [
        (node.rows_dropped, "rows dropped"),
        (node.rows_quarantined, "rows in quarantine"),
        (node.retries, "retries"),
        (node.bytes_read.unwrap_or(0), "bytes read"),
        (node.bytes_written.unwrap_or(0), "bytes written"),
        (node.spilled_bytes, "bytes on disk because memory was short"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!(", {count} {what}");
    }
    text + &format!(", CPU {:.3} s", node.cpu_micros as f64 / 1e6)
}
