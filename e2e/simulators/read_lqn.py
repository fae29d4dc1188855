"""Compares the solution of a layered queueing network, and the network itself, with the rows of the run.

Usage: read_lqn.py EXPORT FOLDER
EXPORT has results.json, which its solve.py wrote. Fails unless LINE's network has the requests, rates and CPU times of the rows, stations
that call nothing are as busy as their rows, and utilisations are rate times service time by slot. Prints the counts.
"""

import collections
import decimal
import json
import pathlib
import sys
import xml.etree.ElementTree

export, folder = map(pathlib.Path, sys.argv[1:])
results, recorded = (json.loads((export / name).read_text()) for name in ["results.json", "recorded.json"])
network = xml.etree.ElementTree.parse(export / "model.lqnx").getroot()
rows = [json.loads(line, parse_float=decimal.Decimal) for line in (folder / "invocations.jsonl").open()]
seconds = float(max(row["ts_end"] for row in rows) - min(row["ts_enqueue"] for row in rows)) / 1e3
near = lambda one, other, error: abs(one - other) <= error * max(abs(one), abs(other)) + 1e-9
assert near(recorded["seconds"], seconds, 1e-6)

# The network: a customer's cycle is a root, and each entry is visited as often as recorded.
activities = {activity.get("name"): activity for activity in network.iter("activity")}
names = {element.get("name") for kind in ["processor", "task", "entry"] for element in network.iter(kind)}
assert all(call.get("dest") in names for call in network.iter("synch-call"))
entries = {entry["entry"]: entry for entry in recorded["entries"]}
calls = lambda name: [(call.get("dest"), float(call.get("calls-mean"))) for call in activities[name].iter("synch-call")]
visits = collections.Counter()
pending = [("ac", float(recorded["roots"]))]
while pending:
    name, count = pending.pop()
    for to, mean in calls(name):
        visits[to] += count * mean
        pending.append((f"a{to[1:]}", count * mean))
for name, entry in entries.items():
    assert near(visits[name], entry["requests"], 1e-9), (name, visits[name], entry)

by_station = collections.defaultdict(list)
for row in rows:
    by_station[row["module_id"], row["instance_id"]].append(row)
calling = {(row["module_id"], row["instance_id"]) for row in map(json.loads, (folder / "calls.jsonl").open())}
stations = {(station["module"], station["instance"]): station for station in results["stations"]}
assert set(stations) == set(by_station)
leaves = 0
for key, station in stations.items():
    of = by_station[key]
    assert station["recorded"]["requests"] == len(of)
    assert near(station["rate"], len(of) / seconds, 0.01), (key, station, len(of) / seconds)
    if station["slots"]:
        busy = station["rate"] * station["service_ms"] / 1e3 / station["slots"]
        assert near(station["utilisation"], busy, 0.01), (key, station)
        if key not in calling:
            leaves += 1
            # Waits for CPUs arise in the network again.
            own = sum(row["service_time_ms"] - (row.get("cpu_wait_ms") or 0) for row in of)
            assert near(station["utilisation"], float(own) / 1e3 / seconds / station["slots"], 0.02), (key, station, own)
    assert station["response_ms"] >= station["service_ms"] * 0.999, (key, station)

cpu = collections.Counter()
for row in rows:
    # The estimate for a row without a CPU time is that of `cctf stats --cpu`.
    cpu[row["node"]] += float("nan") if row["cpu_time_ms"] is None else float(row["cpu_time_ms"])
for node in results["nodes"]:
    if node["cores"] and cpu[node["node"]] == cpu[node["node"]]:
        expected = cpu[node["node"]] / 1e3 / seconds / node["cores"]
        assert near(node["utilisation"], expected, 0.01), (node, expected)
print(
    json.dumps(
        {
            "roots": sum(row["parent_id"] is None for row in rows),
            "invocations": len(rows),
            "stations": len(stations),
            "leaves": leaves,
            "response_ms": results["response_ms"],
        }
    )
)
