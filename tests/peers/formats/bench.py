"""One task of `runtime/connect/benches/formats.rs` with DuckDB, Polars or PySpark, in a process of its own.

    bench.py ENGINE TASK INPUT OUTPUT

Prints one line of JSON: seconds of the work (for PySpark with its start, which every job pays) and the peak of
the resident memory in bytes, of the JVM too. A query's answer is printed as well, and compared by the harness.
"""

import json
import os
import sys
import time

FILTERED = """
    SELECT category, count(*) AS n, sum(id) AS ids, sum(CAST(amount * 100 AS BIGINT)) AS cents, max(day) AS last
    FROM {table} WHERE amount >= 250 AND flag GROUP BY category ORDER BY category
"""
COUNTED = "SELECT count(*) AS n, sum(id) AS ids, count(CASE WHEN flag THEN 1 END) AS flags FROM {table} WHERE id % 3 = 0"


def duckdb_task(task, source, target):
    import duckdb

    start = time.perf_counter()
    if task == "csv":
        duckdb.sql(f"COPY (SELECT * FROM read_csv('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        answer = None
    elif task == "json":
        duckdb.sql(f"COPY (SELECT * FROM read_json('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        answer = None
    else:
        query = FILTERED if task == "scan" else COUNTED
        answer = duckdb.sql(query.format(table=f"read_parquet('{source}/*.parquet')")).fetchall()
    return time.perf_counter() - start, answer


def polars_task(task, source, target):
    import polars as pl

    start = time.perf_counter()
    answer = None
    if task == "csv":
        pl.scan_csv(source, try_parse_dates=True).sink_parquet(target, compression="zstd", compression_level=3)
    elif task == "json":
        pl.scan_ndjson(source).sink_parquet(target, compression="zstd", compression_level=3)
    else:
        frame = pl.scan_parquet(f"{source}/*.parquet")
        if task == "scan":
            frame = (
                frame.filter((pl.col("amount") >= 250) & pl.col("flag"))
                .group_by("category")
                .agg(
                    pl.len().alias("n"),
                    pl.col("id").sum().alias("ids"),
                    (pl.col("amount") * 100).round().cast(pl.Int64).sum().alias("cents"),
                    pl.col("day").max().alias("last"),
                )
                .sort("category")
            )
        else:
            frame = frame.filter(pl.col("id") % 3 == 0).select(
                pl.len().alias("n"), pl.col("id").sum().alias("ids"), pl.col("flag").sum().alias("flags")
            )
        answer = frame.collect(engine="streaming").rows()
    return time.perf_counter() - start, answer


def pyspark_task(task, source, target):
    start = time.perf_counter()
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .getOrCreate()
    )
    answer = None
    if task == "csv":
        frame = spark.read.csv(source, header=True, inferSchema=True, multiLine=False, escape='"')
        frame.write.parquet(target)
    elif task == "json":
        spark.read.json(source).write.parquet(target)
    else:
        spark.read.parquet(source).createOrReplaceTempView("t")
        query = FILTERED.replace("CAST(amount * 100 AS BIGINT)", "CAST(round(amount * 100) AS BIGINT)")
        query = query if task == "scan" else COUNTED
        answer = [tuple(row) for row in spark.sql(query.format(table="t")).collect()]
    seconds = time.perf_counter() - start
    memory = sum(peak(pid) for pid in children(os.getpid()))
    spark.stop()
    return seconds, answer, memory


def peak(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def children(parent):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if int(stat.read().rsplit(")", 1)[1].split()[1]) == parent:
                    found += [int(pid), *children(int(pid))]
        except OSError:
            continue
    return found


def main():
    engine, task, source, target = sys.argv[1:]
    run = {"duckdb": duckdb_task, "polars": polars_task, "pyspark": pyspark_task}[engine]
    seconds, answer, *memory = run(task, source, target)
    rows = [[str(value) for value in row] for row in answer or []]
    print(json.dumps({"seconds": seconds, "bytes": peak(os.getpid()) + sum(memory), "answer": rows}))


main()
