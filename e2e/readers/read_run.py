"""Reads a run with DuckDB, pandas and pyarrow, using the types that `cctf schema` prints for each.

Usage: read_run.py CCTF_BINARY FOLDER
Prints the number of rows of each file. Fails if a reader fails, or if the readers' numbers differ.
"""

import json
import pathlib
import subprocess
import sys

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.json

binary, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def types(file, reader):
    return subprocess.run(
        [binary, "schema", file, "--format", reader], check=True, capture_output=True, text=True
    ).stdout


def with_duckdb(path):
    layout = "newline_delimited" if path.suffix == ".jsonl" else "auto"
    query = f"SELECT * FROM read_json('{path}', format='{layout}', columns={types(path.name, 'duckdb')})"
    return len(duckdb.sql(query).fetchall())


def with_pandas(path):
    frame = pd.read_json(path, lines=path.suffix == ".jsonl", dtype=False)
    wanted = json.loads(types(path.name, "pandas"))
    unknown = set(frame.columns) - set(wanted)
    assert not unknown, f"{path.name} has columns that the schema does not know: {unknown}"
    return len(frame.astype({column: kind for column, kind in wanted.items() if column in frame}))


def arrow_table(path):
    schema = eval(types(path.name, "arrow"), {"pa": pa})
    # Arrow's JSON reader does not accept the type map (system_stats' attributes), so it infers the type of this field.
    explicit = pa.schema([field for field in schema if not pa.types.is_map(field.type)])
    unexpected = "error" if len(explicit) == len(schema) else "infer"
    options = pyarrow.json.ParseOptions(explicit_schema=explicit, unexpected_field_behavior=unexpected)
    return pyarrow.json.read_json(path, parse_options=options)


def exact_stamps(path):
    """Compares every digit of a timestamp that arrow has read with the text."""
    with path.open() as file:
        written = file.readline().split('"ts_end":')[1].split(",")[0]
    read = str(arrow_table(path)["ts_end"][0].as_py())
    assert read == written, f"{read} is not {written}"


for path in sorted(folder.iterdir()):
    if path.name == "run_meta.json":
        continue  # one object with free keys in it: any JSON reader takes it
    rows = {"duckdb": with_duckdb(path), "pandas": with_pandas(path)}
    if path.suffix == ".jsonl":
        rows["arrow"] = arrow_table(path).num_rows
    assert len(set(rows.values())) == 1, f"{path.name}: readers differ: {rows}"
    print(path.name, rows["duckdb"])
exact_stamps(folder / "invocations.jsonl")
