#!/usr/bin/env python3
"""A strategy for `cctf place --strategy`: least loaded, with a CPU budget.

The module that needs the most CPU time comes first. Each goes to the node whose CPUs are least busy with it, within the budget.
"""

import sys

from summary import Summary, answer, has_room

# Share of the cores of a node that modules may keep busy.
BUDGET = 0.6


def main():
    summary = Summary(sys.stdin)
    used = {node: 0.0 for node in summary.nodes}

    def busy(name, node):
        """Busy share of a node's cores with one more module."""
        return (used[node] + summary.cpus_used(name, node)) / summary.nodes[node]["cores"]

    def need(name):
        return summary.cpus_used(name, summary.recorded_on(name)) or 0.0

    placed = {}
    for name in sorted(summary.modules, key=need, reverse=True):
        module = summary.modules[name]
        free = [node for node in module["may_run_on"] if has_room(summary, placed, node)]
        known = [node for node in free if summary.cpus_used(name, node) is not None]
        within = [node for node in known if busy(name, node) <= BUDGET]
        placed[name] = min(within or known or free, key=lambda node: busy(name, node) if node in known else 0.0)
        used[placed[name]] += summary.cpus_used(name, placed[name]) or 0.0
    answer([("least loaded", placed)])


main()
