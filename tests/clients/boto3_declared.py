"""What the service model declares, through boto3: the errors of each supported operation, and its pages.

Usage: boto3_declared.py ENDPOINT

Which operations are supported is asked of the server. Declared errors that no case below produces are printed
at the end, beside why some cannot be: a gap is a line to read, a case that answers otherwise fails the script.
"""

from collections import defaultdict

from botocore.exceptions import ClientError
from botocore.session import get_session
from support import client

glue = client()
model = glue.meta.service_model
pages = get_session().get_component("data_loader").load_service_model("glue", "paginators-1")["pagination"]
methods = {name: method for method, name in glue.meta.method_to_api_mapping.items()}

# Errors that this server has no reason to answer with.
NEVER = {
    "ColumnStatisticsTaskStoppingException": "a run has stopped when the answer to stopping it comes",
    "FederatedResourceAlreadyExistsException": "nothing is federated",
    "FederationSourceException": "nothing is federated",
    "FederationSourceRetryableException": "nothing is federated",
    "GlueEncryptionException": "no key service is asked",
    "InternalServiceException": "a fault of the server, not of a request",
    "OperationTimeoutException": "operations are not cut off",
    "ResourceNotReadyException": "what is created is ready",
}
# Needs others who write at the same time all the time, or a limit that is set.
ONLY_UNDER_LOAD = {"ConcurrentModificationException", "ResourceNumberLimitExceededException"}

# Folds to more characters than a name may have, which the model's own bounds do not see.
LONG = "\u0130" * 200
# As many characters as a partition value may have, in more bytes than a key may have.
WIDE = "\u4e2d" * 1024
D, T = {"DatabaseName": "db"}, {"DatabaseName": "db", "TableName": "t"}
NO_T = {"DatabaseName": "db", "TableName": "none"}
BAD = {"CatalogId": "999999999999"}
VALUES = {"PartitionValues": ["1"]}
ENTRIES = {"Entries": [{"PartitionValueList": ["1"], "PartitionInput": {"Values": ["1"]}}]}
INVALID, MISSING, EXISTS = "InvalidInputException", "EntityNotFoundException", "AlreadyExistsException"
BAD_STATE, CONFLICT = "InvalidStateException", "ConcurrentModificationException"

ERRORS = [
    ("BatchCreatePartition", INVALID, {"DatabaseName": LONG, "TableName": "t", "PartitionInputList": []}),
    ("BatchCreatePartition", MISSING, {**NO_T, "PartitionInputList": [{"Values": ["1"]}]}),
    ("BatchDeletePartition", INVALID, {"DatabaseName": "db", "TableName": LONG, "PartitionsToDelete": []}),
    ("BatchDeletePartition", MISSING, {**NO_T, "PartitionsToDelete": [{"Values": ["1"]}]}),
    ("BatchDeleteTable", INVALID, {"DatabaseName": LONG, "TablesToDelete": ["t"]}),
    ("BatchDeleteTable", MISSING, {"DatabaseName": "none", "TablesToDelete": ["t"]}),
    ("BatchDeleteTableVersion", INVALID, {"DatabaseName": "db", "TableName": LONG, "VersionIds": ["0"]}),
    ("BatchDeleteTableVersion", MISSING, {**NO_T, "VersionIds": ["0"]}),
    ("BatchGetPartition", INVALID, {**T, "PartitionsToGet": [{"Values": ["1", "2"]}]}),
    ("BatchGetPartition", MISSING, {**NO_T, "PartitionsToGet": [{"Values": ["1"]}]}),
    ("BatchUpdatePartition", INVALID, {"DatabaseName": "db", "TableName": LONG, **ENTRIES}),
    ("BatchUpdatePartition", MISSING, {**NO_T, **ENTRIES}),
    ("CreateColumnStatisticsTaskSettings", INVALID, {**T, "Role": "r", "Schedule": "daily"}),
    ("CreateColumnStatisticsTaskSettings", MISSING, {**NO_T, "Role": "r"}),
    ("DeleteColumnStatisticsTaskSettings", MISSING, {**T}),
    ("GetColumnStatisticsTaskRun", MISSING, {"ColumnStatisticsTaskRunId": "none"}),
    ("GetColumnStatisticsTaskSettings", MISSING, {**T}),
    ("StartColumnStatisticsTaskRun", INVALID, {**T, "Role": "r", "SampleSize": 0}),
    ("StartColumnStatisticsTaskRun", MISSING, {**NO_T, "Role": "r"}),
    ("StartColumnStatisticsTaskRunSchedule", MISSING, {**T}),
    ("StopColumnStatisticsTaskRun", "ColumnStatisticsTaskNotRunningException", {**T}),
    ("StopColumnStatisticsTaskRun", MISSING, {**NO_T}),
    ("StopColumnStatisticsTaskRunSchedule", MISSING, {**T}),
    ("UpdateColumnStatisticsTaskSettings", MISSING, {**T}),
    ("CreateDatabase", INVALID, {"DatabaseInput": {"Name": LONG}}),
    ("CreateDatabase", EXISTS, {"DatabaseInput": {"Name": "DB"}}),
    ("CreatePartition", INVALID, {**T, "PartitionInput": {"Values": ["1", "2"]}}),
    ("CreatePartition", INVALID, {**T, "PartitionInput": {"Values": [WIDE]}}),
    ("CreatePartition", EXISTS, {**T, "PartitionInput": {"Values": ["1"]}}),
    ("CreatePartition", MISSING, {**NO_T, "PartitionInput": {"Values": ["1"]}}),
    ("CreateTable", EXISTS, {**D, "TableInput": {"Name": "T"}}),
    ("CreateTable", INVALID, {**D, "TableInput": {"Name": LONG}}),
    ("CreateTable", INVALID, {**D}),
    ("CreateTable", MISSING, {"DatabaseName": "none", "TableInput": {"Name": "t"}}),
    ("DeleteDatabase", INVALID, {"Name": LONG}),
    ("DeleteDatabase", MISSING, {"Name": "none"}),
    ("DeletePartition", INVALID, {**T, "PartitionValues": ["1", "2"]}),
    ("DeletePartition", MISSING, {**T, "PartitionValues": [WIDE]}),
    ("DeletePartition", MISSING, {**T, "PartitionValues": ["2"]}),
    ("DeleteTable", INVALID, {**D, "Name": LONG}),
    ("DeleteTable", MISSING, {**D, "Name": "none"}),
    ("DeleteTableVersion", INVALID, {**T, "VersionId": "1"}),
    ("DeleteTableVersion", INVALID, {**T, "VersionId": "one"}),
    ("DeleteTableVersion", MISSING, {**T, "VersionId": "7"}),
    ("GetDatabase", INVALID, {"Name": LONG}),
    ("GetDatabase", MISSING, {"Name": "none"}),
    ("GetDatabase", MISSING, {"Name": "db", **BAD}),
    ("GetDatabases", INVALID, {"NextToken": "ab"}),
    ("GetDatabases", MISSING, {**BAD}),
    ("GetPartition", INVALID, {**T, "PartitionValues": ["1", "2"]}),
    ("GetPartition", MISSING, {**T, "PartitionValues": ["2"]}),
    ("GetPartition", MISSING, {**NO_T, **VALUES}),
    ("GetPartitions", BAD_STATE, {"DatabaseName": "db", "TableName": "odd", "Expression": "n > 0"}),
    ("GetPartitions", INVALID, {**T, "Expression": "n = "}),
    ("GetPartitions", INVALID, {**T, "Segment": {"SegmentNumber": 3, "TotalSegments": 3}}),
    ("GetPartitions", INVALID, {**T, "NextToken": "ab"}),
    ("GetPartitions", MISSING, {**NO_T}),
    ("GetTable", INVALID, {**D, "Name": LONG}),
    ("GetTable", MISSING, {**D, "Name": "none"}),
    ("GetTable", MISSING, {"DatabaseName": "none", "Name": "t"}),
    ("GetTableVersion", INVALID, {**T, "VersionId": "one"}),
    ("GetTableVersion", MISSING, {**T, "VersionId": "7"}),
    ("GetTableVersions", INVALID, {**T, "NextToken": "ab"}),
    ("GetTableVersions", MISSING, {**NO_T}),
    ("GetTables", INVALID, {**D, "Expression": "("}),
    ("GetTables", MISSING, {"DatabaseName": "none"}),
    ("SearchTables", INVALID, {"NextToken": "ab"}),
    ("UpdateDatabase", INVALID, {"Name": "db", "DatabaseInput": {"Name": "renamed"}}),
    ("UpdateDatabase", MISSING, {"Name": "none", "DatabaseInput": {"Name": "none"}}),
    ("UpdatePartition", INVALID, {**T, "PartitionValueList": ["1"], "PartitionInput": {"Values": ["1", "2"]}}),
    ("UpdatePartition", INVALID, {**T, "PartitionValueList": ["1"], "PartitionInput": {"Values": [WIDE]}}),
    ("UpdatePartition", MISSING, {**T, "PartitionValueList": ["2"], "PartitionInput": {"Values": ["3"]}}),
    ("UpdateTable", CONFLICT, {**D, "TableInput": {"Name": "t"}, "VersionId": "0"}),
    ("UpdateTable", INVALID, {**D, "TableInput": {"Name": "t"}, "VersionId": "one"}),
    ("UpdateTable", INVALID, {**D}),
    ("UpdateTable", MISSING, {**D, "TableInput": {"Name": "none"}}),
]

# A list's member in the answer, what to ask for, and how many items there are.
PAGES = {
    "GetDatabases": ("DatabaseList", {}, 3),
    "GetPartitions": ("Partitions", {**T}, 1),
    "GetTableVersions": ("TableVersions", {**T}, 2),
    "GetTables": ("TableList", {**D}, 2),
    "SearchTables": ("TableList", {}, 2),
}


def call(operation, arguments):
    return getattr(glue, methods[operation])(**arguments)


def supported():
    """What does not answer that it is unknown. The empty request changes nothing: it is refused, or a list."""
    found = []
    for operation in model.operation_names:
        try:
            call(operation, {})
        except ClientError as error:
            if error.response["Error"]["Code"] == "UnknownOperationException":
                continue
        found.append(operation)
    return found


def prepare():
    for name in ["db", "db2", "db3"]:
        glue.create_database(DatabaseInput={"Name": name})
    keys = [{"Name": "n", "Type": "int"}]
    for name in ["t", "odd"]:
        glue.create_table(DatabaseName="db", TableInput={"Name": name, "PartitionKeys": keys})
    glue.update_table(DatabaseName="db", TableInput={"Name": "t", "PartitionKeys": keys})
    glue.create_partition(**T, PartitionInput={"Values": ["1"]})
    glue.create_partition(DatabaseName="db", TableName="odd", PartitionInput={"Values": ["one"]})


def errors(operations):
    produced = defaultdict(set)
    for operation, code, arguments in ERRORS:
        try:
            call(operation, arguments)
            raise AssertionError(f"{operation} should fail with {code}: {str(arguments)[:200]}")
        except ClientError as error:
            found = error.response["Error"]
            assert found["Code"] == code, (operation, code, found)
            assert found["Message"] and len(found["Message"]) < 2000, (operation, found)
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
            # The exception that boto3 makes of the model is the one that callers catch by class.
            assert isinstance(error, getattr(glue.exceptions, code)), (operation, type(error))
        produced[operation].add(code)
    gaps = []
    for operation in operations:
        declared = {shape.name for shape in model.operation_model(operation).error_shapes}
        undeclared = produced[operation] - declared
        assert not undeclared, (operation, undeclared)
        gaps += [(operation, code) for code in sorted(declared - produced[operation] - set(NEVER) - ONLY_UNDER_LOAD)]
    return gaps


def listed(operation):
    """All items, page by page of one, by hand: as boto3's paginators do, and where it has none."""
    member, arguments, _ = PAGES[operation]
    items, token = [], {}
    while True:
        answer = call(operation, {**arguments, "MaxResults": 1, **token})
        assert len(answer[member]) <= 1
        items += answer[member]
        if "NextToken" not in answer:
            return items
        assert answer["NextToken"]
        token = {"NextToken": answer["NextToken"]}


def paginators(operations):
    for operation, (member, arguments, count) in PAGES.items():
        whole = call(operation, arguments)
        assert len(whole[member]) == count and "NextToken" not in whole, (operation, whole)
        assert listed(operation) == whole[member], operation
        if operation in pages:
            paginator = glue.get_paginator(methods[operation])
            found = paginator.paginate(**arguments, PaginationConfig={"PageSize": 1}).build_full_result()
            assert found[member] == whole[member], operation
            first = paginator.paginate(**arguments, PaginationConfig={"MaxItems": 1, "PageSize": 1}).build_full_result()
            if count > 1:
                rest = paginator.paginate(**arguments, PaginationConfig={"StartingToken": first["NextToken"]})
                assert first[member] + rest.build_full_result()[member] == whole[member], operation
    # A paged operation that no case above covers.
    paged = {o for o in operations if "NextToken" in model.operation_model(o).input_shape.members}
    return sorted(paged - set(PAGES))


prepare()
operations = supported()
assert set(PAGES) | {operation for operation, _, _ in ERRORS} <= set(operations)
for operation, code in errors(operations):
    print(f"   declared, not produced: {operation} {code}")
print("ok errors:", len(ERRORS), "cases of", len(operations), "operations")
for operation in paginators(operations):
    print(f"   paged, not tried: {operation}")
print("ok paginators:", len(PAGES))
for name in ["db", "db2", "db3"]:
    glue.delete_database(Name=name)
