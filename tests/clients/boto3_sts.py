"""STS and IAM through boto3, on a server without accounts.

Usage: boto3_sts.py ENDPOINT
"""

import datetime
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(service, **more):
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", **more}
    config = Config(parameter_validation=False, retries={"max_attempts": 1})
    return boto3.client(service, endpoint_url=sys.argv[1], region_name="us-east-1", config=config, **keys)


def fails(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error
        assert error.response["ResponseMetadata"]["RequestId"], error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


sts, iam = client("sts"), client("iam")
ROLE = "arn:aws:iam::000000000000:role/service-role/etl"

me = sts.get_caller_identity()
assert me["Account"] == "000000000000" and me["Arn"] == "arn:aws:iam::000000000000:root", me
assert me["UserId"] == "000000000000" and me["ResponseMetadata"]["RequestId"], me

assumed = sts.assume_role(RoleArn=ROLE, RoleSessionName="night", DurationSeconds=900, SourceIdentity="alice")
assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/etl/night", assumed
assert assumed["AssumedRoleUser"]["AssumedRoleId"].endswith(":night") and assumed["SourceIdentity"] == "alice"
keys = assumed["Credentials"]
left = keys["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
assert 890 < left.total_seconds() < 910, left
assert keys["AccessKeyId"].startswith("ASIA") and len(keys["AccessKeyId"]) == 20, keys
assert len(keys["SecretAccessKey"]) == 40

session = {
    "aws_access_key_id": keys["AccessKeyId"],
    "aws_secret_access_key": keys["SecretAccessKey"],
    "aws_session_token": keys["SessionToken"],
}
role = client("sts", **session)
assert role.get_caller_identity()["Arn"] == assumed["AssumedRoleUser"]["Arn"]
assert role.get_caller_identity()["UserId"] == assumed["AssumedRoleUser"]["AssumedRoleId"]
client("glue", **session).get_databases()
again = role.assume_role(RoleArn=ROLE, RoleSessionName="day")
assert again["AssumedRoleUser"]["Arn"].endswith("/day")
fails("ValidationError", 400, role.assume_role, RoleArn=ROLE, RoleSessionName="day", DurationSeconds=3601)
fails("AccessDenied", 403, role.get_session_token)

token = sts.get_session_token(DurationSeconds=129600)["Credentials"]
assert token["AccessKeyId"].startswith("ASIA") and token["SessionToken"]

for seconds, bound in [(899, "greater than or equal to 900"), (43201, "less than or equal to 43200")]:
    text = fails("ValidationError", 400, sts.assume_role, RoleArn=ROLE, RoleSessionName="ab", DurationSeconds=seconds)
    assert text.endswith(f"Member must have value {bound}"), text
for name in ["a", "a b", "ä" * 4, "<x>&", "x" * 65, ""]:
    fails("ValidationError", 400, sts.assume_role, RoleArn=ROLE, RoleSessionName=name)
for arn in ["etl", "arn:aws:iam::000000000000:user/etl", "arn:aws:s3::000000000000:role/etl", "arn:aws:iam::1:role/"]:
    fails("ValidationError", 400, sts.assume_role, RoleArn=arn, RoleSessionName="ab")
text = fails("AccessDenied", 403, sts.assume_role, RoleArn=ROLE.replace("0", "9"), RoleSessionName="ab")
assert "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::999999999999:role" in text, text
fails("ValidationError", 400, sts.assume_role, RoleSessionName="ab")
fails("ValidationError", 400, sts.assume_role, RoleArn=ROLE, RoleSessionName="ab", Policy="{}")
fails("InvalidAction", 400, sts.get_federation_token, Name="ab")

found = iam.get_role(RoleName="etl")["Role"]
assert found["Arn"] == "arn:aws:iam::000000000000:role/etl" and found["Path"] == "/", found
assert found["RoleId"].startswith("AROA") and found["MaxSessionDuration"] == 43200, found
assert found["AssumeRolePolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole", found
assert json.dumps(found["CreateDate"].year)
fails("ValidationError", 400, iam.get_role, RoleName="a b")
fails("InvalidAction", 400, iam.list_roles)
print("sts and iam: well")
