"""ML transforms of two accounts on one server, through boto3: to each, those of the other are absent, whatever is asked.

Usage: boto3_transforms.py ENDPOINT, with TENON_ACCOUNTS: a JSON list of two objects with id, key and secret.
"""

import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

A, B = json.loads(os.environ["TENON_ACCOUNTS"])


def client(account):
    return boto3.client(
        "glue",
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


def create(account):
    glue = client(account)
    glue.create_database(DatabaseInput={"Name": "d"})
    columns = [{"Name": name, "Type": "string"} for name in ["id", "name"]]
    glue.create_table(DatabaseName="d", TableInput={"Name": "t", "StorageDescriptor": {"Columns": columns}})
    parameters = {"TransformType": "FIND_MATCHES", "FindMatchesParameters": {"PrimaryKeyColumnName": "id"}}
    tables = [{"DatabaseName": "d", "TableName": "t"}]
    return glue.create_ml_transform(Name="same", InputRecordTables=tables, Parameters=parameters, Role="role")["TransformId"]


ours, theirs = create(A), create(B)
assert ours != theirs
task = client(B).start_export_labels_task_run(TransformId=theirs, OutputS3Path="/lake/secret.csv")["TaskRunId"]
glue = client(A)
assert glue.list_ml_transforms()["TransformIds"] == [ours]
assert [found["TransformId"] for found in glue.get_ml_transforms()["Transforms"]] == [ours]
absent = "tfm-" + "0" * 40


def same(call, **more):
    """Foreign and absent look alike."""
    asked = refused(call, TransformId=theirs, **more)
    assert asked[0] == "EntityNotFoundException", asked
    control = refused(call, TransformId=absent, **more)
    assert asked == (control[0], control[1].replace(absent, theirs)), (asked, control)


same(glue.get_ml_transform)
same(glue.update_ml_transform, Name="mine")
same(glue.delete_ml_transform)
same(glue.get_ml_task_runs)
same(glue.get_ml_task_run, TaskRunId=task)
same(glue.cancel_ml_task_run, TaskRunId=task)
same(glue.start_ml_evaluation_task_run)
same(glue.start_import_labels_task_run, InputS3Path="/lake/x.csv")
same(glue.start_export_labels_task_run, OutputS3Path="/lake/x.csv")
same(glue.start_ml_labeling_set_generation_task_run, OutputS3Path="/lake/x.csv")
arn = f"arn:aws:glue:us-east-1:{B['id']}:mlTransform/{theirs}"
assert refused(glue.get_tags, ResourceArn=arn)[0] == "EntityNotFoundException"
# Their task run is none of our transform's.
assert refused(glue.get_ml_task_run, TransformId=ours, TaskRunId=task)[0] == "EntityNotFoundException"


def job(transform):
    node = {"Name": "match", "TransformName": "match", "Inputs": ["in"], "FunctionName": "find-matches", "Path": "tenon:find-matches@0",
            "Parameters": [{"Name": "transform_id", "Type": "str", "Value": [transform]}]}
    return {
        "in": {"S3CsvSource": {"Name": "in", "Paths": ["in.csv"], "Separator": "comma", "QuoteChar": "quote"}},
        "match": {"DynamicTransform": node},
        "out": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["match"], "Path": "out"}},
    }


def create_job(name, transform):
    return glue.create_job(Name=name, Role="role", Command={"Name": "glueetl"}, CodeGenConfigurationNodes=job(transform))


create_job("own", ours)
code, said = refused(create_job, name="foreign", transform=theirs)
assert code == "InvalidInputException" and f"ML transform {theirs} does not exist" in said, said
assert client(B).get_ml_transform(TransformId=theirs)["Name"] == "same"
print("transforms of two accounts: ok")
