"""Runs that find out column statistics, their settings and schedules, through boto3.

Usage: boto3_statistics_tasks.py ENDPOINT

What a run finds out is scripted by the table's parameter `script`; see the tests' `Scripted`.
"""

import time

from support import client, fails

glue = client()
D = "runs"
glue.create_database(DatabaseInput={"Name": D})


def create(name, script=""):
    columns = [{"Name": name, "Type": "string"} for name in ("a", "b")]
    table = {"Name": name, "StorageDescriptor": {"Columns": columns}, "Parameters": {"script": script}}
    glue.create_table(DatabaseName=D, TableInput=table)
    return {"DatabaseName": D, "TableName": name}


def start(of, **more):
    # Lists are in the order of the starts, to the millisecond.
    time.sleep(0.002)
    return glue.start_column_statistics_task_run(**of, Role="role", **more)["ColumnStatisticsTaskRunId"]


def get(run):
    return glue.get_column_statistics_task_run(ColumnStatisticsTaskRunId=run)["ColumnStatisticsTaskRun"]


def until(run, *statuses):
    for _ in range(6000):
        found = get(run)
        if found["Status"] in statuses:
            return found
        time.sleep(0.01)
    raise AssertionError(found)


def statistics(of, *columns):
    found = glue.get_column_statistics_for_table(**of, ColumnNames=list(columns))["ColumnStatisticsList"]
    return {s["ColumnName"]: s["StatisticsData"]["StringColumnStatisticsData"]["MaximumLength"] for s in found}


# A run to its end.
t = create("t")
first = start({**t, "TableName": "T"}, ColumnNameList=["b"], SampleSize=12.5, SecurityConfiguration="s")
run = until(first, "SUCCEEDED")
expected = {
    "CustomerId": "000000000000",
    "ColumnStatisticsTaskRunId": first,
    "DatabaseName": D,
    "TableName": "t",
    "ColumnNameList": ["b"],
    "CatalogID": "000000000000",
    "Role": "role",
    "SampleSize": 12.5,
    "SecurityConfiguration": "s",
    "ComputationType": "FULL",
    "Status": "SUCCEEDED",
}
assert {name: run.get(name) for name in expected} == expected, run
assert run["CreationTime"] <= run["StartTime"] <= run["EndTime"] == run["LastUpdated"], run
assert statistics(t, "a", "b") == {"b": 12}
second = start(t)
until(second, "SUCCEEDED")
assert statistics(t, "a", "b") == {"a": 100, "b": 100}

# Ends that are none of success.
failed = until(start(create("broken", "fail")), "FAILED")
assert failed["ErrorMessage"] == "t.csv:3:2: expected a number", failed
message = fails("AccessDeniedException", start, of=create("closed", "refuse"))
assert message == "account 000000000000 may read nothing", message

# One run of a table at a time, and stopping.
endless = create("endless", "wait")
stop = glue.stop_column_statistics_task_run
fails("ColumnStatisticsTaskNotRunningException", stop, **endless)
running = start(endless)
until(running, "RUNNING")
message = fails("ColumnStatisticsTaskRunningException", start, of=endless)
assert running in message, message
began = time.monotonic()
stop(**endless)
assert get(running)["Status"] == "STOPPED"
assert time.monotonic() - began < 30
fails("ColumnStatisticsTaskNotRunningException", stop, **endless)
# Its place is free.
until(start(t), "SUCCEEDED")

# Lists.
runs = []
for _ in range(5):
    runs.insert(0, start(endless))
    stop(**endless)
ids, token = [], {}
while True:
    page = glue.get_column_statistics_task_runs(**endless, MaxResults=2, **token)
    ids += [run["ColumnStatisticsTaskRunId"] for run in page["ColumnStatisticsTaskRuns"]]
    if "NextToken" not in page:
        break
    token = {"NextToken": page["NextToken"]}
assert ids == [*runs, running], ids
everything, token = [], {}
while True:
    page = glue.list_column_statistics_task_runs(MaxResults=3, **token)
    everything += page["ColumnStatisticsTaskRunIds"]
    if "NextToken" not in page:
        break
    token = {"NextToken": page["NextToken"]}
assert everything[:5] == runs and everything[-2:] == [second, first], everything
assert len(everything) == len(set(everything)) == 10, everything

# What is refused.
none = {"DatabaseName": D, "TableName": "none"}
fails("EntityNotFoundException", start, of=none)
fails("EntityNotFoundException", stop, **none)
fails("EntityNotFoundException", get, run="0" * 8)
fails("EntityNotFoundException", start, of=t, CatalogID="999999999999")
fails("InvalidInputException", start, of=t, ColumnNameList=["none"])
fails("InvalidInputException", start, of=t, SampleSize=0)
fails("ValidationException", start, of=t, SampleSize=100.5)
fails("InvalidInputException", glue.list_column_statistics_task_runs, NextToken="mine")

# Settings and schedules.
settings = lambda of=t: glue.get_column_statistics_task_settings(**of)["ColumnStatisticsTaskSettings"]
create_settings, update = glue.create_column_statistics_task_settings, glue.update_column_statistics_task_settings
fails("EntityNotFoundException", settings)
fails("EntityNotFoundException", update, **t, Role="other")
fails("InvalidInputException", create_settings, **t, Role="r", Schedule="daily")
fails("InvalidInputException", create_settings, **t, Role="r", Schedule="cron(0 0 1 1 * 2020)")
create_settings(**t, Role="r", Schedule="cron(0 4 * * ? *)", ColumnNameList=["a"], SampleSize=50, Tags={"team": "sales"})
fails("AlreadyExistsException", create_settings, **t, Role="r")
fails("EntityNotFoundException", create_settings, **none, Role="r")
expected = {
    "DatabaseName": D,
    "TableName": "t",
    "Schedule": {"ScheduleExpression": "cron(0 4 * * ? *)", "State": "SCHEDULED"},
    "ColumnNameList": ["a"],
    "CatalogID": "000000000000",
    "Role": "r",
    "SampleSize": 50.0,
    "ScheduleType": "CRON",
    "SettingSource": "TABLE",
}
assert settings() == expected, settings()
glue.stop_column_statistics_task_run_schedule(**t)
update(**t, Schedule="cron(0/5 8-17 ? * MON-FRI *)")
changed = {"ScheduleExpression": "cron(0/5 8-17 ? * MON-FRI *)", "State": "NOT_SCHEDULED"}
assert settings() == {**expected, "Schedule": changed}, settings()
glue.start_column_statistics_task_run_schedule(**t)
assert settings()["Schedule"]["State"] == "SCHEDULED"
update(**t, Schedule="")
assert "Schedule" not in settings()
fails("InvalidInputException", glue.start_column_statistics_task_run_schedule, **t)
glue.delete_column_statistics_task_settings(**t)
fails("EntityNotFoundException", glue.delete_column_statistics_task_settings, **t)
fails("EntityNotFoundException", glue.start_column_statistics_task_run_schedule, **t)

# A table created again never meets its past; what ran stays known by its id.
create_settings(**t, Role="r")
glue.delete_table(DatabaseName=D, Name="t")
create("t")
assert glue.get_column_statistics_task_runs(**t)["ColumnStatisticsTaskRuns"] == []
fails("EntityNotFoundException", settings)
assert get(first)["Status"] == "SUCCEEDED"
glue.delete_database(Name=D)
print("ok statistics tasks")
