//! `/v1/accounts/{account}/jobs/{job}/runs/{run}/graph`: what a run ran, as a graph with what each node did: a list, a tree
//! of text, or a picture.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenon_jobs::Graph;

use super::asked::{Asked, perform_with};
use super::named;
use super::problem::Problem;
use super::runs::{Runs, refused};
use crate::fault::Fault;

const OPERATION: &str = "GetRunGraph";

/// What a run ran, as a graph with what each node did so far; the node that took most time is marked.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs/{job}/runs/{run}/graph", tag = "jobs", operation_id = "getRunGraph",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
        ("run" = String, Path, description = "The run's id"),
        ("format" = Option<String>, Query, description = "`json`, `text` or `svg`; `json` if absent"),
    ),
    responses(
        (status = 200, description = "The graph", content(
            (Object = "application/json"), (String = "image/svg+xml"), (String = "text/plain"),
        )),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn of_run(State(runs): State<Runs>, asked: Asked) -> Response {
    let work = move |asked: &Asked| {
        let form = Form::asked(asked.query("format"))?;
        Ok(form.shown(&runs.graph(asked)?))
    };
    perform_with(OPERATION, asked, work, |(kind, text)| {
        let kind = [(header::CONTENT_TYPE, kind)];
        named(OPERATION, (StatusCode::OK, kind, text).into_response())
    })
    .await
}

/// How a graph is shown.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Text,
    Svg,
}

impl Form {
    fn asked(word: Option<&str>) -> Result<Self, Fault> {
        match word {
            None | Some("json") => Ok(Self::Json),
            Some("text") => Ok(Self::Text),
            Some("svg") => Ok(Self::Svg),
            Some(other) => Err(Fault::invalid(format!(
                "format is {other:?}; it is json, text or svg"
            ))),
        }
    }

    /// The graph, and which kind of content it is.
    fn shown(self, graph: &Graph) -> (&'static str, String) {
        match self {
            Self::Json => ("application/json", format!("{:#}\n", graph.json())),
            Self::Text => ("text/plain; charset=utf-8", graph.text()),
            Self::Svg => ("image/svg+xml", graph.svg()),
        }
    }
}

impl Runs {
    /// The graph of the run in the path.
    fn graph(&self, asked: &Asked) -> Result<Graph, Fault> {
        let (_, jobs) = self.of(asked)?;
        let (job, id) = (asked.path("job"), asked.path("run"));
        let run = self.priced(jobs.get_whole_run(job, id).map_err(refused)?);
        let ran = jobs.ran(job, id).map_err(refused)?;
        let ran = ran.ok_or_else(|| Fault {
            status: 404,
            name: "EntityNotFoundException",
            message: format!("what run {id} ran is not known: it did not begin"),
        })?;
        let state = run.run.job_run_state;
        Ok(Graph::of(job, &ran.nodes).with_run(id, state, &run.metrics))
    }
}
