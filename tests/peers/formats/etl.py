"""The job of `tests/benches/etl.rs` with DuckDB or Polars, in a process of its own.

    etl.py ENGINE ORDERS CUSTOMERS OUTPUT

Prints one line of JSON: seconds of the work and the peak of the resident memory in bytes.
"""

import json
import sys
import time


def duckdb_job(orders, customers, target):
    import duckdb

    start = time.perf_counter()
    duckdb.sql(f"""
        COPY (
            SELECT c.segment, date_trunc('month', o.day) AS month, count(*) AS orders,
                sum(o.quantity + 1) AS quantity, sum(CAST(o.amount AS DOUBLE)) AS amount, c.country
            FROM read_csv('{orders}') o JOIN read_csv('{customers}') c USING (customer)
            WHERE CAST(o.amount AS DOUBLE) >= 10
            GROUP BY c.country, c.segment, month
        ) TO '{target}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (country))
    """)
    return time.perf_counter() - start


def polars_job(orders, customers, target):
    import polars as pl

    start = time.perf_counter()
    frame = (
        pl.scan_csv(orders, try_parse_dates=True)
        .with_columns(pl.col("amount").cast(pl.Float64), pl.col("quantity").cast(pl.Int64))
        .filter(pl.col("amount") >= 10)
        .join(pl.scan_csv(customers), on="customer")
        .group_by("country", "segment", pl.col("day").dt.truncate("1mo").alias("month"))
        .agg(
            pl.len().alias("orders"),
            (pl.col("quantity") + 1).sum().alias("quantity"),
            pl.col("amount").sum(),
        )
    )
    frame.sink_parquet(
        pl.PartitionBy(target, key="country", include_key=False), compression="zstd", mkdir=True
    )
    return time.perf_counter() - start


def main():
    engine, orders, customers, target = sys.argv[1:]
    job = {"duckdb": duckdb_job, "polars": polars_job}[engine]
    seconds = job(orders, customers, target)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    print(json.dumps({"seconds": seconds, "bytes": peak}))


main()
