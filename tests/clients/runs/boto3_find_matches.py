"""The whole way of FindMatches through boto3, with tasks that really run: a table, labelling sets out, labels filled in from
the truth, in again, an evaluation, jobs that use the transform, labels out, a task that is cancelled, and the end of it all.

Usage: boto3_find_matches.py ENDPOINT FOLDER, a folder that the server may read and write
"""

import csv
import itertools
import pathlib
import random
import sys
import time

import pyarrow.parquet
from support import client, fails

glue = client()
lake = pathlib.Path(sys.argv[2])
FIRST = ["ada", "grace", "alan", "edsger", "barbara", "donald", "frances", "john", "radia", "ken", "margaret", "dennis", "lynn", "niklaus"]
LAST = ["lovelace", "hopper", "turing", "dijkstra", "liskov", "knuth", "allen", "backus", "perlman", "thompson", "hamilton", "ritchie", "conway", "wirth"]
CITIES = ["london", "new york", "paris", "berlin", "madrid", "rome", "vienna", "oslo"]
FIELDS = ["id", "first_name", "last_name", "born", "city", "email"]


def people(count, seed):
    """Records of so many people, some of them twice with a slip of the pen; and who is who."""
    rng = random.Random(seed)
    records, truth = [], {}
    for person in range(count):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        born = f"19{rng.randrange(30, 99)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        row = [first, last, born, rng.choice(CITIES), f"{first}.{last}{person}@example.org"]
        for copy in range(2 if rng.random() < 0.5 else 1):
            values = list(row)
            if copy:
                field = rng.randrange(len(values))
                at = rng.randrange(len(values[field]) - 1)
                values[field] = values[field][:at] + values[field][at + 1] + values[field][at] + values[field][at + 2:]
                values[rng.randrange(3, 5)] = ""
            record = f"{seed}-{len(records):04}"
            records.append([record, *values])
            truth[record] = f"{seed}-{person}"
    rng.shuffle(records)
    return records, truth


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows


def wait(run, *states):
    for _ in range(6000):
        found = glue.get_ml_task_run(TransformId=people_transform, TaskRunId=run)
        if found["Status"] in states:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


ENDS = ["SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"]


def succeeds(run):
    found = wait(run, *ENDS)
    assert found["Status"] == "SUCCEEDED", found
    return found


def fails_with(run):
    found = wait(run, *ENDS)
    assert found["Status"] == "FAILED", found
    return found["ErrorString"]


def import_labels(path, **more):
    return glue.start_import_labels_task_run(TransformId=people_transform, InputS3Path=str(path), **more)["TaskRunId"]


def generate(path):
    return glue.start_ml_labeling_set_generation_task_run(TransformId=people_transform, OutputS3Path=str(path))["TaskRunId"]


records, truth = people(220, 1)
write(lake / "people" / "a.csv", FIELDS, records)
glue.create_database(DatabaseInput={"Name": "d"})
columns = [{"Name": name, "Type": "string"} for name in FIELDS]
for name in ["people", "arriving"]:
    glue.create_table(DatabaseName="d", TableInput={
        "Name": name,
        "Parameters": {"classification": "csv", "skip.header.line.count": "1"},
        "StorageDescriptor": {"Columns": columns, "Location": str(lake / name)},
    })
parameters = {"TransformType": "FIND_MATCHES", "FindMatchesParameters": {"PrimaryKeyColumnName": "id", "EnforceProvidedLabels": True}}
people_transform = glue.create_ml_transform(
    Name="people", InputRecordTables=[{"DatabaseName": "d", "TableName": "people"}], Parameters=parameters, Role="role",
)["TransformId"]
assert glue.get_ml_transform(TransformId=people_transform)["Status"] == "READY", "matches are found without labels too"

# What to label. A folder of this machine has to be there, other than a prefix of a bucket.
(lake / "labels").mkdir()
done = succeeds(generate(lake / "labels" / "sets.csv"))
assert done["ExecutionTime"] >= 0 and done["CompletedOn"] >= done["StartedOn"], done
header, rows = read(lake / "labels" / "sets.csv")
assert header == ["labeling_set_id", "label", *FIELDS], header
assert len(rows) >= 10 and all(row[1] == "" for row in rows), rows[:3]
known = {record[0]: record for record in records}
assert all(row[2:] == known[row[2]] for row in rows), "records as they are in the table"
sets = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row[0])]
assert len({group[0][0] for group in sets}) == len(sets), "rows of a set stand together"
assert max(len(group) for group in sets) <= 50, sets

# Labels from the truth; what is wrong is told with its line and changes nothing.
for row in rows:
    row[1] = truth[row[2]]
write(lake / "labels" / "filled.csv", header, rows)
fails("MLTransformNotReadyException", glue.start_ml_evaluation_task_run, TransformId=people_transform)
strange = [*rows[:2], [rows[0][0], "x", "nobody", *rows[0][3:]]]
write(lake / "labels" / "strange.csv", header, strange)
said = fails_with(import_labels(lake / "labels" / "strange.csv"))
assert "strange.csv:4" in said and "nobody" in said, said
write(lake / "labels" / "other.csv", [*header[:-1], "mail"], rows)
said = fails_with(import_labels(lake / "labels" / "other.csv"))
assert "other.csv:1" in said and "mail" in said, said
many = [["s", "x", record[0], *record[1:]] for record in records[:51]]
write(lake / "labels" / "many.csv", header, many)
said = fails_with(import_labels(lake / "labels" / "many.csv"))
assert "many.csv:52" in said and "50 records" in said, said
(lake / "labels" / "latin.csv").write_bytes((",".join(header) + "\n").encode() + b"s,x,caf\xe9,a,b,c,d,e\n")
said = fails_with(import_labels(lake / "labels" / "latin.csv"))
assert "latin.csv:2" in said and "UTF-8" in said, said
said = fails_with(import_labels("/etc/passwd"))
assert "in no folder that account 000000000000 may use" in said, said
assert glue.get_ml_transform(TransformId=people_transform)["LabelCount"] == 0

succeeds(import_labels(lake / "labels" / "filled.csv"))
labelled = glue.get_ml_transform(TransformId=people_transform)
assert labelled["LabelCount"] == len(rows), labelled
# More of them, and all again.
more = [["more", truth[record[0]], *record] for record in sorted(records)[:30]]
write(lake / "labels" / "more.csv", header, more)
succeeds(import_labels(lake / "labels" / "more.csv"))
assert glue.get_ml_transform(TransformId=people_transform)["LabelCount"] == len(rows) + len(more)
succeeds(import_labels(lake / "labels" / "filled.csv"))
assert glue.get_ml_transform(TransformId=people_transform)["LabelCount"] == len(rows) + len(more), "said again is said once"

# A column that the table got since.
wider = [*FIELDS, "phone"]
write(lake / "people" / "a.csv", wider, [[*record, ""] for record in records])
table = glue.get_table(DatabaseName="d", Name="people")["Table"]
changed = {name: table[name] for name in ["Name", "Parameters", "StorageDescriptor"]}
changed["StorageDescriptor"]["Columns"] = [*columns, {"Name": "phone", "Type": "string"}]
glue.update_table(DatabaseName="d", TableInput=changed)
write(lake / "labels" / "wider.csv", [*header, "phone"], [[*row, ""] for row in more])
succeeds(import_labels(lake / "labels" / "wider.csv"))
assert glue.get_ml_transform(TransformId=people_transform)["LabelCount"] == len(rows) + len(more)
changed["StorageDescriptor"]["Columns"] = columns
glue.update_table(DatabaseName="d", TableInput=changed)
write(lake / "people" / "a.csv", FIELDS, records)
succeeds(import_labels(lake / "labels" / "more.csv"))

# How good it is.
evaluation = glue.start_ml_evaluation_task_run(TransformId=people_transform)["TaskRunId"]
assert succeeds(evaluation)["Properties"] == {"TaskType": "EVALUATION"}
judged = glue.get_ml_transform(TransformId=people_transform)["EvaluationMetrics"]
assert judged["TransformType"] == "FIND_MATCHES", judged
metrics = judged["FindMatchesMetrics"]
for share in ["AreaUnderPRCurve", "Precision", "Recall", "F1"]:
    assert 0 <= metrics[share] <= 1, metrics
assert sum(metrics["ConfusionMatrix"].values()) > 0, metrics
named = [column["ColumnName"] for column in metrics["ColumnImportances"]]
assert named and set(named) <= set(FIELDS), metrics
assert all(0 <= column["Importance"] <= 1 for column in metrics["ColumnImportances"]), metrics
print("metrics:", metrics)

# Questions go on from there.
(lake / "again").mkdir()
succeeds(generate(lake / "again"))
parts = sorted((lake / "again").glob("part-*.csv"))
assert len(parts) == 1 and read(parts[0])[0] == header, parts


# Jobs.
SOURCES = {
    "people": {"CatalogSource": {"Name": "people", "Database": "d", "Table": "people"}},
    "matched": {"S3ParquetSource": {"Name": "matched", "Paths": [str(lake / "matched")]}},
    "arriving": {"CatalogSource": {"Name": "arriving", "Database": "d", "Table": "arriving"}},
}


def job(name, sources, function, inputs):
    nodes = {source: SOURCES[source] for source in sources}
    parameter = {"Name": "transform_id", "Type": "str", "Value": [people_transform]}
    nodes["match"] = {"DynamicTransform": {"Name": "match", "TransformName": "match", "Inputs": inputs, "Parameters": [parameter], "FunctionName": function, "Path": "tenon:find-matches@0"}}
    nodes["out"] = {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["match"], "Path": str(lake / name)}}
    glue.create_job(Name=name, Role="role", Command={"Name": "glueetl", "ScriptLocation": "s3://b/s.py"}, CodeGenConfigurationNodes=nodes)


def run(name):
    started = glue.start_job_run(JobName=name)["JobRunId"]
    for _ in range(6000):
        found = glue.get_job_run(JobName=name, RunId=started)["JobRun"]
        if found["JobRunState"] in ENDS:
            assert found["JobRunState"] == "SUCCEEDED", found
            return pyarrow.parquet.read_table(lake / name).to_pylist()
        time.sleep(0.02)
    raise AssertionError(found)


job("matched", ["people"], "find-matches", ["people"])
matched = run("matched")
assert len(matched) == len(records)
group = {row["id"]: row["match_id"] for row in matched}
pairs = set(itertools.combinations(sorted(group), 2))
found = {pair for pair in pairs if group[pair[0]] == group[pair[1]]}
right = {pair for pair in pairs if truth[pair[0]] == truth[pair[1]]}
precision, recall = len(found & right) / max(len(found), 1), len(found & right) / len(right)
print(f"precision {precision:.3f}, recall {recall:.3f} of {len(right)} pairs")
assert precision > 0.8 and recall > 0.8, (precision, recall)
# What labels say holds: they are enforced.
for group_of_set in [*sets, more]:
    for one, other in itertools.combinations(group_of_set, 2):
        if one[1] == other[1]:
            assert group[one[2]] == group[other[2]], (one, other)
# New records to old groups, by the model of the evaluation.
arriving, new_truth = people(20, 2)
write(lake / "arriving" / "a.csv", FIELDS, [*arriving, ["9-0001", *sorted(records)[0][1:]]])
job("added", ["matched", "arriving"], "find-incremental-matches", ["matched", "arriving"])
added = {row["id"]: row["match_id"] for row in run("added")}
assert len(added) == len(records) + len(arriving) + 1
assert added["9-0001"] == group[sorted(records)[0][0]], "the same person again"

# A table that has lost records: what was said of them does no harm.
write(lake / "people" / "a.csv", FIELDS, sorted(records)[5:])
assert len(run("matched")) == len(records) - 5
write(lake / "people" / "a.csv", FIELDS, records)

# Labels out: what came in.
out = glue.start_export_labels_task_run(TransformId=people_transform, OutputS3Path=str(lake / "labels" / "out.csv"))["TaskRunId"]
succeeds(out)
exported_header, exported = read(lake / "labels" / "out.csv")
assert exported_header == header and sorted(exported) == sorted(rows + more), exported[:3]
succeeds(import_labels(lake / "labels" / "out.csv", ReplaceAllLabels=True))
assert glue.get_ml_transform(TransformId=people_transform)["LabelCount"] == len(exported)
succeeds(import_labels(lake / "labels" / "more.csv", ReplaceAllLabels=True))
assert glue.get_ml_transform(TransformId=people_transform)["LabelCount"] == len(more)

# A task of much work is cancelled; one behind it that waits, too.
large, _ = people(30000, 3)
write(lake / "people" / "a.csv", FIELDS, [*records, *large])
long, behind = generate(lake / "labels" / "long.csv"), generate(lake / "labels" / "behind.csv")
wait(long, "RUNNING")
assert glue.get_ml_task_run(TransformId=people_transform, TaskRunId=behind)["Status"] == "STARTING"
before = time.monotonic()
assert glue.cancel_ml_task_run(TransformId=people_transform, TaskRunId=behind)["Status"] == "STOPPED"
assert glue.cancel_ml_task_run(TransformId=people_transform, TaskRunId=long)["Status"] in ["STOPPING", "STOPPED"]
wait(long, "STOPPED")
took = time.monotonic() - before
print(f"stopped within {took:.2f} s")
assert took < 2, took
assert not (lake / "labels" / "long.csv").exists() and not (lake / "labels" / "behind.csv").exists()
stopped = glue.get_ml_task_runs(TransformId=people_transform, Filter={"Status": "STOPPED"})["TaskRuns"]
assert [run["TaskRunId"] for run in stopped] == [behind, long], stopped

# The end.
glue.delete_ml_transform(TransformId=people_transform)
fails("EntityNotFoundException", glue.get_ml_transform, TransformId=people_transform)
assert "node \"match\"" in fails("InvalidInputException", glue.start_job_run, JobName="matched")
print("find matches: ok")
