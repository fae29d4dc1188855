#!/usr/bin/env python3
"""A strategy for `cctf place --strategy`: every module in the cloud, where it may run there."""

import sys

from summary import Summary, answer, has_room


def main():
    summary = Summary(sys.stdin)
    cloud = [name for name, node in summary.nodes.items() if node["stage"] == "cloud"]
    # Without a node of this stage, the one with the most cores is the cloud.
    cloud = cloud or [max(summary.nodes, key=lambda name: summary.nodes[name]["cores"] or 0)]
    placed = {}
    for name, module in summary.modules.items():
        possible = [node for node in cloud if node in module["may_run_on"] and has_room(summary, placed, node)]
        elsewhere = [node for node in module["recorded_on"] + module["may_run_on"] if node in module["may_run_on"]]
        placed[name] = (possible or [node for node in elsewhere if has_room(summary, placed, node)])[0]
    answer([("all in the cloud", placed)])


main()
