"""Reads the files of an export. Each field has the same meaning as in the C++ driver (cpp/workload.hpp)."""

import sys
import xml.etree.ElementTree as ElementTree

# The version of the files that this program reads.
VERSION = 2


class ExportError(Exception):
    """An error with a sentence for the user."""


def lines(path):
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            for line in file:
                if not line.startswith("#"):
                    yield line.rstrip("\n").split("\t")
    except OSError as error:
        raise ExportError(
            f"cannot read {path}: {error.strerror}; give the folder of the export as the first argument"
        ) from error


def number(field):
    return None if field == "-" else int(field)


def numbers(field):
    return [] if field == "-" else [int(part) for part in field.split(",")]


class Wait:
    __slots__ = ("after", "any_of", "need", "gap", "cpu", "cpu_wait", "slot_wait", "wakeup")

    def __init__(self, fields, first_call):
        self.after = [first_call + call for call in numbers(fields[0])]
        self.any_of = [first_call + call for call in numbers(fields[1])]
        self.need, self.gap, self.cpu, self.cpu_wait, self.slot_wait, self.wakeup = map(int, fields[2:8])


class Station:
    def __init__(self, fields):
        self.module, self.instance, self.node = fields[:3]
        self.slots = number(fields[3])
        self.is_released = {"held": False, "released": True}[fields[4]]
        self.queue_limit = number(fields[5])
        self.recorded_node = fields[6]
        self.cpu_wait_kept_ppm = int(fields[7])


class Root:
    def __init__(self, fields, invocation):
        self.at, self.out, self.back = int(fields[0]), int(fields[3]), int(fields[4])
        self.trace_id = fields[1]
        self.call_span_id = None if fields[2] == "-" else fields[2]
        self.invocation = invocation


class Invocation:
    def __init__(self, fields, root, first_call):
        self.root, self.first_call = root, first_call
        self.calls = 0
        self.caller, self.sibling, self.delay = None, None, 0
        self.span_id, self.kind, self.fails = fields[0], fields[3], fields[6]
        self.station, self.endpoint = int(fields[1]), int(fields[2])
        self.queues, self.has_failed = fields[4] == "1", fields[5] == "1"
        self.cpu, self.beside = number(fields[7]), int(fields[8])
        self.bytes_in, self.bytes_out, self.status, self.error = map(number, fields[9:13])
        self.recorded_wait, self.wakeup = int(fields[13]), int(fields[14])
        self.answer = Wait(fields[15:], first_call)


class Call:
    def __init__(self, fields, invocation, first_call):
        self.invocation, self.callee = invocation, None
        self.span_id = None if fields[1] == "-" else fields[1]
        self.label, self.what, self.ends, self.duration = number(fields[2]), fields[3], fields[4], int(fields[5])
        self.is_after_answer = fields[6] == "1"
        attempt = number(fields[7])
        self.retry_of = None if attempt is None else first_call + attempt
        self.is_failed, self.fails_invocation = fields[8] == "1", fields[9] == "1"
        self.out, self.back, self.ahead, self.early = map(int, fields[10:14])
        self.bytes_out, self.bytes_in, self.status, self.error = map(number, fields[14:18])
        self.resends = int(fields[18])
        self.wait = Wait(fields[19:], first_call)


class Workload:
    def __init__(self, folder):
        self.nodes, self.links, self.modules = [], [], []
        self.endpoints, self.labels, self.errors = [], [], []
        self.roots, self.invocations, self.calls = [], [], []
        for kind, *fields in lines(f"{folder}/names.tsv"):
            self._name(kind, fields)
        self.stations = [Station(fields) for fields in lines(f"{folder}/stations.tsv")]
        self._work(f"{folder}/workload.tsv")
        self.stages = {name: stage for name, stage, _ in self.nodes}

    def _name(self, kind, fields):
        if kind == "version":
            if int(fields[0]) > VERSION:
                raise ExportError("the export is newer than this driver: use the driver of this export")
        elif kind == "epoch_ns":
            self.epoch = int(fields[0])
        elif kind == "replay":
            self.replay = fields[0]
        elif kind == "node":
            self.nodes.append(fields)
        elif kind == "link":
            self.links.append(fields[0])
        elif kind == "module":
            self.modules.append(fields)
        elif kind == "endpoint":
            self.endpoints.append(fields)
        elif kind == "label":
            self.labels.append(fields)
        elif kind == "error":
            self.errors.append(fields[0])

    def _work(self, path):
        callees, first_call = [], 0
        for kind, *fields in lines(path):
            if kind == "root":
                self._link(callees)
                callees = []
                self.roots.append(Root(fields, len(self.invocations)))
            elif kind == "invocation":
                first_call = len(self.calls)
                self.invocations.append(Invocation(fields, len(self.roots) - 1, first_call))
            elif kind == "call":
                callees.append((len(self.calls), fields[0]))
                self.calls.append(Call(fields, len(self.invocations) - 1, first_call))
                self.invocations[-1].calls += 1
        self._link(callees)

    def _link(self, callees):
        """Callees are positions in the root's list of invocations, each with its delay."""
        for call, field in callees:
            before = None
            for part in [] if field == "-" else field.split(","):
                place, delay = part.split(":")
                callee = self.roots[-1].invocation + int(place)
                if before is None:
                    self.calls[call].callee = callee
                else:
                    self.invocations[before].sibling = callee
                self.invocations[callee].caller, self.invocations[callee].delay = call, int(delay)
                before = callee


def routes(platform):
    """The pairs of hosts between which platform.xml has a route. If asked for a missing route, SimGrid ends the program."""
    found = set()
    for route in ElementTree.parse(platform).getroot().iter("route"):
        source, destination = route.get("src"), route.get("dst")
        found.add((source, destination))
        if route.get("symmetrical") != "NO":
            found.add((destination, source))
    return found


if __name__ == "__main__":
    work = Workload(sys.argv[1])
    print(f"{len(work.roots)} roots, {len(work.invocations)} invocations, {len(work.calls)} calls")
