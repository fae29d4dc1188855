"""Compares the figures of `cctf stats` with what DuckDB computes by the SQL that it prints.

Usage: compare_stats.py CCTF_BINARY FOLDER [FLAG...]
Prints the number of figures that agree. Fails if one differs: counts and sums must be equal, quantiles within the error of the
sketch and exact for zero, other numbers equal but for the rounding of doubles.
"""

import json
import re
import subprocess
import sys

import duckdb

SKETCH_ERROR = 1 / 128
ROUNDING = 1e-9

binary, folder, flags = sys.argv[1], sys.argv[2], sys.argv[3:]
KEYS = {"app_id", "module_id", "method", "route", "from_node", "node"}
BY = ["module", "endpoint", "node", "link"]


def stats(*more):
    command = [binary, "stats", folder, "--by", ",".join(BY), *flags, *more]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def is_equal(name, ours, theirs):
    if ours is None or theirs is None:
        return ours is None and theirs is None
    if re.fullmatch(r".*_p[0-9]+_ms", name):
        # Milliseconds as a double are not exact in the last digit.
        return abs(ours - theirs) <= theirs * SKETCH_ERROR + ROUNDING
    if isinstance(ours, int):
        return ours == theirs
    return abs(ours - theirs) <= abs(theirs) * ROUNDING + ROUNDING


def results(sql):
    """One table for each grouping, as rows by name."""
    connection = duckdb.connect()
    for statement in duckdb.extract_statements(sql):
        result = connection.execute(statement)
        if statement.type == duckdb.StatementType.SELECT:
            names = [column[0] for column in result.description]
            yield [dict(zip(names, row)) for row in result.fetchall()]


ours = json.loads(stats("--format", "json"))
tables = list(results(stats("--sql")))
assert len(tables) == len(BY), f"{len(tables)} results"
agreed = 0
for by, theirs in zip(BY, tables):
    groups = [group for group in ours["groups"] if group["by"] == by]
    keys = [name for name in groups[0] if name in KEYS]
    by_key = {tuple(row[key] for key in keys): row for row in theirs}
    assert len(groups) == len(by_key) == len(theirs), f"{by}: {len(groups)} groups, DuckDB has {len(theirs)}"
    for group in groups:
        row = by_key[tuple(group[key] for key in keys)]
        assert set(row) == set(group) - {"by", "intervals"}, f"{by}: {set(row) ^ set(group)}"
        for name, value in row.items():
            theirs_value = value if name in keys or value is None or isinstance(value, int) else float(value)
            assert name in keys or is_equal(name, group[name], theirs_value), (
                f"{by} {[group[key] for key in keys]}: {name} is {group[name]}, DuckDB has {theirs_value}"
            )
            agreed += name not in keys
print(agreed)
