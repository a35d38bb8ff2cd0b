"""Compares what cases wrote with what DuckDB makes of the same inputs.

    python duckdb_rows.py FOLDER...

Each folder is that of a case that has run. Its `duckdb.sql` has queries, each below a line `-- name` with the folder of
Parquet files that it is compared with: the same names and kinds of columns, and the same rows in any order. Numbers with
a fraction may differ in the tenth digit.
"""

import math
import os
import sys
from collections import Counter

import duckdb

KINDS = {
    "integer": {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"},
    "fraction": {"FLOAT", "DOUBLE"},
}


def queries(text):
    """Name and query, for each of them."""
    name, lines, found = None, [], []
    for line in text.splitlines() + ["-- end"]:
        if not line.startswith("-- "):
            lines.append(line)
            continue
        if name and lines:
            found.append((name, "\n".join(lines)))
        name, lines = line[3:].strip(), []
    return found


def kind(name):
    """Widths of numbers do not count, kinds do."""
    return next((kind for kind, names in KINDS.items() if name in names), name)


def plain(value):
    """A value that sorts and compares with others of its column."""
    if value is None:
        return (0, "")
    if isinstance(value, float):
        if math.isnan(value):
            return (1, "nan")
        return (2, float(f"{value:.9e}"))
    return (2, value)


def rows(connection, query):
    result = connection.execute(query)
    columns = [(column[0], kind(str(column[1]))) for column in result.description]
    return columns, Counter(tuple(map(plain, row)) for row in result.fetchall())


def differences(name, query):
    connection = duckdb.connect()
    wanted, found = rows(connection, query), rows(connection, f"select * from read_parquet('{name}/*.parquet')")
    if wanted[0] != found[0]:
        yield f"columns are {found[0]}, DuckDB has {wanted[0]}"
    for row in (wanted[1] - found[1]).elements():
        yield f"DuckDB has a row more: {row}"
    for row in (found[1] - wanted[1]).elements():
        yield f"DuckDB has not the row {row}"


def main():
    compared, wrong = 0, 0
    for folder in sys.argv[1:]:
        os.chdir(folder)
        with open("duckdb.sql", encoding="utf-8") as file:
            named = queries(file.read())
        assert named, f"{folder}: duckdb.sql has no query below a line with a name"
        for name, query in named:
            compared += 1
            for difference in differences(name, query):
                wrong += 1
                print(f"{folder} {name}: {difference}", file=sys.stderr)
    print(f"{compared} results compared")
    sys.exit(1 if wrong else 0)


main()
