"""Tables of the catalog that runs write to and register, through boto3.

Usage: boto3_tables.py ENDPOINT FOLDER, a folder that the server may read and write
"""

import pathlib
import sys
import time

from support import client, fails

glue = client()
lake = pathlib.Path(sys.argv[2])


def run(name, source, query, target, expected="SUCCEEDED", **more):
    """Runs a job once; answers its run."""
    read = {"Name": "in", "Paths": [str(lake / source)], "Separator": "comma", "QuoteChar": "quote", "WithHeader": True, **more}
    graph = {
        "in": {"S3CsvSource": read},
        "sql": {"SparkSQL": {"Name": "sql", "Inputs": ["in"], "SqlQuery": query, "SqlAliases": [{"From": "in", "Alias": "t"}]}},
        "out": target,
    }
    glue.create_job(Name=name, Role="role", Command={"Name": "glueetl"}, CodeGenConfigurationNodes=graph)
    started = glue.start_job_run(JobName=name)["JobRunId"]
    for _ in range(3000):
        found = glue.get_job_run(JobName=name, RunId=started)["JobRun"]
        if found["JobRunState"] in ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"):
            assert found["JobRunState"] == expected, found
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def registered(behavior, keys=(["year"],), path="sales", table="sales"):
    policy = {"EnableUpdateCatalog": True, "UpdateBehavior": behavior, "Database": "d", "Table": table}
    return {"S3GlueParquetTarget": {
        "Name": "out", "Inputs": ["sql"], "Path": str(lake / path), "PartitionKeys": list(keys), "SchemaChangePolicy": policy,
    }}


def table_target(kind="CatalogTarget", table="sales", **policy):
    members = {"Name": "out", "Inputs": ["sql"], "Database": "d", "Table": table}
    return {kind: {**members, "SchemaChangePolicy": policy} if policy else members}


def columns(table="sales"):
    return [column["Name"] for column in glue.get_table(DatabaseName="d", Name=table)["Table"]["StorageDescriptor"]["Columns"]]


def partitions(table="sales"):
    found = glue.get_partitions(DatabaseName="d", TableName=table)["Partitions"]
    return {tuple(partition["Values"]): partition["StorageDescriptor"]["Location"] for partition in found}


def version():
    return glue.get_table(DatabaseName="d", Name="sales")["Table"]["VersionId"]


def place(year):
    return str(lake / f"sales/year={year}")


(lake / "in").mkdir()
(lake / "in" / "a.csv").write_text("id,year,amount\n1,2024,10\n2,2025,20\n")

# PartitionKeys with a table to register: the table and its partitions are there with the success.
run("first", "in", "select id, year from t", registered("UPDATE_IN_DATABASE"))
assert columns() == ["id"] and version() == "0"
assert partitions() == {("2024",): place(2024), ("2025",): place(2025)}, partitions()

# UPDATE_IN_DATABASE: what is not there yet is added.
run("more", "in", "select id, 2026 as year, amount from t", registered("UPDATE_IN_DATABASE"))
assert columns() == ["id", "amount"] and version() == "1"
assert partitions()["2026",] == place(2026) and len(partitions()) == 3

# LOG: partitions, and the definition stays.
run("log", "in", "select id, 2027 as year, 'x' as extra from t", registered("LOG"))
assert columns() == ["id", "amount"] and version() == "1"
assert len(partitions()) == 4

# Another type ends the run before anything is written.
said = run("type", "in", "select 'x' as id, 2028 as year from t", registered("UPDATE_IN_DATABASE"), "FAILED")["ErrorMessage"]
assert '"id" is string here and bigint in table "sales"' in said, said
assert not (lake / "sales/year=2028").exists() and len(partitions()) == 4

# Targets that are tables.
run("table", "in", "select id, amount, 2029 as year from t", table_target())
assert partitions()["2029",] == place(2029) and version() == "1"
said = run("unknown", "in", "select id, 1 as more, 2030 as year from t", table_target(), "FAILED")["ErrorMessage"]
assert 'no column "more"' in said, said
run("s3table", "in", "select id, 1 as more, 2030 as year from t", table_target("S3CatalogTarget", EnableUpdateCatalog=True))
assert columns() == ["id", "amount", "more"] and version() == "2"
assert partitions()["2030",] == place(2030)
said = run("missing", "in", "select id from t", table_target(table="nothing"), "FAILED")["ErrorMessage"]
assert "nothing" in said, said
fails("EntityNotFoundException", glue.get_table, DatabaseName="d", Name="nothing")

# A table without partitions, which lies where somebody said.
(lake / "flat").mkdir()
glue.create_table(DatabaseName="d", TableInput={
    "Name": "flat", "Parameters": {"classification": "csv", "skip.header.line.count": "1"},
    "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": f"file://{lake}/flat"},
})
run("flat", "in", "select id from t", table_target(table="flat"))
run("flat again", "in", "select id from t", table_target("S3CatalogTarget", table="flat", EnableUpdateCatalog=True, UpdateBehavior="LOG"))
assert len(list((lake / "flat").glob("part-*.csv"))) == 2
table = glue.get_table(DatabaseName="d", Name="flat")["Table"]
assert table["StorageDescriptor"]["Location"] == f"file://{lake}/flat" and table["VersionId"] == "0", table

# Exclusions by whole paths, alone and as Glue's list in a text.
(lake / "in" / "b.csv").write_text("id,year,amount\n3,2024,30\n")
(lake / "in" / "c.csv").write_text("id,year,amount\n4,2024,40\n")
excluded = [f"{lake}/in/b*", f'["{lake}/in/c.csv"]']
done = run("some", "in", "select id from t", registered("LOG", (), "some", "some"), Exclusions=excluded)
assert "in: 2 rows" in done["StateDetail"], done
print("tables: ok")
