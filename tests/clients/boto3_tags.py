"""Tags through boto3: every operation and declared error, on every kind of resource.

Usage: boto3_tags.py ENDPOINT
"""

from support import client, fails

glue = client()


def arn(path, account="000000000000", region="us-east-1"):
    return f"arn:aws:glue:{region}:{account}:{path}"


def tags(path):
    return glue.get_tags(ResourceArn=arn(path))["Tags"]


def add(path, **more):
    glue.tag_resource(ResourceArn=arn(path), TagsToAdd=more)


host = {"HOST": "h", "PORT": "1"}
glue.create_database(DatabaseInput={"Name": "Tagged"}, Tags={"born": "1"})
glue.create_table(DatabaseName="tagged", TableInput={"Name": "t"})
glue.create_connection(ConnectionInput={"Name": "a/b", "ConnectionType": "JDBC", "ConnectionProperties": host}, Tags={"born": "1"})
glue.create_catalog(Name="tagged_lake", CatalogInput={}, Tags={"born": "1"})
glue.create_database(CatalogId="000000000000:tagged_lake", DatabaseInput={"Name": "inner"}, Tags={"born": "1"})
glue.create_table(CatalogId="000000000000:tagged_lake", DatabaseName="inner", TableInput={"Name": "t"})

resources = ["catalog", "database/tagged", "table/tagged/t", "connection/a/b", "catalog/tagged_lake"]
resources += ["database/tagged_lake/inner", "table/tagged_lake/inner/t"]
for path in resources:
    born = tags(path)
    assert born == ({} if path.startswith("table") or path == "catalog" else {"born": "1"}), (path, born)
    add(path, a="1", b="")
    add(path, a="2")
    assert tags(path) == {**born, "a": "2", "b": ""}, tags(path)
    glue.untag_resource(ResourceArn=arn(path), TagsToRemove=["b", "none"])
    assert tags(path) == {**born, "a": "2"}

many = {f"k{n}": "v" for n in range(50)}
text = fails("InvalidInputException", glue.tag_resource, ResourceArn=arn("database/tagged"), TagsToAdd=many)
assert text == "there would be 52 tags, the limit is 50", text
assert len(tags("database/tagged")) == 2
fails("ValidationException", glue.tag_resource, ResourceArn=arn("database/tagged"), TagsToAdd={**many, "more": "v"})
fails("ValidationException", glue.tag_resource, ResourceArn=arn("database/tagged"), TagsToAdd={"k" * 129: "v"})
fails("ValidationException", glue.tag_resource, ResourceArn=arn("database/tagged"), TagsToAdd={"k": "v" * 257})
fails("InvalidInputException", glue.tag_resource, ResourceArn=arn("database/tagged"), TagsToAdd={"AWS:k": "v"})
fails("ValidationException", glue.get_tags, ResourceArn="arn:aws:s3:::bucket")

# What is elsewhere is as absent as what never was.
calls = [
    lambda ResourceArn: glue.get_tags(ResourceArn=ResourceArn),
    lambda ResourceArn: glue.tag_resource(ResourceArn=ResourceArn, TagsToAdd={"k": "v"}),
    lambda ResourceArn: glue.untag_resource(ResourceArn=ResourceArn, TagsToRemove=["k"]),
]
for call in calls:
    for path in ["database/none", "table/tagged/none", "connection/none", "catalog/none", "table/none/inner/t", "job/x", "", "x"]:
        fails("EntityNotFoundException", call, ResourceArn=arn(path))
    fails("EntityNotFoundException", call, ResourceArn=arn("database/tagged", account="999999999999"))
    fails("EntityNotFoundException", call, ResourceArn=arn("database/tagged", region="eu-west-1"))
    fails("EntityNotFoundException", call, ResourceArn=arn("catalog", account="999999999999"))
    fails("EntityNotFoundException", call, ResourceArn="arn:aws:glue:x")

# Tags go with their resource.
glue.delete_table(DatabaseName="tagged", Name="t")
glue.create_table(DatabaseName="tagged", TableInput={"Name": "t"})
assert tags("table/tagged/t") == {}
add("table/tagged/t", k="v")
glue.delete_database(Name="tagged")
glue.create_database(DatabaseInput={"Name": "tagged"})
glue.create_table(DatabaseName="tagged", TableInput={"Name": "t"})
assert tags("table/tagged/t") == tags("database/tagged") == {}
glue.delete_database(Name="tagged")
glue.delete_connection(ConnectionName="a/b")
fails("EntityNotFoundException", glue.get_tags, ResourceArn=arn("connection/a/b"))
glue.delete_catalog(CatalogId="000000000000:tagged_lake")
glue.create_catalog(Name="tagged_lake", CatalogInput={})
assert tags("catalog/tagged_lake") == {}
glue.delete_catalog(CatalogId="000000000000:tagged_lake")
glue.untag_resource(ResourceArn=arn("catalog"), TagsToRemove=["a"])
print("boto3: tags passed")
