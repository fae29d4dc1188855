"""What the strategies here share: the summary that `cctf place` writes to their standard input, and their answer."""

import json
import sys


class Summary:
    """Modules, nodes and links of a recorded run."""

    def __init__(self, file):
        read = json.load(file)
        self.modules = {module["module"]: module for module in read["modules"]}
        self.nodes = {node["node"]: node for node in read["nodes"]}
        self.outside = read["outside"]
        self._links = {}
        for link in read["links"]:
            self._links[link["u"], link["v"]] = link

    def recorded_on(self, module):
        """The recorded node of a module; the first one of several."""
        return self.modules[module]["recorded_on"][0]

    def seconds_on_link(self, u, v, bytes_out, bytes_in):
        """Time of a call over the link from u to v; None if the link is unknown."""
        if u == v:
            return 0.0
        link = self._links.get((u, v)) or self._links.get((v, u))
        if link is None or link["delay_ms"] is None:
            return None
        rate = link["rate_bps"]
        return 2 * link["delay_ms"] / 1e3 + (8 * (bytes_out + bytes_in) / rate if rate else 0.0)

    def slowness(self, module, node):
        """By how much the CPU time of a module is longer on a node than on its recorded one; None if a speed is unknown."""
        before, now = self.nodes[self.recorded_on(module)], self.nodes[node]
        for speed in ("mips_per_core", "cpu_score"):
            if before[speed] and now[speed]:
                return before[speed] / now[speed]
        return 1.0 if before is now else None

    def cpus_used(self, module, node):
        """How many CPUs of a node the requests of a module keep busy; None if a speed or a CPU time is unknown."""
        slowness, cpu_ms = self.slowness(module, node), self.modules[module]["cpu_ms"]
        if slowness is None or cpu_ms is None:
            return None
        return self.modules[module]["requests_per_s"] * cpu_ms / 1e3 * slowness


def has_room(summary, placed, node):
    """Whether a node takes one more module."""
    most = summary.nodes[node]["modules_max"]
    return most is None or sum(1 for other in placed.values() if other == node) < most


def answer(placements):
    """Writes placements, each a name and a node by module."""
    listed = [{"name": name, "modules": modules} for name, modules in placements]
    json.dump({"placements": listed}, sys.stdout)
    print()
