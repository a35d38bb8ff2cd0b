"""A task of a DAG that runs a job by Airflow's GlueJobOperator, executed as a worker of Airflow does: in a process of its
own, without a scheduler and a database. Its connection comes from the environment, its log is what the process prints.

Usage: airflow_glue.py ENDPOINT FOLDER, a folder that the server may read and write
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

endpoint, lake = sys.argv[1], pathlib.Path(sys.argv[2])


class TaskInstance:
    """What the operator asks of its task instance."""

    dag_id, task_id, run_id, map_index, try_number = "lake", "load", "manual", -1, 1

    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value, **_):
        self.pushed[key] = value

    def xcom_pull(self, key=None, **_):
        return self.pushed.get(key)


def nodes(source):
    return {
        "in": {"S3CsvSource": {"Name": "in", "Paths": [str(lake / source)], "Separator": "comma", "QuoteChar": "quote", "WithHeader": True}},
        "out": {"S3GlueParquetTarget": {"Name": "out", "Inputs": ["in"], "Path": str(lake / "out")}},
    }


def work():
    """What a worker does: three tasks, the last of which fails."""
    from airflow.providers.amazon.aws.hooks.glue import GlueJobHook
    from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
    from airflow.sdk import DAG

    def task(name, source):
        return GlueJobOperator(
            task_id=name,
            job_name=name,
            script_location="s3://bucket/script.py",
            iam_role_arn="arn:aws:iam::000000000000:role/lake",
            create_job_kwargs={"CodeGenConfigurationNodes": nodes(source)},
            verbose=True,
            durable=False,
            job_poll_interval=0.2,
        )

    with DAG(dag_id="lake"):
        load, broken = task("load", "airflow"), task("broken", "nowhere")
    ti = TaskInstance()
    run = load.execute({"ti": ti})
    assert run.startswith("jr_") and ti.pushed["glue_job_run_id"] == run, ti.pushed
    state = GlueJobHook(job_name="load").get_job_state("load", run)
    assert state == "SUCCEEDED", state
    # The job is there now.
    assert load.execute({"ti": TaskInstance()}) != run
    print(f"== broken {run}", flush=True)
    broken.execute({"ti": TaskInstance()})


if len(sys.argv) > 3:
    work()
    sys.exit("the task should have failed")

(lake / "airflow").mkdir()
(lake / "airflow" / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(10)))
connection = {"conn_type": "aws", "login": "any", "password": "any password", "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"}}
with tempfile.TemporaryDirectory() as home:
    environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}
    worker = subprocess.run([sys.executable, __file__, endpoint, lake, "work"], env=environment, text=True, capture_output=True)
said = worker.stdout + worker.stderr
assert worker.returncode == 1 and "\n== broken " in worker.stdout, said
loaded, failed = worker.stdout.split("\n== broken ")
run = failed.split()[0]

# The log of the run is in the task's, each line once, however often it was asked for.
assert loaded.count(f"run {run} of job load begins, attempt 0") == 1, said
assert loaded.count(f"run {run} succeeded after") == 1, said
assert loaded.count('node "in" (S3CsvSource): 0 rows in, 10 rows out') == 2, said
assert list((lake / "out").glob("part-*.parquet"))

# A failure is the task's, and its log says why.
assert "Exiting Job" in worker.stderr and "FAILED" in worker.stderr, said
assert "nowhere" in failed, said
print("airflow: ok")
