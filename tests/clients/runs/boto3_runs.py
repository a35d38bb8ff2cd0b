"""Jobs that really run, through boto3, and their rows read back by pyarrow.

Usage: boto3_runs.py ENDPOINT FOLDER, a folder that the server may read and write
"""

import pathlib
import sys
import time

import pyarrow.parquet
from support import client, fails

glue = client()
lake = pathlib.Path(sys.argv[2])
COMMAND = {"Name": "glueetl", "ScriptLocation": "s3://bucket/script.py"}


def nodes(source, target, query):
    return {
        "in": {"S3CsvSource": {"Name": "in", "Paths": [str(lake / source)], "Separator": "comma", "QuoteChar": "quote", "WithHeader": True}},
        "sql": {"SparkSQL": {"Name": "sql", "Inputs": ["in"], "SqlQuery": query, "SqlAliases": [{"From": "in", "Alias": "t"}]}},
        "out": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["sql"], "Path": str(lake / target)}},
    }


def create(name, graph, **more):
    glue.create_job(Name=name, Role="role", Command=COMMAND, CodeGenConfigurationNodes=graph, **more)


def wait(job, run, *states):
    for _ in range(2000):
        found = glue.get_job_run(JobName=job, RunId=run)["JobRun"]
        if found["JobRunState"] in states:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def run(job, **arguments):
    started = glue.start_job_run(JobName=job, **arguments)["JobRunId"]
    return wait(job, started, "SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")


def rows(target):
    return sorted(row["n"] for row in pyarrow.parquet.read_table(lake / target, partitioning=None).to_pylist())


(lake / "numbers").mkdir()
(lake / "numbers" / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(10)))

# A run, and its rows.
create("even", nodes("numbers", "even", "select n from t where n % 2 = 0"), WorkerType="G.1X", NumberOfWorkers=2)
done = run("even")
assert done["JobRunState"] == "SUCCEEDED", done
assert done["ExecutionTime"] >= 0 and done["DPUSeconds"] == 2 * done["ExecutionTime"], done
assert done["CompletedOn"] >= done["StartedOn"], done
assert rows("even") == [0, 2, 4, 6, 8]

# A failure.
create("broken", nodes("numbers", "broken", "select n / (n - n) as n from t"))
failed = run("broken")
assert failed["JobRunState"] == "FAILED" and "zero" in failed["ErrorMessage"].lower(), failed
bad = {"n": {"SparkConnectorSource": {"Name": "from spark", "ConnectionName": "c", "ConnectorName": "c", "ConnectionType": "t"}}}
said = fails("InvalidInputException", create, name="bad", graph=bad)
assert "from spark" in said and "SparkConnectorSource" in said, said

# Only one at a time, and a stop of a long one.
(lake / "many").mkdir()
(lake / "many" / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(20000)))
create("long", nodes("many", "long", "select sum(a.n * b.n % 7 + c.n % 3) as n from t a, t b, t c"))
first = glue.start_job_run(JobName="long")["JobRunId"]
second = glue.start_job_run(JobName="long")["JobRunId"]
wait("long", first, "RUNNING")
assert glue.get_job_run(JobName="long", RunId=second)["JobRun"]["JobRunState"] == "WAITING"
fails("ConcurrentRunsExceededException", glue.start_job_run, JobName="long", JobRunQueuingEnabled=False)
before = time.monotonic()
assert glue.batch_stop_job_run(JobName="long", JobRunIds=[second, first]).get("Errors") is None
stopped = wait("long", first, "STOPPED")
print(f"stopped within {time.monotonic() - before:.2f} s")
assert time.monotonic() - before < 2, stopped
assert glue.get_job_run(JobName="long", RunId=second)["JobRun"]["JobRunState"] == "STOPPED"

# What is new.
create("new", nodes("numbers", "new", "select n from t"), DefaultArguments={"--job-bookmark-option": "job-bookmark-enable"})
assert run("new")["JobRunState"] == "SUCCEEDED" and rows("new") == list(range(10))
(lake / "numbers" / "b.csv").write_text("n\n10\n11\n")
assert run("new")["JobRunState"] == "SUCCEEDED" and rows("new") == list(range(12))
entry = glue.get_job_bookmark(JobName="new")["JobBookmarkEntry"]
assert entry["Run"] == 2 and '"files":2' in entry["JobBookmark"], entry
glue.reset_job_bookmark(JobName="new")
print("runs: ok")
