"""aws-cli (version 1, which PyPI has) over databases, tables, partitions and versions, set up by variables alone.

Usage: aws_cli.py ENDPOINT

Most commands run in this process, through the same entry point as the `aws` executable, because Python takes
longer to start than the server to answer; some run as the executable.
"""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

home = tempfile.TemporaryDirectory()
os.environ.update(
    AWS_ENDPOINT_URL_GLUE=sys.argv[1],
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="any",
    AWS_SECRET_ACCESS_KEY="any",
    AWS_DEFAULT_OUTPUT="json",
    AWS_PAGER="",
    HOME=home.name,
)

from awscli.clidriver import create_clidriver  # noqa: E402  (reads the variables above)

# What aws-cli exits with when the service, or its own reading of the command line, refuses.
SERVICE_ERROR, USAGE_ERROR = 255, 2


def run(*arguments):
    """Exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = create_clidriver().main(["glue", *arguments])
        except SystemExit as ended:
            code = ended.code
    return code, out.getvalue(), err.getvalue()


def aws(*arguments):
    code, out, err = run(*arguments)
    assert code == 0, (arguments, code, err)
    return json.loads(out) if out.strip() else None


def fails(name, *arguments):
    code, out, err = run(*arguments)
    assert code == SERVICE_ERROR and not out, (arguments, code, out, err)
    assert f"({name})" in err, err


def executable(*arguments):
    aws = pathlib.Path(sys.executable).with_name("aws")
    return subprocess.run([sys.executable, aws, "glue", *arguments], capture_output=True, text=True)


def by_executable():
    done = executable("create-database", "--database-input", "Name=Cli,Description=by hand")
    assert done.returncode == 0 and not done.stdout, done
    done = executable("get-database", "--name", "none")
    assert done.returncode == SERVICE_ERROR and "EntityNotFoundException" in done.stderr, done
    done = executable("get-databases", "--query", "DatabaseList[].Name", "--output", "text")
    assert done.stdout.strip() == "cli", done


def databases():
    fails("AlreadyExistsException", "create-database", "--database-input", '{"Name": "CLI"}')
    code, _, err = run("create-database")
    assert code == USAGE_ERROR and "--database-input" in err, (code, err)
    found = aws("get-database", "--name", "CLI")["Database"]
    assert found["Description"] == "by hand" and found["CreateTime"], found
    aws("update-database", "--name", "cli", "--database-input", "Name=cli,LocationUri=s3://b/,Parameters={a=b}")
    assert aws("get-database", "--name", "cli")["Database"]["Parameters"] == {"a": "b"}
    fails("InvalidInputException", "update-database", "--name", "cli", "--database-input", "Name=other")
    fails("EntityNotFoundException", "get-database", "--name", "cli", "--catalog-id", "999999999999")


def tables():
    for number in range(7):
        definition = {
            "Name": f"T{number}",
            "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": "s3://b/t/"},
            "PartitionKeys": [{"Name": "year", "Type": "int"}],
        }
        aws("create-table", "--database-name", "cli", "--table-input", json.dumps(definition))
    table = aws("get-table", "--database-name", "cli", "--name", "t0")["Table"]
    assert table["VersionId"] == "0" and table["StorageDescriptor"]["Columns"][0]["Type"] == "bigint", table
    # A definition in a file, and with a version that must be the current one.
    path = pathlib.Path(home.name, "t0.json")
    path.write_text(json.dumps({"Name": "t0", "Description": "second"}))
    update = ["update-table", "--database-name", "cli", "--table-input", f"file://{path}"]
    aws(*update, "--version-id", "0")
    fails("ConcurrentModificationException", *update, "--version-id", "0")
    aws(*update, "--skip-archive")
    assert aws("get-tables", "--database-name", "cli", "--expression", "t[01]")["TableList"][0]["Description"] == "second"
    found = aws("search-tables", "--search-text", "second", "--query", "TableList[].Name")
    assert found == ["t0"], found


def pages():
    names = ["get-tables", "--database-name", "cli", "--query", "TableList[].Name"]
    everything = [f"t{number}" for number in range(7)]
    assert aws(*names) == everything
    # Pages smaller than the list change nothing; without paging there is one page.
    assert aws(*names, "--page-size", "2") == everything
    assert aws(*names, "--no-paginate", "--max-results", "3") == everything[:3]
    one = aws("get-tables", "--database-name", "cli", "--no-paginate", "--max-results", "3")
    again = aws("get-tables", "--database-name", "cli", "--no-paginate", "--next-token", one["NextToken"])
    assert [t["Name"] for t in again["TableList"]] == everything[3:] and "NextToken" not in again
    seen, token = [], []
    while True:
        page = aws("get-tables", "--database-name", "cli", "--max-items", "3", *token)
        seen.append([t["Name"] for t in page["TableList"]])
        if "NextToken" not in page:
            break
        token = ["--starting-token", page["NextToken"]]
    assert seen == [everything[:3], everything[3:6], everything[6:]], seen
    # A limit in the middle of a page: the token says how far it was read.
    first = aws("get-tables", "--database-name", "cli", "--page-size", "5", "--max-items", "2")
    rest = aws("get-tables", "--database-name", "cli", "--page-size", "5", "--starting-token", first["NextToken"])
    assert [t["Name"] for t in rest["TableList"]] == everything[2:], rest
    fails("ValidationException", "get-tables", "--database-name", "cli", "--no-paginate", "--max-results", "101")


def partitions():
    at = ["--database-name", "cli", "--table-name", "t1"]
    inputs = [{"Values": [str(year)], "StorageDescriptor": {"Location": f"s3://b/{year}"}} for year in range(2000, 2060)]
    assert aws("batch-create-partition", *at, "--partition-input-list", json.dumps(inputs)) in (None, {})
    fails("AlreadyExistsException", "create-partition", *at, "--partition-input", "Values=2000")
    fails("InvalidInputException", "create-partition", *at, "--partition-input", "Values=2000,2001")
    found = aws("get-partition", *at, "--partition-values", "2001")["Partition"]
    assert found["StorageDescriptor"]["Location"] == "s3://b/2001", found
    values = aws("get-partitions", *at, "--expression", "year BETWEEN 2003 AND 2005", "--query", "Partitions[].Values[]")
    assert values == ["2003", "2004", "2005"], values
    assert len(aws("get-partitions", *at, "--page-size", "7")["Partitions"]) == 60
    parts = [
        aws("get-partitions", *at, "--segment", f"SegmentNumber={n},TotalSegments=4", "--query", "Partitions[].Values[]")
        for n in range(4)
    ]
    assert sorted(sum(parts, [])) == [str(year) for year in range(2000, 2060)]
    got = aws("batch-get-partition", *at, "--partitions-to-get", "Values=2010", "Values=1900")
    assert [p["Values"] for p in got["Partitions"]] == [["2010"]], got
    aws("update-partition", *at, "--partition-value-list", "2010", "--partition-input", "Values=1910")
    fails("EntityNotFoundException", "get-partition", *at, "--partition-values", "2010")
    errors = aws("batch-delete-partition", *at, "--partitions-to-delete", "Values=1910", "Values=2010")["Errors"]
    assert errors[0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException" and len(errors) == 1, errors
    aws("delete-partition", *at, "--partition-values", "2011")
    fails("InvalidInputException", "get-partitions", *at, "--expression", "month = 1")


def versions():
    at = ["--database-name", "cli", "--table-name", "t0"]
    assert aws("get-table-versions", *at, "--query", "TableVersions[].VersionId") == ["2", "0"]
    assert aws("get-table-version", *at, "--version-id", "0")["TableVersion"]["Table"]["PartitionKeys"]
    page = aws("get-table-versions", *at, "--max-items", "1")
    assert [v["VersionId"] for v in page["TableVersions"]] == ["2"] and page["NextToken"]
    fails("InvalidInputException", "delete-table-version", *at, "--version-id", "2")
    aws("delete-table-version", *at, "--version-id", "0")
    errors = aws("batch-delete-table-version", *at, "--version-ids", "0", "2")["Errors"]
    assert [e["VersionId"] for e in errors] == ["0", "2"], errors


def the_end():
    aws("delete-table", "--database-name", "cli", "--name", "T6")
    fails("EntityNotFoundException", "delete-table", "--database-name", "cli", "--name", "T6")
    errors = aws("batch-delete-table", "--database-name", "cli", "--tables-to-delete", "t5", "t6")["Errors"]
    assert [e["TableName"] for e in errors] == ["t6"], errors
    aws("delete-database", "--name", "cli")
    assert aws("get-databases") == {"DatabaseList": []}


for step in [by_executable, databases, tables, pages, partitions, versions, the_end]:
    step()
    print("ok", step.__name__)
