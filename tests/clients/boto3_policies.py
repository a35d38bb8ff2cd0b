"""Resource policies, encryption settings and security configurations through boto3.

Usage: boto3_policies.py ENDPOINT
"""

import json

from support import client, fails

glue = client()
CATALOG = "arn:aws:glue:us-east-1:000000000000:catalog"


def policy(action="glue:GetTable"):
    statement = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": action, "Resource": "arn:aws:glue:us-east-1:000000000000:*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policies():
    put = glue.put_resource_policy
    fails("EntityNotFoundException", glue.get_resource_policy)
    fails("EntityNotFoundException", glue.delete_resource_policy)
    assert glue.get_resource_policies()["GetResourcePoliciesResponseList"] == []
    fails("ConditionCheckFailureException", put, PolicyInJson=policy(), PolicyExistsCondition="MUST_EXIST")
    fails("ConditionCheckFailureException", put, PolicyInJson=policy(), PolicyHashCondition="x")
    first = put(PolicyInJson=policy(), PolicyExistsCondition="NOT_EXIST", EnableHybrid="TRUE")["PolicyHash"]
    fails("ConditionCheckFailureException", put, PolicyInJson=policy(), PolicyExistsCondition="NOT_EXIST")
    found = glue.get_resource_policy(ResourceArn=CATALOG)
    assert (found["PolicyInJson"], found["PolicyHash"]) == (policy(), first), found
    second = put(PolicyInJson=policy("glue:*"), PolicyHashCondition=first)["PolicyHash"]
    assert second != first
    fails("ConditionCheckFailureException", put, PolicyInJson=policy(), PolicyHashCondition=first)
    found = glue.get_resource_policy()
    assert found["UpdateTime"] >= found["CreateTime"] and json.loads(found["PolicyInJson"])["Statement"][0]["Action"] == "glue:*"

    for name in ["lake1", "lake2", "lake3"]:
        glue.create_catalog(Name=name, CatalogInput={})
    for name in ["lake1", "lake3"]:
        put(PolicyInJson=policy(name and "glue:Get*"), ResourceArn=f"{CATALOG}/{name}")
    for size in [1, 2, 3, 100]:
        pages = list(glue.get_paginator("get_resource_policies").paginate(PaginationConfig={"PageSize": size}))
        found = [p["PolicyHash"] for page in pages for p in page["GetResourcePoliciesResponseList"]]
        assert len(found) == 3 and found[0] == second and "NextToken" not in pages[-1], (size, found)
    for name in ["lake1", "lake2", "lake3"]:
        glue.delete_catalog(CatalogId=f"000000000000:{name}")
    assert len(glue.get_resource_policies()["GetResourcePoliciesResponseList"]) == 1

    glue.create_database(DatabaseInput={"Name": "with_policy"})
    text = fails("InvalidInputException", put, PolicyInJson=policy(), ResourceArn=CATALOG.replace("catalog", "database/with_policy"))
    assert "into the policy of its catalog" in text, text
    glue.delete_database(Name="with_policy")
    fails("EntityNotFoundException", put, PolicyInJson=policy(), ResourceArn=f"{CATALOG}/none")
    fails("EntityNotFoundException", glue.get_resource_policy, ResourceArn=CATALOG.replace("000000000000", "999999999999"))
    for bad in ["{}", "not json", "[]", policy("s3:GetObject"), json.dumps({"Version": "2012-10-17", "Statement": []})]:
        text = fails("InvalidInputException", put, PolicyInJson=bad)
        assert text.startswith("the policy cannot be used: "), text
    fails("ValidationException", put, PolicyInJson="x")
    fails("ValidationException", put, PolicyInJson=policy(), PolicyExistsCondition="MAYBE")
    fails("ConditionCheckFailureException", glue.delete_resource_policy, PolicyHashCondition=first)
    glue.delete_resource_policy(PolicyHashCondition=second)
    fails("EntityNotFoundException", glue.get_resource_policy)


def settings():
    get = lambda: glue.get_data_catalog_encryption_settings()["DataCatalogEncryptionSettings"]
    put = lambda **more: glue.put_data_catalog_encryption_settings(DataCatalogEncryptionSettings=more)
    default = {"EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"}, "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False}}
    assert get() == default, get()
    put(ConnectionPasswordEncryption={"ReturnConnectionPasswordEncrypted": True})
    assert get()["ConnectionPasswordEncryption"]["ReturnConnectionPasswordEncrypted"] is True
    put(EncryptionAtRest={"CatalogEncryptionMode": "DISABLED"})
    assert get()["ConnectionPasswordEncryption"]["ReturnConnectionPasswordEncrypted"] is True
    # An encryption that would not happen is not promised.
    text = fails("InvalidInputException", put, EncryptionAtRest={"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": "k"})
    assert text.startswith("there is no AWS KMS here"), text
    fails("InvalidInputException", put, ConnectionPasswordEncryption={"ReturnConnectionPasswordEncrypted": True, "AwsKmsKeyId": "k"})
    fails("ValidationException", put, EncryptionAtRest={"CatalogEncryptionMode": "X"})
    fails("EntityNotFoundException", glue.get_data_catalog_encryption_settings, CatalogId="999999999999")
    put(**default)
    assert get() == default


def security():
    kms = "arn:aws:kms:us-east-1:000000000000:key/1"
    encryption = {
        "S3Encryption": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": kms}],
        "CloudWatchEncryption": {"CloudWatchEncryptionMode": "DISABLED"},
        "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": kms},
    }
    create = glue.create_security_configuration
    for name in ["Sec", "b", "c"]:
        made = create(Name=name, EncryptionConfiguration=encryption)
        assert made["Name"] == name and made["CreatedTimestamp"].year > 2000
    fails("AlreadyExistsException", create, Name="Sec", EncryptionConfiguration={})
    found = glue.get_security_configuration(Name="Sec")["SecurityConfiguration"]
    assert found["EncryptionConfiguration"] == encryption and found["CreatedTimeStamp"].year > 2000, found
    fails("EntityNotFoundException", glue.get_security_configuration, Name="none")
    pages = list(glue.get_paginator("get_security_configurations").paginate(PaginationConfig={"PageSize": 2}))
    assert [c["Name"] for page in pages for c in page["SecurityConfigurations"]] == ["Sec", "b", "c"]
    assert len(pages) == 2 and "NextToken" not in pages[-1]
    text = fails("InvalidInputException", create, Name="d", EncryptionConfiguration={"S3Encryption": [{"S3EncryptionMode": "SSE-KMS"}]})
    assert text == "S3Encryption is SSE-KMS and names no KmsKeyArn", text
    fails("ValidationException", create, Name="d", EncryptionConfiguration={"S3Encryption": [{"S3EncryptionMode": "X"}]})
    fails("ValidationException", create, Name="", EncryptionConfiguration={})
    for name in ["Sec", "b", "c"]:
        glue.delete_security_configuration(Name=name)
    fails("EntityNotFoundException", glue.delete_security_configuration, Name="Sec")


for part in [policies, settings, security]:
    part()
print("boto3: policies, settings and security configurations passed")
