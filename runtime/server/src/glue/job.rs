//! Jobs. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-job.html>
//!
//! A job is its visual graph, `CodeGenConfigurationNodes`; the script that `Command` names is kept for clients that
//! read it and never run. A graph that cannot run is refused here, with the node and the reason, not when it runs.

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_catalog::{Page, check_tags};
use tenon_jobs::{Error, Job, JobDefinition, Tags};

use super::{Context, fill, page_size};
use crate::fault::Fault;

/// Jobs of a page unless the request says how many.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    name: String,
    #[serde(default)]
    tags: Tags,
    #[serde(flatten)]
    definition: JobDefinition,
}

pub(super) fn create(context: &Context, input: Create) -> Result<Value, Fault> {
    check_tags(&input.tags)?;
    let job = context
        .jobs
        .create_job(&input.name, input.definition, input.tags)?;
    Ok(json!({"Name": job.name}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Update {
    job_name: String,
    job_update: JobDefinition,
}

pub(super) fn update(context: &Context, input: Update) -> Result<Value, Fault> {
    context.jobs.update_job(&input.job_name, input.job_update)?;
    Ok(json!({"JobName": input.job_name}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    job_name: String,
}

pub(super) fn get(context: &Context, input: Named) -> Result<Value, Fault> {
    let job = context.jobs.get_job(&input.job_name)?;
    Ok(json!({"Job": context.show(&job)?}))
}

/// A job that is not there is deleted.
pub(super) fn delete(context: &Context, input: Named) -> Result<Value, Fault> {
    context.jobs.delete_job(&input.job_name)?;
    Ok(json!({"JobName": input.job_name}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchGet {
    job_names: Vec<String>,
}

pub(super) fn batch_get(context: &Context, input: BatchGet) -> Result<Value, Fault> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for name in input.job_names {
        match context.jobs.get_job(&name) {
            Ok(job) => found.push(job),
            Err(Error::NotFound { .. }) => absent.push(name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(json!({"Jobs": context.show_all(&found)?, "JobsNotFound": absent}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    next_token: Option<String>,
    max_results: Option<i32>,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn get_all(context: &Context, input: List) -> Result<Value, Fault> {
    let scope = ["GetJobs"];
    let page = page(context, &scope, &input)?;
    let jobs: Vec<_> = page.items.into_iter().map(|(job, _)| job).collect();
    let answer = json!({"Jobs": context.show_all(&jobs)?});
    Ok(context.with_next(answer, &scope, page.next))
}

/// Names of the jobs that have all of these tags.
pub(super) fn list(context: &Context, input: List) -> Result<Value, Fault> {
    let tags = json!(input.tags).to_string();
    let scope = ["ListJobs", &tags];
    let page = page(context, &scope, &input)?;
    let names: Vec<_> = page.items.into_iter().map(|(job, _)| job.name).collect();
    Ok(context.with_next(json!({"JobNames": names}), &scope, page.next))
}

fn page(context: &Context, scope: &[&str], input: &List) -> Result<Page<(Job, Tags)>, Fault> {
    fill(
        page_size(input.max_results, PAGE),
        context.cursor(scope, input.next_token.as_deref())?,
        |cursor, limit| {
            let page = context.jobs.list_jobs(cursor, limit)?;
            Ok(Page {
                items: page.items,
                next: page.next,
            })
        },
        |(_, tags): &(Job, Tags)| {
            let mut wanted = input.tags.iter();
            wanted.all(|(key, value)| tags.get(key) == Some(value))
        },
        |(job, _)| job.name.clone(),
    )
}
