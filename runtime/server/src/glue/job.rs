//! Jobs. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-job.html>
//!
//! A job is its visual graph, `CodeGenConfigurationNodes`; the script that `Command` names is kept for clients that
//! read it and never run. A graph that cannot run is refused here, with the node and the reason, not when it runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tenon_catalog::{Page, check_tags};
use tenon_jobs::{Error, Job, JobDefinition, Tags};

use super::shapes::{
    BatchGetJobsRequest, BatchGetJobsResponse, CreateJobRequest, CreateJobResponse,
    DeleteJobRequest, DeleteJobResponse, GetJobRequest, GetJobResponse, GetJobsRequest,
    GetJobsResponse, ListJobsRequest, ListJobsResponse, UpdateJobRequest, UpdateJobResponse,
};
use super::{Context, fill, page_size};
use crate::fault::Fault;

/// Jobs of a page unless the request says how many.
const PAGE: usize = 100;

pub(super) fn create(
    context: &Context,
    mut input: CreateJobRequest,
) -> Result<CreateJobResponse, Fault> {
    let tags = input.tags.take().unwrap_or_default();
    check_tags(&tags)?;
    let name = std::mem::take(&mut input.name);
    let job = context.jobs.create_job(&name, definition(input), tags)?;
    Ok(CreateJobResponse {
        name: Some(job.name),
    })
}

/// What a request says about the job.
fn definition(input: CreateJobRequest) -> JobDefinition {
    JobDefinition {
        job_mode: input.job_mode,
        job_run_queuing_enabled: input.job_run_queuing_enabled,
        description: input.description,
        log_uri: input.log_uri,
        role: Some(input.role),
        execution_property: input.execution_property,
        command: Some(input.command),
        default_arguments: input.default_arguments,
        non_overridable_arguments: input.non_overridable_arguments,
        connections: input.connections,
        max_retries: input.max_retries,
        allocated_capacity: input.allocated_capacity,
        timeout: input.timeout,
        max_capacity: input.max_capacity,
        worker_type: input.worker_type,
        number_of_workers: input.number_of_workers,
        security_configuration: input.security_configuration,
        notification_property: input.notification_property,
        glue_version: input.glue_version,
        code_gen_configuration_nodes: input
            .code_gen_configuration_nodes
            .map(|nodes| nodes.into_iter().collect()),
        execution_class: input.execution_class,
        source_control_details: input.source_control_details,
        maintenance_window: input.maintenance_window,
    }
}

pub(super) fn update(
    context: &Context,
    input: UpdateJobRequest,
) -> Result<UpdateJobResponse, Fault> {
    context.jobs.update_job(&input.job_name, input.job_update)?;
    Ok(UpdateJobResponse {
        job_name: Some(input.job_name),
    })
}

pub(super) fn get(context: &Context, input: GetJobRequest) -> Result<GetJobResponse, Fault> {
    let job = context.jobs.get_job(&input.job_name)?;
    Ok(GetJobResponse { job: Some(job) })
}

/// A job that is not there is deleted.
pub(super) fn delete(
    context: &Context,
    input: DeleteJobRequest,
) -> Result<DeleteJobResponse, Fault> {
    context.jobs.delete_job(&input.job_name)?;
    Ok(DeleteJobResponse {
        job_name: Some(input.job_name),
    })
}

/// Jobs that one call answers.
const MAX_NAMES: usize = 100;

pub(super) fn batch_get(
    context: &Context,
    input: BatchGetJobsRequest,
) -> Result<BatchGetJobsResponse, Fault> {
    let names: BTreeSet<String> = input.job_names.into_iter().collect();
    if names.len() > MAX_NAMES {
        return Err(Fault::invalid(format!(
            "at most {MAX_NAMES} JobNames can be asked for at once"
        )));
    }
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for name in names {
        match context.jobs.get_job(&name) {
            Ok(job) => found.push(job),
            Err(Error::NotFound { .. }) => absent.push(name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(BatchGetJobsResponse {
        jobs: Some(found),
        jobs_not_found: Some(absent),
    })
}

pub(super) fn get_all(context: &Context, input: GetJobsRequest) -> Result<GetJobsResponse, Fault> {
    let scope = ["GetJobs"];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let page = page(context, cursor, input.max_results, &Tags::new())?;
    Ok(GetJobsResponse {
        jobs: Some(page.items.into_iter().map(|(job, _)| job).collect()),
        next_token: context.next_token(&scope, page.next),
    })
}

/// Names of the jobs that have all of these tags.
pub(super) fn list(context: &Context, input: ListJobsRequest) -> Result<ListJobsResponse, Fault> {
    let tags: BTreeMap<_, _> = input.tags.unwrap_or_default();
    let text = json!(tags).to_string();
    let scope = ["ListJobs", &text];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let page = page(context, cursor, input.max_results, &tags)?;
    let names = page.items.into_iter().map(|(job, _)| job.name);
    Ok(ListJobsResponse {
        job_names: Some(names.collect()),
        next_token: context.next_token(&scope, page.next),
    })
}

fn page(
    context: &Context,
    cursor: Option<String>,
    wanted: Option<i32>,
    tags: &Tags,
) -> Result<Page<(Job, Tags)>, Fault> {
    fill(
        page_size(wanted, PAGE),
        cursor,
        |cursor, limit| {
            let page = context.jobs.list_jobs(cursor, limit)?;
            Ok(Page {
                items: page.items,
                next: page.next,
            })
        },
        |(_, of_job): &(Job, Tags)| {
            let mut wanted = tags.iter();
            wanted.all(|(key, value)| of_job.get(key) == Some(value))
        },
        |(job, _)| job.name.clone(),
    )
}
