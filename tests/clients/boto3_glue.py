"""Every supported operation of Glue through boto3, its paginators and its declared errors.

Usage: boto3_glue.py ENDPOINT
"""

import threading

from botocore.exceptions import ClientError
from support import client, fails

glue = client(max_pool_connections=40)


def databases():
    for name in ["Sales", "b", "c"]:
        glue.create_database(DatabaseInput={"Name": name, "Description": name, "Parameters": {"k": "v"}})
    fails("AlreadyExistsException", glue.create_database, DatabaseInput={"Name": "SALES"})
    database = glue.get_database(Name="SALES")["Database"]
    assert database["Name"] == "sales" and database["CatalogId"] == "000000000000", database
    assert database["CreateTime"].year > 2000
    pages = list(glue.get_paginator("get_databases").paginate(PaginationConfig={"PageSize": 1}))
    assert [d["Name"] for page in pages for d in page["DatabaseList"]] == ["b", "c", "sales"]
    assert "NextToken" not in pages[-1]
    only = glue.get_databases(AttributesToGet=["NAME"])["DatabaseList"]
    assert only == [{"Name": n} for n in ["b", "c", "sales"]], only
    glue.update_database(Name="b", DatabaseInput={"Name": "b"})
    assert "Description" not in glue.get_database(Name="b")["Database"]
    glue.delete_database(Name="b")
    fails("EntityNotFoundException", glue.get_database, Name="b")
    fails("EntityNotFoundException", glue.get_database, Name="c", CatalogId="999999999999")


def refused_requests():
    text = fails("ValidationException", glue.create_database, DatabaseInput={"Name": ""})
    assert text == (
        "1 validation error detected: Value '' at 'databaseInput.name' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    ), text
    fails("ValidationException", glue.get_tables, DatabaseName="sales", MaxResults=101)
    fails("InvalidInputException", glue.get_databases, NextToken="00" * 20)
    fails("UnknownOperationException", glue.list_crawlers)
    too_many = [{"Values": [str(n)]} for n in range(26)]
    fails("ValidationException", glue.batch_delete_partition, DatabaseName="sales", TableName="t", PartitionsToDelete=too_many)


def table(name, **more):
    columns = [{"Name": "id", "Type": "bigint"}, {"Name": "note", "Type": "string", "Comment": "free"}]
    return {"Name": name, "StorageDescriptor": {"Columns": columns, "Location": f"s3://b/{name}"}, **more}


def tables():
    for name in ["Orders", "orders_old", "parts"]:
        glue.create_table(DatabaseName="sales", TableInput=table(name, Owner="me", TableType="EXTERNAL_TABLE"))
    fails("AlreadyExistsException", glue.create_table, DatabaseName="sales", TableInput=table("ORDERS"))
    fails("EntityNotFoundException", glue.create_table, DatabaseName="none", TableInput=table("t"))
    found = glue.get_table(DatabaseName="Sales", Name="Orders")["Table"]
    assert (found["Name"], found["VersionId"], found["Retention"]) == ("orders", "0", 0), found
    pages = glue.get_paginator("get_tables").paginate(DatabaseName="sales", PaginationConfig={"PageSize": 2})
    assert [t["Name"] for page in pages for t in page["TableList"]] == ["orders", "orders_old", "parts"]
    names = lambda **more: [t["Name"] for t in glue.get_tables(DatabaseName="sales", **more)["TableList"]]
    assert names(Expression="orders.*") == ["orders", "orders_old"]
    assert names(Expression="*old") == ["orders_old"] and names(Expression="order") == []
    fails("InvalidInputException", glue.get_tables, DatabaseName="sales", Expression="(")
    first = glue.get_tables(DatabaseName="sales", MaxResults=1)["NextToken"]
    fails("InvalidInputException", glue.get_tables, DatabaseName="sales", Expression="x", NextToken=first)
    # A page goes on after its last name, whatever came and went meanwhile.
    glue.create_table(DatabaseName="sales", TableInput=table("a_first"))
    assert names(NextToken=first) == ["orders_old", "parts"]
    found = glue.search_tables(SearchText="OLD")["TableList"]
    assert [t["Name"] for t in found] == ["orders_old"], found
    filters = [{"Key": "DatabaseName", "Value": "sales"}]
    pages = glue.search_tables(Filters=filters, SortCriteria=[{"FieldName": "Name", "Sort": "DESC"}], MaxResults=3)
    rest = glue.search_tables(
        Filters=filters, SortCriteria=[{"FieldName": "Name", "Sort": "DESC"}], MaxResults=3, NextToken=pages["NextToken"]
    )
    assert [t["Name"] for t in pages["TableList"] + rest["TableList"]] == ["parts", "orders_old", "orders", "a_first"]
    errors = glue.batch_delete_table(DatabaseName="sales", TablesToDelete=["parts", "none"])["Errors"]
    assert [e["ErrorDetail"]["ErrorCode"] for e in errors] == ["EntityNotFoundException"], errors
    glue.delete_table(DatabaseName="sales", Name="a_first")
    fails("EntityNotFoundException", glue.delete_table, DatabaseName="sales", Name="a_first")


def versions():
    update = lambda **more: glue.update_table(DatabaseName="sales", TableInput=table("orders"), **more)
    update(VersionId="0")
    assert "Owner" not in glue.get_table(DatabaseName="sales", Name="orders")["Table"]
    fails("ConcurrentModificationException", update, VersionId="0")
    update(SkipArchive=True)
    update()
    pages = glue.get_paginator("get_table_versions").paginate(
        DatabaseName="sales", TableName="orders", PaginationConfig={"PageSize": 1}
    )
    assert [v["VersionId"] for page in pages for v in page["TableVersions"]] == ["3", "2", "0"]
    old = glue.get_table_version(DatabaseName="sales", TableName="orders", VersionId="0")["TableVersion"]["Table"]
    assert old["Owner"] == "me" and old["CatalogId"] == "000000000000"
    glue.delete_table_version(DatabaseName="sales", TableName="orders", VersionId="0")
    answer = glue.batch_delete_table_version(DatabaseName="sales", TableName="orders", VersionIds=["0", "2"])
    assert [e["VersionId"] for e in answer["Errors"]] == ["0"], answer


def racing_writers():
    for _ in range(5):
        current = glue.get_table(DatabaseName="sales", Name="orders")["Table"]["VersionId"]
        won, start = [], threading.Barrier(32)

        def write():
            start.wait()
            try:
                glue.update_table(DatabaseName="sales", TableInput=table("orders"), VersionId=current)
                won.append(1)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ConcurrentModificationException", error

        threads = [threading.Thread(target=write) for _ in range(32)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(won) == 1, won


def partitions():
    keys = [{"Name": "region", "Type": "string"}, {"Name": "year", "Type": "int"}]
    glue.create_table(DatabaseName="sales", TableInput=table("events", PartitionKeys=keys))
    at = {"DatabaseName": "sales", "TableName": "events"}
    partition = lambda *values: {"Values": list(values), "StorageDescriptor": table("x")["StorageDescriptor"]}
    glue.create_partition(**at, PartitionInput=partition("eu", "2010"))
    fails("AlreadyExistsException", glue.create_partition, **at, PartitionInput=partition("eu", "2010"))
    fails("InvalidInputException", glue.create_partition, **at, PartitionInput=partition("eu"))
    batch = [partition(region, str(year)) for region in ["eu", "us"] for year in range(2010, 2030)]
    errors = glue.batch_create_partition(**at, PartitionInputList=batch)["Errors"]
    assert [e["PartitionValues"] for e in errors] == [["eu", "2010"]], errors
    assert errors[0]["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    found = glue.get_partition(**at, PartitionValues=["us", "2011"])["Partition"]
    assert found["Values"] == ["us", "2011"] and found["TableName"] == "events", found
    fails("EntityNotFoundException", glue.get_partition, **at, PartitionValues=["us", "1"])

    def values(**more):
        pages = glue.get_paginator("get_partitions").paginate(**at, PaginationConfig={"PageSize": 7}, **more)
        return [tuple(p["Values"]) for page in pages for p in page["Partitions"]]

    everything = values()
    assert len(everything) == 40 and everything == sorted(everything)
    assert values(Expression="((region) = 'us') AND year BETWEEN 2028 AND 2040") == [("us", "2028"), ("us", "2029")]
    assert len(values(Expression="year NOT IN (2010, '2011')")) == 36
    segments = [values(Segment={"SegmentNumber": n, "TotalSegments": 3}) for n in range(3)]
    assert sorted(sum(segments, [])) == everything and all(segments)
    fails("InvalidInputException", glue.get_partitions, **at, Expression="city = 'x'")
    bare = glue.get_partitions(**at, ExcludeColumnSchema=True)["Partitions"][0]
    assert "Columns" not in bare["StorageDescriptor"] and bare["StorageDescriptor"]["Location"]
    got = glue.batch_get_partition(**at, PartitionsToGet=[{"Values": ["eu", "2012"]}, {"Values": ["eu", "1"]}])
    assert [p["Values"] for p in got["Partitions"]] == [["eu", "2012"]]
    glue.update_partition(**at, PartitionValueList=["eu", "2012"], PartitionInput={"Values": ["eu", "1999"]})
    assert "StorageDescriptor" not in glue.get_partition(**at, PartitionValues=["eu", "1999"])["Partition"]
    entries = [
        {"PartitionValueList": ["eu", "2012"], "PartitionInput": partition("eu", "2012")},
        {"PartitionValueList": ["eu", "1999"], "PartitionInput": partition("eu", "2012")},
    ]
    errors = glue.batch_update_partition(**at, Entries=entries)["Errors"]
    assert [e["ErrorDetail"]["ErrorCode"] for e in errors] == ["EntityNotFoundException"], errors
    glue.delete_partition(**at, PartitionValues=["eu", "2012"])
    fails("EntityNotFoundException", glue.delete_partition, **at, PartitionValues=["eu", "2012"])
    wanted = [{"Values": ["eu", "2012"]}, {"Values": ["eu", "2013"]}]
    errors = glue.batch_delete_partition(**at, PartitionsToDelete=wanted)["Errors"]
    assert [e["PartitionValues"] for e in errors] == [["eu", "2012"]], errors
    glue.create_partition(**at, PartitionInput=partition("null", "__HIVE_DEFAULT_PARTITION__"))
    fails("InvalidStateException", glue.get_partitions, **at, Expression="year = 1")
    # A table made again does not meet its past.
    glue.delete_table(DatabaseName="sales", Name="events")
    glue.create_table(DatabaseName="sales", TableInput=table("events", PartitionKeys=keys))
    assert values() == []


for step in [databases, refused_requests, tables, versions, racing_writers, partitions]:
    step()
    print("ok", step.__name__)
glue.delete_database(Name="sales")
