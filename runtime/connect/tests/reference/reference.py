"""Reads files with other people's readers and prints what is in them, for comparison value by value.

    reference.py read FORMAT FILE...      one line of JSON for each file
    reference.py make FOLDER              writes files of the kinds that the corpora lack

A value is written so that no two different ones look alike:

    null, true, "i:1", "f:<bits of the double>", "s:text", "b:<hex>", "d:<unscaled>/<scale, no trailing zeros>",
    "D:<days>", "t:<nanoseconds of the day>", "T:<nanoseconds since 1970>", [item, ...], {"name": value}
"""

import datetime
import decimal
import json
import math
import struct
import sys
import uuid

EPOCH = datetime.datetime(1970, 1, 1)


def value(v, maps=False):
    if v is None or isinstance(v, bool):
        return v
    if isinstance(v, int):
        return f"i:{v}"
    if isinstance(v, float):
        return "f:nan" if math.isnan(v) else "f:" + struct.pack(">d", v).hex()
    if isinstance(v, str):
        return "s:" + v
    if isinstance(v, bytes):
        return "b:" + v.hex()
    if isinstance(v, uuid.UUID):
        return "b:" + v.bytes.hex()
    if isinstance(v, decimal.Decimal):
        sign, digits, exponent = v.as_tuple()
        unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
        while unscaled % 10 == 0 and unscaled and exponent < 0:
            unscaled, exponent = unscaled // 10, exponent + 1
        if not unscaled:
            exponent = 0
        return f"d:{unscaled}/{-exponent}"
    if isinstance(v, datetime.datetime):
        if v.tzinfo:
            v = v.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        delta = v - EPOCH
        return f"T:{((delta.days * 86400 + delta.seconds) * 1000000 + delta.microseconds) * 1000}"
    if isinstance(v, datetime.date):
        return f"D:{(v - EPOCH.date()).days}"
    if isinstance(v, datetime.time):
        return f"t:{((v.hour * 60 + v.minute) * 60 + v.second) * 1000000000 + v.microsecond * 1000}"
    if isinstance(v, dict):
        return [] if not v else {key: value(inner, maps) for key, inner in v.items()}
    if isinstance(v, (list, tuple)):
        if maps and isinstance(v, list) and v and all(isinstance(i, tuple) and len(i) == 2 for i in v):
            return {key if isinstance(key, str) else json.dumps(value(key)): value(inner, maps) for key, inner in v}
        return [value(inner, maps) for inner in v]
    raise TypeError(f"{type(v)}: {v!r}")


def arrow_values(column):
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
        whole = column.cast(pa.int64()).to_pylist()
        return [None if v is None else f"T:{v * factor}" for v in whole]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_time(column.type) and column.type.unit == "ns":
        return [None if v is None else f"t:{v}" for v in column.cast(pa.int64()).to_pylist()]
    return [value(v, maps=True) for v in column.to_pylist()]


def arrow_table(table):
    return {name: arrow_values(table.column(index)) for index, name in enumerate(table.column_names)}


def read(format, path):
    if format == "parquet":
        import pyarrow.parquet

        return arrow_table(pyarrow.parquet.ParquetFile(path, coerce_int96_timestamp_unit="us").read())
    if format == "orc":
        import pyarrow.orc

        return arrow_table(pyarrow.orc.ORCFile(path).read())
    if format == "arrow":
        import pyarrow as pa

        with open(path, "rb") as file:
            if file.read(6) == b"ARROW1":
                return arrow_table(pa.ipc.open_file(path).read_all())
            file.seek(0)
            return arrow_table(pa.ipc.open_stream(file.read()).read_all())
    if format == "avro":
        import fastavro

        with open(path, "rb") as file:
            reader = fastavro.reader(file)
            names = [field["name"] for field in reader.writer_schema["fields"]]
            rows = list(reader)
        return {name: [value(row[name]) for row in rows] for name in names}
    if format == "excel":
        import openpyxl

        rows = list(openpyxl.load_workbook(path, data_only=True).worksheets[0].iter_rows(values_only=True))
        names, rows = rows[0], [list(row) for row in rows]
        for index in range(len(names)):
            if any(isinstance(row[index], float) for row in rows):
                for row in rows:
                    row[index] = float(row[index]) if type(row[index]) is int else row[index]
        return {name: [value(row[index]) for row in rows[1:]] for index, name in enumerate(names)}
    raise ValueError(format)


def tables():
    import pyarrow as pa

    d, dt = decimal.Decimal, datetime.datetime
    flat = pa.table(
        {
            "bool": pa.array([True, None, False] * 50),
            "i8": pa.array([-128, 127, None] * 50, pa.int8()),
            "i16": pa.array([-32768, None, 32767] * 50, pa.int16()),
            "i32": pa.array([None, -(2**31), 2**31 - 1] * 50, pa.int32()),
            "i64": pa.array([2**63 - 1, -(2**63), None] * 50, pa.int64()),
            "f32": pa.array([1.5, float("nan"), None] * 50, pa.float32()),
            "f64": pa.array([-0.0, float("inf"), 1e300] * 50, pa.float64()),
            "text": pa.array(["", "Zoë \U0001f600", None] * 50),
            "bytes": pa.array([b"", None, bytes(range(256))] * 50),
            "date": pa.array([datetime.date(1969, 7, 20), None, datetime.date(9999, 12, 31)] * 50),
            "time": pa.array([dt(2026, 3, 29, 2, 30, 0, 123456), dt(1970, 1, 1), None] * 50, pa.timestamp("ns")),
            "instant": pa.array([dt(2026, 3, 29, 2, 30), None, dt(1999, 1, 1)] * 50, pa.timestamp("ns", "UTC")),
            "decimal": pa.array([d("12345.67"), d("-0.01"), None] * 50, pa.decimal128(20, 2)),
            "run": pa.array(list(range(75)) * 2, pa.int64()),
            "same": pa.array(["x"] * 150),
        }
    )
    nested = pa.table(
        {
            "list": pa.array([[1, None, 3], [], None], pa.list_(pa.int32())),
            "struct": pa.array(
                [{"a": 1, "b": "x"}, None, {"a": None, "b": None}], pa.struct([("a", pa.int64()), ("b", pa.string())])
            ),
            "map": pa.array([[("k", 1), ("l", None)], [], None], pa.map_(pa.string(), pa.int32())),
            "deep": pa.array([[[1.5], [], None], None, [[2.5, None]]], pa.list_(pa.list_(pa.float64()))),
            "structs": pa.array([[{"a": 1}, None], [], None], pa.list_(pa.struct([("a", pa.int32())]))),
        }
    )
    return {"flat": flat, "nested": nested, "empty": flat.slice(0, 0)}


def make(folder):
    import openpyxl
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.orc

    for name, table in tables().items():
        for compression in ["uncompressed", "zlib", "snappy", "lz4", "zstd"]:
            pyarrow.orc.write_table(table, f"{folder}/{name}.{compression}.orc", compression=compression)
        pyarrow.orc.write_table(table, f"{folder}/{name}.small.orc", stripe_size=4096, batch_size=16, compression="zlib")
        for compression in [None, "lz4", "zstd"]:
            options = pa.ipc.IpcWriteOptions(compression=compression)
            with pa.ipc.new_file(f"{folder}/{name}.{compression}.arrow", table.schema, options=options) as file:
                file.write_table(table, max_chunksize=40)
            with pa.ipc.new_stream(f"{folder}/{name}.{compression}.arrows", table.schema, options=options) as file:
                file.write_table(table, max_chunksize=40)
        pyarrow.feather.write_feather(table, f"{folder}/{name}.feather")
    words = pa.array(["a", "b", None, "a"] * 30).dictionary_encode()
    encoded = pa.table({"word": words, "view": pa.array(["x", None, "a long text that is not inline"] * 40, pa.string_view())})
    with pa.ipc.new_stream(f"{folder}/encoded.arrows", encoded.schema) as file:
        file.write_table(encoded, max_chunksize=50)
    with pa.ipc.new_file(f"{folder}/encoded.arrow", encoded.schema) as file:
        file.write_table(encoded)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["name", "postcode", "count", "share", "born", "seen", "member", "note"])
    sheet.append(["Ada", "0812", 1, 0.5, datetime.date(1915, 12, 10), datetime.datetime(2026, 7, 31, 12, 30, 15), True, None])
    sheet.append(["Zoë", "12", -7, 3, datetime.date(2000, 2, 29), None, False, "a < b & c"])
    sheet.append([None, None, None, None, None, datetime.datetime(2026, 1, 1), None, " spaces "])
    book.create_sheet("second").append(["only"])
    book.save(f"{folder}/people.xlsx")


def main():
    command, rest = sys.argv[1], sys.argv[2:]
    if command == "make":
        make(rest[0])
        return
    for path in rest[1:]:
        try:
            columns = read(rest[0], path)
            print(json.dumps({"file": path, "columns": columns}))
        except Exception as error:  # what the reference cannot read is no reference
            print(json.dumps({"file": path, "error": f"{type(error).__name__}: {error}"}))


main()
