"""Jobs and their runs through boto3. The server plays what the argument --script of a run says.

Usage: boto3_jobs.py ENDPOINT
"""

import time

from support import client, fails

glue = client()
ARN = "arn:aws:glue:us-east-1:000000000000:job/"
COMMAND = {"Name": "glueetl", "ScriptLocation": "s3://bucket/script.py", "PythonVersion": "3"}
NODES = {
    "node-1": {"S3CsvSource": {"Name": "in", "Paths": ["in.csv"], "Separator": "comma", "QuoteChar": "quote"}},
    "node-2": {"ApplyMapping": {"Name": "map", "Inputs": ["node-1"], "Mapping": [{"ToKey": "n", "FromPath": ["a"], "FromType": "string", "ToType": "int"}]}},
    "node-3": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["node-2"], "Path": "out"}},
}


def create(name, **more):
    glue.create_job(Name=name, Role="role", Command=COMMAND, CodeGenConfigurationNodes=NODES, **more)


def wait(job, run, *states):
    for _ in range(600):
        found = glue.get_job_run(JobName=job, RunId=run)["JobRun"]
        if found["JobRunState"] in states:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


# Definitions.
create("jobs_a", GlueVersion="4.0", DefaultArguments={"--x": "1"}, Tags={"team": "a", "env": "test"})
create("jobs_b", MaxRetries=1, ExecutionProperty={"MaxConcurrentRuns": 2})
job = glue.get_job(JobName="jobs_a")["Job"]
assert job["CodeGenConfigurationNodes"] == NODES and job["Command"] == COMMAND, job
assert (job["Timeout"], job["MaxRetries"], job["ExecutionProperty"]) == (2880, 0, {"MaxConcurrentRuns": 1}), job
assert job["CreatedOn"].year > 2000 and "Tags" not in job and "Description" not in job, job
fails("AlreadyExistsException", create, name="jobs_a")
fails("EntityNotFoundException", glue.get_job, JobName="JOBS_A")
fails("ValidationException", create, name="")
fails("ValidationException", create, name="x", WorkerType="G.3X")
fails("ValidationException", create, name="x", Timeout=0)
fails("InvalidInputException", create, name="x", MaxRetries=11)
fails("InvalidInputException", create, name="x", ExecutionProperty={"MaxConcurrentRuns": 0})
fails("InvalidInputException", create, name="x", Tags={"aws:x": "reserved"})
without = {"Name": "x", "Role": "role", "Command": COMMAND}
fails("InvalidInputException", glue.create_job, **without)
bad = {"n": {"SparkConnectorSource": {"Name": "s", "ConnectionName": "c", "ConnectorName": "c", "ConnectionType": "t"}}}
fails("InvalidInputException", glue.create_job, CodeGenConfigurationNodes=bad, **without)
fails("EntityNotFoundException", glue.get_job, JobName="x")

assert [j["Name"] for page in glue.get_paginator("get_jobs").paginate(PaginationConfig={"PageSize": 1}) for j in page["Jobs"]] == ["jobs_a", "jobs_b"]
assert glue.list_jobs()["JobNames"] == ["jobs_a", "jobs_b"]
assert glue.list_jobs(Tags={"team": "a"})["JobNames"] == ["jobs_a"]
assert glue.list_jobs(Tags={"team": "b"})["JobNames"] == []
token = glue.list_jobs(MaxResults=1)["NextToken"]
assert glue.list_jobs(MaxResults=1, NextToken=token)["JobNames"] == ["jobs_b"]
fails("InvalidInputException", glue.list_jobs, Tags={"team": "a"}, NextToken=token)
found = glue.batch_get_jobs(JobNames=["jobs_b", "none"])
assert ([j["Name"] for j in found["Jobs"]], found["JobsNotFound"]) == (["jobs_b"], ["none"]), found

assert glue.get_tags(ResourceArn=ARN + "jobs_a")["Tags"] == {"team": "a", "env": "test"}
glue.tag_resource(ResourceArn=ARN + "jobs_a", TagsToAdd={"team": "b", "new": "1"})
glue.untag_resource(ResourceArn=ARN + "jobs_a", TagsToRemove=["env"])
assert glue.get_tags(ResourceArn=ARN + "jobs_a")["Tags"] == {"team": "b", "new": "1"}
fails("InvalidInputException", glue.tag_resource, ResourceArn=ARN + "jobs_a", TagsToAdd={f"k{n}": "" for n in range(49)})
fails("EntityNotFoundException", glue.get_tags, ResourceArn=ARN + "none")

update = {"Role": "other", "Command": COMMAND, "CodeGenConfigurationNodes": NODES, "Description": "new"}
assert glue.update_job(JobName="jobs_a", JobUpdate=update)["JobName"] == "jobs_a"
job = glue.get_job(JobName="jobs_a")["Job"]
assert (job["Role"], job["Description"]) == ("other", "new") and "DefaultArguments" not in job, job
fails("EntityNotFoundException", glue.update_job, JobName="none", JobUpdate=update)
fails("InvalidInputException", glue.update_job, JobName="jobs_a", JobUpdate={"Role": "role"})

# Runs.
run = glue.start_job_run(JobName="jobs_a", Arguments={"--y": "2"})["JobRunId"]
done = wait("jobs_a", run, "SUCCEEDED")
assert (done["Id"], done["JobName"], done["Attempt"], done["Arguments"]) == (run, "jobs_a", 0, {"--y": "2"}), done
assert done["CompletedOn"] >= done["StartedOn"] and done["LogGroupName"] == "/aws-glue/jobs", done
assert "ErrorMessage" not in done and done["Timeout"] == 480, done
fails("EntityNotFoundException", glue.start_job_run, JobName="none")
fails("EntityNotFoundException", glue.get_job_run, JobName="jobs_b", RunId=run)
fails("EntityNotFoundException", glue.start_job_run, JobName="jobs_a", JobRunId="jr_none")
fails("InvalidInputException", glue.start_job_run, JobName="jobs_a", Timeout=20000)
fails("InvalidInputException", glue.start_job_run, JobName="jobs_a", Arguments={"--tenon-priority": "x"})

failed = glue.start_job_run(JobName="jobs_b", Arguments={"--script": "fail"})["JobRunId"]
for run, previous in [(failed, None), (f"{failed}_attempt_1", failed)]:
    found = wait("jobs_b", run, "FAILED")
    assert found["ErrorMessage"] == 'node "in": in.csv:3:2: expected a number; try: mend the file', found
    assert found.get("PreviousRunId") == previous, found
again = glue.start_job_run(JobName="jobs_b", JobRunId=failed)["JobRunId"]
assert wait("jobs_b", again, "FAILED")["Arguments"] == {"--script": "fail"}
wait("jobs_b", f"{again}_attempt_1", "FAILED")

waiting = [glue.start_job_run(JobName="jobs_b", Arguments={"--script": "wait"})["JobRunId"] for _ in range(3)]
for run in waiting[:2]:
    wait("jobs_b", run, "RUNNING")
assert glue.get_job_run(JobName="jobs_b", RunId=waiting[2])["JobRun"]["JobRunState"] == "WAITING"
fails("ConcurrentRunsExceededException", glue.start_job_run, JobName="jobs_b", JobRunQueuingEnabled=False)
stopped = glue.batch_stop_job_run(JobName="jobs_b", JobRunIds=[waiting[0], "jr_none", again])
assert [s["JobRunId"] for s in stopped["SuccessfulSubmissions"]] == [waiting[0]], stopped
errors = {e["JobRunId"]: e["ErrorDetail"]["ErrorCode"] for e in stopped["Errors"]}
assert errors == {"jr_none": "EntityNotFoundException", again: "InvalidInputException"}, stopped
wait("jobs_b", waiting[0], "STOPPED")
wait("jobs_b", waiting[2], "RUNNING")
glue.batch_stop_job_run(JobName="jobs_b", JobRunIds=waiting[1:])
for run in waiting[1:]:
    wait("jobs_b", run, "STOPPED")
pages = glue.get_paginator("get_job_runs").paginate(JobName="jobs_b", PaginationConfig={"PageSize": 2})
ids = [run["Id"] for page in pages for run in page["JobRuns"]]
assert ids == [*reversed(waiting), f"{again}_attempt_1", again, f"{failed}_attempt_1", failed], ids
fails("EntityNotFoundException", glue.get_job_runs, JobName="none")
fails("ValidationException", glue.get_job_runs, JobName="jobs_b", MaxResults=201)

# Bookmarks: none of these runs read files.
fails("EntityNotFoundException", glue.get_job_bookmark, JobName="jobs_a")
entry = glue.reset_job_bookmark(JobName="jobs_a")["JobBookmarkEntry"]
assert (entry["JobName"], entry["Version"], entry["JobBookmark"]) == ("jobs_a", 1, "{}"), entry
assert glue.get_job_bookmark(JobName="jobs_a")["JobBookmarkEntry"] == entry
fails("InvalidInputException", glue.reset_job_bookmark, JobName="jobs_a", RunId=done["Id"])
fails("EntityNotFoundException", glue.reset_job_bookmark, JobName="none")

# What is deleted is gone, and a new job does not meet its past.
assert glue.delete_job(JobName="jobs_b")["JobName"] == "jobs_b"
glue.delete_job(JobName="jobs_b")
fails("EntityNotFoundException", glue.get_job_runs, JobName="jobs_b")
create("jobs_b")
assert glue.get_job_runs(JobName="jobs_b")["JobRuns"] == []
print("jobs: ok")
