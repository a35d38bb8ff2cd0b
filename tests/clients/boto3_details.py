"""Less used members of operations on databases and tables, through boto3.

Usage: boto3_details.py ENDPOINT
"""

import datetime

from support import client, fails

glue = client()


link = {"CatalogId": "000000000000", "DatabaseName": "elsewhere"}
federated = {"Identifier": "there", "ConnectionName": "c"}
glue.create_database(DatabaseInput={"Name": "detail_a", "TargetDatabase": link, "Description": "d"})
glue.create_database(DatabaseInput={"Name": "detail_b", "FederatedDatabase": federated})
glue.create_table(DatabaseName="detail_a", TableInput={"Name": "t", "TableType": "EXTERNAL_TABLE", "Owner": "me"})

databases = lambda **more: [d for d in glue.get_databases(**more)["DatabaseList"] if d["Name"].startswith("detail_")]
assert databases(AttributesToGet=["NAME"]) == [{"Name": "detail_a"}, {"Name": "detail_b"}]
assert databases(AttributesToGet=["TARGET_DATABASE", "NAME"])[0] == {"Name": "detail_a", "TargetDatabase": link}
fails("InvalidInputException", glue.get_databases, AttributesToGet=["TARGET_DATABASE"])
fails("InvalidInputException", glue.get_databases, AttributesToGet=[])
fails("ValidationException", glue.get_databases, AttributesToGet=["X"])
assert [d["Name"] for d in databases(ResourceShareType="FEDERATED")] == ["detail_b"]
assert databases(ResourceShareType="FOREIGN") == [] and len(databases(ResourceShareType="ALL")) == 2

get = lambda **more: glue.get_table(DatabaseName="detail_a", Name="t", **more)["Table"]
tables = lambda **more: glue.get_tables(DatabaseName="detail_a", **more)["TableList"]
for found in [get(AttributesToGet=["NAME", "TABLE_TYPE"]), tables(AttributesToGet=["NAME", "TABLE_TYPE"])[0]]:
    assert found == {"Name": "t", "TableType": "EXTERNAL_TABLE"}, found
fails("InvalidInputException", get, AttributesToGet=["TABLE_TYPE"])
fails("InvalidInputException", tables, AttributesToGet=[])
assert tables(ResourceShareType="FEDERATED") == [] and len(tables(ResourceShareType="ALL")) == 1
search = lambda **more: glue.search_tables(Filters=[{"Key": "DatabaseName", "Value": "detail_a"}], **more)["TableList"]
assert search(ResourceShareType="FOREIGN") == search(ResourceShareType="FEDERATED") == [] and len(search()) == 1
assert get(AuditContext={"AdditionalAuditContext": "x"}, IncludeStatusDetails=True)["Owner"] == "me"
assert len(tables(AuditContext={"AllColumnsRequested": True}, IncludeStatusDetails=True)) == 1
for member in [{"TransactionId": "x"}, {"QueryAsOfTime": datetime.datetime(2024, 1, 1)}]:
    for call in [get, tables]:
        assert "governed tables" in fails("InvalidInputException", call, **member)
iceberg = {"IcebergInput": {"MetadataOperation": "CREATE"}}
table = {"Name": "i"}
fails("InvalidInputException", glue.create_table, DatabaseName="detail_a", TableInput=table, OpenTableFormatInput=iceberg)
for name in ["detail_a", "detail_b"]:
    glue.delete_database(Name=name)
print("boto3: details passed")
