"""Runs the example of one reader in docs/export/parquet.md, in a folder with the data set `data`.

Usage: dataset_example.py DOCUMENT READER [CCTF_BINARY RUN_ID CCTF_FOLDER]
READER is duckdb, json, spark, polars or pandas. json is the query of DuckDB over the JSON files of a run, with the view of the
document. Prints a JSON array of [run id, module, minute, invocations, 99th percentile in ns, bytes].
"""

import json
import os
import re
import subprocess
import sys

document, reader, *run = sys.argv[1:]
blocks = dict(re.findall(r"^```(?:sql|python)(?: (\w+))?\n(.*?)^```$", open(document).read(), re.MULTILINE | re.DOTALL))
query = blocks[""]


def rows_of_duckdb(*statements):
    import duckdb

    connection = duckdb.connect()
    for statement in statements:
        connection.execute(statement)
    return connection.execute(query).fetchall()


def rows_of(frame):
    """The rows of a data frame of pandas."""
    return list(frame.itertuples(index=False, name=None))


if reader == "duckdb":
    os.chdir("data")
    rows = rows_of_duckdb(open("duckdb.sql").read())
elif reader == "json":
    binary, run_id, folder = run
    schema = [binary, "schema", "invocations.jsonl", "--format", "duckdb"]
    columns = subprocess.run(schema, check=True, capture_output=True, text=True).stdout
    view = blocks["json"].replace("COLUMNS", columns).replace("logs/monday/cctf", folder).replace("monday", run_id)
    rows = rows_of_duckdb(view)
else:
    names = {}
    exec(blocks[reader], names)
    answer = names["answer"]
    rows = {"spark": lambda: answer.collect(), "polars": lambda: answer.rows(), "pandas": lambda: rows_of(answer)}[reader]()


def row(run_id, module, minute, calls, p99, count):
    # SQL has milliseconds, but data frames have nanoseconds.
    p99_ns = round(p99 * 1_000_000) if reader in ("duckdb", "json", "spark") else p99
    return [run_id, module, int(minute), int(calls), int(p99_ns), int(count)]


print(json.dumps([row(*values) for values in rows]))
