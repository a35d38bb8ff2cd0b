"""Column statistics of tables and partitions through boto3.

Usage: boto3_statistics.py ENDPOINT
"""

import datetime

from support import client, fails

glue = client()


AT = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)
COUNTS = {"NumberOfNulls": 1, "NumberOfDistinctValues": 2}
DATA = {
    "b": ("BOOLEAN", "Boolean", {"NumberOfTrues": 1, "NumberOfFalses": 2, "NumberOfNulls": 3}),
    "d": ("DATE", "Date", {"MinimumValue": AT, "MaximumValue": AT, **COUNTS}),
    "n": ("DECIMAL", "Decimal", {"MinimumValue": {"UnscaledValue": b"\x01\x02", "Scale": 2}, **COUNTS}),
    "f": ("DOUBLE", "Double", {"MinimumValue": -0.5, "MaximumValue": 1e300, **COUNTS}),
    "l": ("LONG", "Long", {"MinimumValue": -(2**63), "MaximumValue": 2**63 - 1, **COUNTS}),
    "s": ("STRING", "String", {"MaximumLength": 7, "AverageLength": 3.5, **COUNTS}),
    "y": ("BINARY", "Binary", {"MaximumLength": 7, "AverageLength": 3.5, "NumberOfNulls": 1}),
}


def statistics(name):
    kind, member, data = DATA[name]
    data = {"Type": kind, f"{member}ColumnStatisticsData": data}
    return {"ColumnName": name, "ColumnType": kind.lower(), "AnalyzedTime": AT, "StatisticsData": data}


columns = [{"Name": name, "Type": "string"} for name in DATA]
keys = [{"Name": "day", "Type": "string"}]
table = {"Name": "t", "StorageDescriptor": {"Columns": columns}, "PartitionKeys": keys}
glue.create_database(DatabaseInput={"Name": "statistics"})
glue.create_table(DatabaseName="statistics", TableInput=table)
glue.create_partition(DatabaseName="statistics", TableName="t", PartitionInput={"Values": ["1"]})

OF_TABLE = {"DatabaseName": "statistics", "TableName": "T"}
OF_PARTITION = {**OF_TABLE, "PartitionValues": ["1"]}
for at, get, update, delete in [
    (
        OF_TABLE,
        glue.get_column_statistics_for_table,
        glue.update_column_statistics_for_table,
        glue.delete_column_statistics_for_table,
    ),
    (
        OF_PARTITION,
        glue.get_column_statistics_for_partition,
        glue.update_column_statistics_for_partition,
        glue.delete_column_statistics_for_partition,
    ),
]:
    unknown = {**statistics("l"), "ColumnName": "unknown"}
    wrong = {**statistics("l"), "StatisticsData": {"Type": "LONG"}}
    answer = update(**at, ColumnStatisticsList=[*map(statistics, DATA), unknown, wrong])
    errors = [(e["ColumnStatistics"]["ColumnName"], e["Error"]["ErrorCode"]) for e in answer["Errors"]]
    assert errors == [("unknown", "InvalidInputException"), ("l", "InvalidInputException")], answer
    answer = get(**at, ColumnNames=[*DATA, "day"])
    assert answer["ColumnStatisticsList"] == [statistics(name) for name in DATA], answer
    errors = [(e["ColumnName"], e["Error"]["ErrorCode"]) for e in answer["Errors"]]
    assert errors == [("day", "EntityNotFoundException")], answer
    delete(**at, ColumnName="L")
    fails("EntityNotFoundException", delete, **at, ColumnName="l")
    assert [s["ColumnName"] for s in get(**at, ColumnNames=["l", "s"])["ColumnStatisticsList"]] == ["s"]
    fails("ValidationException", update, **at, ColumnStatisticsList=[statistics("l")] * 26)
    fails("ValidationException", get, **at, ColumnNames=["c"] * 101)
    negative = {"Type": "BOOLEAN", "BooleanColumnStatisticsData": {"NumberOfTrues": -1, "NumberOfFalses": 0, "NumberOfNulls": 0}}
    fails("ValidationException", update, **at, ColumnStatisticsList=[{**statistics("b"), "StatisticsData": negative}])
    elsewhere = {**at, "TableName": "none"}
    fails("EntityNotFoundException", get, **elsewhere, ColumnNames=["l"])
    fails("EntityNotFoundException", update, **elsewhere, ColumnStatisticsList=[])
    fails("EntityNotFoundException", delete, **elsewhere, ColumnName="l")

missing = {**OF_TABLE, "PartitionValues": ["2"]}
fails("EntityNotFoundException", glue.get_column_statistics_for_partition, **missing, ColumnNames=["s"])
# A renamed partition keeps its own; a new one in its old place has none.
glue.update_partition(**OF_TABLE, PartitionValueList=["1"], PartitionInput={"Values": ["2"]})
glue.create_partition(**OF_TABLE, PartitionInput={"Values": ["1"]})
found = lambda day: glue.get_column_statistics_for_partition(**OF_TABLE, PartitionValues=[day], ColumnNames=["s"])
assert found("2")["ColumnStatisticsList"] and not found("1")["ColumnStatisticsList"]
glue.delete_table(DatabaseName="statistics", Name="t")
glue.create_table(DatabaseName="statistics", TableInput=table)
assert glue.get_column_statistics_for_table(**OF_TABLE, ColumnNames=["s"])["ColumnStatisticsList"] == []
glue.delete_database(Name="statistics")
print("ok statistics")
