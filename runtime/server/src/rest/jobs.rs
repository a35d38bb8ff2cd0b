//! `/v1/accounts/{account}/jobs/{job}`: what a job is, in Glue's words. Its runs are in [`super::runs`].

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use tenon_jobs::{Error, JobDefinition, Tags, TenantJobs};

use super::asked::{Asked, perform};
use super::problem::Problem;
use super::runs::{Runs, refused};
use crate::fault::Fault;
use crate::model::Model;

/// A job.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/jobs/{job}", tag = "jobs", operation_id = "getJob",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
    ),
    responses(
        (status = 200, description = "The shape `Job` of Glue, times in seconds since 1970", body = Object),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn get(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("GetJobDefinition", StatusCode::OK, asked, move |asked| {
        let (_, jobs) = runs.of(asked)?;
        jobs.get_job(asked.path("job")).map_err(refused)
    })
    .await
}

/// Creates a job or replaces what it is; runs under way go on with what they began with.
#[utoipa::path(
    put, path = "/v1/accounts/{account}/jobs/{job}", tag = "jobs", operation_id = "putJob",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
    ),
    request_body(
        content = Object,
        description = "The shape `JobUpdate` of Glue; only `CodeGenConfigurationNodes`, the graph, must be there",
    ),
    responses(
        (status = 200, description = "The job as it is now, the shape `Job` of Glue", body = Object),
        (status = 400, response = Problem), (status = 401, response = Problem), (status = 404, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn put(State(runs): State<Runs>, asked: Asked) -> Response {
    perform("PutJobDefinition", StatusCode::OK, asked, move |asked| {
        let definition = definition(&runs.model, asked.path("job"), asked.body()?)?;
        runs.change(asked, "rest:PutJob", |jobs, job| {
            create_or_replace(jobs, job, &definition)?;
            jobs.get_job(job)
        })
    })
    .await
}

/// Deletes a job with its runs and its bookmark; what it wrote stays.
#[utoipa::path(
    delete, path = "/v1/accounts/{account}/jobs/{job}", tag = "jobs", operation_id = "deleteJob",
    security(("token" = [])),
    params(
        ("account" = String, Path, description = "Twelve digits"),
        ("job" = String, Path, description = "The job's name"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, response = Problem), (status = 404, response = Problem),
    ),
)]
pub(crate) async fn delete(State(runs): State<Runs>, asked: Asked) -> Response {
    perform(
        "DeleteJobDefinition",
        StatusCode::NO_CONTENT,
        asked,
        move |asked| {
            runs.change(asked, "rest:DeleteJob", |jobs, job| {
                jobs.get_job(job)?;
                jobs.delete_job(job)
            })
        },
    )
    .await
}

/// Whichever of the two it takes, also when somebody else creates or deletes it meanwhile.
fn create_or_replace(
    jobs: &TenantJobs,
    job: &str,
    definition: &JobDefinition,
) -> tenon_jobs::Result<()> {
    match jobs.update_job(job, definition.clone()) {
        Err(Error::NotFound { .. }) => {}
        other => return other,
    }
    match jobs.create_job(job, definition.clone(), Tags::new()) {
        Err(Error::AlreadyExists { .. }) => jobs.update_job(job, definition.clone()),
        other => other.map(drop),
    }
}

/// What a body says about a job, by the rules of Glue's `UpdateJob`; its nodes by those of the engine, which know defaults.
/// A member that is none, or that is misspelt, is refused: Glue's own clients check their requests before they send them,
/// those of this interface need not.
fn definition(model: &Model, job: &str, body: Value) -> Result<JobDefinition, Fault> {
    let Value::Object(members) = &body else {
        return Err(Fault::invalid("the body is no JSON object"));
    };
    let is_ruled = |name: &str| name != "CodeGenConfigurationNodes";
    let ruled: Map<_, _> = members
        .iter()
        .filter(|(name, _)| is_ruled(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    model.check("UpdateJob", &json!({"JobName": job, "JobUpdate": ruled}))?;
    let given: Vec<String> = members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, _)| name.clone())
        .collect();
    let definition: JobDefinition =
        serde_json::from_value(body).map_err(|error| Fault::invalid(error.to_string()))?;
    let read = serde_json::to_value(&definition);
    let read = read.map_err(|error| Fault::internal(&error.to_string()))?;
    match given.iter().find(|name| read.get(name.as_str()).is_none()) {
        Some(unknown) => Err(Fault::invalid(format!(
            "there is no member {unknown:?} in Glue's JobUpdate"
        ))),
        None => Ok(definition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_glue_does_not_have_are_refused() {
        let model = Model::glue().unwrap();
        let definition = |body| definition(&model, "job", body);
        let nodes = json!({"in": {}});
        let good = json!({"CodeGenConfigurationNodes": nodes, "MaxRetries": 2, "Timeout": null});
        let read = definition(good).unwrap();
        assert_eq!((read.max_retries, read.timeout), (Some(2), None));
        assert!(read.code_gen_configuration_nodes.is_some());
        for (body, says) in [
            (json!({"MaxRetrys": 2}), "\"MaxRetrys\""),
            (json!({"nodes": nodes}), "\"nodes\""),
            (json!({"MaxRetries": "two"}), "axRetries"),
            (
                json!({"Connections": {"Connections": "lake"}}),
                "onnections",
            ),
            (json!([1]), "no JSON object"),
        ] {
            let fault = definition(body).unwrap_err();
            assert!(fault.message.contains(says), "{}", fault.message);
        }
        let nameless = super::definition(&model, "a\nb", json!({"MaxRetries": 2}));
        assert!(nameless.unwrap_err().message.contains("obName"));
    }
}
