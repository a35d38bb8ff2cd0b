"""The kernels of the benchmarks as pandas UDFs of PySpark, for `tests/benches/peers.rs`.

One JVM thread and one Python worker (`local[1]`), Arrow on, the worker kept between queries. The input is cached in
memory, the output goes nowhere (`noop`), and the first runs are not counted. Each kernel is what a careful author
writes: numpy on whole columns, pandas' `str` methods for text.

Prints a line of JSON for each kernel: nanoseconds a row, the median of the rounds, and the sum of the results of the
first 8192 rows, by which the harness checks that all peers compute the same.
"""

import json
import re
import statistics
import sys
import time

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.functions import pandas_udf

ROWS = 1 << 21
CHECKED = 8192
ROUNDS = 5
ADDRESS = re.compile(r"^[a-z0-9._]+@[a-z0-9-]+\.(com|org)$")


@pandas_udf(T.IntegerType())
def gcd(a: pd.Series, b: pd.Series) -> pd.Series:
    return pd.Series(np.gcd(a.to_numpy(), b.to_numpy()))


@pandas_udf(T.LongType())
def add_one(a: pd.Series) -> pd.Series:
    return a + 1


@pandas_udf(T.StringType())
def substring(s: pd.Series) -> pd.Series:
    return s.str.slice(2, 10)


@pandas_udf(T.StringType())
def upper(s: pd.Series) -> pd.Series:
    return s.str.upper()


@pandas_udf(T.BooleanType())
def regex_match(s: pd.Series) -> pd.Series:
    return s.str.match(ADDRESS)


@pandas_udf(T.DoubleType())
def haversine(lat1: pd.Series, lon1: pd.Series, lat2: pd.Series, lon2: pd.Series) -> pd.Series:
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    lat = np.sin((phi2 - phi1) * 0.5)
    lon = np.sin(np.radians(lon2 - lon1) * 0.5)
    h = lat * lat + np.cos(phi1) * np.cos(phi2) * lon * lon
    return 2.0 * 6371.0088 * np.arcsin(np.sqrt(h))


def degrees(by, width):
    return ((F.col("id") * by) % width).cast("double") - width / 2.0


def kernels():
    """Name, function, input columns, and the sum of the output; rows as in `tests/benches/support/mod.rs`."""
    i = F.col("id")
    text = F.concat(F.lit("Abcdefgh-"), F.lpad(i.cast("string"), 11, "0"))
    end = F.when(i % 2 == 0, "com").otherwise("net")
    address = F.concat(F.lit("user."), F.lpad(i.cast("string"), 7, "0"), F.lit("@example."), end)
    places = [degrees(1, 160), degrees(7, 340), degrees(13, 160), degrees(29, 340)]
    as_bytes = lambda rows: sum(sum(row.encode()) for row in rows)
    return [
        ("gcd", gcd, [i.cast("int"), (i * 2).cast("int")], sum),
        ("add-one", add_one, [i], sum),
        ("substring", substring, [text], as_bytes),
        ("upper", upper, [text], as_bytes),
        ("regex-match", regex_match, [address], sum),
        ("haversine", haversine, places, sum),
    ]


def measure(spark, name, function, inputs, total):
    columns = [f"c{n}" for n in range(len(inputs))]
    source = spark.range(0, ROWS, 1, 1).select(*[c.alias(n) for c, n in zip(inputs, columns)])
    source = source.cache()
    source.count()
    output = source.select(function(*columns).alias("out"))
    first = source.limit(CHECKED).select(function(*columns).alias("out"))
    checked = total(row.out for row in first.collect())
    times = []
    for _ in range(ROUNDS + 2):
        start = time.perf_counter()
        output.write.format("noop").mode("overwrite").save()
        times.append(time.perf_counter() - start)
    source.unpersist()
    line = {
        "peer": "pyspark",
        "how": "pandas UDF",
        "kernel": name,
        "rows": CHECKED,
        "nanos_per_row": statistics.median(times[2:]) / ROWS * 1e9,
        "sum": float(checked),
    }
    print(json.dumps(line), flush=True)


def main():
    spark = (
        SparkSession.builder.master("local[1]")
        .appName("kernels")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "2g")
        .config("spark.driver.host", "localhost")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", str(CHECKED))
        .config("spark.python.worker.reuse", "true")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    only = sys.argv[1:]
    for name, function, inputs, total in kernels():
        if not only or name in only:
            measure(spark, name, function, inputs, total)
    spark.stop()


if __name__ == "__main__":
    main()
