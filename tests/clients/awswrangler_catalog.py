"""Every function of awswrangler's `catalog` module that talks to Glue only, set up by environment variables alone.

Usage: awswrangler_catalog.py ENDPOINT

`get_connection` is left out: connections have a script of their own. No function of the module reads or writes S3.
"""

import os
import sys

os.environ.update(
    AWS_ENDPOINT_URL_GLUE=sys.argv[1],
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="any",
    AWS_SECRET_ACCESS_KEY="any",
)

import awswrangler as wr  # noqa: E402  (reads the variables above)
import boto3  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

catalog = wr.catalog
TYPES = {"id": "bigint", "price": "decimal(10,2)", "tags": "array<string>", "inner": "struct<a:int,b:string>"}
KEYS = {"year": "int", "region": "string"}


def databases():
    for name in ["wrangler", "wrangler_b"]:
        catalog.create_database(name, description=f"of {name}", database_input_args={"LocationUri": "s3://b/w/"})
    # Creating it again is an error that the flag turns into an update.
    try:
        catalog.create_database("wrangler")
        raise AssertionError("the database exists")
    except wr.exceptions.AlreadyExists:
        pass
    catalog.create_database("wrangler", description="again", exist_ok=True)
    found = {d["Name"]: d for d in catalog.get_databases()}
    assert found["wrangler"]["Description"] == "again", found
    frame = catalog.databases(limit=10)
    assert list(frame["Database"]) == ["wrangler", "wrangler_b"], frame
    assert list(frame["Description"]) == ["again", "of wrangler_b"], frame
    assert len(catalog.databases(limit=1)) == 1
    catalog.delete_database("wrangler_b")
    assert [d["Name"] for d in catalog.get_databases()] == ["wrangler"]


def tables_of_every_format():
    common = {"database": "wrangler", "partitions_types": KEYS}
    catalog.create_parquet_table(
        table="events",
        path="s3://b/events/",
        columns_types=TYPES,
        description="what happened",
        parameters={"source": "clicks"},
        columns_comments={"id": "the key", "year": "of the event"},
        columns_parameters={"id": {"pii": "no"}},
        compression="snappy",
        **common,
    )
    catalog.create_csv_table(table="lines", path="s3://b/lines/", columns_types={"a": "string"}, sep="|", **common)
    catalog.create_json_table(table="objects", path="s3://b/objects/", columns_types={"a": "string"}, **common)
    catalog.create_orc_table(table="stripes", path="s3://b/stripes/", columns_types={"a": "string"}, **common)
    catalog.create_parquet_table(
        database="wrangler",
        table="projected",
        path="s3://b/projected/",
        columns_types={"a": "string"},
        partitions_types={"day": "date"},
        athena_partition_projection_settings={
            "projection_types": {"day": "date"},
            "projection_ranges": {"day": "2020-01-01,NOW"},
        },
    )
    assert catalog.does_table_exist("wrangler", "events") and not catalog.does_table_exist("wrangler", "none")
    assert catalog.get_table_types("wrangler", "events") == {**TYPES, **KEYS}
    assert catalog.get_table_types("wrangler", "none") is None
    assert catalog.get_table_location("wrangler", "events") == "s3://b/events/"
    assert catalog.get_table_description("wrangler", "events") == "what happened"
    assert catalog.get_columns_comments("wrangler", "events")["id"] == "the key"
    assert catalog.get_columns_comments("wrangler", "events")["year"] == "of the event"
    assert catalog.get_columns_parameters("wrangler", "events")["id"] == {"pii": "no"}
    assert catalog.get_table_parameters("wrangler", "projected")["projection.day.range"] == "2020-01-01,NOW"
    details = catalog.table("wrangler", "events").set_index("Column Name")
    assert details.loc["price", "Type"] == "decimal(10,2)", details
    assert list(details[details["Partition"]].index) == ["year", "region"], details
    assert catalog._get_table_input("wrangler", "events", None)["StorageDescriptor"]["Compressed"] is True


def lists_and_searches():
    names = lambda **options: [t["Name"] for t in catalog.get_tables(database="wrangler", **options)]
    assert names() == ["events", "lines", "objects", "projected", "stripes"]
    # awswrangler writes stars for any characters, as Hive does.
    assert names(name_prefix="st") == ["stripes"]
    assert names(name_suffix="s") == ["events", "lines", "objects", "stripes"]
    assert names(name_contains="ject") == ["objects", "projected"]
    assert names(name_prefix="o", name_suffix="s") == ["objects"]
    assert [t["Name"] for t in catalog.get_tables()] == names()
    frame = catalog.tables(database="wrangler", limit=2)
    assert list(frame["Table"]) == ["events", "lines"] and list(frame["Columns"])[1] == "a", frame
    assert list(frame["Partitions"]) == ["year, region"] * 2, frame
    assert [t["Name"] for t in catalog.search_tables(text="happened")] == ["events"]
    assert list(catalog.tables(search_text="clicks", database="wrangler")["Table"]) == ["events"]


def partitions():
    paths = {f"s3://b/events/{n}/": [str(2000 + n), "eu" if n % 2 else "us"] for n in range(230)}
    # Three requests of at most a hundred; what exists already is no error.
    for _ in range(2):
        catalog.add_parquet_partitions("wrangler", "events", paths, compression="snappy", columns_types=TYPES)
    assert catalog.get_partitions("wrangler", "events") == paths
    some = catalog.get_parquet_partitions("wrangler", "events", expression="year >= 2010 AND year < 2014 AND region='us'")
    assert list(some.values()) == [["2010", "us"], ["2012", "us"]], some
    assert catalog.get_partitions("wrangler", "events", expression="year = '2229' OR region IN ('none')") == {
        "s3://b/events/229/": ["2229", "eu"]
    }
    catalog.add_csv_partitions("wrangler", "lines", {"s3://b/lines/1/": ["1", "x"]}, sep="|")
    catalog.add_json_partitions("wrangler", "objects", {"s3://b/objects/1/": ["1", "x"]})
    catalog.add_orc_partitions("wrangler", "stripes", {"s3://b/stripes/1/": ["1", "x"]})
    assert catalog.get_csv_partitions("wrangler", "lines") == {"s3://b/lines/1/": ["1", "x"]}
    for table in ["objects", "stripes"]:
        assert list(catalog.get_partitions("wrangler", table).values()) == [["1", "x"]]
    catalog.delete_partitions(table="events", database="wrangler", partitions_values=list(paths.values())[:30])
    assert len(catalog.get_partitions("wrangler", "events")) == 200
    assert len(catalog.delete_all_partitions(table="events", database="wrangler")) == 200
    assert catalog.get_partitions("wrangler", "events") == {}


def changes_and_versions():
    versions = lambda: sorted(int(v["VersionId"]) for v in catalog.get_table_versions("wrangler", "events"))
    before = catalog.get_table_number_of_versions("wrangler", "events")
    assert before == len(versions()) == 1
    merged = catalog.upsert_table_parameters({"owner": "me"}, "wrangler", "events", catalog_versioning=True)
    assert merged["owner"] == "me" and merged["source"] == "clicks", merged
    # What is there already writes nothing.
    catalog.upsert_table_parameters({"owner": "me"}, "wrangler", "events", catalog_versioning=True)
    assert versions() == [0, 1]
    catalog.overwrite_table_parameters({"only": "this"}, "wrangler", "events", catalog_versioning=False)
    assert catalog.get_table_parameters("wrangler", "events") == {"only": "this"}
    assert versions() == [0, 2], versions()
    catalog.add_column("wrangler", "events", "note", "string", "free text")
    assert catalog.get_table_types("wrangler", "events")["note"] == "string"
    catalog.delete_column("wrangler", "events", "note")
    assert "note" not in catalog.get_table_types("wrangler", "events")
    assert versions() == [0, 2, 3, 4]
    # Overwriting a table that exists is an update; appending to it with other comments is one, too.
    catalog.create_parquet_table("wrangler", "events", "s3://b/other/", {"id": "bigint"}, mode="overwrite")
    assert catalog.get_table_location("wrangler", "events") == "s3://b/other/"
    catalog.create_parquet_table(
        "wrangler", "events", "s3://b/other/", {"id": "bigint", "more": "int"}, mode="append", description="longer"
    )
    assert catalog.get_table_types("wrangler", "events") == {"id": "bigint", "more": "int"}
    assert catalog.get_table_description("wrangler", "events") == "longer"


def names_are_made_fit():
    assert catalog.sanitize_table_name("My Table!") == "my_table_"
    assert catalog.sanitize_column_name("MyColumn") == "mycolumn"
    import pandas

    frame = pandas.DataFrame([[1, 2, 3]], columns=["A", "a", "b"])
    assert list(catalog.drop_duplicated_columns(catalog.sanitize_dataframe_columns_names(frame)).columns) == ["a", "b"]
    columns, keys = catalog.extract_athena_types(pandas.DataFrame({"n": [1], "s": ["x"]}), partition_cols=["s"])
    catalog.create_parquet_table("wrangler", "My Table!", "s3://b/mine/", columns, partitions_types=keys)
    assert catalog.get_table_types("wrangler", "my_table_") == {"n": "bigint", "s": "string"}


def the_end():
    assert catalog.delete_table_if_exists("wrangler", "stripes") is True
    assert catalog.delete_table_if_exists("wrangler", "stripes") is False
    catalog.delete_database("wrangler")
    assert list(catalog.get_databases()) == []
    try:
        catalog.delete_database("wrangler")
        raise AssertionError("the database is gone")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "EntityNotFoundException", error


def its_own_setting_for_the_endpoint():
    del os.environ["AWS_ENDPOINT_URL_GLUE"]
    wr.config.glue_endpoint_url = sys.argv[1]
    boto3.setup_default_session()
    catalog.create_database("by_setting")
    assert list(catalog.databases()["Database"]) == ["by_setting"]
    catalog.delete_database("by_setting")


for step in [
    databases,
    tables_of_every_format,
    lists_and_searches,
    partitions,
    changes_and_versions,
    names_are_made_fit,
    the_end,
    its_own_setting_for_the_endpoint,
]:
    step()
    print("ok", step.__name__)
