"""What runs said, through boto3's client of CloudWatch Logs. The server plays what the argument --script of a run says.

Usage: boto3_logs.py ENDPOINT
"""

import time

from support import client, fails

glue, logs = client(), client("logs")
OUTPUT, ERROR = "/aws-glue/jobs/output", "/aws-glue/jobs/error"
NODES = {
    "node-1": {"S3CsvSource": {"Name": "in", "Paths": ["in.csv"], "Separator": "comma", "QuoteChar": "quote"}},
    "node-2": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["node-1"], "Path": "out"}},
}


def run(*states, job="j", **arguments):
    started = glue.start_job_run(JobName=job, Arguments={f"--{name}": value for name, value in arguments.items()})["JobRunId"]
    for _ in range(600):
        found = glue.get_job_run(JobName=job, RunId=started)["JobRun"]
        if found["JobRunState"] in states:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def messages(events):
    return [event["message"] for event in events]


def between(first, last, events):
    times = [event["timestamp"] for event in events]
    assert times == sorted(times) and first <= times[0] and times[-1] <= last, times


def millis(time):
    return round(time.timestamp() * 1000)


# Before the first run, and the first line.
assert logs.describe_log_groups()["logGroups"] == []
fails("ResourceNotFoundException", logs.describe_log_streams, logGroupName=OUTPUT)
fails("ResourceNotFoundException", logs.filter_log_events, logGroupName=OUTPUT)
glue.create_job(
    Name="j", Role="role", Command={"Name": "glueetl"}, CodeGenConfigurationNodes=NODES, ExecutionProperty={"MaxConcurrentRuns": 1}
)
busy = run("RUNNING", script="wait")
waiting = glue.start_job_run(JobName="j")["JobRunId"]
fails("ResourceNotFoundException", logs.get_log_events, logGroupName=OUTPUT, logStreamName=waiting)
fails("ResourceNotFoundException", logs.filter_log_events, logGroupName=OUTPUT, logStreamNames=[waiting])
said = messages(logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[busy["Id"]])["events"])
assert said == [f"run {busy['Id']} of job j begins, attempt 0"], said
glue.batch_stop_job_run(JobName="j", JobRunIds=[waiting, busy["Id"]])

# A run whose plugins say something: ten lines, every third of them a warning.
done = run("SUCCEEDED", script="say")
name = done["Id"]
events = logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[name])["events"]
said = messages(events)
assert said[0] == f"run {name} of job j begins, attempt 0", said
assert said[1:7] == [f'node "plugin": info: line {n}' for n in range(10) if n % 3], said
assert said[-1].startswith(f"run {name} succeeded after "), said
assert {event["logStreamName"] for event in events} == {name} and len({event["eventId"] for event in events}) == len(events)
between(millis(done["StartedOn"]), millis(done["CompletedOn"]), events)
warnings = messages(logs.get_log_events(logGroupName=ERROR, logStreamName=name)["events"])
assert warnings == [f'node "plugin": warn: line {n}' for n in range(0, 10, 3)], warnings

# Pages, as paginators and Airflow ask for them: a page with events has a token, which gives what was added since.
pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=OUTPUT, logStreamNames=[name], limit=3))
assert [message for page in pages for message in messages(page["events"])] == said
assert all(len(page["events"]) <= 3 for page in pages) and "nextToken" not in pages[-1], pages
token = logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[name])["nextToken"]
again = logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[name], nextToken=token)
assert again["events"] == [] and "nextToken" not in again, again
fails("InvalidParameterException", logs.filter_log_events, logGroupName=ERROR, logStreamNames=[name], nextToken=token)
fails("InvalidParameterException", logs.filter_log_events, logGroupName=OUTPUT, logStreamNames=[name], nextToken="00")

head = logs.get_log_events(logGroupName=OUTPUT, logStreamName=name, startFromHead=True, limit=2)
assert messages(head["events"]) == said[:2]
more = logs.get_log_events(logGroupName=OUTPUT, logStreamName=name, nextToken=head["nextForwardToken"], limit=100)
assert messages(more["events"]) == said[2:]
end = logs.get_log_events(logGroupName=OUTPUT, logStreamName=name, nextToken=more["nextForwardToken"])
assert end["events"] == [] and end["nextForwardToken"] == more["nextForwardToken"], end
tail = logs.get_log_events(logGroupName=OUTPUT, logStreamName=name, limit=2)
assert messages(tail["events"]) == said[-2:]
before = logs.get_log_events(logGroupName=OUTPUT, logStreamName=name, nextToken=tail["nextBackwardToken"], limit=3)
assert messages(before["events"]) == said[-5:-2]

# Times are from a first millisecond on and before a last one.
first, last = events[0]["timestamp"], events[-1]["timestamp"]
count = lambda **within: len(logs.get_log_events(logGroupName=OUTPUT, logStreamName=name, **within)["events"])
assert count(startTime=first) == len(events) and count(endTime=first) == 0
assert count(startTime=last + 1) == 0 and count(startTime=last) >= 1 and count(endTime=last + 1) == len(events)
filtered = logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[name], endTime=first)["events"]
assert filtered == []

# Terms.
found = lambda pattern: messages(logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[name], filterPattern=pattern)["events"])
assert found('"line 4"') == ['node "plugin": info: line 4'] and found("line -4 -5") == [m for m in said[1:7] if m[-1] not in "45"]
fails("InvalidParameterException", logs.filter_log_events, logGroupName=OUTPUT, filterPattern="{ $.a = 1 }")

# A failure says why.
failed = run("FAILED", script="fail")
why = messages(logs.filter_log_events(logGroupName=ERROR, logStreamNames=[failed["Id"]])["events"])
assert why == ['node "in": in.csv:3:2: expected a number', "try: mend the file"], why
assert failed["ErrorMessage"] == "; ".join(why), failed
ended = messages(logs.get_log_events(logGroupName=OUTPUT, logStreamName=failed["Id"])["events"])
assert f"run {failed['Id']} failed after " in ended[-1], ended

# All streams of a group.
everything = [e for page in logs.get_paginator("filter_log_events").paginate(logGroupName=ERROR, limit=2) for e in page["events"]]
assert messages(everything) == warnings + why, everything
prefixed = logs.filter_log_events(logGroupName=ERROR, logStreamNamePrefix=name)["events"]
assert messages(prefixed) == warnings
names = [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=ERROR)["logStreams"]]
assert names == sorted([name, failed["Id"]]), names
by_time = logs.get_paginator("describe_log_streams").paginate(
    logGroupName=ERROR, orderBy="LastEventTime", descending=True, PaginationConfig={"PageSize": 1}
)
assert [s["logStreamName"] for page in by_time for s in page["logStreams"]] == [failed["Id"], name]
stream = logs.describe_log_streams(logGroupName=OUTPUT, logStreamNamePrefix=name)["logStreams"][0]
assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (first, last), stream
assert stream["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{OUTPUT}:log-stream:{name}", stream
fails("InvalidParameterException", logs.describe_log_streams, logGroupName=ERROR, orderBy="LastEventTime", logStreamNamePrefix="jr")
groups = [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]]
assert groups == [ERROR, OUTPUT], groups
assert logs.describe_log_groups(logGroupNamePrefix="/aws-glue/jobs/o")["logGroups"][0]["logGroupName"] == OUTPUT
arn = logs.describe_log_groups(limit=1)["logGroups"][0]["logGroupArn"]
assert messages(logs.filter_log_events(logGroupIdentifier=arn, logStreamNames=[name])["events"]) == warnings

# Several streams are one list by time; a token gives what any of them says later, once.
glue.create_job(
    Name="both", Role="role", Command={"Name": "glueetl"}, CodeGenConfigurationNodes=NODES, ExecutionProperty={"MaxConcurrentRuns": 2}
)
earlier = run("RUNNING", job="both", script="wait")["Id"]
later = run("SUCCEEDED", job="both", script="say")["Id"]
given = []
for scope in [{"logStreamNames": [earlier, later]}, {"logStreamNames": [later, earlier]}, {}]:
    page = logs.filter_log_events(logGroupName=OUTPUT, **scope)
    assert {earlier, later} <= {event["logStreamName"] for event in page["events"]}, page
    times = [event["timestamp"] for event in page["events"]]
    assert times == sorted(times), page
    given.append((scope, page["nextToken"]))
whole = logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[earlier, later])["events"]
pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=OUTPUT, logStreamNames=[earlier, later], limit=4))
assert len(pages) > 1 and all(page["events"] for page in pages[:-1]) and "nextToken" not in pages[-1], pages
assert [event["eventId"] for page in pages for event in page["events"]] == [event["eventId"] for event in whole], pages
glue.batch_stop_job_run(JobName="both", JobRunIds=[earlier])
while glue.get_job_run(JobName="both", RunId=earlier)["JobRun"]["JobRunState"] != "STOPPED":
    time.sleep(0.05)
for scope, token in given:
    more = logs.filter_log_events(logGroupName=OUTPUT, nextToken=token, **scope)["events"]
    assert {event["logStreamName"] for event in more} == {earlier}, more
    assert more[-1]["message"].startswith(f"run {earlier} stopped"), more
    assert not {event["eventId"] for event in more} & {event["eventId"] for event in whole}, more
page = logs.filter_log_events(logGroupName=OUTPUT, logStreamNames=[earlier, later])
assert any(event["message"].startswith(f"run {earlier} stopped") for event in page["events"]) and page["nextToken"], page

# A group of its own.
own = run("SUCCEEDED", **{"custom-logGroup-prefix": "/lake/nightly"})
assert own["LogGroupName"] == "/lake/nightly", own
assert logs.get_log_events(logGroupName="/lake/nightly/output", logStreamName=own["Id"])["events"]
fails("ResourceNotFoundException", logs.get_log_events, logGroupName=OUTPUT, logStreamName=own["Id"])
fails("InvalidInputException", glue.start_job_run, JobName="j", Arguments={"--custom-logGroup-prefix": "a b"})

# What is wrong with a request.
fails("InvalidParameterException", logs.filter_log_events)
fails("InvalidParameterException", logs.filter_log_events, logGroupName=OUTPUT, limit=0)
fails("InvalidParameterException", logs.get_log_events, logGroupName=OUTPUT)
fails("ResourceNotFoundException", logs.get_log_events, logGroupName="/aws/lambda/x", logStreamName=name)
fails("UnknownOperationException", logs.put_log_events, logGroupName=OUTPUT, logStreamName=name, logEvents=[])
print("logs: ok")
