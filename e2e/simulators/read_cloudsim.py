"""Compares the results of CloudSim Plus with waits that follow from the workload, and the workload with the rows of the run.

Usage: read_cloudsim.py EXPORT FOLDER
Fails unless each request waits in CloudSim as it does at a first-come, first-served station with the same slots, to 1 us, and the
workload has the times of the rows, to 1 us. Prints counts, and the mean waits in ms: recorded and simulated.
"""

import collections
import csv
import decimal
import heapq
import json
import pathlib
import sys

export, folder = map(pathlib.Path, sys.argv[1:])

results = collections.defaultdict(dict)
for row in csv.DictReader((export / "results.csv").open()):
    results[int(row["station"])][int(row["job"])] = (float(row["submit_us"]), float(row["wait_us"]), float(row["run_us"]))

jobs = collections.defaultdict(list)
slots, names = {}, {}
for line in (export / "stations.csv").read_text().splitlines()[1:]:
    station, path, count, name = line.split(",", 3)
    slots[int(station)], names[int(station)] = int(count), name
    for text in (export / path).read_text().splitlines():
        if not text.startswith(";"):
            fields = [int(field) for field in text.split()]
            assert len(fields) == 18, text
            jobs[int(station)].append(fields)

waits, recorded = [], []
for station, requests in jobs.items():
    assert len(results[station]) == len(requests), f"{names[station]}: {len(results[station])} of {len(requests)} jobs"
    free = [0] * slots[station]
    for number, submit, wait, run, *_ in requests:
        start = max(submit, heapq.heappop(free))
        heapq.heappush(free, start + run)
        in_cloudsim = results[station][number]
        expected = (submit, start - submit, run)
        assert all(abs(one - other) <= 1 for one, other in zip(in_cloudsim, expected)), (names[station], number, in_cloudsim, expected)
        waits.append(in_cloudsim[1])
        recorded.append(wait)

us = lambda ms: decimal.Decimal(ms or 0).scaleb(3)
rows = [json.loads(line, parse_float=decimal.Decimal) for line in (folder / "invocations.jsonl").open()]
first = min(us(row["ts_enqueue"]) for row in rows)
by_name = collections.defaultdict(list)
for row in rows:
    wait = us(row["queue_time_ms"]) - us(row.get("wakeup_ms"))
    # If there is no CPU time, the field is an estimate.
    cpu = row["cpu_time_ms"]
    times = (us(row["ts_enqueue"]) - first, wait, us(row["ts_end"]) - us(row["ts_enqueue"]) - wait, cpu if cpu is None else us(cpu))
    by_name[f"{row['module_id']} {row['instance_id']}"].append(times)
for station, requests in jobs.items():
    times = sorted(by_name.pop(names[station]), key=lambda times: times[0])
    assert len(times) == len(requests)
    # The file does not state the order of requests in the same microsecond.
    remaining = sorted(requests, key=lambda request: request[1])
    for expected in times:
        def is_job_of_row(request):
            _, submit, wait, run, _, cpu, *_ = request
            pairs = zip(expected, (submit, wait, run, cpu))
            return all(one is None or abs(one - other) <= 1 for one, other in pairs)

        found = next((index for index, request in enumerate(remaining) if is_job_of_row(request)), None)
        assert found is not None, (names[station], expected, remaining[:3])
        remaining.pop(found)
assert not by_name, f"not exported: {list(by_name)}"
mean = lambda values: sum(values) / len(values) / 1000
print(json.dumps({"stations": len(jobs), "jobs": len(waits), "recorded_ms": mean(recorded), "simulated_ms": mean(waits)}))
