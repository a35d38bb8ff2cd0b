"""Connections through boto3: every operation, paginator and declared error, and that no answer holds a secret.

Usage: boto3_connections.py ENDPOINT
"""

import json
import socket
import sys

from support import client, fails

endpoint = sys.argv[1]
glue = client(read_timeout=30)
# Every byte of every answer, to look for secrets.
answers = []
glue.meta.events.register("after-call.glue.*", lambda http_response, **_: answers.append(http_response.content.decode()))


def definition(name, kind="JDBC", properties=None, **more):
    properties = properties or {"JDBC_CONNECTION_URL": "jdbc:postgresql://db.example:5432/x", "USERNAME": "u"}
    return {"Name": name, "ConnectionType": kind, "ConnectionProperties": properties, **more}


def life():
    secret = {"JDBC_CONNECTION_URL": "jdbc:postgresql://h/x", "USERNAME": "u", "PASSWORD": "canary-1"}
    network = {"SubnetId": "subnet-1", "SecurityGroupIdList": ["sg-1"], "AvailabilityZone": "us-east-1a"}
    answer = glue.create_connection(
        ConnectionInput=definition("Pg", properties=secret, Description="d", MatchCriteria=["a", "b"], PhysicalConnectionRequirements=network),
        Tags={"team": "x"},
    )
    assert answer["CreateConnectionStatus"] == "READY", answer
    fails("AlreadyExistsException", glue.create_connection, ConnectionInput=definition("Pg"))
    for hide in [True, False]:
        found = glue.get_connection(Name="Pg", HidePassword=hide)["Connection"]
        assert found["ConnectionProperties"] == {"JDBC_CONNECTION_URL": "jdbc:postgresql://h/x", "USERNAME": "u"}, found
    assert (found["Status"], found["ConnectionSchemaVersion"], found["MatchCriteria"]) == ("READY", 1, ["a", "b"])
    assert found["PhysicalConnectionRequirements"] == network and found["CreationTime"] == found["LastUpdatedTime"]
    fails("EntityNotFoundException", glue.get_connection, Name="pg")
    glue.update_connection(Name="Pg", ConnectionInput=definition("Pg"))
    assert "Description" not in glue.get_connection(Name="Pg")["Connection"]
    fails("InvalidInputException", glue.update_connection, Name="Pg", ConnectionInput=definition("other"))
    fails("EntityNotFoundException", glue.update_connection, Name="none", ConnectionInput=definition("none"))
    fails("EntityNotFoundException", glue.get_connection, Name="Pg", CatalogId="999999999999")
    glue.delete_connection(ConnectionName="Pg")
    fails("EntityNotFoundException", glue.delete_connection, ConnectionName="Pg")


def authentication():
    oauth = {
        "AuthenticationType": "OAUTH2",
        "OAuth2Properties": {
            "OAuth2GrantType": "CLIENT_CREDENTIALS",
            "OAuth2ClientApplication": {"UserManagedClientApplicationClientId": "id"},
            "TokenUrl": "https://login.example/token",
            "TokenUrlParametersMap": {"scope": "all", "client_secret": "canary-2"},
            "OAuth2Credentials": {"UserManagedClientApplicationClientSecret": "canary-3", "AccessToken": "canary-4"},
        },
        "BasicAuthenticationCredentials": {"Username": "u", "Password": "canary-5"},
        "CustomAuthenticationCredentials": {"key": "canary-6"},
    }
    glue.create_connection(
        ConnectionInput=definition(
            "sf",
            "SALESFORCE",
            {"INSTANCE_ID": "i"},
            AuthenticationConfiguration=oauth,
            SparkProperties={"sfPassword": "canary-7", "INSTANCE_ID": "spark"},
            ValidateForComputeEnvironments=["SPARK"],
        )
    )
    found = glue.get_connection(Name="sf", ApplyOverrideForComputeEnvironment="SPARK")["Connection"]
    assert found["ConnectionSchemaVersion"] == 2 and found["CompatibleComputeEnvironments"] == ["SPARK"], found
    assert found["ConnectionProperties"]["INSTANCE_ID"] == "spark" and found["SparkProperties"] == {"INSTANCE_ID": "spark"}
    shown = found["AuthenticationConfiguration"]
    assert shown["OAuth2Properties"]["TokenUrlParametersMap"] == {"scope": "all"}, shown
    assert set(shown) == {"AuthenticationType", "OAuth2Properties"}, shown
    glue.delete_connection(ConnectionName="sf")


def lists():
    for number in range(7):
        kind = "KAFKA" if number % 2 else "JDBC"
        properties = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092"} if number % 2 else None
        criteria = ["a"] if number < 4 else ["a", "b"]
        glue.create_connection(ConnectionInput=definition(f"c{number}", kind, properties, MatchCriteria=criteria))
    pages = list(glue.get_paginator("get_connections").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["ConnectionList"]) for page in pages] == [3, 3, 1], pages
    assert "NextToken" not in pages[-1]
    names = lambda **filters: [c["Name"] for c in glue.get_connections(Filter=filters)["ConnectionList"]]
    assert names(ConnectionType="KAFKA") == ["c1", "c3", "c5"]
    assert names(MatchCriteria=["b"]) == ["c4", "c5", "c6"] and names(ConnectionSchemaVersion=2) == []
    first = glue.get_connections(Filter={"ConnectionType": "KAFKA"}, MaxResults=1)
    fails("InvalidInputException", glue.get_connections, NextToken=first["NextToken"])
    answer = glue.batch_delete_connection(ConnectionNameList=[f"c{n}" for n in range(7)] + ["none"])
    assert answer["Succeeded"] == [f"c{n}" for n in range(7)], answer
    assert answer["Errors"]["none"]["ErrorCode"] == "EntityNotFoundException", answer
    assert "Errors" not in glue.batch_delete_connection(ConnectionNameList=[])


def refused():
    url = lambda url: definition("bad", properties={"JDBC_CONNECTION_URL": url})
    text = fails("InvalidInputException", glue.create_connection, ConnectionInput=url("jdbc:mysql://h/x?password=canary-8"))
    assert "give it as a property of its own" in text, text
    fails("InvalidInputException", glue.create_connection, ConnectionInput=definition("bad", "KAFKA", {"USERNAME": "u"}))
    long = definition("bad", properties={"HOST": "h", "PASSWORD": "canary-9" + "x" * 2000})
    assert "(hidden)" in fails("ValidationException", glue.create_connection, ConnectionInput=long)
    fails("ValidationException", glue.create_connection, ConnectionInput=definition("bad", "NONE"))
    fails("ValidationException", glue.create_connection, ConnectionInput=definition("bad", properties={"NOT_ONE": "x"}))
    fails("ValidationException", glue.create_connection, ConnectionInput={"Name": "bad"})
    fails("ValidationException", glue.batch_delete_connection, ConnectionNameList=["x"] * 26)
    fails("InvalidInputException", glue.create_connection, ConnectionInput=definition("bad"), Tags={"aws:x": "1"})
    fails("EntityNotFoundException", glue.get_connection, Name="bad")


def tested():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    closed = socket.create_server(("127.0.0.1", 0))
    closed_port = closed.getsockname()[1]
    closed.close()
    jdbc = lambda host, port: {"JDBC_CONNECTION_URL": f"jdbc:postgresql://{host}:{port}/x"}
    attempt = lambda kind, properties: {"ConnectionType": kind, "ConnectionProperties": properties}
    test = lambda kind, properties: glue.test_connection(TestConnectionInput=attempt(kind, properties))

    test("JDBC", jdbc("127.0.0.1", port))
    test("KAFKA", {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{closed_port},127.0.0.1:{port}"})
    test("MONGODB", {"CONNECTION_URL": f"mongodb://127.0.0.1:{port}/x"})
    test("POSTGRESQL", {"HOST": "127.0.0.1", "PORT": str(port), "DATABASE": "x"})

    glue.create_connection(ConnectionInput=definition("good", properties=jdbc("127.0.0.1", port), ValidateCredentials=True))
    glue.create_connection(ConnectionInput=definition("untried", properties=jdbc("127.0.0.1", port)))
    seen = lambda name: glue.get_connection(Name=name)["Connection"].get("LastConnectionValidationTime")
    assert seen("good") and not seen("untried")
    glue.test_connection(ConnectionName="untried")
    assert seen("untried")
    bad = definition("bad", properties=jdbc("127.0.0.1", closed_port), ValidateCredentials=True)
    fails("FederationSourceException", glue.create_connection, ConnectionInput=bad)
    fails("EntityNotFoundException", glue.get_connection, Name="bad")

    fails("FederationSourceException", test, kind="JDBC", properties=jdbc("127.0.0.1", closed_port))
    # Other networks of the machine and its cloud, in every spelling, and this server itself.
    own = endpoint.rsplit(":", 1)[1]
    for host in ["169.254.169.254", "10.0.0.1", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "[fd00:ec2::254]", "224.0.0.1"]:
        text = fails("AccessDeniedException", test, kind="JDBC", properties=jdbc(host, port))
        assert "may not be reached" in text, text
    fails("AccessDeniedException", test, kind="JDBC", properties=jdbc("127.0.0.1", own))
    fails("InvalidInputException", test, kind="NETWORK", properties={})
    fails("InvalidInputException", test, kind="MONGODB", properties={"CONNECTION_URL": "mongodb+srv://h/x"})
    fails("InvalidInputException", glue.test_connection)
    fails("InvalidInputException", glue.test_connection, ConnectionName="good", TestConnectionInput=attempt("JDBC", jdbc("h", 1)))
    fails("EntityNotFoundException", glue.test_connection, ConnectionName="none")
    glue.batch_delete_connection(ConnectionNameList=["good", "untried"])


for part in [life, authentication, lists, refused, tested]:
    part()
leaks = [answer for answer in answers if "canary" in answer]
assert not leaks, json.dumps(leaks)
assert len(answers) > 60, len(answers)
print("boto3: connections passed")
