//! Runs of jobs. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html>
//!
//! **A start that is repeated starts one run.** Glue has no member for a client token here; its SDKs send the same
//! `amz-sdk-invocation-id` with every repetition of a call, and that is taken for one: a start whose answer was lost
//! on the way runs once.

use tenon_jobs::StartRun;

use super::shapes::{
    BatchStopJobRunError, BatchStopJobRunRequest, BatchStopJobRunResponse,
    BatchStopJobRunSuccessfulSubmission, GetJobRunRequest, GetJobRunResponse, GetJobRunsRequest,
    GetJobRunsResponse, StartJobRunRequest, StartJobRunResponse,
};
use super::shown::{detail, some_errors};
use super::{Context, page_size};
use crate::fault::Fault;

/// Runs of a page unless the request says how many.
const PAGE: usize = 100;

pub(super) fn start(
    context: &Context,
    input: StartJobRunRequest,
) -> Result<StartJobRunResponse, Fault> {
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
    Ok(StartJobRunResponse {
        job_run_id: Some(id),
    })
}

pub(super) fn get(context: &Context, input: GetJobRunRequest) -> Result<GetJobRunResponse, Fault> {
    let run = context.jobs.get_run(&input.job_name, &input.run_id)?;
    Ok(GetJobRunResponse { job_run: Some(run) })
}

pub(super) fn list(
    context: &Context,
    input: GetJobRunsRequest,
) -> Result<GetJobRunsResponse, Fault> {
    let scope = ["GetJobRuns", &input.job_name];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, PAGE);
    let page = context
        .jobs
        .list_runs(&input.job_name, cursor.as_deref(), limit)?;
    Ok(GetJobRunsResponse {
        job_runs: Some(page.items),
        next_token: context.next_token(&scope, page.next),
    })
}

pub(super) fn batch_stop(
    context: &Context,
    input: BatchStopJobRunRequest,
) -> Result<BatchStopJobRunResponse, Fault> {
    let job = &input.job_name;
    let (mut stopped, mut errors) = (Vec::new(), Vec::new());
    for id in input.job_run_ids {
        match context.jobs.stop_run(job, &id) {
            Ok(()) => stopped.push(BatchStopJobRunSuccessfulSubmission {
                job_name: Some(job.clone()),
                job_run_id: Some(id),
            }),
            Err(error) => errors.push(BatchStopJobRunError {
                job_name: Some(job.clone()),
                job_run_id: Some(id),
                error_detail: Some(detail(error)),
            }),
        }
    }
    Ok(BatchStopJobRunResponse {
        successful_submissions: Some(stopped),
        errors: some_errors(errors),
    })
}
