"""User-defined functions through boto3.

Usage: boto3_functions.py ENDPOINT
"""

from support import client, fails

glue = client()


def function(name, **more):
    uris = [{"ResourceType": "JAR", "Uri": "s3://b/f.jar"}]
    return {"FunctionName": name, "ClassName": "a.B", "OwnerName": "me", "OwnerType": "USER", "ResourceUris": uris, **more}


for name in ["fun_a", "fun_b"]:
    glue.create_database(DatabaseInput={"Name": name})
for name in ["Trino__one", "trino__two", "other"]:
    glue.create_user_defined_function(DatabaseName="fun_a", FunctionInput=function(name))
glue.create_user_defined_function(DatabaseName="fun_b", FunctionInput=function("other", FunctionType="AGGREGATE_FUNCTION"))

fails("AlreadyExistsException", glue.create_user_defined_function, DatabaseName="FUN_A", FunctionInput=function("OTHER"))
fails("EntityNotFoundException", glue.create_user_defined_function, DatabaseName="none", FunctionInput=function("f"))
fails("InvalidInputException", glue.create_user_defined_function, DatabaseName="fun_a", FunctionInput={"ClassName": "a"})
fails("ValidationException", glue.create_user_defined_function, DatabaseName="fun_a", FunctionInput=function(""))
fails("ValidationException", glue.create_user_defined_function, DatabaseName="fun_a", FunctionInput=function("f", OwnerType="X"))

found = glue.get_user_defined_function(DatabaseName="fun_a", FunctionName="TRINO__ONE")["UserDefinedFunction"]
assert (found["FunctionName"], found["DatabaseName"], found["ResourceUris"][0]["ResourceType"]) == ("trino__one", "fun_a", "JAR"), found
assert found["CreateTime"].year > 2000 and found["CatalogId"] == "000000000000", found
fails("EntityNotFoundException", glue.get_user_defined_function, DatabaseName="fun_a", FunctionName="none")
fails("EntityNotFoundException", glue.get_user_defined_function, DatabaseName="none", FunctionName="other")


def names(**more):
    pages = glue.get_paginator("get_user_defined_functions").paginate(PaginationConfig={"PageSize": 1}, **more)
    return [(f["DatabaseName"], f["FunctionName"]) for page in pages for f in page["UserDefinedFunctions"]]


assert names(DatabaseName="fun_a", Pattern="trino__.*") == [("fun_a", "trino__one"), ("fun_a", "trino__two")]
assert names(DatabaseName="fun_a", Pattern="*") == [("fun_a", "other"), ("fun_a", "trino__one"), ("fun_a", "trino__two")]
assert names(Pattern="oth.*") == [("fun_a", "other"), ("fun_b", "other")]
assert names(Pattern="*", FunctionType="AGGREGATE_FUNCTION") == [("fun_b", "other")]
fails("InvalidInputException", glue.get_user_defined_functions, Pattern="(")
fails("EntityNotFoundException", glue.get_user_defined_functions, DatabaseName="none", Pattern="*")
fails("ValidationException", glue.get_user_defined_functions, Pattern="*", MaxResults=101)
token = glue.get_user_defined_functions(Pattern="*", MaxResults=1)["NextToken"]
fails("InvalidInputException", glue.get_user_defined_functions, Pattern="x", NextToken=token)

glue.update_user_defined_function(DatabaseName="fun_a", FunctionName="other", FunctionInput={"FunctionName": "other", "ClassName": "c.D"})
changed = glue.get_user_defined_function(DatabaseName="fun_a", FunctionName="other")["UserDefinedFunction"]
assert changed["ClassName"] == "c.D" and "OwnerName" not in changed, changed
update = {"DatabaseName": "fun_a", "FunctionName": "none", "FunctionInput": function("none")}
fails("EntityNotFoundException", glue.update_user_defined_function, **update)
update = {"DatabaseName": "fun_a", "FunctionName": "other", "FunctionInput": function("renamed")}
fails("InvalidInputException", glue.update_user_defined_function, **update)

glue.delete_user_defined_function(DatabaseName="fun_a", FunctionName="other")
fails("EntityNotFoundException", glue.delete_user_defined_function, DatabaseName="fun_a", FunctionName="other")
# They go with their database, and a new one does not meet its past.
glue.delete_database(Name="fun_a")
glue.create_database(DatabaseInput={"Name": "fun_a"})
assert names(DatabaseName="fun_a", Pattern="*") == []
for name in ["fun_a", "fun_b"]:
    glue.delete_database(Name=name)
print("ok functions")
