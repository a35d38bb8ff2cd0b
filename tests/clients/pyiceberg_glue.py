"""PyIceberg's GlueCatalog over a warehouse of local files: what a table's life consists of, and racing commits.

Usage: pyiceberg_glue.py ENDPOINT
"""

import os
import pathlib
import sys
import tempfile
import threading

import boto3
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import LongType, StringType

os.environ.update(AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any", AWS_DEFAULT_REGION="us-east-1")
os.environ["AWS_ENDPOINT_URL_GLUE"] = sys.argv[1]
glue = boto3.client("glue")
warehouse = tempfile.TemporaryDirectory()
path = pathlib.Path(warehouse.name)


def open_catalog(**options):
    return load_catalog(
        "glue",
        **{"type": "glue", "warehouse": f"file://{path}", "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO", **options},
    )


catalog = open_catalog()
ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "region": ["eu", "us", "eu"]})


def raises(kind, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected")


def parameters(name, database="ice"):
    return glue.get_table(DatabaseName=database, Name=name)["Table"]["Parameters"]


def namespaces():
    catalog.create_namespace("ice", {"location": f"file://{path}/ice", "Description": "cold", "owner": "me"})
    raises(NamespaceAlreadyExistsError, catalog.create_namespace, "ICE")
    catalog.create_namespace_if_not_exists("ice")
    catalog.create_namespace("other")
    assert catalog.list_namespaces() == [("ice",), ("other",)]
    assert catalog.namespace_exists("ice") and not catalog.namespace_exists("none")
    found = catalog.load_namespace_properties("ice")
    assert found == {"location": f"file://{path}/ice", "Description": "cold", "owner": "me"}, found
    summary = catalog.update_namespace_properties("ice", removals={"owner", "none"}, updates={"team": "a"})
    assert summary.removed == ["owner"] and summary.updated == ["team"] and summary.missing == ["none"], summary
    assert catalog.load_namespace_properties("ice") == {
        "location": f"file://{path}/ice",
        "Description": "cold",
        "team": "a",
    }
    raises(NoSuchNamespaceError, catalog.load_namespace_properties, "none")
    raises(NoSuchNamespaceError, catalog.list_tables, "none")
    raises(NoSuchNamespaceError, catalog.create_table, "none.t", schema=ROWS.schema)


def create_append_read():
    table = catalog.create_table("ice.events", schema=ROWS.schema, properties={"owner": "me"})
    raises(TableAlreadyExistsError, catalog.create_table, "ice.events", schema=ROWS.schema)
    first = parameters("events")
    assert first["table_type"] == "ICEBERG" and "previous_metadata_location" not in first, first
    table.append(ROWS)
    assert catalog.load_table("ice.events").scan().to_arrow().to_pydict() == ROWS.to_pydict()
    second = parameters("events")
    assert second["previous_metadata_location"] == first["metadata_location"] != second["metadata_location"], second
    assert second["metadata_location"] == table.metadata_location
    found = glue.get_table(DatabaseName="ice", Name="events")["Table"]
    assert found["TableType"] == "EXTERNAL_TABLE" and found["VersionId"] == "1", found
    columns = found["StorageDescriptor"]["Columns"]
    assert columns[0]["Type"] == "bigint" and columns[0]["Parameters"]["iceberg.field.current"] == "true", columns
    # It skips the archive unless told otherwise: no version is kept.
    versions = lambda: [v["VersionId"] for v in glue.get_table_versions(DatabaseName="ice", TableName="events")["TableVersions"]]
    assert versions() == ["1"]
    open_catalog(**{"glue.skip-archive": "false"}).load_table("ice.events").append(ROWS)
    assert versions() == ["2", "1"]
    table.refresh().overwrite(ROWS)
    assert table.scan(row_filter="region = 'eu'").to_arrow()["id"].to_pylist() == [1, 3]
    table.delete("id = 2")
    assert table.scan().to_arrow()["id"].to_pylist() == [1, 3]
    assert len(table.history()) == 5 or len(table.snapshots()) >= 4


def a_stale_table_cannot_commit():
    # PyIceberg tries again by itself unless the table says otherwise.
    with catalog.load_table("ice.events").transaction() as transaction:
        transaction.set_properties({"commit.retry.num-retries": "0"})
    mine, theirs = catalog.load_table("ice.events"), catalog.load_table("ice.events")
    theirs.append(ROWS)
    raises(CommitFailedException, mine.append, ROWS)
    mine.refresh().append(ROWS)
    with catalog.load_table("ice.events").transaction() as transaction:
        transaction.remove_properties("commit.retry.num-retries")
    mine = catalog.load_table("ice.events")
    catalog.load_table("ice.events").append(ROWS)
    mine.append(ROWS)
    # A stale version number is what decides when two have looked at the same time.
    table = glue.get_table(DatabaseName="ice", Name="events")["Table"]
    definition = {key: table[key] for key in ["Name", "TableType", "Parameters", "StorageDescriptor"]}
    stale = str(int(table["VersionId"]) - 1)
    raises(
        glue.exceptions.ConcurrentModificationException,
        glue.update_table,
        DatabaseName="ice",
        TableInput=definition,
        VersionId=stale,
    )


def racing_commits():
    """Every append survives, however many lose a round."""
    threads_count, appends, lost = 8, 3, []
    catalog.create_table("ice.raced", schema=ROWS.schema)
    start = threading.Barrier(threads_count)
    failures = []

    def write(number):
        own = open_catalog()
        start.wait()
        for append in range(appends):
            row = pa.table({"id": pa.array([number * appends + append], pa.int64()), "region": ["x"]})
            while True:
                try:
                    own.load_table("ice.raced").append(row)
                    break
                except CommitFailedException:
                    lost.append(1)

    def guarded(number):
        try:
            write(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(threads_count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures, failures
    table = catalog.load_table("ice.raced")
    ids = sorted(table.scan().to_arrow()["id"].to_pylist())
    assert ids == list(range(threads_count * appends)), ids
    assert len(table.snapshots()) == threads_count * appends
    version = glue.get_table(DatabaseName="ice", Name="raced")["Table"]["VersionId"]
    assert int(version) == threads_count * appends, version
    print(f"   {threads_count * appends} commits by {threads_count} threads, {len(lost)} lost all of their own retries")


def schema_and_partitions_evolve():
    table = catalog.load_table("ice.events")
    with table.update_schema() as update:
        update.add_column("note", StringType(), doc="free text")
        update.rename_column("region", "area")
        update.add_column("count", LongType())
    with table.update_schema() as update:
        update.delete_column("count")
        update.make_column_optional("id")
    assert [field.name for field in catalog.load_table("ice.events").schema().fields] == ["id", "area", "note"]
    columns = glue.get_table(DatabaseName="ice", Name="events")["Table"]["StorageDescriptor"]["Columns"]
    current = {c["Name"]: c["Parameters"]["iceberg.field.current"] for c in columns}
    assert current == {"id": "true", "area": "true", "note": "true", "region": "false", "count": "false"}, current
    assert {c["Name"]: c.get("Comment") for c in columns}["note"] == "free text"
    with table.update_spec() as update:
        update.add_field("area", IdentityTransform(), "by_area")
        update.add_field("id", BucketTransform(4), "by_id")
    with table.update_spec() as update:
        update.remove_field("by_id")
    before = table.scan().to_arrow().num_rows
    more = {"id": pa.array([9], pa.int64()), "area": ["asia"], "note": ["n"]}
    table.append(pa.table(more))
    assert [f.name for f in table.spec().fields] == ["by_area"]
    again = catalog.load_table("ice.events")
    assert again.scan().to_arrow().num_rows == before + 1
    assert again.scan(row_filter="area = 'asia'").to_arrow()["note"].to_pylist() == ["n"]
    with table.transaction() as transaction:
        transaction.set_properties({"history.expire.max-snapshot-age-ms": "1000", "gone": "soon"})
        transaction.remove_properties("gone")
    assert catalog.load_table("ice.events").properties["history.expire.max-snapshot-age-ms"] == "1000"
    assert parameters("events")["history.expire.max-snapshot-age-ms"] == "1000"
    with table.manage_snapshots() as snapshots:
        snapshots.create_tag(table.current_snapshot().snapshot_id, "kept")
    assert "kept" in catalog.load_table("ice.events").refs()


def rename_register_list_drop():
    raises(NoSuchTableError, catalog.rename_table, "ice.none", "ice.other")
    raises(NoSuchNamespaceError, catalog.rename_table, "ice.raced", "none.raced")
    raises(TableAlreadyExistsError, catalog.rename_table, "ice.raced", "ice.events")
    renamed = catalog.rename_table("ice.raced", "other.Run")
    assert renamed.scan().to_arrow().num_rows == 24
    assert not catalog.table_exists("ice.raced") and catalog.table_exists("other.run")
    glue.create_table(DatabaseName="ice", TableInput={"Name": "plain", "Parameters": {"a": "b"}})
    assert catalog.list_tables("ice") == [("ice", "events")]
    raises(Exception, catalog.load_table, "ice.plain")
    location = catalog.load_table("other.run").metadata_location
    catalog.drop_table("other.run")
    raises(NoSuchTableError, catalog.load_table, "other.run")
    raises(NoSuchTableError, catalog.drop_table, "other.run")
    # The files stay when a table is dropped, so it can be registered again.
    back = catalog.register_table("ice.back", location)
    assert back.scan().to_arrow().num_rows == 24
    raises(TableAlreadyExistsError, catalog.register_table, "ice.back", location)
    back.append(ROWS.rename_columns(["id", "region"]))
    assert parameters("back")["previous_metadata_location"] == location
    raises(NamespaceNotEmptyError, catalog.drop_namespace, "ice")
    files = list(path.glob("**/*.parquet"))
    assert files
    for name in ["ice.back", "ice.events"]:
        catalog.purge_table(name)
    assert not catalog.table_exists("ice.events") and len(list(path.glob("**/*.parquet"))) < len(files)
    glue.delete_table(DatabaseName="ice", Name="plain")
    with catalog.create_table_transaction("ice.staged", schema=ROWS.schema) as transaction:
        transaction.set_properties({"made": "at once"})
        assert not catalog.table_exists("ice.staged")
    assert parameters("staged")["made"] == "at once"
    catalog.drop_table("ice.staged")
    for name in ["ice", "other"]:
        catalog.drop_namespace(name)
    assert catalog.list_namespaces() == []


def many_tables_are_listed_whole():
    catalog.create_namespace("many")
    names = [f"t{number:03}" for number in range(150)]
    for name in names:
        glue.create_table(DatabaseName="many", TableInput={"Name": name, "Parameters": {"table_type": "iceberg"}})
    assert catalog.list_tables("many") == [("many", name) for name in names]
    glue.delete_database(Name="many")


for step in [
    namespaces,
    create_append_read,
    a_stale_table_cannot_commit,
    racing_commits,
    schema_and_partitions_evolve,
    rename_register_list_drop,
    many_tables_are_listed_whole,
]:
    step()
    print("ok", step.__name__)
