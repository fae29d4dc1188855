#!/usr/bin/env python3
"""The placement study: predictions of `cctf place` against real runs.

For each application: records it at every load, predicts all placements from the recording at the lowest load, runs the first three and
the last one with stand-ins over links by network namespaces, and compares. `make placement-study` runs it as root.
"""

import argparse
import json
import sys
from pathlib import Path

import judge
import report
from applications import APPLICATIONS
from measured import FIGURES, Host, check, measured
from programs import CORES_FREE, Failed, Programs, write
from source import write as write_source

# Exit code if a figure misses its limit.
MISSES = 3
# Number of the best placements that are run. The last one is run, too.
FIRST = 3
STRATEGIES = ("all_in_the_cloud", "greedy", "least_loaded")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="chain,shop", help="applications. Default: %(default)s")
    parser.add_argument("--duration", type=float, default=30, metavar="SECONDS", help="length of each load. Default: %(default)s")
    parser.add_argument(
        "--busy", default="0.35,0.7", help="utilisations of the busiest station. The first one calibrates. Default: %(default)s"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results; it must not exist")
    parser.add_argument("--bin-dir", type=Path, default=Path("target/release"), help="folder of the binaries")
    parser.add_argument("--toxiproxy", type=Path, default=Path("target/tools/bin/toxiproxy-server"))
    parser.add_argument("--line", type=Path, help="Python with LINE; without it, its answer is left out")
    parser.add_argument("--no-limits", action="store_true", help="exit code 0 whatever misses its limit")
    found = parser.parse_args()
    found.parts = found.parts.split(",")
    unknown = [part for part in found.parts if part not in APPLICATIONS]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}: use some of {', '.join(APPLICATIONS)}")
    try:
        found.busy = [float(busy) for busy in found.busy.split(",")]
    except ValueError:
        parser.error(f"invalid utilisations {found.busy!r}: write them as in 0.35,0.7")
    if not all(0 < busy < 1 for busy in found.busy) or found.busy != sorted(set(found.busy)):
        parser.error("utilisations must lie between 0 and 1, in ascending order")
    if not 0 < found.duration < float("inf"):
        parser.error("the duration must be a finite number of seconds above 0")
    if found.out.exists():
        parser.error(f"{found.out} already exists; choose another folder, or remove it")
    return found


class Study:
    """One application."""

    def __init__(self, application, programs, given):
        self.application, self.programs, self.given = application, programs, given
        self.tiers = write(programs.work / f"{application.name}-tiers.json", application.tiers())
        self.strategies = [Path(__file__).parent.parent / "strategies" / f"{name}.py" for name in STRATEGIES]

    def say(self, text):
        print(f"{self.application.name}: {text}", flush=True)

    def run(self, of, run_id, placement=None):
        """Runs stand-ins. Returns the folder of the run, and its figures."""
        self.say(f"running {run_id}")
        began = Host()
        folder = self.programs.run(of, run_id, placement)
        return folder, measured(folder, began)

    def source(self, busy, name, seed):
        """The work of the application at a load, and the requests a second."""
        folder = self.programs.work / "sources" / f"{self.application.name}-{name}"
        rate = self.application.rate(busy)
        write_source(self.application, folder, rate, self.given.duration, seed)
        return folder, rate

    def recordings(self):
        """One recording for each load. Loads above the first one have a second one, with other arrivals."""
        found = []
        for number, busy in enumerate(self.given.busy):
            source, rate = self.source(busy, f"load{number + 1}", seed=2 * number + 1)
            run_id = f"{self.application.name}-load{number + 1}"
            folder, run = self.run(source, run_id)
            services = self.application.services()
            check(folder, [{"module": one.module, "instance": one.instance, "node": one.node} for one in services])
            second = None
            if number > 0:
                other, _ = self.source(busy, f"load{number + 1}-other", seed=2 * number + 2)
                _, second = self.run(other, f"{run_id}-other")
            found.append({"busy": busy, "rate": rate, "run_id": run_id, "folder": folder, "recorded": run, "second": second})
        return found

    def predict(self, known, loads):
        """Rankings of all placements at each load, from the recording at the lowest one."""
        for load in loads:
            out = self.programs.work / f"{load['run_id']}-placements"
            scale = load["rate"] / known["rate"]
            self.say(f"predicting all placements at {scale:.2f} times the load")
            load["ranking"] = self.programs.place(known["folder"], self.tiers, scale, out, self.strategies)

    def chosen(self, loads):
        """The first three placements at the highest load with a ranking, and the last one."""
        rankings = [(load, [placed for placed in load["ranking"]["placements"] if placed["rank"] is not None]) for load in loads]
        last, ranked = next(((load, ranked) for load, ranked in reversed(rankings) if ranked), (None, []))
        picked = ranked[:FIRST] + ranked[FIRST:][-1:]
        if not picked:
            raise Failed(f"no placement of {self.application.name} is predicted at any load; the runs are too short or too busy")
        folder = self.programs.work / f"{last['run_id']}-placements"
        return [(placed["modules"], folder / placed["file"]) for placed in picked]

    def file(self, number, path):
        """A placement file with the delays of recorded links as they were set: estimates would be rounded to other milliseconds.

        Rates of recorded links are left out. Where links.json has none, the recorded network times contain the transfer.
        """
        placement = json.loads(path.read_text())
        passed = [{"u": u, "v": v, "delay_ms": delay_ms} for (u, v), (delay_ms, _) in self.application.passed().items()]
        placement["links"] = placement.get("links", []) + passed
        return write(self.programs.work / f"{self.application.name}-{number}.json", placement)

    def measure(self, load, chosen):
        """Runs the chosen placements at a load, and the first of them twice."""
        load["runs"] = []
        for number, (modules, path) in enumerate(chosen, 1):
            placed = next(placed for placed in load["ranking"]["placements"] if placed["modules"] == modules)
            file = self.file(number, path)
            run_id = f"{load['run_id']}-placed{number}"
            folder, run = self.run(load["folder"], run_id, file)
            check(folder, placed["stations"])
            load["runs"].append((placed, run, run_id))
            if number == 1:
                again, second = self.run(load["folder"], f"{load['run_id']}-placed{number}-again", file)
                load["same_arrivals"] = judge.noise(run, second)
                load["verdict"] = self.programs.compare(folder, again)
        other = load["second"] and judge.noise(load["recorded"], load["second"])
        load["other_arrivals"] = other
        load["aa"] = {name: max(load["same_arrivals"][name], (other or {}).get(name, 0)) for name in FIGURES}

    def cases(self, known, load):
        """What was predicted and measured of each placement, the recorded one first."""
        recorded = next(placed for placed in load["ranking"]["placements"] if placed["is_recorded"])
        names = {}
        load["cases"] = []
        for placed, run, run_id in [(recorded, load["recorded"], load["run_id"])] + load["runs"]:
            free, _ = self.programs.whatif(known["folder"], self.free_tiers(), placed["modules"], placed["modules"])
            name = self.name(placed, recorded)
            names[name] = names.get(name, 0) + 1
            case = {
                "name": name if names[name] == 1 else f"{name}, by stand-ins again",
                "modules": placed["modules"],
                "run_id": run_id,
                "is_recorded": placed["is_recorded"],
                "rank": placed["rank"],
                "predicted": placed["response_ms"],
                "run": run,
                "without_queues": {figure: free["after"]["response_ms"][figure]["value"] for figure in FIGURES},
            }
            case["errors"] = judge.errors(case, known["recorded"], load["busy"], load["aa"])
            load["cases"].append(case)
        run = load["cases"][1:]
        load["wrong_order"], load["regret"] = judge.order(run), judge.regret(run)
        load["line_mean_ms"] = self.programs.line(known["folder"], load["rate"], self.application.name)
        load["misses"] = judge.misses(load)

    def free_tiers(self):
        """The tiers with enough cores that no request waits for one."""
        tiers = self.application.tiers()
        tiers["nodes"] = {node: {"cores": CORES_FREE} for node in tiers["nodes"]}
        return write(self.programs.work / f"{self.application.name}-free-tiers.json", tiers)

    def name(self, placed, recorded):
        moved = [f"{module}={node}" for module, node in placed["modules"].items() if recorded["modules"][module] != node]
        return " ".join(moved) or "as recorded"

    def what_if(self, known, load, chosen):
        """`cctf whatif` for the first placement, with its time, beside the ranking."""
        modules = chosen[0][0]
        answer, seconds = self.programs.whatif(known["folder"], self.tiers, modules)
        placed = next(placed for placed in load["ranking"]["placements"] if placed["modules"] == modules)
        agrees = all(
            judge.overlaps(answer["after"]["response_ms"][name], placed["response_ms"][name]) for name in FIGURES
        )
        return {"seconds": seconds, "agrees": agrees}

    def all(self):
        loads = self.recordings()
        known = loads[0]
        self.predict(known, loads)
        chosen = self.chosen(loads)
        for load in loads:
            self.measure(load, chosen)
            self.cases(known, load)
        return {"name": self.application.name, "loads": loads, "what_if": self.what_if(known, known, chosen)}


def main():
    given = arguments()
    given.out.mkdir(parents=True)
    work = given.out / "work"
    work.mkdir()
    programs = Programs(given.bin_dir, given.toxiproxy, given.line, work)
    try:
        studies = [Study(APPLICATIONS[part](), programs, given).all() for part in given.parts]
    except Failed as failed:
        print(f"study: {failed}", file=sys.stderr)
        return 1
    texts = report.write_all(given.out, studies)
    print(texts)
    misses = [miss for study in studies for load in study["loads"] for miss in load["misses"]]
    print(f"results.json, results.md and results.svg are in {given.out}; all runs are in {work}")
    return MISSES if misses and not given.no_limits else 0


if __name__ == "__main__":
    sys.exit(main())
