//! Task runs of ML transforms. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-machine-learning-api.html>
//!
//! Task runs of one transform come one at a time, in the order in which they were started; one that waits is STARTING. A
//! start that is repeated by an SDK starts one task run, as with runs of jobs.

use tenon_jobs::MlTask;

use super::ml_transform::{is_descending, sorted, time, time_key};
use super::shapes::{
    CancelMLTaskRunRequest, CancelMLTaskRunResponse, ExportLabelsTaskRunProperties,
    GetMLTaskRunRequest, GetMLTaskRunResponse, GetMLTaskRunsRequest, GetMLTaskRunsResponse,
    ImportLabelsTaskRunProperties, LabelingSetGenerationTaskRunProperties,
    StartExportLabelsTaskRunRequest, StartExportLabelsTaskRunResponse,
    StartImportLabelsTaskRunRequest, StartImportLabelsTaskRunResponse,
    StartMLEvaluationTaskRunRequest, StartMLEvaluationTaskRunResponse,
    StartMLLabelingSetGenerationTaskRunRequest, StartMLLabelingSetGenerationTaskRunResponse,
    TaskRun, TaskRunFilterCriteria, TaskRunProperties,
};
use super::{Context, page_size};
use crate::fault::Fault;

/// Task runs of a page unless the request says how many.
const PAGE: usize = 100;

pub(super) fn evaluate(
    context: &Context,
    input: StartMLEvaluationTaskRunRequest,
) -> Result<StartMLEvaluationTaskRunResponse, Fault> {
    let started = start(context, &input.transform_id, &MlTask::Evaluation)?;
    Ok(StartMLEvaluationTaskRunResponse {
        task_run_id: Some(started),
    })
}

pub(super) fn generate(
    context: &Context,
    input: StartMLLabelingSetGenerationTaskRunRequest,
) -> Result<StartMLLabelingSetGenerationTaskRunResponse, Fault> {
    let task = MlTask::LabelingSetGeneration {
        output: path("OutputS3Path", input.output_s3_path)?,
    };
    let started = start(context, &input.transform_id, &task);
    Ok(StartMLLabelingSetGenerationTaskRunResponse {
        task_run_id: Some(started.map_err(not_ready_is_invalid)?),
    })
}

pub(super) fn import_labels(
    context: &Context,
    input: StartImportLabelsTaskRunRequest,
) -> Result<StartImportLabelsTaskRunResponse, Fault> {
    let task = MlTask::ImportLabels {
        input: path("InputS3Path", input.input_s3_path)?,
        replace: input.replace_all_labels.unwrap_or_default(),
    };
    let started = start(context, &input.transform_id, &task).map_err(not_ready_is_invalid);
    // The word that this operation has for it.
    let started = started.map_err(|fault| match fault.name {
        "ConcurrentRunsExceededException" => {
            Fault::new("ResourceNumberLimitExceededException", fault.message)
        }
        _ => fault,
    });
    Ok(StartImportLabelsTaskRunResponse {
        task_run_id: Some(started?),
    })
}

pub(super) fn export_labels(
    context: &Context,
    input: StartExportLabelsTaskRunRequest,
) -> Result<StartExportLabelsTaskRunResponse, Fault> {
    let task = MlTask::ExportLabels {
        output: path("OutputS3Path", input.output_s3_path)?,
    };
    let started = start(context, &input.transform_id, &task);
    Ok(StartExportLabelsTaskRunResponse {
        task_run_id: Some(started.map_err(not_ready_is_invalid)?),
    })
}

fn start(context: &Context, transform: &str, task: &MlTask) -> Result<String, Fault> {
    let token = context.invocation.as_deref();
    Ok(context.jobs.start_task(transform, task, token)?)
}

/// Only an evaluation has an exception of its own for it.
fn not_ready_is_invalid(fault: Fault) -> Fault {
    match fault.name {
        "MLTransformNotReadyException" => Fault::invalid(fault.message),
        _ => fault,
    }
}

/// Characters of a path.
const MAX_PATH: usize = 4096;

fn path(member: &str, path: String) -> Result<String, Fault> {
    let length = path.chars().count();
    if (1..=MAX_PATH).contains(&length) {
        return Ok(path);
    }
    Err(Fault::invalid(format!(
        "{member} has {length} characters, a path has 1 to {MAX_PATH}"
    )))
}

pub(super) fn get(
    context: &Context,
    input: GetMLTaskRunRequest,
) -> Result<GetMLTaskRunResponse, Fault> {
    let found = context
        .jobs
        .get_task(&input.transform_id, &input.task_run_id)?;
    let TaskRun {
        transform_id,
        task_run_id,
        status,
        log_group_name,
        properties,
        error_string,
        started_on,
        last_modified_on,
        completed_on,
        execution_time,
    } = shown(found);
    Ok(GetMLTaskRunResponse {
        transform_id,
        task_run_id,
        status,
        log_group_name,
        properties,
        error_string,
        started_on,
        last_modified_on,
        completed_on,
        execution_time,
    })
}

/// A task run as callers see it.
fn shown(found: tenon_jobs::TaskRun) -> TaskRun {
    let status = found.status();
    let run = found.run;
    TaskRun {
        transform_id: Some(run.job_name),
        task_run_id: Some(run.id),
        status: Some(status.to_owned()),
        log_group_name: Some(run.log_group_name),
        properties: Some(properties(found.task)),
        error_string: run.error_message,
        started_on: Some(time(run.started_on)),
        last_modified_on: Some(time(run.last_modified_on)),
        completed_on: run.completed_on.map(time),
        execution_time: Some(i32::try_from(run.execution_time).unwrap_or(i32::MAX)),
    }
}

fn properties(task: MlTask) -> TaskRunProperties {
    let mut properties = TaskRunProperties {
        task_type: Some(task.kind().to_owned()),
        ..TaskRunProperties::default()
    };
    match task {
        MlTask::Evaluation => {}
        MlTask::LabelingSetGeneration { output } => {
            properties.labeling_set_generation_task_run_properties =
                Some(LabelingSetGenerationTaskRunProperties {
                    output_s3_path: Some(output),
                });
        }
        MlTask::ImportLabels { input, replace } => {
            properties.import_labels_task_run_properties = Some(ImportLabelsTaskRunProperties {
                input_s3_path: Some(input),
                replace: Some(replace),
            });
        }
        MlTask::ExportLabels { output } => {
            properties.export_labels_task_run_properties = Some(ExportLabelsTaskRunProperties {
                output_s3_path: Some(output),
            });
        }
    }
    properties
}

/// Newest first unless the request says otherwise.
pub(super) fn list(
    context: &Context,
    input: GetMLTaskRunsRequest,
) -> Result<GetMLTaskRunsResponse, Fault> {
    let (column, descending) = match &input.sort {
        Some(sort) => (sort.column.as_str(), is_descending(&sort.sort_direction)),
        None => ("STARTED", true),
    };
    let direction = if descending { "down" } else { "up" };
    let scope = ["GetMLTaskRuns", &input.transform_id, column, direction];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let all = context.jobs.all_tasks(&input.transform_id)?.into_iter();
    let wanted = all.filter(|task| {
        input
            .filter
            .as_ref()
            .is_none_or(|filter| fits(task, filter))
    });
    // Numbers tell those apart that were started at once.
    let items = wanted.map(|task| {
        let started = time_key(task.run.started_on);
        let key = match column {
            "TASK_RUN_TYPE" => task.task.kind().to_owned(),
            "STATUS" => task.status().to_owned(),
            _ => started.clone(),
        };
        let id = format!("{started}{:020}", task.number);
        ((key, id), task)
    });
    let limit = page_size(input.max_results, PAGE);
    let page = sorted(items.collect(), descending, cursor.as_deref(), limit);
    Ok(GetMLTaskRunsResponse {
        task_runs: Some(page.items.into_iter().map(shown).collect()),
        next_token: context.next_token(&scope, page.next),
    })
}

/// Whether a task run is what a filter asks for; what the filter leaves out fits.
fn fits(task: &tenon_jobs::TaskRun, filter: &TaskRunFilterCriteria) -> bool {
    let is = |wanted: &Option<String>, found: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == found)
    };
    let started = time(task.run.started_on);
    is(&filter.task_run_type, task.task.kind())
        && is(&filter.status, task.status())
        && filter.started_before.is_none_or(|before| started < before)
        && filter.started_after.is_none_or(|after| started > after)
}

pub(super) fn cancel(
    context: &Context,
    input: CancelMLTaskRunRequest,
) -> Result<CancelMLTaskRunResponse, Fault> {
    let task = context
        .jobs
        .cancel_task(&input.transform_id, &input.task_run_id)?;
    let status = task.status();
    Ok(CancelMLTaskRunResponse {
        transform_id: Some(task.run.job_name),
        task_run_id: Some(task.run.id),
        status: Some(status.to_owned()),
    })
}
