"""Writes a simulated run as CCTF. The rows have the same bytes as those of the C++ driver (cpp/results.cpp)."""

import os
import re
import shutil

from state import REFUSED, SERVED, UNFINISHED
from workload import ExportError

CLIENT = "simgrid-client"


def ms(ns):
    sign = "-" if ns < 0 else ""
    return f"{sign}{abs(ns) // 1000000}.{abs(ns) % 1000000:06}"


def text(value):
    """A name of the export as JSON."""
    return f'"{value}"'


def integer(value):
    return "null" if value is None else str(value)


def check_folder(folder):
    name = os.path.basename(os.path.abspath(folder))
    if os.path.lexists(folder):
        raise ExportError(f"{folder} exists: choose another folder with --out")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", name) or name == "latest":
        raise ExportError(
            f"invalid run id {name}: the name of the folder of --out has letters, digits, '.', '_' and '-' only"
        )


class Results:
    def __init__(self, work, simulator):
        self.work, self.simulator = work, simulator
        self.endpoints = [0] * len(work.endpoints)
        self.refused = self.failed = self.unfinished = self.client_calls = 0
        self.names = [f'"module_id":{text(one.module)},"instance_id":{text(one.instance)}' for one in work.stations]
        self.places = [f'"node":{text(one.node)},"stage":{text(self.stage(one.node))}' for one in work.stations]
        self.first = min((root.at - root.out for root in work.roots), default=0)
        self.last = max(simulator.last, work.roots[0].at if work.roots else 0)

    def stage(self, node):
        return self.work.stages.get(node, "unknown")

    def write(self, folder):
        """Removes incomplete files. Returns a sentence."""
        folder = os.path.abspath(folder)
        hidden = os.path.join(os.path.dirname(folder), f".{os.path.basename(folder)}.unfinished")
        shutil.rmtree(hidden, ignore_errors=True)
        try:
            os.makedirs(os.path.join(hidden, "cctf"))
            sentence = self._write(os.path.join(hidden, "cctf"), os.path.basename(folder))
            os.rename(hidden, folder)
            return f"{folder}: {sentence}"
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def _write(self, folder, run_id):
        invocations = [row for index in range(len(self.work.invocations)) for row in self.invocation(index)]
        calls = []
        roots = {root.invocation: root for root in self.work.roots}
        for index, invocation in enumerate(self.work.invocations):
            if index in roots:
                calls.extend(self.client_call(roots[index]))
            for call in range(invocation.first_call, invocation.first_call + invocation.calls):
                calls.extend(self.call(call))
        starts = list(self.placement())
        files = {"invocations.jsonl": invocations, "calls.jsonl": calls, "placement_events.jsonl": starts}
        for name in ("host_metrics.jsonl", "link_metrics.jsonl", "system_stats.jsonl"):
            files[name] = []
        for name, rows in files.items():
            save(folder, name, "".join(f"{row}\n" for row in rows))
        for name, rows in self.inventories():
            save(folder, name, "[\n" + ",\n".join(rows) + ("\n" if rows else "") + "]\n")
        save(folder, "run_meta.json", self.meta(run_id, {name: len(rows) for name, rows in files.items()}))
        lasted = (self.last - self.first) * 1e-9
        warning = ""
        if self.unfinished:
            warning = (
                f"\nwarning: {self.unfinished} invocations never ended, because requests that hold slots wait for one another: "
                "raise slots in stations.tsv, or use the slot policy released"
            )
        return (
            f"{len(self.work.roots)} roots, {len(invocations)} invocations and {len(calls)} calls in {lasted:.3f} s of simulated time; "
            f"{self.refused} refused, {self.failed} failed{warning}"
        )

    def caller_id(self, index):
        """The call that caused an invocation, if it has a row."""
        invocation = self.work.invocations[index]
        if invocation.caller is not None:
            return self.work.calls[invocation.caller].span_id
        root = self.work.roots[invocation.root]
        return root.call_span_id if root.invocation == index else None

    def result(self, index):
        """The result of an invocation. It is the recorded one, unless the invocation fails now or no longer fails."""
        invocation, state = self.work.invocations[index], self.simulator.invocations[index]
        if state.state == REFUSED:
            return 503, '"503"'
        if state.has_failed != invocation.has_failed:
            return None, None
        return invocation.status, None if invocation.error is None else self.work.errors[invocation.error]

    def invocation(self, index):
        work, invocation, state = self.work, self.work.invocations[index], self.simulator.invocations[index]
        if state.state == UNFINISHED:
            # If the call of an invocation was never made, the invocation has not arrived.
            self.unfinished += state.has_arrived
            return
        is_refused = state.state == REFUSED
        self.refused += is_refused
        self.failed += state.has_failed
        self.endpoints[invocation.endpoint] += 1
        caller = self.caller_id(index)
        parent = None
        if invocation.caller is not None:
            parent = work.invocations[work.calls[invocation.caller].invocation].span_id
        above = caller or parent
        status, error = self.result(index)
        fields = [
            f'"trace_id":"{work.roots[invocation.root].trace_id}","span_id":"{invocation.span_id}"',
            f'"parent_id":{text(parent) if parent else "null"},"parent_span_id":{text(above) if above else "null"}',
            self.names[invocation.station],
            f'"ts_enqueue":{ms(work.epoch + state.enqueue)},"ts_start":{ms(work.epoch + state.start)}',
            f'"ts_end":{ms(work.epoch + state.end)}',
            self.places[invocation.station],
            work.endpoints[invocation.endpoint][1],
            f'"bytes_in":{integer(invocation.bytes_in)},"bytes_out":{integer(None if is_refused else invocation.bytes_out)}',
            *self.times(invocation, state),
            f'"status":{integer(status)}',
            *([f'"error_type":{error}'] if error else []),
            '"downstream_ms":null',
            *([] if is_refused else self.waits(invocation, state)),
            f'"kind":"{invocation.kind}"',
            *([f'"caller_span_id":{text(caller)}'] if caller else []),
            *self.network(index, caller),
        ]
        yield "{" + ",".join(fields) + "}"

    def times(self, invocation, state):
        has_cpu = invocation.cpu is not None and state.state == SERVED
        cpu = state.cpu if self.simulator.has_cpus else invocation.cpu
        yield f'"cpu_time_ms":{ms(cpu) if has_cpu else "null"}'
        has_queue = state.needs_slot and state.state == SERVED
        yield f'"queue_time_ms":{ms(state.start - state.enqueue) if has_queue else "null"}'
        yield f'"service_time_ms":{ms(state.end - state.start)},"rt_ms":{ms(state.end - state.enqueue)}'

    def waits(self, invocation, state):
        cpu_wait = state.cpu_wait
        if not self.simulator.has_cpus:
            calls = self.work.calls[invocation.first_call : invocation.first_call + invocation.calls]
            cpu_wait = invocation.answer.cpu_wait + sum(call.wait.cpu_wait for call in calls)
        if invocation.cpu is not None:
            yield f'"cpu_wait_ms":{ms(cpu_wait)}'
        if state.needs_slot:
            yield f'"wakeup_ms":{ms(state.wakeup)}'
        if state.is_released and invocation.calls > 0:
            yield f'"slot_wait_ms":{ms(state.slot_wait)}'

    def network(self, index, caller):
        """The time by which the call took longer than the response."""
        invocation, state = self.work.invocations[index], self.simulator.invocations[index]
        if caller is None:
            return
        if invocation.caller is None:
            root = self.work.roots[invocation.root]
            net = root.out + root.back
        else:
            call, made = self.work.calls[invocation.caller], self.simulator.calls[invocation.caller]
            if call.what == "message" or not made.has_ended or call.callee != index:
                return
            net = made.end - made.start - (state.end - state.enqueue)
        yield f'"net_ms":{ms(net)}' if net >= 0 else '"flags":["child_outlives_caller"]'

    def client_call(self, root):
        invocation, state = self.work.invocations[root.invocation], self.simulator.invocations[root.invocation]
        if root.call_span_id is None or state.state == UNFINISHED:
            return
        self.client_calls += 1
        self.last = max(self.last, state.end + root.back)
        status, error = self.result(root.invocation)
        fields = [
            f'"trace_id":"{root.trace_id}","span_id":"{root.call_span_id}","parent_span_id":null,"ancestor_id":null',
            f'"module_id":"{CLIENT}","instance_id":"{CLIENT}","node":"{CLIENT}","stage":"unknown"',
            f'"ts_start":{ms(self.work.epoch + state.enqueue - root.out)},"ts_end":{ms(self.work.epoch + state.end + root.back)}',
            self.work.endpoints[invocation.endpoint][1],
            f'"bytes_out":{integer(invocation.bytes_in)}',
            f'"bytes_in":{integer(None if state.state == REFUSED else invocation.bytes_out)}',
            f'"status":{integer(status)},"kind":"client"',
            f'"peer_module":{text(self.work.stations[invocation.station].module)}',
            *([f'"error_type":{error}'] if error else []),
        ]
        yield "{" + ",".join(fields) + "}"

    def call(self, index):
        work, call, state = self.work, self.work.calls[index], self.simulator.calls[index]
        if call.span_id is None or not state.has_started or not state.has_ended:
            return
        caller = work.invocations[call.invocation]
        is_timeout = call.ends == "timeout" and (state.answered is None or state.answered > state.end)
        is_refused = call.callee is not None and self.simulator.invocations[call.callee].state == REFUSED
        status, error = call.status, None if call.error is None else work.errors[call.error]
        if state.has_failed != call.is_failed:
            status, error = (None, None) if is_timeout or call.callee is None else self.result(call.callee)
            error = '"timeout"' if is_timeout else error
        label = ['"method":null,"path":null', ""] if call.label is None else work.labels[call.label]
        fields = [
            f'"trace_id":"{work.roots[caller.root].trace_id}","span_id":"{call.span_id}"',
            f'"parent_span_id":"{caller.span_id}","ancestor_id":"{caller.span_id}"',
            self.names[caller.station],
            self.places[caller.station],
            f'"ts_start":{ms(work.epoch + state.start)},"ts_end":{ms(work.epoch + state.end)}',
            label[0],
            f'"bytes_out":{integer(call.bytes_out)}',
            f'"bytes_in":{integer(None if is_timeout or is_refused else call.bytes_in)}',
            f'"status":{integer(status)},"kind":"{"producer" if call.what == "message" else "client"}"{label[1]}',
            *([f'"resend_count":{call.resends}'] if call.resends else []),
            *([f'"error_type":{error}'] if error else []),
        ]
        yield "{" + ",".join(fields) + "}"

    def inventories(self):
        nodes = [row for _, _, row in self.work.nodes if row]
        modules = [
            "{" + row + self.instances(name) + self.endpoint_counts(name) + "}" for name, _, row in self.work.modules
        ]
        if self.client_calls:
            nodes.append(f'{{"node_id":"{CLIENT}","stage":"unknown","cpu_cores":null,"mem_mb":null}}')
            modules.append(
                f'{{"app_id":null,"module_id":"{CLIENT}","name":"{CLIENT}","type":"SOURCE","resources":null,'
                f'"instances":[{{"instance_id":"{CLIENT}","node_id":"{CLIENT}","workers":null}}]}}'
            )
        yield "nodes.json", nodes
        yield "links.json", self.work.links
        yield "module_inventory.json", modules

    def instances(self, module):
        rows = []
        for station in self.work.stations:
            if station.module == module:
                row = f'"instance_id":{text(station.instance)},"node_id":{text(station.node)},"workers":{integer(station.slots)}'
                if station.queue_limit is not None:
                    row += f',"queue_limit":{station.queue_limit}'
                if station.slots is not None:
                    row += f',"slot_policy":"{policy(station)}","slots_src":"told"'
                rows.append("{" + row + "}")
        return f',"instances":[{",".join(rows)}]' if rows else ""

    def endpoint_counts(self, module):
        rows = [
            f'{{{in_inventory},"calls":{count}}}'
            for (name, _, in_inventory), count in zip(self.work.endpoints, self.endpoints)
            if name == module and count
        ]
        return f',"endpoints":[{",".join(rows)}]' if rows else ""

    def placement(self):
        app_ids = {name: app_id for name, app_id, _ in self.work.modules}

        def start(module, instance, node, more):
            return (
                f'{{"ts":{ms(self.work.epoch + self.first)},"app_id":{app_ids.get(module, "null")},"module_id":{text(module)},'
                f'"instance_id":{text(instance)},"node_id":{text(node)},"event":"start","stage":{text(self.stage(node))},'
                f'"inferred":false{more}}}'
            )

        for station in self.work.stations:
            more = "" if station.slots is None else f',"workers":{station.slots}'
            more += "" if station.queue_limit is None else f',"queue_limit":{station.queue_limit}'
            more += "" if station.slots is None else f',"slot_policy":"{policy(station)}"'
            yield start(station.module, station.instance, station.node, more)
        if self.client_calls:
            yield start(CLIENT, CLIENT, CLIENT, "")

    def meta(self, run_id, rows):
        spans = rows["invocations.jsonl"] + rows["calls.jsonl"]
        simulated_by = (
            f"SimGrid (Python), CPU {'of hosts' if self.simulator.has_cpus else 'as recorded'}, "
            f"network {'of links' if self.simulator.has_links else 'as recorded'}"
        )
        counts = ",".join(f'"{name}":{count}' for name, count in sorted(rows.items()))
        return (
            f'{{"run_id":"{run_id}","rate":null,"duration":null,"scen":"simgrid","img":null,"git_sha":null,"workers":null'
            f'{self.work.replay},"simulated_by":"{simulated_by}","cctf_version":"1","normalizer_version":"{simulated_by}",'
            f'"started_ts":{ms(self.work.epoch + self.first)},"ended_ts":{ms(self.work.epoch + self.last)},"time_base":"unix_utc",'
            f'"counts":{{"spans":{spans},"points":0,"logs":0,"rows":{{{counts}}},"duplicates":0,"orphans":0,"late":0,'
            f'"unknown_node":0,"rejected":{{}},"spans_by_outcome":{{"rows":{spans},"inner":0,"asides":0,"control":0,'
            f'"duplicates":0,"rejected":0}}}}}}\n'
        )


def policy(station):
    return "released" if station.is_released else "held"


def save(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as file:
        file.write(content)
