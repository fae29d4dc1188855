#!/usr/bin/env python3
"""Replays an exported CCTF run in SimGrid and writes the simulated run as CCTF.

The same simulation as that of the C++ driver, for experiments with a sample: change the rules here. The C++ driver is about ten times
as fast. Needs SimGrid's Python module (Debian: apt-get install python3-simgrid).
"""

import argparse
import sys
import time

try:
    from simgrid import Actor, Engine
except ImportError:
    sys.exit("error: Python's module simgrid is missing: install it (Debian: apt-get install python3-simgrid, then /usr/bin/python3)")

import results
from simulator import Simulator
from workload import ExportError, Workload


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", help="folder that `cctf export simgrid` wrote")
    parser.add_argument("--out", required=True, help="new folder of the simulated run; its name is the run id")
    parser.add_argument("--cpu", choices=["host", "recorded"], default="host")
    parser.add_argument("--network", choices=["links", "recorded"], default="links")
    args, settings = parser.parse_known_args()
    begin = time.monotonic()
    results.check_folder(args.out)
    work = Workload(args.export)
    engine = Engine([sys.argv[0], "--log=root.thresh:warning", "--cfg=network/model:CM02", *settings])
    platform = f"{args.export}/platform.xml"
    engine.load_platform(platform)
    simulator = Simulator(work, platform, args.cpu == "host", args.network == "links")
    Actor.create("simulator", engine.host_by_name(work.nodes[0][0]), simulator.run)
    engine.run()
    print(results.Results(work, simulator).write(args.out))
    print(f"took {time.monotonic() - begin:.2f} s")


if __name__ == "__main__":
    try:
        main()
    except ExportError as error:
        sys.exit(f"error: {error}")
