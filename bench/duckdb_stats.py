"""Computes the aggregates of `cctf stats` with DuckDB: duckdb_stats.py FOLDER BY,...

Reads typed JSON with all cores, and prints the CPU seconds of the queries. The folder is that of the CCTF files.
"""

import sys
import time

import duckdb

FIELDS = {
    "trace_id": "VARCHAR", "app_id": "VARCHAR", "module_id": "VARCHAR", "node": "VARCHAR", "method": "VARCHAR", "route": "VARCHAR",
    "path": "VARCHAR", "caller_span_id": "VARCHAR", "ts_enqueue": "DOUBLE", "ts_start": "DOUBLE", "ts_end": "DOUBLE",
    "queue_time_ms": "DOUBLE", "service_time_ms": "DOUBLE", "rt_ms": "DOUBLE", "cpu_time_ms": "DOUBLE", "net_ms": "DOUBLE",
    "downstream_ms": "DOUBLE", "bytes_in": "BIGINT", "bytes_out": "BIGINT", "status": "INTEGER", "error_type": "VARCHAR",
}
CALL_FIELDS = {"trace_id": "VARCHAR", "span_id": "VARCHAR", "node": "VARCHAR"}
KEYS = {
    "module": "app_id, module_id",
    "endpoint": "app_id, module_id, method, endpoint",
    "node": "node",
    "link": "from_node, node",
}
TIMES = ["queue_time_ms", "service_time_ms", "rt_ms", "cpu_time_ms", "net_ms"]


def typed(path, fields):
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in fields.items())
    return f"read_json('{path}', format = 'newline_delimited', columns = {{{columns}}}, maximum_object_size = 16777216)"


def query(by):
    """The figures of one grouping. All quantiles of a time are one aggregate, so that its values are sorted once."""
    keys = KEYS[by]
    times = TIMES if by != "link" else ["net_ms"]
    figures = [
        "count(*)", "count(*) FILTER (WHERE status >= 500 OR error_type IS NOT NULL)", "stddev_pop(gap) / avg(gap)",
        "count(bytes_in)", "sum(bytes_in)", "count(bytes_out)", "sum(bytes_out)",
    ]
    for name in times:
        figures += [f"count({name})", f"sum({name})", f"count(*) FILTER (WHERE {name} = 0)",
                    f"quantile_disc({name}, [0.5, 0.95, 0.99])"]
    gap = f"ts_enqueue - lag(ts_enqueue) OVER (PARTITION BY {keys} ORDER BY ts_enqueue) AS gap"
    source = "selected" if by != "link" else "linked"
    return f"SELECT {keys}, {', '.join(figures)} FROM (SELECT *, {gap} FROM {source}) GROUP BY {keys}"


def main():
    folder, groupings = sys.argv[1], sys.argv[2].split(",")
    connection = duckdb.connect()
    began = time.process_time()
    rows = typed(f"{folder}/invocations.jsonl", FIELDS)
    connection.execute(f"CREATE TABLE selected AS SELECT *, coalesce(route, path) AS endpoint FROM {rows}")
    if "link" in groupings:
        calls = typed(f"{folder}/calls.jsonl", CALL_FIELDS)
        connection.execute(
            f"CREATE TABLE linked AS SELECT i.*, c.node AS from_node FROM selected i JOIN {calls} c "
            "ON c.trace_id = i.trace_id AND c.span_id = i.caller_span_id"
        )
    calls = [sum(row[KEYS[by].count(",") + 1] for row in connection.execute(query(by)).fetchall()) for by in groupings]
    print(time.process_time() - began, *calls)


main()
