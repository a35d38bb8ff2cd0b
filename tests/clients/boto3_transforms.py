"""ML transforms and their task runs through boto3: members, filters, orders, pages, tags, errors. Nothing is matched here:
whoever runs task runs in this test does nothing.

Usage: boto3_transforms.py ENDPOINT
"""

import datetime
import time

from support import client, fails

glue = client()
ARN = "arn:aws:glue:us-east-1:000000000000:mlTransform/"
COLUMNS = [{"Name": "id", "Type": "string"}, {"Name": "name", "Type": "string"}, {"Name": "age", "Type": "int"}]
TABLE = {"DatabaseName": "transforms", "TableName": "people"}


def parameters(**more):
    return {"TransformType": "FIND_MATCHES", "FindMatchesParameters": more}


READY = parameters(PrimaryKeyColumnName="id", PrecisionRecallTradeoff=0.9, AccuracyCostTradeoff=0.5, EnforceProvidedLabels=True)


def create(name, table=TABLE, Parameters=READY, **more):
    return glue.create_ml_transform(Name=name, InputRecordTables=[table], Parameters=Parameters, Role="role", **more)["TransformId"]


def wait(transform, run, *states):
    for _ in range(600):
        found = glue.get_ml_task_run(TransformId=transform, TaskRunId=run)
        if found["Status"] in states:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


glue.create_database(DatabaseInput={"Name": "transforms"})
glue.create_table(DatabaseName="transforms", TableInput={"Name": "people", "StorageDescriptor": {"Columns": COLUMNS, "Location": "/lake/people"}, "PartitionKeys": [{"Name": "year", "Type": "int"}]})
wide = [{"Name": f"c{at}", "Type": "string"} for at in range(101)]
glue.create_table(DatabaseName="transforms", TableInput={"Name": "wide", "StorageDescriptor": {"Columns": wide}})

# What is said is kept, what is known is shown.
a = create("a", Description="of people", GlueVersion="2.0", WorkerType="G.1X", NumberOfWorkers=2, Timeout=10, MaxRetries=1,
           TransformEncryption={"MlUserDataEncryption": {"MlUserDataEncryptionMode": "DISABLED"}}, Tags={"team": "a", "env": "test"})
found = glue.get_ml_transform(TransformId=a)
assert found["Name"] == "a" and found["Description"] == "of people" and found["Role"] == "role", found
assert found["InputRecordTables"] == [TABLE] and found["Parameters"] == READY, found
assert found["Status"] == "READY" and found["LabelCount"] == 0 and "EvaluationMetrics" not in found, found
assert (found["GlueVersion"], found["WorkerType"], found["NumberOfWorkers"], found["Timeout"], found["MaxRetries"]) == ("2.0", "G.1X", 2, 10, 1), found
assert found["TransformEncryption"]["MlUserDataEncryption"]["MlUserDataEncryptionMode"] == "DISABLED", found
assert found["CreatedOn"] == found["LastModifiedOn"] and found["CreatedOn"].year > 2000, found
assert found["Schema"] == [{"Name": c["Name"], "DataType": c["Type"]} for c in COLUMNS] + [{"Name": "year", "DataType": "int"}], found

# Without its key it is not ready; with it, it is.
b = create("b", Parameters={"TransformType": "FIND_MATCHES"}, Tags={"team": "a"})
assert glue.get_ml_transform(TransformId=b)["Status"] == "NOT_READY"
said = fails("InvalidInputException", glue.start_import_labels_task_run, TransformId=b, InputS3Path="/lake/labels.csv")
assert "PrimaryKeyColumnName" in said, said
fails("MLTransformNotReadyException", glue.start_ml_evaluation_task_run, TransformId=b)

# What cannot be.
fails("AlreadyExistsException", create, name="a")
said = fails("InvalidInputException", create, name="x", table={"DatabaseName": "transforms", "TableName": "none"})
assert "none" in said, said
assert "connection" in fails("InvalidInputException", create, name="x", table={**TABLE, "ConnectionName": "none"})
assert "101 columns" in fails("InvalidInputException", create, name="x", table={"DatabaseName": "transforms", "TableName": "wide"}, Parameters={"TransformType": "FIND_MATCHES"})
assert "\"key\" is no column" in fails("InvalidInputException", create, name="x", Parameters=parameters(PrimaryKeyColumnName="key"))
fails("ValidationException", create, name="x", Parameters=parameters(PrecisionRecallTradeoff=1.5))
fails("ValidationException", create, name="x", Parameters={"TransformType": "SORT"})
assert "leave one out" in fails("InvalidInputException", create, name="x", MaxCapacity=2.0, WorkerType="G.1X")
two = fails("InvalidInputException", glue.create_ml_transform, Name="x", InputRecordTables=[TABLE, TABLE], Parameters=READY, Role="role")
assert "2 tables" in two, two
for call, more in [
    (glue.get_ml_transform, {}), (glue.update_ml_transform, {"Name": "x"}), (glue.delete_ml_transform, {}), (glue.get_ml_task_runs, {}),
    (glue.get_ml_task_run, {"TaskRunId": "tsk-1"}), (glue.cancel_ml_task_run, {"TaskRunId": "tsk-1"}), (glue.start_ml_evaluation_task_run, {}),
    (glue.start_import_labels_task_run, {"InputS3Path": "/x"}), (glue.start_export_labels_task_run, {"OutputS3Path": "/x"}),
    (glue.start_ml_labeling_set_generation_task_run, {"OutputS3Path": "/x"}),
]:
    fails("EntityNotFoundException", call, TransformId="tfm-none", **more)

# Changes: what is left out stays.
time.sleep(0.01)
glue.update_ml_transform(TransformId=b, Parameters=READY, Description="now ready", MaxRetries=0)
changed = glue.get_ml_transform(TransformId=b)
assert changed["Status"] == "READY" and changed["Name"] == "b" and changed["Description"] == "now ready", changed
assert changed["CreatedOn"] < changed["LastModifiedOn"], changed
fails("AlreadyExistsException", glue.update_ml_transform, TransformId=b, Name="a")
fails("InvalidInputException", glue.update_ml_transform, TransformId=b, Parameters=parameters(PrimaryKeyColumnName="key"))
glue.update_ml_transform(TransformId=b, Name="z")
glue.update_ml_transform(TransformId=b, Name="b")

# Lists.
c = create("c", Parameters={"TransformType": "FIND_MATCHES"}, GlueVersion="4.0")


def names(**asked):
    return [transform["Name"] for transform in glue.get_ml_transforms(**asked)["Transforms"]]


def order(column, direction="ASCENDING"):
    return {"Column": column, "SortDirection": direction}


assert names() == ["a", "b", "c"], names()
assert names(Sort=order("NAME", "DESCENDING")) == ["c", "b", "a"]
assert names(Sort=order("STATUS")) == ["c"] + [n for n in names(Sort=order("STATUS")) if n != "c"]
assert names(Sort=order("LAST_MODIFIED", "DESCENDING"))[0] == "c"
assert names(Filter={"Name": "b"}) == ["b"] and names(Filter={"Status": "NOT_READY"}) == ["c"]
assert names(Filter={"GlueVersion": "4.0"}) == ["c"] and names(Filter={"TransformType": "FIND_MATCHES"}) == ["a", "b", "c"]
assert names(Filter={"Schema": [{"Name": "age", "DataType": "int"}]}) == ["a", "b", "c"]
assert names(Filter={"Schema": [{"Name": "age", "DataType": "string"}]}) == []
now = datetime.datetime.now(datetime.timezone.utc)
assert names(Filter={"CreatedBefore": now + datetime.timedelta(hours=1), "CreatedAfter": now - datetime.timedelta(hours=1)}) == ["a", "b", "c"]
assert names(Filter={"LastModifiedBefore": now - datetime.timedelta(hours=1)}) == []
first = glue.get_ml_transforms(MaxResults=2, Sort=order("NAME"))
assert [t["Name"] for t in first["Transforms"]] == ["a", "b"], first
second = glue.get_ml_transforms(MaxResults=2, Sort=order("NAME"), NextToken=first["NextToken"])
assert [t["Name"] for t in second["Transforms"]] == ["c"] and "NextToken" not in second, second
assert glue.list_ml_transforms(Tags={"team": "a"}, Sort=order("NAME"))["TransformIds"] == [a, b]
assert glue.list_ml_transforms(Tags={"team": "a", "env": "test"})["TransformIds"] == [a]
assert glue.list_ml_transforms(Filter={"Name": "c"})["TransformIds"] == [c]
ids, token = [], {}
while True:
    page = glue.list_ml_transforms(MaxResults=1, **token)
    ids += page["TransformIds"]
    if "NextToken" not in page:
        break
    token = {"NextToken": page["NextToken"]}
assert ids == [a, b, c], ids
fails("InvalidInputException", glue.list_ml_transforms, NextToken="none")

# Tags.
assert glue.get_tags(ResourceArn=ARN + a)["Tags"] == {"team": "a", "env": "test"}
glue.tag_resource(ResourceArn=ARN + a, TagsToAdd={"more": "1"})
glue.untag_resource(ResourceArn=ARN + a, TagsToRemove=["env"])
assert glue.get_tags(ResourceArn=ARN + a)["Tags"] == {"team": "a", "more": "1"}
fails("EntityNotFoundException", glue.get_tags, ResourceArn=ARN + "tfm-none")

# Task runs: their properties, and their lists.
fails("MLTransformNotReadyException", glue.start_ml_evaluation_task_run, TransformId=a)
fails("InvalidInputException", glue.start_import_labels_task_run, TransformId=a, InputS3Path="")
questions = glue.start_ml_labeling_set_generation_task_run(TransformId=a, OutputS3Path="/lake/sets.csv")["TaskRunId"]
done = wait(a, questions, "SUCCEEDED")
assert done["TransformId"] == a and done["TaskRunId"] == questions, done
assert done["Properties"] == {"TaskType": "LABELING_SET_GENERATION", "LabelingSetGenerationTaskRunProperties": {"OutputS3Path": "/lake/sets.csv"}}, done
assert done["CompletedOn"] >= done["StartedOn"] and done["ExecutionTime"] >= 0 and done["LogGroupName"] and "ErrorString" not in done, done
labels = glue.start_import_labels_task_run(TransformId=a, InputS3Path="/lake/labels.csv", ReplaceAllLabels=True)["TaskRunId"]
assert wait(a, labels, "SUCCEEDED")["Properties"]["ImportLabelsTaskRunProperties"] == {"InputS3Path": "/lake/labels.csv", "Replace": True}
written = glue.start_export_labels_task_run(TransformId=a, OutputS3Path="/lake/out/")["TaskRunId"]
assert wait(a, written, "SUCCEEDED")["Properties"]["ExportLabelsTaskRunProperties"] == {"OutputS3Path": "/lake/out/"}


def runs(**asked):
    return [run["TaskRunId"] for run in glue.get_ml_task_runs(TransformId=a, **asked)["TaskRuns"]]


assert runs() == [written, labels, questions], "newest first"
assert runs(Sort=order("STARTED")) == [questions, labels, written]
assert runs(Sort=order("TASK_RUN_TYPE")) == [written, labels, questions]
assert len(runs(Sort=order("STATUS", "DESCENDING"))) == 3
assert runs(Filter={"TaskRunType": "IMPORT_LABELS"}) == [labels] and runs(Filter={"Status": "FAILED"}) == []
assert runs(Filter={"TaskRunType": "FIND_MATCHES"}) == []
assert runs(Filter={"StartedAfter": now - datetime.timedelta(hours=1), "StartedBefore": now + datetime.timedelta(hours=1)}) == runs()
page = glue.get_ml_task_runs(TransformId=a, MaxResults=2)
assert [run["TaskRunId"] for run in page["TaskRuns"]] == [written, labels], page
assert runs(MaxResults=2, NextToken=page["NextToken"]) == [questions]
fails("EntityNotFoundException", glue.get_ml_task_run, TransformId=b, TaskRunId=labels)
ended = glue.cancel_ml_task_run(TransformId=a, TaskRunId=labels)
assert ended == {**ended, "TransformId": a, "TaskRunId": labels, "Status": "SUCCEEDED"}, ended

# Jobs that name one.
NODES = {
    "in": {"S3CsvSource": {"Name": "in", "Paths": ["in.csv"], "Separator": "comma", "QuoteChar": "quote"}},
    "out": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["match"], "Path": "out"}},
}


def job(name, transform, function="find-matches"):
    parameter = {"Name": "transform_id", "Type": "str", "Value": [transform]}
    node = {"Name": "match", "TransformName": "match", "Inputs": ["in"], "Parameters": [parameter], "FunctionName": function, "Path": "tenon:find-matches@0"}
    glue.create_job(Name=name, Role="role", Command={"Name": "glueetl", "ScriptLocation": "s3://b/s.py"}, CodeGenConfigurationNodes={**NODES, "match": {"DynamicTransform": node}})


job("matches", a)
glue.start_job_run(JobName="matches")
assert "node \"match\": ML transform tfm-none does not exist" in fails("InvalidInputException", job, name="none", transform="tfm-none")
assert "NOT_READY" in fails("InvalidInputException", job, name="none", transform=c)
assert "evaluate it first" in fails("InvalidInputException", job, name="none", transform=a, function="find-incremental-matches")

# Gone, with its runs; jobs that name it say so.
assert glue.delete_ml_transform(TransformId=a)["TransformId"] == a
fails("EntityNotFoundException", glue.delete_ml_transform, TransformId=a)
fails("EntityNotFoundException", glue.get_ml_task_runs, TransformId=a)
assert "node \"match\"" in fails("InvalidInputException", glue.start_job_run, JobName="matches")
create("a")
print("transforms: ok")
