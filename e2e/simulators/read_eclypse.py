"""Runs the program of an export to ECLYPSE, and compares what it prints with the rows of the run.

Usage: read_eclypse.py EXPORT FOLDER
Fails unless the recorded placement is feasible, has the nodes of the rows and the links of links.json, and a bandwidth below the
need of an interaction makes it infeasible. Prints the number of services and of interactions.
"""

import collections
import json
import math
import pathlib
import subprocess
import sys

import networkx

export, folder = map(pathlib.Path, sys.argv[1:])


def place(*args):
    command = [sys.executable, export / "place.py", *args]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


rows = [json.loads(line) for line in (folder / "invocations.jsonl").open()]
links = {(link["u"], link["v"]): link for link in json.loads((folder / "links.json").read_text())}
service = lambda row: f"{row['module_id']} {row['instance_id']}"
recorded = place()
assert recorded["is_feasible"] and not recorded["violated"], recorded
assert recorded["mapping"] == {service(row): row["node"] for row in rows}, recorded["mapping"]

network = networkx.DiGraph()
for edge in json.loads((export / "infrastructure.json").read_text())["edges"]:
    # A link without a known delay takes no time.
    delay_s = links.get((edge["source"], edge["target"]), {}).get("PR_s") or 0
    assert edge["attrs"]["latency"] == delay_s * 1e3, edge
    network.add_edge(edge["source"], edge["target"], **edge["attrs"])

begin, end = min(row["ts_enqueue"] for row in rows), max(row["ts_end"] for row in rows)
by_id = {(row["trace_id"], row["span_id"]): row for row in rows}
sent = collections.Counter()
for row in rows:
    caller = by_id.get((row["trace_id"], row["parent_id"]))
    if caller and service(caller) != service(row):
        sent[service(caller), service(row)] += row["bytes_in"] or 0
assert len(recorded["interactions"]) == len(sent)
for found in recorded["interactions"]:
    # ECLYPSE chooses the path with the lowest latency. It can lead through other nodes.
    expected = networkx.shortest_path_length(network, *found["nodes"], weight="latency")
    assert abs(found["latency_ms"] - expected) < 1e-6, (found, expected)
    expected = sent[found["from"], found["to"]] * 8 / 1e3 / (end - begin)
    assert abs(found["needs_mbps"] - expected) <= 1e-6 * expected, (found, expected)

cpu = collections.Counter()
for row in rows:
    # If a row has no CPU time, the estimate is that of `cctf stats --cpu`.
    cpu[service(row)] += float("nan") if row["cpu_time_ms"] is None else row["cpu_time_ms"]
application = json.loads((export / "application.json").read_text())
for node in application["nodes"]:
    difference = abs(node["attrs"]["cpu"] - cpu[node["id"]] / (end - begin))
    assert math.isnan(difference) or difference < 1e-6, node

# If a link is too slow, ECLYPSE must refuse the same placement.
path = export / "infrastructure.json"
infrastructure = json.loads(path.read_text())
remote = [found for found in recorded["interactions"] if found["nodes"][0] != found["nodes"][1] and found["needs_mbps"]]
for needed in remote[:1]:
    for edge in infrastructure["edges"]:
        if edge["source"] == needed["nodes"][0]:
            edge["attrs"]["bandwidth"] = needed["needs_mbps"] / 2
    path.write_text(json.dumps(infrastructure))
    slow = place()
    assert not slow["is_feasible"] and set(slow["violated"]) & set(needed["nodes"]), slow
print(json.dumps({"services": len(recorded["mapping"]), "interactions": len(recorded["interactions"])}))
