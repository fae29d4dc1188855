"""Reads an export for OpenDC with PyArrow, and compares it with the pinned columns of OpenDC and with the rows of the run.

Usage: read_opendc.py EXPORT FOLDER
OpenDC cannot be installed from a package registry, so opendc-columns.json in this folder has the columns of one of its commits. Fails
unless the files have the required ones with the same types and nothing that is not pinned, each invocation is a task with its arrival,
duration and CPU time, and the hosts are the nodes. Prints the sums.
"""

import collections
import decimal
import json
import math
import pathlib
import sys

import pyarrow.parquet

export, folder = map(pathlib.Path, sys.argv[1:])
pinned = json.loads(pathlib.Path(__file__).with_name("opendc-columns.json").read_text())["files"]


def described(column):
    logical = json.loads(column.logical_type.to_json())
    found = {"name": column.name, "type": column.physical_type}
    if logical["Type"] != "None":
        found["logical"] = logical["Type"]
    if logical["Type"] == "Timestamp":
        found |= {"utc": logical["isAdjustedToUTC"], "unit": logical["timeUnit"]}
    if column.max_definition_level > 0:
        found["optional"] = True
    return found


def read(name):
    file = pyarrow.parquet.ParquetFile(export / "trace" / name)
    found = [described(file.schema.column(place)) for place in range(len(file.schema.names))]
    names = {column["name"] for column in found}
    expected = [column for column in pinned[name] if column["name"] in names or not column.get("optional")]
    assert found == expected, (found, expected)
    return file.read().to_pylist()


tasks, fragments = read("tasks.parquet"), read("fragments.parquet")
assert [task["id"] for task in tasks] == list(range(len(tasks))) == [fragment["id"] for fragment in fragments]
submissions = [int(task["submission_time"].timestamp() * 1000 + 0.5) for task in tasks]
assert submissions == sorted(submissions)

nodes_path = folder / "nodes.json"
nodes = {node["node_id"]: node for node in json.loads(nodes_path.read_text())} if nodes_path.exists() else {}
mhz = lambda node: nodes.get(node, {}).get("cpu_freq_mhz") or 1000.0
found, works, cores, modules = [], [], set(), collections.Counter()
for task, fragment, submission in zip(tasks, fragments, submissions):
    assert task["duration"] == fragment["duration"] >= 1 and task["cpu_count"] >= 1
    assert fragment["cpu_usage"] <= task["cpu_capacity"] * (1 + 1e-12), (task, fragment)
    core = task["cpu_capacity"] / task["cpu_count"]
    found.append((submission, task["duration"]))
    works.append(fragment["cpu_usage"] / core * fragment["duration"])
    cores.add(core)
    modules[task["name"].split(" ")[0]] += 1

rows = [json.loads(line, parse_float=decimal.Decimal) for line in (folder / "invocations.jsonl").open()]
duration = lambda row: row["ts_end"] - row["ts_enqueue"] if row["rt_ms"] is None else row["rt_ms"]
service = lambda row: duration(row) - (row["queue_time_ms"] or 0)
expected = [(math.floor(row["ts_enqueue"]), max(1, math.ceil(service(row)))) for row in rows]
assert sorted(found) == sorted(expected)
assert modules == collections.Counter(row["module_id"].split(" ")[0] for row in rows)
assert cores == {mhz(row["node"]) for row in rows}, cores
# Without a CPU time, a task has the estimate of `cctf stats --cpu`.
cpu_ms, rows_ms = sum(works), float(sum(row["cpu_time_ms"] or 0 for row in rows))
has_cpu = all(row["cpu_time_ms"] is not None for row in rows)
assert not has_cpu or abs(cpu_ms - rows_ms) < 1e-9 * rows_ms, (cpu_ms, rows_ms)

[cluster] = json.loads((export / "topology.json").read_text())["clusters"]
hosts = {host["name"]: host for host in cluster["hosts"]}
assert set(hosts) == {row["node"] for row in rows}, hosts
for name, host in hosts.items():
    node = nodes.get(name, {})
    assert host["cpu"] == {"coreCount": node.get("cpu_cores") or 1 << 20, "coreSpeed": mhz(name)}, host
    assert host["memory"]["memorySize"] == int((node.get("mem_mb") or 1 << 20) * (1 << 20)), host
experiment = json.loads((export / "experiment.json").read_text())
paths = [entry["pathToFile"] for entry in experiment["topologies"] + experiment["workloads"]]
assert all((export / path).exists() for path in paths), paths
print(json.dumps({"invocations": len(tasks), "duration_ms": sum(task["duration"] for task in tasks), "cpu_ms": cpu_ms}))
