"""boto3 and the REST interface over TLS, with a certificate of an authority of the house.

Usage: boto3_tls.py ENDPOINT, with TENON_AUTHORITY: the file of that authority's certificate. ENDPOINT is the address
as http, where nothing is to be had.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, SSLError

AUTHORITY = os.environ["TENON_AUTHORITY"]
PLAIN = sys.argv[1]
SECURE = PLAIN.replace("http://", "https://", 1)


def client(endpoint, verify):
    return boto3.client(
        "glue",
        endpoint_url=endpoint,
        verify=verify,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"max_attempts": 1}),
    )


glue = client(SECURE, AUTHORITY)
for name in ["one", "two", "three"]:
    glue.create_database(DatabaseInput={"Name": name})
pages = glue.get_paginator("get_databases").paginate(PaginationConfig={"PageSize": 1})
names = [database["Name"] for page in pages for database in page["DatabaseList"]]
assert names == ["one", "three", "two"], names
# A body of many records of TLS.
parameters = {"p": "x" * 200_000}
glue.create_table(DatabaseName="one", TableInput={"Name": "t", "Parameters": parameters})
found = glue.get_table(DatabaseName="one", Name="t")["Table"]["Parameters"]
assert found == parameters
try:
    glue.get_database(Name="absent")
    raise AssertionError("it is absent")
except ClientError as error:
    assert error.response["Error"]["Code"] == "EntityNotFoundException", error

# By its other name too.
by_name = SECURE.replace("127.0.0.1", "localhost", 1)
assert client(by_name, AUTHORITY).get_database(Name="one")["Database"]["Name"] == "one"

# Who trusts public authorities only is not talked into it.
for verify in [True, None]:
    try:
        client(SECURE, verify).get_databases()
        raise AssertionError("nobody vouches for it")
    except SSLError as error:
        assert "CERTIFICATE_VERIFY_FAILED" in str(error), error

# Nor is anything to be had without encryption.
try:
    client(PLAIN, AUTHORITY).get_databases()
    raise AssertionError("it is not plain")
except ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidInputException", error
    assert "use https://" in error.response["Error"]["Message"], error

trusting = ssl.create_default_context(cafile=AUTHORITY)
with urllib.request.urlopen(SECURE + "/v1/health", context=trusting) as answer:
    assert json.load(answer)["status"] == "ready"
try:
    urllib.request.urlopen(SECURE + "/v1/tokens", context=trusting)
    raise AssertionError("it asks for a token")
except urllib.error.HTTPError as error:
    assert error.code == 401, error
print("over TLS: databases, tables and pages; refused without trust and without TLS")
