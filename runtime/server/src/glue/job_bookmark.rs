//! Bookmarks of jobs. <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-jobs-runs.html>
//!
//! `JobBookmark` is JSON: for each source how many files it remembers and when the newest was modified.

use super::Context;
use super::shapes::{
    GetJobBookmarkRequest, GetJobBookmarkResponse, ResetJobBookmarkRequest,
    ResetJobBookmarkResponse,
};
use crate::fault::Fault;

pub(super) fn get(
    context: &Context,
    input: GetJobBookmarkRequest,
) -> Result<GetJobBookmarkResponse, Fault> {
    let entry = context
        .jobs
        .get_bookmark(&input.job_name, input.run_id.as_deref())?;
    Ok(GetJobBookmarkResponse {
        job_bookmark_entry: Some(entry),
    })
}

/// The next run reads everything; with `RunId` what runs after that one read.
pub(super) fn reset(
    context: &Context,
    input: ResetJobBookmarkRequest,
) -> Result<ResetJobBookmarkResponse, Fault> {
    let entry = match input.run_id.as_deref() {
        Some(run) => context.jobs.rewind_bookmark(&input.job_name, run)?,
        None => context.jobs.reset_bookmark(&input.job_name)?,
    };
    Ok(ResetJobBookmarkResponse {
        job_bookmark_entry: Some(entry),
    })
}
