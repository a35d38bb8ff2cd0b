"""What runs of two accounts on one server said, through boto3: nobody without a key, and nothing of the other.

Usage: boto3_logs.py ENDPOINT, with TENON_ACCOUNTS: a JSON list of two objects with id, key and secret.
"""

import json
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

A, B = json.loads(os.environ["TENON_ACCOUNTS"])
OUTPUT = "/aws-glue/jobs/output"
NODES = {
    "node-1": {"S3CsvSource": {"Name": "in", "Paths": ["in.csv"], "Separator": "comma", "QuoteChar": "quote"}},
    "node-2": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["node-1"], "Path": "out"}},
}


def client(service, account):
    return boto3.client(
        service,
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id=account["key"],
        aws_secret_access_key=account["secret"],
        config=Config(parameter_validation=False, retries={"max_attempts": 1}),
    )


def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("an error was expected")


def run(account):
    glue = client("glue", account)
    glue.create_job(Name="logged", Role="role", Command={"Name": "glueetl"}, CodeGenConfigurationNodes=NODES)
    started = glue.start_job_run(JobName="logged", Arguments={"--script": "say"})["JobRunId"]
    for _ in range(600):
        if glue.get_job_run(JobName="logged", RunId=started)["JobRun"]["JobRunState"] == "SUCCEEDED":
            return started
        time.sleep(0.05)
    raise AssertionError("the run does not end")


a, b = client("logs", A), client("logs", B)
of_a = run(A)
said = a.filter_log_events(logGroupName=OUTPUT, logStreamNames=[of_a])
assert said["events"] and said["nextToken"], said

# Before b has runs, nothing is there for it.
assert b.describe_log_groups()["logGroups"] == []
assert refused(b.describe_log_streams, logGroupName=OUTPUT)[0] == "ResourceNotFoundException"
of_b = run(B)
for call, names in [(b.filter_log_events, lambda run: {"logStreamNames": [run]}), (b.get_log_events, lambda run: {"logStreamName": run})]:
    foreign, absent = (refused(call, logGroupName=OUTPUT, **names(run)) for run in (of_a, "jr_none"))
    assert foreign == absent == ("ResourceNotFoundException", "The specified log stream does not exist."), (foreign, absent)
assert {event["logStreamName"] for event in b.filter_log_events(logGroupName=OUTPUT)["events"]} == {of_b}
assert [s["logStreamName"] for s in b.describe_log_streams(logGroupName=OUTPUT)["logStreams"]] == [of_b]
own = f"arn:aws:logs:us-east-1:{A['id']}:log-group:{OUTPUT}"
assert refused(b.filter_log_events, logGroupIdentifier=own)[0] == "ResourceNotFoundException"
assert refused(b.filter_log_events, logGroupName=OUTPUT, nextToken=said["nextToken"])[0] == "InvalidParameterException"

# Keys: signed for this service, by this account.
assert refused(client("logs", {**A, "secret": B["secret"]}).describe_log_groups)[0] == "InvalidSignatureException"
assert refused(client("logs", {**A, "key": "AKIAIOSFODNN7EXAMPLE"}).describe_log_groups)[0] == "UnrecognizedClientException"
print("logs of two accounts: ok")
