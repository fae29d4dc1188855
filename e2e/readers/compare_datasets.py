"""Compares two data sets of one run: each table row by row in DuckDB, and what their indices state.

Usage: compare_datasets.py ONE OTHER
Fails if they differ, or a file does not declare its order. Files and bytes may differ: another program has written them.
"""

import json
import pathlib
import sys

import duckdb
import pyarrow.parquet

connection = duckdb.connect()
one, other = map(pathlib.Path, sys.argv[1:])
indices = [json.loads((folder / "index.json").read_text()) for folder in (one, other)]
for index in indices:
    for run in index["runs"]:
        for table in run["tables"].values():
            del table["files"], table["bytes"]
assert indices[0] == indices[1], f"the indices differ: {indices}"

for table in indices[0]["tables"]:
    columns = ", ".join(f'"{column["name"]}"' for column in table["columns"])
    partitions = ", ".join(f"CAST({name} AS VARCHAR)" for name in table["partitions"])
    rows = [
        f"SELECT {columns}, {partitions} FROM read_parquet('{folder}/{table['name']}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
        for folder in (one, other)
    ]
    for ours, theirs in (rows, reversed(rows)):
        left, = connection.execute(f"SELECT count(*) FROM ({ours} EXCEPT ALL {theirs})").fetchone()
        assert left == 0, f"{left} rows of {table['name']} differ"
    for file in (file for folder in (one, other) for file in (folder / table["name"]).rglob("*.parquet") if table["sorted_by"]):
        metadata = pyarrow.parquet.ParquetFile(file).metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        orders = [[group.column(by.column_index).path_in_schema for by in group.sorting_columns] for group in groups]
        assert all(order == table["sorted_by"] for order in orders), f"{file} declares the order {orders}"
    print(table["name"], connection.execute(f"SELECT count(*) FROM ({rows[0]})").fetchone()[0])
