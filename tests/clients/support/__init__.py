"""What the scripts share: clients at the endpoint of the command line, and how a refusal is expected."""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(service="glue", **config):
    """A client that accepts anything: what is refused locally would not reach the server's own checks."""
    return boto3.client(
        service,
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(parameter_validation=False, retries={"max_attempts": 1}, **config),
    )


def fails(code, call, **arguments):
    """Calls, and answers the message of the exception that is expected."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["RequestId"], error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")
