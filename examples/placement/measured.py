"""What a run measured: response times of requests from outside, where its instances ran, and how busy the machine was."""

import math
import random
from dataclasses import dataclass
from pathlib import Path

from applications import DRIVER
from programs import Failed, rows

FIGURES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
# Blocks of the circular block bootstrap, and number of further samples.
BLOCKS, SAMPLES = 20, 200


@dataclass
class Measured:
    """One run."""

    figures: dict
    mean_ms: float
    requests: int
    # For each instance, means of a request in milliseconds: `own`, its service time without the calls, and `wait`, the part of
    # it in which the request waited for a CPU.
    services: dict
    # Mean share of the machine's CPUs that was busy, and share that the host took, percent.
    cpu_percent: float
    stolen_percent: float


class Host:
    """The counters of all CPUs: user, nice, system, idle, waiting for disks, two of interrupts, and taken by the host."""

    def __init__(self):
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        self.idle, self.stolen, self.all = ticks[3] + ticks[4], ticks[7], sum(ticks)

    def percent_since(self, earlier):
        """Shares since an earlier time: busy, and taken by the host of a virtual machine."""
        ticks = max(self.all - earlier.all, 1)
        idle, stolen = self.idle - earlier.idle, self.stolen - earlier.stolen
        return 100 * (ticks - idle - stolen) / ticks, 100 * stolen / ticks


def quantile(ordered, share):
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def responses(run):
    """Response times of the driver's requests in the order of their start, milliseconds."""
    own = [row for row in rows(run, "calls") if row["node"] == DRIVER and row["parent_span_id"] is None]
    own.sort(key=lambda row: row["ts_start"])
    if not own:
        raise Failed(f"{run} has no request of the load driver")
    return [row["ts_end"] - row["ts_start"] for row in own]


def interval(times, share, seed=1):
    """A quantile with its 95% interval, by blocks of neighbours in random order."""
    chance = random.Random(seed)
    length = max(len(times) // BLOCKS, 1)
    found = []
    for _ in range(SAMPLES):
        sample = []
        while len(sample) < len(times):
            begin = chance.randrange(len(times))
            sample += [times[(begin + place) % len(times)] for place in range(length)]
        found.append(quantile(sorted(sample[: len(times)]), share))
    found.sort()
    return {
        "value": quantile(sorted(times), share),
        "low": quantile(found, 0.025),
        "high": quantile(found, 0.975),
    }


def services(run):
    """Mean own time of the requests of each instance, and mean wait for a CPU, milliseconds."""
    found = {}
    for row in rows(run, "invocations"):
        sums = found.setdefault(f"{row['module_id']} {row['instance_id']}", [0, 0.0, 0.0])
        sums[0] += 1
        sums[1] += row["service_time_ms"] - (row["downstream_ms"] or 0)
        sums[2] += row["cpu_wait_ms"] or 0
    return {name: {"own": own / count, "wait": wait / count} for name, (count, own, wait) in found.items()}


def measured(run, began):
    """The figures of a run; `began` has the counters of the CPUs before it."""
    used, stolen = Host().percent_since(began)
    times = responses(run)
    busy = [row["cpu_util"] for row in rows(run, "host_metrics") if row.get("cpu_util") is not None]
    return Measured(
        figures={name: interval(times, share) for name, share in FIGURES.items()},
        mean_ms=sum(times) / len(times),
        requests=len(times),
        services=services(run),
        # A short run has no sample. Start and merge are part of the other figure.
        cpu_percent=sum(busy) / len(busy) if busy else used,
        stolen_percent=stolen,
    )


def check(run, stations):
    """Every instance processed requests, all of them on its node, and no call failed. `stations` are what was meant to run."""
    expected = {(one["module"], one["instance"]): {one["node"]} for one in stations}
    found = {}
    for row in rows(run, "invocations"):
        found.setdefault((row["module_id"], row["instance_id"]), set()).add(row["node"])
    if found != expected:
        raise Failed(f"{run} did not run as placed: {found} instead of {expected}")
    failed = sum(row.get("status") != 200 for row in rows(run, "calls"))
    if failed:
        raise Failed(f"{failed} calls of {run} failed")
