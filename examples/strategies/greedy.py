#!/usr/bin/env python3
"""A strategy for `cctf place --strategy`: greedy by latency.

It moves one module at a time to the node where calls and CPU times are shortest, as long as that helps. It knows nothing of queues.
"""

import math
import sys

from summary import Summary, answer, has_room


def seconds(summary, placed):
    """Time on links and CPUs of all requests of one second."""
    total = 0.0
    for name, module in summary.modules.items():
        node = placed[name]
        slowness = summary.slowness(name, node)
        if slowness is None:
            return math.inf
        total += module["requests_per_s"] * (module["cpu_ms"] or 0.0) / 1e3 * slowness
        for call in module["calls"]:
            link = summary.seconds_on_link(node, placed[call["module"]], call["bytes_out"], call["bytes_in"])
            if link is None:
                return math.inf
            total += call["per_s"] * link
        outside = summary.seconds_on_link(summary.outside, node, 0, 0)
        total += module["from_outside_per_s"] * (outside or 0.0)
    return total


def main():
    summary = Summary(sys.stdin)
    placed = {name: summary.recorded_on(name) for name in summary.modules}
    for name, module in summary.modules.items():
        if placed[name] not in module["may_run_on"]:
            placed[name] = module["may_run_on"][0]
    best = seconds(summary, placed)
    is_better = True
    while is_better:
        is_better = False
        for name, module in summary.modules.items():
            for node in module["may_run_on"]:
                others = {other: where for other, where in placed.items() if other != name}
                moved = others | {name: node}
                if has_room(summary, others, node) and seconds(summary, moved) < best * (1 - 1e-9):
                    placed, best, is_better = moved, seconds(summary, moved), True
    answer([("greedy by latency", placed)])


main()
