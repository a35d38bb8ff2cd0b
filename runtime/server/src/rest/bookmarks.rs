//! `/v1/accounts/{account}/jobs/{job}/bookmark`: which files a job has read, and setting that back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenon_jobs::{BookmarkEntry, BookmarkState};
use utoipa::ToSchema;

use super::asked::{Asked, perform};
use super::problem::Problem;
use super::runs::{Runs, refused};
use crate::fault::Fault;

/// The bookmark of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bookmark {
    /// Rises with every change; 0 before the first.
    version: u64,
    /// The run that left it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// For each source node how many files it remembers and when the newest was modified.
    #[schema(value_type = Object)]
    nodes: Value,
    /// Runs that moved it and that it can be set back to, the oldest first.
    runs: Vec<Moved>,
}

/// A run that moved a bookmark.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Moved {
    run: String,
    /// Files that it read.
    files: usize,
}

/// What a bookmark is to become. One of the members.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBookmark {
    /// What it was after this run: files that later runs read are read again.
    run: Option<String>,
    /// Files modified before this moment, in milliseconds since 1970, count as read, and no others.
    before_unix_millis: Option<u64>,
}

impl Bookmark {
    fn of(state: BookmarkState) -> Result<Self, Fault> {
        let (version, run, nodes) = match state.entry {
            Some(BookmarkEntry {
                version,
                run_id,
                job_bookmark,
                ..
            }) => {
                let nodes = serde_json::from_str(&job_bookmark);
                let nodes = nodes.map_err(|error| Fault::internal(&error.to_string()))?;
                (version, run_id, nodes)
            }
            None => (0, None, Value::Object(serde_json::Map::new())),
        };
        let runs = state.runs.into_iter();
        Ok(Self {
            version,
            run,
            nodes,
            runs: runs.map(|(run, files)| Moved { run, files }).collect(),
        })
    }
}

/// Which files the sources of a job have read.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs/{job}/bookmark", tag = "jobs", operation_id = "getBookmark",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
    ),
    responses(
        (status = 200, description = "The bookmark", body = Bookmark),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn get(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("GetBookmark", StatusCode::OK, asked, move |asked| {
        let (_, jobs) = runs.of(asked)?;
        let state = jobs.bookmark_state(asked.path("job"));
        Bookmark::of(state.map_err(refused)?)
    })
    .await
}

/// Sets a bookmark back to a run, or to a moment.
#[utoipa::path(
    put, path = "/v1/accounts/{account}/jobs/{job}/bookmark", tag = "jobs", operation_id = "setBookmark",
    security(("token" = [])), request_body = NewBookmark,
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
    ),
    responses(
        (status = 200, description = "The bookmark", body = Bookmark),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn set(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("SetBookmark", StatusCode::OK, asked, move |asked| {
        // Whoever may not is told so whatever the body is.
        runs.of(asked)?;
        let new: NewBookmark = asked.body()?;
        if new.run.is_some() == new.before_unix_millis.is_some() {
            return Err(Fault::invalid(
                "give run or before_unix_millis, one of them",
            ));
        }
        let state = runs.change(asked, "rest:SetBookmark", |jobs, job| {
            match (&new.run, new.before_unix_millis) {
                (Some(run), _) => jobs.rewind_bookmark(job, run)?,
                (None, before) => jobs.set_bookmark(job, before.unwrap_or(0))?,
            };
            jobs.bookmark_state(job)
        })?;
        Bookmark::of(state)
    })
    .await
}

/// Forgets what a job has read: its next run reads everything.
#[utoipa::path(
    delete, path = "/v1/accounts/{account}/jobs/{job}/bookmark", tag = "jobs", operation_id = "resetBookmark",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
    ),
    responses(
        (status = 200, description = "The bookmark", body = Bookmark),
        (status = 401, response = Problem), (status = 404, response = Problem), (status = 409, response = Problem),
    ),
)]
pub(crate) async fn reset(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("ResetBookmark", StatusCode::OK, asked, move |asked| {
        let state = runs.change(asked, "rest:ResetBookmark", |jobs, job| {
            jobs.reset_bookmark(job)?;
            jobs.bookmark_state(job)
        })?;
        Bookmark::of(state)
    })
    .await
}
