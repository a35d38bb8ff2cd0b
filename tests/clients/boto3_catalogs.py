"""Catalogs inside the account's through boto3, and every other operation inside one of them.

Usage: boto3_catalogs.py ENDPOINT
"""

from support import client, fails


ACCOUNT = "000000000000"
glue = client()


def life():
    root = glue.get_catalog(CatalogId=ACCOUNT)["Catalog"]
    assert (root["Name"], root["CatalogId"]) == (ACCOUNT, ACCOUNT), root
    assert root["ResourceArn"] == f"arn:aws:glue:us-east-1:{ACCOUNT}:catalog"
    allow = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]
    properties = {"DataLakeAccessProperties": {"CatalogType": "x"}, "CustomProperties": {"k": "v"}}
    given = {
        "Description": "d",
        "Parameters": {"k": "v"},
        "CatalogProperties": properties,
        "CreateTableDefaultPermissions": allow,
        "CreateDatabaseDefaultPermissions": allow,
        "AllowFullTableExternalDataAccess": "True",
    }
    glue.create_catalog(Name="Lake", CatalogInput=given)
    fails("AlreadyExistsException", glue.create_catalog, Name="LAKE", CatalogInput={})
    lake = glue.get_catalog(CatalogId=f"{ACCOUNT}:lake")["Catalog"]
    assert lake["CatalogId"] == f"{ACCOUNT}:lake" and lake["Name"] == "lake", lake
    assert lake["ResourceArn"] == f"arn:aws:glue:us-east-1:{ACCOUNT}:catalog/lake"
    assert {name: lake[name] for name in given} == given, lake
    glue.update_catalog(CatalogId=f"{ACCOUNT}:lake", CatalogInput={"Description": "new"})
    lake = glue.get_catalog(CatalogId=f"{ACCOUNT}:LAKE")["Catalog"]
    assert lake["Description"] == "new" and "Parameters" not in lake and lake["UpdateTime"] >= lake["CreateTime"], lake
    glue.update_catalog(CatalogId=ACCOUNT, CatalogInput={"Description": "root"})
    assert glue.get_catalog(CatalogId=ACCOUNT)["Catalog"]["Description"] == "root"
    glue.update_catalog(CatalogId=ACCOUNT, CatalogInput={})
    for call in [glue.get_catalog, glue.delete_catalog, lambda **more: glue.update_catalog(CatalogInput={}, **more)]:
        for catalog in [f"{ACCOUNT}:none", "999999999999", "999999999999:lake", "lake", ":lake", f"{ACCOUNT}:lake/none"]:
            fails("EntityNotFoundException", call, CatalogId=catalog)
    fails("InvalidInputException", glue.delete_catalog, CatalogId=ACCOUNT)
    for name in ["a.b", "a/b", "a\\b", "aws:x", "", "x" * 65]:
        fails("ValidationException", glue.create_catalog, Name=name, CatalogInput={})
    text = fails("InvalidInputException", glue.create_catalog, Name="f", CatalogInput={"FederatedCatalog": {"Identifier": "x"}})
    assert "not served here" in text, text


def lists():
    for name in ["a", "b"]:
        glue.create_catalog(Name=name, CatalogInput={})
    names = lambda **more: [c["Name"] for c in glue.get_catalogs(**more)["CatalogList"]]
    assert names() == names(ParentCatalogId=ACCOUNT, Recursive=True) == ["a", "b", "lake"]
    assert names(IncludeRoot=True) == [ACCOUNT, "a", "b", "lake"]
    assert names(ParentCatalogId=f"{ACCOUNT}:a") == []
    fails("InvalidInputException", glue.get_catalogs, ParentCatalogId=f"{ACCOUNT}:a", IncludeRoot=False)
    fails("EntityNotFoundException", glue.get_catalogs, ParentCatalogId=f"{ACCOUNT}:none")
    for size in [1, 2, 3, 4]:
        found, token, pages = [], {}, 0
        while True:
            page = glue.get_catalogs(IncludeRoot=True, MaxResults=size, **token)
            found += [c["Name"] for c in page["CatalogList"]]
            pages += 1
            assert len(page["CatalogList"]) <= size
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert found == [ACCOUNT, "a", "b", "lake"] and pages == -(-4 // size), (size, pages, found)
    token = glue.get_catalogs(IncludeRoot=True, MaxResults=1)["NextToken"]
    fails("InvalidInputException", glue.get_catalogs, NextToken=token)
    glue.create_database(CatalogId=f"{ACCOUNT}:b", DatabaseInput={"Name": "db"})
    assert names(HasDatabases=True) == ["b"]
    for name in ["a", "b"]:
        glue.delete_catalog(CatalogId=f"{ACCOUNT}:{name}")


def inside():
    lake = {"CatalogId": f"{ACCOUNT}:lake"}
    outer = {"CatalogId": ACCOUNT}
    keys = [{"Name": "day", "Type": "string"}]
    for place, text in [(outer, "outer"), (lake, "inner")]:
        glue.create_database(DatabaseInput={"Name": "same", "Description": text}, **place)
        glue.create_table(DatabaseName="same", TableInput={"Name": "t", "Description": text, "PartitionKeys": keys}, **place)
        glue.create_partition(DatabaseName="same", TableName="t", PartitionInput={"Values": [text]}, **place)
    glue.create_table(DatabaseName="same", TableInput={"Name": "only_inner"}, **lake)
    for place, text in [(outer, "outer"), (lake, "inner"), ({}, "outer")]:
        database = glue.get_database(Name="same", **place)["Database"]
        assert database["Description"] == text and database["CatalogId"] == place.get("CatalogId", ACCOUNT), database
        table = glue.get_table(DatabaseName="same", Name="t", **place)["Table"]
        assert table["Description"] == text and table["CatalogId"] == database["CatalogId"], table
        partitions = glue.get_partitions(DatabaseName="same", TableName="t", **place)["Partitions"]
        assert [p["Values"] for p in partitions] == [[text]] and partitions[0]["CatalogId"] == database["CatalogId"]
        found = glue.search_tables(SearchText=text, **place)["TableList"]
        assert "t" in [t["Name"] for t in found], found
    names = lambda place: [t["Name"] for t in glue.get_tables(DatabaseName="same", **place)["TableList"]]
    assert names(outer) == ["t"] and names(lake) == ["only_inner", "t"]
    assert [d["Name"] for d in glue.get_databases(**lake)["DatabaseList"]] == ["same"]
    glue.update_table(DatabaseName="same", TableInput={"Name": "t", "PartitionKeys": keys}, VersionId="0", **lake)
    fails("ConcurrentModificationException", glue.update_table, DatabaseName="same", TableInput={"Name": "t"}, VersionId="0", **lake)
    assert len(glue.get_table_versions(DatabaseName="same", TableName="t", **lake)["TableVersions"]) == 2
    assert len(glue.get_table_versions(DatabaseName="same", TableName="t", **outer)["TableVersions"]) == 1
    glue.batch_delete_table(DatabaseName="same", TablesToDelete=["t"], **lake)
    assert glue.get_table(DatabaseName="same", Name="t")["Table"]["Description"] == "outer"
    # A token of one catalog's list is none of another's.
    glue.create_table(DatabaseName="same", TableInput={"Name": "z"}, **lake)
    token = glue.get_tables(DatabaseName="same", MaxResults=1, **lake)["NextToken"]
    fails("InvalidInputException", glue.get_tables, DatabaseName="same", NextToken=token, **outer)
    for catalog in [f"{ACCOUNT}:none", "999999999999:lake"]:
        fails("EntityNotFoundException", glue.get_databases, CatalogId=catalog)
        fails("EntityNotFoundException", glue.create_database, CatalogId=catalog, DatabaseInput={"Name": "x"})
    glue.delete_catalog(**lake)
    fails("EntityNotFoundException", glue.get_database, Name="same", **lake)
    glue.create_catalog(Name="lake", CatalogInput={})
    assert glue.get_databases(**lake)["DatabaseList"] == [], "no past"
    glue.delete_catalog(**lake)
    glue.delete_database(Name="same")


for part in [life, lists, inside]:
    part()
print("boto3: catalogs passed")
