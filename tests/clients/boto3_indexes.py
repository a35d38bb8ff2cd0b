"""Partition indexes, unfiltered metadata and the status of imports through boto3.

Usage: boto3_indexes.py ENDPOINT
"""

import time

from support import client, fails

glue = client()


KEYS = [{"Name": "region", "Type": "string"}, {"Name": "year", "Type": "int"}]
COLUMNS = [{"Name": "id", "Type": "bigint"}]


def table(name):
    return {"Name": name, "StorageDescriptor": {"Columns": COLUMNS}, "PartitionKeys": KEYS}


glue.create_database(DatabaseInput={"Name": "indexes"})
by_year = {"IndexName": "by_year", "Keys": ["year"]}
glue.create_table(DatabaseName="indexes", TableInput=table("new"), PartitionIndexes=[by_year])
glue.create_table(DatabaseName="indexes", TableInput=table("old"))
for name in ["new", "old"]:
    regions = [{"Values": [region, str(year)]} for region in ["eu", "us"] for year in range(1990, 2040)]
    assert "Errors" not in glue.batch_create_partition(DatabaseName="indexes", TableName=name, PartitionInputList=regions)
at = {"DatabaseName": "indexes", "TableName": "old"}
assert glue.get_partition_indexes(**at)["PartitionIndexDescriptorList"] == []
glue.create_partition_index(**at, PartitionIndex=by_year)


def indexes(**place):
    pages = glue.get_paginator("get_partition_indexes").paginate(**place)
    return [index for page in pages for index in page["PartitionIndexDescriptorList"]]


def until(holds):
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it takes too long")


until(lambda: indexes(**at)[0]["IndexStatus"] == "ACTIVE")
for name in ["new", "old"]:
    found = indexes(DatabaseName="indexes", TableName=name)
    expected = {"IndexName": "by_year", "Keys": [{"Name": "year", "Type": "int"}], "IndexStatus": "ACTIVE"}
    assert found == [expected], found
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName="indexes", TableName=name, Expression="year in (2001, '2003')", PaginationConfig={"PageSize": 3}
    )
    values = [tuple(p["Values"]) for page in pages for p in page["Partitions"]]
    assert values == [("eu", "2001"), ("us", "2001"), ("eu", "2003"), ("us", "2003")], values

fails("AlreadyExistsException", glue.create_partition_index, **at, PartitionIndex=by_year)
fails("InvalidInputException", glue.create_partition_index, **at, PartitionIndex={"IndexName": "x", "Keys": ["id"]})
fails("ValidationException", glue.create_partition_index, **at, PartitionIndex={"IndexName": "x", "Keys": []})
nowhere = {"DatabaseName": "indexes", "TableName": "none"}
fails("EntityNotFoundException", glue.create_partition_index, **nowhere, PartitionIndex=by_year)
fails("EntityNotFoundException", glue.get_partition_indexes, **nowhere)
fails("EntityNotFoundException", glue.delete_partition_index, **nowhere, IndexName="by_year")
fails("EntityNotFoundException", glue.delete_partition_index, **at, IndexName="none")
for name in ["a", "b"]:
    glue.create_partition_index(**at, PartitionIndex={"IndexName": name, "Keys": ["year", "region"]})
too_many = {"IndexName": "c", "Keys": ["region"]}
fails("ResourceNumberLimitExceededException", glue.create_partition_index, **at, PartitionIndex=too_many)
fails("InvalidInputException", glue.update_table, DatabaseName="indexes", TableInput={"Name": "old"})
for name in ["a", "b", "by_year"]:
    glue.delete_partition_index(**at, IndexName=name)
until(lambda: indexes(**at) == [])

account = {"CatalogId": "000000000000", "DatabaseName": "indexes", "SupportedPermissionTypes": ["COLUMN_PERMISSION"]}
answer = glue.get_unfiltered_table_metadata(**account, Name="NEW")
assert answer["Table"]["Name"] == "new" and answer["AuthorizedColumns"] == ["id", "region", "year"], answer
assert answer["IsRegisteredWithLakeFormation"] is False
assert answer["ResourceArn"] == "arn:aws:glue:us-east-1:000000000000:table/indexes/new", answer
answer = glue.get_unfiltered_partition_metadata(**account, TableName="new", PartitionValues=["eu", "1990"])
assert answer["Partition"]["Values"] == ["eu", "1990"] and answer["IsRegisteredWithLakeFormation"] is False, answer
found, token = [], {}
while True:
    page = glue.get_unfiltered_partitions_metadata(**account, TableName="new", Expression="year < 2000", MaxResults=7, **token)
    found += [p["Partition"]["Values"] for p in page["UnfilteredPartitions"]]
    if "NextToken" not in page:
        break
    token = {"NextToken": page["NextToken"]}
assert sorted(found) == sorted([r, str(y)] for r in ["eu", "us"] for y in range(1990, 2000)), found
fails("EntityNotFoundException", glue.get_unfiltered_table_metadata, **account, Name="none")
fails("EntityNotFoundException", glue.get_unfiltered_partition_metadata, **account, TableName="new", PartitionValues=["eu", "1"])
fails("InvalidInputException", glue.get_unfiltered_partitions_metadata, **account, TableName="new", Expression="x = 1")
no_types = {**account, "SupportedPermissionTypes": []}
fails("ValidationException", glue.get_unfiltered_table_metadata, **no_types, Name="new")
unknown_type = {**account, "SupportedPermissionTypes": ["X"]}
fails("ValidationException", glue.get_unfiltered_table_metadata, **unknown_type, Name="new")
fails("EntityNotFoundException", glue.get_unfiltered_table_metadata, **{**account, "CatalogId": "999999999999"}, Name="new")
assert glue.get_catalog_import_status()["ImportStatus"]["ImportCompleted"] is True
glue.delete_database(Name="indexes")
print("ok indexes")
