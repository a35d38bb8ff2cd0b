"""Two accounts on one server, through boto3: nobody without a key, and nothing of the other.

Usage: boto3_accounts.py ENDPOINT, with TENON_ACCOUNTS: a JSON list of two objects with id, key and secret.
"""

import json
import os
import sys
from unittest import mock

import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ClientError

A, B = json.loads(os.environ["TENON_ACCOUNTS"])


def client(service, account, region="us-east-1", session_token=None):
    return boto3.client(
        service,
        endpoint_url=sys.argv[1],
        region_name=region,
        aws_access_key_id=account["key"],
        aws_secret_access_key=account["secret"],
        aws_session_token=session_token,
        config=Config(parameter_validation=False, retries={"max_attempts": 1}),
    )


def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        assert metadata["RequestId"], error
        return error.response["Error"]["Code"], metadata["HTTPStatusCode"], error.response["Error"]["Message"]
    raise AssertionError("an error was expected")


def fails(code, status, call, **arguments):
    found = refused(call, **arguments)
    assert found[:2] == (code, status), found
    return found[2]


a, b = client("glue", A), client("glue", B)

# Equal names are two things.
for glue, account, note in [(a, A, "of a"), (b, B, "of b")]:
    glue.create_database(DatabaseInput={"Name": "shared", "Description": note})
    glue.create_table(DatabaseName="shared", TableInput={"Name": "t", "Description": note})
for glue, account, note in [(a, A, "of a"), (b, B, "of b")]:
    database = glue.get_database(Name="shared")["Database"]
    assert (database["Description"], database["CatalogId"]) == (note, account["id"]), database
    table = glue.get_table(DatabaseName="shared", Name="t")["Table"]
    assert (table["Description"], table["CatalogId"]) == (note, account["id"]), table
    version = glue.get_table_versions(DatabaseName="shared", TableName="t")["TableVersions"][0]
    assert version["Table"]["CatalogId"] == account["id"], version
    found = glue.search_tables(SearchText="of")["TableList"]
    assert [t["Description"] for t in found] == [note], found

# What the other has is what nobody has.
a.create_database(DatabaseInput={"Name": "hidden"})
message = fails("EntityNotFoundException", 400, b.get_database, Name="hidden")
assert message == fails("EntityNotFoundException", 400, b.get_database, Name="absent").replace("absent", "hidden")
message = fails("EntityNotFoundException", 400, b.get_database, Name="shared", CatalogId=A["id"])
nobody = fails("EntityNotFoundException", 400, b.get_database, Name="shared", CatalogId="999999999999")
assert message == nobody.replace("999999999999", A["id"])
token = a.get_databases(MaxResults=1)["NextToken"]
assert a.get_databases(MaxResults=1, NextToken=token)["DatabaseList"][0]["Name"] == "shared"
fails("InvalidInputException", 400, b.get_databases, MaxResults=1, NextToken=token)

# Keys.
fails("InvalidSignatureException", 403, client("glue", {**A, "secret": B["secret"]}).get_databases)
fails("InvalidSignatureException", 403, client("glue", {**A, "key": B["key"]}).get_databases)
fails("UnrecognizedClientException", 403, client("glue", {**A, "key": "AKIAIOSFODNN7EXAMPLE"}).get_databases)
message = fails("InvalidSignatureException", 403, client("glue", A, region="eu-west-1").get_databases)
assert "not 'eu-west-1'" in message and "us-east-1" in message, message
with mock.patch.object(botocore.auth.SigV4Auth, "add_auth", lambda self, request: None):
    fails("MissingAuthenticationTokenException", 403, a.get_databases)
fails("SignatureDoesNotMatch", 403, client("sts", {**A, "secret": "x"}).get_caller_identity)
fails("InvalidClientTokenId", 403, client("sts", {**A, "key": "AKIAIOSFODNN7EXAMPLE"}).get_caller_identity)

# Roles and sessions.
sts = client("sts", A)
assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{A['id']}:root"
assert client("sts", A, region="eu-central-1") and client("iam", A).get_role(RoleName="r")["Role"]["Arn"].endswith(":role/r")
other, nobody = (
    fails("AccessDenied", 403, sts.assume_role, RoleArn=f"arn:aws:iam::{id}:role/r", RoleSessionName="ab")
    for id in [B["id"], "999999999999"]
)
assert other.replace(B["id"], "999999999999") == nobody, other
keys = sts.assume_role(RoleArn=f"arn:aws:iam::{A['id']}:role/r", RoleSessionName="ab")["Credentials"]
role = {"id": A["id"], "key": keys["AccessKeyId"], "secret": keys["SecretAccessKey"]}
as_role = client("glue", role, session_token=keys["SessionToken"])
assert as_role.get_database(Name="shared")["Database"]["Description"] == "of a"
as_role.update_database(Name="shared", DatabaseInput={"Name": "shared", "Description": "by the role"})
assert b.get_database(Name="shared")["Database"]["Description"] == "of b"
fails("UnrecognizedClientException", 403, client("glue", role).get_databases)
fails("UnrecognizedClientException", 403, client("glue", role, session_token=keys["SessionToken"][:-2]).get_databases)
fails("UnrecognizedClientException", 403, client("glue", A, session_token=keys["SessionToken"]).get_databases)
fails("InvalidSignatureException", 403, client("glue", {**role, "secret": "x"}, session_token=keys["SessionToken"]).get_databases)

for glue in [a, b]:
    for database in glue.get_databases()["DatabaseList"]:
        glue.delete_database(Name=database["Name"])
print("two accounts: well")
