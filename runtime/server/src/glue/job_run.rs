//! Runs of jobs. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html>
//!
//! **A start that is repeated starts one run.** Glue has no member for a client token here; its SDKs send the same
//! `amz-sdk-invocation-id` with every repetition of a call, and that is taken for one: a start whose answer was lost
//! on the way runs once.

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_jobs::{Arguments, StartRun};

use super::{Context, page_size};
use crate::fault::Fault;

/// Runs of a page unless the request says how many.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Start {
    job_name: String,
    job_run_queuing_enabled: Option<bool>,
    job_run_id: Option<String>,
    arguments: Option<Arguments>,
    allocated_capacity: Option<i32>,
    timeout: Option<i32>,
    max_capacity: Option<f64>,
    security_configuration: Option<String>,
    notification_property: Option<Value>,
    worker_type: Option<String>,
    number_of_workers: Option<i32>,
    execution_class: Option<String>,
}

pub(super) fn start(context: &Context, input: Start) -> Result<Value, Fault> {
    let start = StartRun {
        arguments: input.arguments,
        previous: input.job_run_id,
        queuing: input.job_run_queuing_enabled,
        timeout: input.timeout,
        worker_type: input.worker_type,
        number_of_workers: input.number_of_workers,
        allocated_capacity: input.allocated_capacity,
        max_capacity: input.max_capacity,
        security_configuration: input.security_configuration,
        notification_property: input.notification_property,
        execution_class: input.execution_class,
        client_token: context.invocation.clone(),
    };
    let id = context.jobs.start_run(&input.job_name, &start)?;
    Ok(json!({"JobRunId": id}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Get {
    job_name: String,
    run_id: String,
}

pub(super) fn get(context: &Context, input: Get) -> Result<Value, Fault> {
    let run = context.jobs.get_run(&input.job_name, &input.run_id)?;
    Ok(json!({"JobRun": context.show(&run)?}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    job_name: String,
    next_token: Option<String>,
    max_results: Option<i32>,
}

pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let scope = ["GetJobRuns", &input.job_name];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, PAGE);
    let page = context
        .jobs
        .list_runs(&input.job_name, cursor.as_deref(), limit)?;
    let answer = json!({"JobRuns": context.show_all(&page.items)?});
    Ok(context.with_next(answer, &scope, page.next))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchStop {
    job_name: String,
    job_run_ids: Vec<String>,
}

pub(super) fn batch_stop(context: &Context, input: BatchStop) -> Result<Value, Fault> {
    let job = &input.job_name;
    let (mut stopped, mut errors) = (Vec::new(), Vec::new());
    for id in &input.job_run_ids {
        let mut item = json!({"JobName": job, "JobRunId": id});
        match context.jobs.stop_run(job, id) {
            Ok(()) => stopped.push(item),
            Err(error) => {
                item["ErrorDetail"] = Fault::from(error).detail();
                errors.push(item);
            }
        }
    }
    let mut answer = json!({"SuccessfulSubmissions": stopped});
    if !errors.is_empty() {
        answer["Errors"] = Value::Array(errors);
    }
    Ok(answer)
}
