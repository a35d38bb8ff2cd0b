//! Runs that find out statistics of columns, and what they are to do.
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-column-statistics.html>
//!
//! **A run has stopped when the answer to stopping it comes**, so there is none that is stopping.
//! **The role is kept and not assumed**: what may be read is what the operator granted to the account.

use tenon_catalog::{
    Error, ScheduleState, StatisticsRun, StatisticsRunInput, StatisticsRunStatus,
    StatisticsSchedule, StatisticsSettings, StatisticsSettingsInput,
};

use super::shapes::{
    ColumnStatisticsTaskRun, ColumnStatisticsTaskSettings,
    CreateColumnStatisticsTaskSettingsRequest, CreateColumnStatisticsTaskSettingsResponse,
    DeleteColumnStatisticsTaskSettingsRequest, DeleteColumnStatisticsTaskSettingsResponse,
    ExecutionAttempt, GetColumnStatisticsTaskRunRequest, GetColumnStatisticsTaskRunResponse,
    GetColumnStatisticsTaskRunsRequest, GetColumnStatisticsTaskRunsResponse,
    GetColumnStatisticsTaskSettingsRequest, GetColumnStatisticsTaskSettingsResponse,
    ListColumnStatisticsTaskRunsRequest, ListColumnStatisticsTaskRunsResponse, Schedule,
    StartColumnStatisticsTaskRunRequest, StartColumnStatisticsTaskRunResponse,
    StartColumnStatisticsTaskRunScheduleRequest, StartColumnStatisticsTaskRunScheduleResponse,
    StopColumnStatisticsTaskRunRequest, StopColumnStatisticsTaskRunResponse,
    StopColumnStatisticsTaskRunScheduleRequest, StopColumnStatisticsTaskRunScheduleResponse,
    UpdateColumnStatisticsTaskSettingsRequest, UpdateColumnStatisticsTaskSettingsResponse,
};
use super::{Context, page_size};
use crate::fault::Fault;

/// Ids in an answer, at most.
const IDS: usize = 100;

pub(super) fn start(
    context: &Context,
    input: StartColumnStatisticsTaskRunRequest,
) -> Result<StartColumnStatisticsTaskRunResponse, Fault> {
    let wanted = StatisticsRunInput {
        database_name: input.database_name,
        table_name: input.table_name,
        column_name_list: input.column_name_list.unwrap_or_default(),
        role: input.role,
        sample_size: input.sample_size,
        security_configuration: input.security_configuration,
    };
    let run = context
        .tasks
        .start(&context.catalog, &context.account, wanted)?;
    Ok(StartColumnStatisticsTaskRunResponse {
        column_statistics_task_run_id: Some(run.column_statistics_task_run_id),
    })
}

pub(super) fn stop(
    context: &Context,
    input: StopColumnStatisticsTaskRunRequest,
) -> Result<StopColumnStatisticsTaskRunResponse, Fault> {
    context
        .tasks
        .stop(&context.catalog, &input.database_name, &input.table_name)?;
    Ok(StopColumnStatisticsTaskRunResponse {})
}

pub(super) fn get(
    context: &Context,
    input: GetColumnStatisticsTaskRunRequest,
) -> Result<GetColumnStatisticsTaskRunResponse, Fault> {
    let run = context
        .catalog
        .get_statistics_run(&input.column_statistics_task_run_id)?;
    Ok(GetColumnStatisticsTaskRunResponse {
        column_statistics_task_run: Some(shown(context, run)),
    })
}

/// A run as callers see it.
fn shown(context: &Context, run: StatisticsRun) -> ColumnStatisticsTaskRun {
    let catalog = match run.catalog_name {
        None => context.account.clone(),
        Some(name) => format!("{}:{name}", context.account),
    };
    ColumnStatisticsTaskRun {
        customer_id: Some(context.account.clone()),
        column_statistics_task_run_id: Some(run.column_statistics_task_run_id),
        database_name: Some(run.input.database_name),
        table_name: Some(run.input.table_name),
        column_name_list: Some(run.input.column_name_list),
        catalog_id: Some(catalog),
        role: Some(run.input.role),
        sample_size: run.input.sample_size,
        security_configuration: run.input.security_configuration,
        computation_type: Some("FULL".to_owned()),
        status: Some(status(run.status).to_owned()),
        creation_time: Some(run.creation_time),
        last_updated: Some(run.last_updated),
        start_time: run.start_time,
        end_time: run.end_time,
        error_message: run.error_message,
        // There are no workers to be chosen or paid for.
        number_of_workers: None,
        worker_type: None,
        dpu_seconds: None,
    }
}

fn status(status: StatisticsRunStatus) -> &'static str {
    match status {
        StatisticsRunStatus::Starting => "STARTING",
        StatisticsRunStatus::Running => "RUNNING",
        StatisticsRunStatus::Succeeded => "SUCCEEDED",
        StatisticsRunStatus::Failed => "FAILED",
        StatisticsRunStatus::Stopped => "STOPPED",
    }
}

pub(super) fn list(
    context: &Context,
    input: ListColumnStatisticsTaskRunsRequest,
) -> Result<ListColumnStatisticsTaskRunsResponse, Fault> {
    let scope = ["ListColumnStatisticsTaskRuns"];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, IDS).min(IDS);
    let page = context
        .catalog
        .list_statistics_runs(cursor.as_deref(), limit)?;
    Ok(ListColumnStatisticsTaskRunsResponse {
        column_statistics_task_run_ids: Some(page.items),
        next_token: context.next_token(&scope, page.next),
    })
}

pub(super) fn list_of_table(
    context: &Context,
    input: GetColumnStatisticsTaskRunsRequest,
) -> Result<GetColumnStatisticsTaskRunsResponse, Fault> {
    let (database, table) = (&input.database_name, &input.table_name);
    let folded = (database.to_lowercase(), table.to_lowercase());
    let scope = ["GetColumnStatisticsTaskRuns", &folded.0, &folded.1];
    let cursor = context.cursor(&scope, input.next_token.as_deref())?;
    let limit = page_size(input.max_results, IDS);
    let page =
        context
            .catalog
            .list_statistics_runs_of_table(database, table, cursor.as_deref(), limit)?;
    let runs = page.items.into_iter().map(|run| shown(context, run));
    Ok(GetColumnStatisticsTaskRunsResponse {
        column_statistics_task_runs: Some(runs.collect()),
        next_token: context.next_token(&scope, page.next),
    })
}

pub(super) fn create_settings(
    context: &Context,
    input: CreateColumnStatisticsTaskSettingsRequest,
) -> Result<CreateColumnStatisticsTaskSettingsResponse, Fault> {
    let settings = StatisticsSettingsInput {
        role: Some(input.role),
        schedule: input.schedule,
        column_name_list: input.column_name_list,
        sample_size: input.sample_size,
        security_configuration: input.security_configuration,
    };
    context.catalog.create_statistics_settings(
        &input.database_name,
        &input.table_name,
        &settings,
        &input.tags.unwrap_or_default(),
    )?;
    Ok(CreateColumnStatisticsTaskSettingsResponse {})
}

pub(super) fn update_settings(
    context: &Context,
    input: UpdateColumnStatisticsTaskSettingsRequest,
) -> Result<UpdateColumnStatisticsTaskSettingsResponse, Fault> {
    let settings = StatisticsSettingsInput {
        role: input.role,
        schedule: input.schedule,
        column_name_list: input.column_name_list,
        sample_size: input.sample_size,
        security_configuration: input.security_configuration,
    };
    let updated = context.catalog.update_statistics_settings(
        &input.database_name,
        &input.table_name,
        &settings,
    );
    match updated {
        // Glue's word for it in this place.
        Err(error @ Error::Conflict { .. }) => {
            Err(Fault::new("VersionMismatchException", error.to_string()))
        }
        updated => {
            updated?;
            Ok(UpdateColumnStatisticsTaskSettingsResponse {})
        }
    }
}

pub(super) fn get_settings(
    context: &Context,
    input: GetColumnStatisticsTaskSettingsRequest,
) -> Result<GetColumnStatisticsTaskSettingsResponse, Fault> {
    let settings = context
        .catalog
        .get_statistics_settings(&input.database_name, &input.table_name)?;
    Ok(GetColumnStatisticsTaskSettingsResponse {
        column_statistics_task_settings: Some(shown_settings(context, settings)),
    })
}

fn shown_settings(context: &Context, settings: StatisticsSettings) -> ColumnStatisticsTaskSettings {
    let schedule_type = settings.schedule.as_ref().map(|_| "CRON".to_owned());
    let attempt = settings
        .last_execution_attempt
        .map(|attempt| ExecutionAttempt {
            status: Some(attempt.status),
            column_statistics_task_run_id: attempt.column_statistics_task_run_id,
            execution_timestamp: Some(attempt.execution_timestamp),
            error_message: attempt.error_message,
        });
    ColumnStatisticsTaskSettings {
        database_name: Some(settings.input.database_name),
        table_name: Some(settings.input.table_name),
        schedule: settings.schedule.map(shown_schedule),
        column_name_list: Some(settings.input.column_name_list),
        catalog_id: Some(context.catalog_id.clone()),
        role: Some(settings.input.role),
        sample_size: settings.input.sample_size,
        security_configuration: settings.input.security_configuration,
        schedule_type,
        setting_source: Some("TABLE".to_owned()),
        last_execution_attempt: attempt,
    }
}

fn shown_schedule(schedule: StatisticsSchedule) -> Schedule {
    let state = match schedule.state {
        ScheduleState::Scheduled => "SCHEDULED",
        ScheduleState::NotScheduled => "NOT_SCHEDULED",
    };
    Schedule {
        schedule_expression: Some(schedule.schedule_expression),
        state: Some(state.to_owned()),
    }
}

pub(super) fn delete_settings(
    context: &Context,
    input: DeleteColumnStatisticsTaskSettingsRequest,
) -> Result<DeleteColumnStatisticsTaskSettingsResponse, Fault> {
    context
        .catalog
        .delete_statistics_settings(&input.database_name, &input.table_name)?;
    Ok(DeleteColumnStatisticsTaskSettingsResponse {})
}

pub(super) fn start_schedule(
    context: &Context,
    input: StartColumnStatisticsTaskRunScheduleRequest,
) -> Result<StartColumnStatisticsTaskRunScheduleResponse, Fault> {
    context.catalog.set_statistics_schedule(
        &input.database_name,
        &input.table_name,
        ScheduleState::Scheduled,
    )?;
    Ok(StartColumnStatisticsTaskRunScheduleResponse {})
}

pub(super) fn stop_schedule(
    context: &Context,
    input: StopColumnStatisticsTaskRunScheduleRequest,
) -> Result<StopColumnStatisticsTaskRunScheduleResponse, Fault> {
    context.catalog.set_statistics_schedule(
        &input.database_name,
        &input.table_name,
        ScheduleState::NotScheduled,
    )?;
    Ok(StopColumnStatisticsTaskRunScheduleResponse {})
}
