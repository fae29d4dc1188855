"""Writes the work of an application as a run in CCTF, without any wait. Stand-ins execute it, and that is what the study records."""

import json
import math
import random

from applications import DRIVER, LINKS, MIPS, STAGES

# Start of the run, nanoseconds since the Unix epoch.
T0 = 1_760_000_000_000_000_000
MS = 1_000_000
# Bodies of requests and of answers, bytes. Different sizes let links.json have the rates of links.
BODY = (500, 20_000)
# Share of the own time before the first call.
BEFORE = 0.6


def ms(ns):
    """Milliseconds as JSON, exact."""
    return f"{ns // MS}.{ns % MS:06d}"


class Writer:
    """The rows of a run."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.invocations = []
        self.calls = []
        self.span = 0
        self.trace = ""

    def own_ns(self, service):
        """CPU time and sleep of one request."""
        sigma = math.sqrt(math.log(1 + service.cv**2))
        sleep_ms = self.random.lognormvariate(math.log(service.sleep_ms) - sigma**2 / 2, sigma)
        return round(service.cpu_ms * MS), round(sleep_ms * MS)

    def call(self, caller, callee, at, parent):
        """A call from `at` on. `caller` is None for the load driver; `parent` is the caller's span, or None. Returns its end."""
        self.span += 1
        span, bytes_out, bytes_in = self.span, self.random.randint(*BODY), self.random.randint(*BODY)
        node = caller.node if caller else DRIVER
        out, back = (network_ns(node, callee.node, size) for size in (bytes_out, bytes_in))
        arrives = at + out
        ends = self.invocation(callee, arrives, (span, parent), (bytes_out, bytes_in))
        parent_id = f'"{parent:016x}"' if parent else "null"
        module, instance = (caller.module, caller.instance) if caller else ("driver", "driver-1")
        self.calls.append(
            f'{{"trace_id":"{self.trace}","span_id":"{span:016x}","parent_span_id":{parent_id},"ancestor_id":{parent_id},'
            f'"module_id":"{module}","instance_id":"{instance}","node":"{node}","stage":"{STAGES.get(node, "unknown")}",'
            f'"ts_start":{ms(T0 + at)},"ts_end":{ms(T0 + ends + back)},"method":"POST","path":"/{callee.instance}",'
            f'"bytes_out":{bytes_out},"bytes_in":{bytes_in},"status":200,"kind":"client","protocol":"http",'
            f'"peer":"{callee.module}:80","peer_module":"{callee.module}"}}'
        )
        return ends + back

    def invocation(self, service, at, caller, sizes):
        """One request that a service processes. Returns its end."""
        self.span += 1
        span, (call, parent) = self.span, caller
        cpu, sleep = self.own_ns(service)
        own = cpu + sleep
        before = round(own * BEFORE) if service.steps else own
        after = (own - before) // max(len(service.steps), 1)
        now = at + before
        for step in service.steps:
            now = max(self.call(service, callee, now, span) for callee in step) + after
        parent = f'"{parent:016x}"' if parent else "null"
        self.invocations.append(
            f'{{"trace_id":"{self.trace}","span_id":"{span:016x}","parent_id":{parent},"parent_span_id":"{call:016x}",'
            f'"module_id":"{service.module}","instance_id":"{service.instance}","ts_enqueue":{ms(T0 + at)},'
            f'"ts_start":{ms(T0 + at)},"ts_end":{ms(T0 + now)},"node":"{service.node}","stage":"{STAGES[service.node]}",'
            f'"method":"POST","path":"/{service.instance}","bytes_in":{sizes[0]},"bytes_out":{sizes[1]},'
            f'"cpu_time_ms":{ms(cpu)},"queue_time_ms":0.000000,"service_time_ms":{ms(now - at)},"rt_ms":{ms(now - at)},'
            f'"status":200,"protocol":"http","downstream_ms":null,"wakeup_ms":0.0,"kind":"server",'
            f'"caller_span_id":"{call:016x}"}}'
        )
        return now


def network_ns(u, v, size):
    """Time of a body on the link between two nodes. The driver is beside the first node."""
    delay_ms, rate_bps = LINKS.get((u, v)) or LINKS.get((v, u)) or (0, math.inf)
    return 0 if DRIVER in (u, v) else round(delay_ms * MS + size * 8e9 / rate_bps)


def write(application, folder, rate, seconds, seed):
    """Poisson arrivals for so many seconds. Returns the number of requests."""
    writer = Writer(seed)
    at, requests = 0.0, 0
    while True:
        at += writer.random.expovariate(rate)
        if at >= seconds and requests > 0:
            break
        requests += 1
        writer.trace = f"{requests:032x}"
        writer.call(None, application.root, round(at * 1e9), None)
    cctf = folder / "cctf"
    cctf.mkdir(parents=True)
    files = {
        "invocations.jsonl": "".join(row + "\n" for row in writer.invocations),
        "calls.jsonl": "".join(row + "\n" for row in writer.calls),
        "nodes.json": json.dumps(nodes(application)),
        "links.json": json.dumps(links(application)),
        "module_inventory.json": json.dumps(inventory(application)),
        "run_meta.json": json.dumps(meta(folder.name, seconds)),
    }
    for name in ("host_metrics", "link_metrics", "placement_events", "system_stats"):
        files[f"{name}.jsonl"] = ""
    for name, text in files.items():
        (cctf / name).write_text(text)
    return requests


def nodes(application):
    used = sorted({service.node for service in application.services()})
    return [
        {"node_id": node, "stage": STAGES[node], "cpu_cores": None, "mem_mb": None, "mips_per_core": MIPS} for node in used
    ]


def links(application):
    """The links that calls pass. Stand-ins emulate a link only if it is listed here."""
    return [
        {"u": u, "v": v, "BW_bps": float(rate_bps), "PR_s": delay_ms / 1e3, "src": "estimated"}
        for (u, v), (delay_ms, rate_bps) in application.passed().items()
    ]


def inventory(application):
    modules = {}
    for service in application.services():
        row = modules.setdefault(service.module, {"instances": [], "calls": set()})
        row["instances"].append(
            {
                "instance_id": service.instance,
                "node_id": service.node,
                "workers": service.slots,
                "queue_limit": 100_000,
                "slot_policy": "held",
                "slots_src": "told",
            }
        )
        row["calls"] |= {callee.module for step in service.steps for callee in step}
    return [
        {
            "app_id": None,
            "module_id": name,
            "name": name,
            "type": "MODULE",
            "resources": None,
            "endpoints": [],
            "calls": [{"to": to, "per_invocation": 1.0} for to in sorted(row["calls"])],
            "instances": row["instances"],
        }
        for name, row in modules.items()
    ]


def meta(run_id, seconds):
    begin = T0 / MS
    counts = {"spans": 0, "points": 0, "logs": 0, "rows": {}, "duplicates": 0, "orphans": 0, "late": 0, "unknown_node": 0}
    return {
        "run_id": run_id,
        "rate": None,
        "duration": None,
        "scen": None,
        "img": None,
        "git_sha": None,
        "workers": None,
        "cctf_version": "1",
        "normalizer_version": "0.1.0",
        "started_ts": begin,
        "ended_ts": begin + seconds * 1e3 + 10_000,
        "time_base": "unix_utc",
        "counts": counts | {"rejected": {}},
    }
