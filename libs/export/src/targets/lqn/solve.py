"""Solves the layered queueing network of a recorded run with LINE, and shows the answer beside the recorded figures.

Usage: solve.py [--rate RATE] [--seconds SECONDS] [--out FILE]
RATE is requests a second from outside. Default: the recorded rate. The program gives up after SECONDS. Default: 300. FILE gets the
answer as JSON. Default: results.json beside this program. Times are milliseconds, rates are requests a second. Requires the Python
package line-solver 3.0.8.0.
"""

import argparse
import importlib.metadata
import json
import math
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import xml.etree.ElementTree

import line_solver

# Attempts to find the think time with which customers arrive at the wanted rate, and the largest relative error of that rate.
ATTEMPTS_MAX = 20
RATE_ERROR_MAX = 1e-4
# If so few requests find all slots of an instance busy, it is solved as one without a limit.
BUSY_SHARE_MAX = 0.01
# Largest change of the layers' solutions in the last iteration.
LAYERS_ERROR_MAX = 1e-5
# LINE solves all layers, one for each instance with slots and one for the nodes, at least 50 times for an attempt, and at least twice
# as often as there are layers. So the time grows with the square of the number of instances.
SECONDS_DEFAULT = 300
# Temporary folders in use.
SCRATCH = []
# The entry of the customers.
CLIENTS = "ec"

folder = pathlib.Path(__file__).parent


def layer_solver(layer):
    """The default rule for stations with several servers is right for two only, and LINE does not use Conway's with interlocking."""
    return line_solver.MVA(layer, config={"multiserver": "conway"})


class Answer:
    """The solution of a network. Times are seconds."""

    def __init__(self, path):
        line_solver.GlobalConstants.set_verbose(line_solver.VerboseLevel.SILENT)
        network = line_solver.LayeredNetwork.parse_xml(str(path))
        solver = line_solver.LN(network, layer_solver, iter_tol=LAYERS_ERROR_MAX, config={"interlocking": False})
        self.table = solver.get_avg_table().set_index("Node")
        names = [str(name) for name in solver.lqn.names]
        self.rates = dict(zip(names, map(float, solver.tput)))
        self.services = dict(zip(names, map(float, solver.servt)))
        # For each entry the calls to it: their rate, and the mean time of one, with its wait.
        self.calls = {}
        for (activity, entry, count), time in zip(solver.lqn.callpair, solver.callservt):
            rate = self.rates[names[int(activity)]] * float(count)
            self.calls.setdefault(names[int(entry)], []).append((rate, float(time) / float(count)))

    def utilisation(self, processor):
        return float(self.table.loc[processor, "Util"])

    def response(self, entry):
        """Mean time from the arrival to the answer."""
        return mean(self.calls[entry])


def mean(weighted):
    weight = sum(weight for weight, _ in weighted)
    return sum(weight * value for weight, value in weighted) / weight if weight else 0.0


def busy_share(load, slots):
    """The share of requests that find all slots busy, by Erlang's formula."""
    if load >= slots:
        return 1.0
    blocked = 1.0
    for number in range(1, slots + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / slots * (1 - blocked))


def fail(sentence):
    sys.exit(f"solve.py: {sentence}")


def give_up_after(seconds, network):
    """Ends the program with a sentence if there is no answer by then."""
    slots = len(tasks_of(network))

    def give_up(*_):
        # LINE catches all exceptions in places, so that none would reach the end of this program.
        print(
            f"solve.py: no answer within {seconds} s: LINE solves {slots} instances with slots again and again, and its time grows with "
            "the square of their number; allow more with --seconds, or simulate with cctf export simgrid",
            file=sys.stderr,
            flush=True,
        )
        for scratch in SCRATCH:
            shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)


def tasks_of(network):
    """The entries of each task with slots, and their number."""
    limited = [task for task in network.iter("task") if task.get("scheduling") == "fcfs"]
    return {task.get("name"): ([entry.get("name") for entry in task.iter("entry")], int(task.get("multiplicity"))) for task in limited}


def solve(network, customers, rate):
    """The answer with the think time at which requests arrive at this rate.

    LINE counts the slots of a caller as the number of customers of its callee: a caller of few slots waits for itself. So an instance
    whose slots are hardly ever all busy has no limit in the solution.
    """
    clients = network.find(".//task[@name='clients']")
    limited = tasks_of(network)
    think, found, unlimited = customers / rate, math.nan, set()
    with tempfile.TemporaryDirectory() as scratch:
        SCRATCH.append(scratch)
        path = pathlib.Path(scratch, "model.lqnx")
        for attempt in range(ATTEMPTS_MAX):
            if sys.stderr.isatty():
                print(f"solving, attempt {attempt + 1}", end="\r", file=sys.stderr)
            clients.set("think-time", repr(think))
            for task in network.iter("task"):
                if task.get("name") in limited:
                    task.set("scheduling", "inf" if task.get("name") in unlimited else "fcfs")
            path.write_bytes(xml.etree.ElementTree.tostring(network))
            answer = Answer(path)
            found = answer.rates[CLIENTS]
            load = lambda entries: sum(answer.rates[entry] * answer.services[entry] for entry in entries)
            idle = {task for task, (entries, slots) in limited.items() if busy_share(load(entries), slots) <= BUSY_SHARE_MAX}
            # Once it has a limit, an instance keeps it: the attempts must end.
            now_unlimited = idle if attempt == 0 else idle & unlimited
            if now_unlimited == unlimited and abs(found - rate) <= RATE_ERROR_MAX * rate:
                return answer
            if now_unlimited == unlimited:
                # A cycle takes the think time and the response.
                think += customers / rate - customers / found
                if not think > 0:
                    break
            unlimited = now_unlimited
    fail(f"the network processes at most {found:g} requests a second, and not {rate:g}; choose a smaller --rate")


def station(answer, known, entries):
    """The figures of an instance. Its wait is that for its slots, once for each request."""
    of = [entry["entry"] for entry in entries if entry["task"] == known["task"]]
    is_released = known["slots_task"] != known["task"]
    rates = [answer.rates[entry] for entry in of]
    on_slots = [f"{entry}s" if is_released else entry for entry in of]
    service = mean([(rate, answer.services[entry]) for rate, entry in zip(rates, on_slots)])
    wait = mean([(rate, answer.response(entry)) for rate, entry in zip(rates, on_slots)]) - service
    figures = {
        "rate": sum(rates),
        "utilisation": sum(rates) * service / known["slots"] if known["slots"] else None,
        # Without slots, nobody waits.
        "queue_ms": 1e3 * max(wait, 0.0) if known["slots"] else 0.0,
        "service_ms": 1e3 * service,
        "response_ms": 1e3 * mean([(rate, answer.response(entry)) for rate, entry in zip(rates, of)]),
    }
    figures["waiting"] = figures["rate"] * figures["queue_ms"] / 1e3
    return {name: known[name] for name in ["module", "instance", "node", "slots", "slot_policy"]} | figures | {"recorded": known["recorded"]}


def results(answer, recorded, rate):
    stations = [station(answer, known, recorded["entries"]) for known in recorded["stations"]]
    busy = {known["processor"] for known in recorded["stations"]}
    nodes = [
        {"node": node["node"], "cores": node["cores"], "utilisation": answer.utilisation(node["processor"]) if node["cores"] else None}
        for node in recorded["nodes"]
        if node["processor"] in busy
    ]
    # A root can arrive together with requests that nobody waits for.
    roots = [(entry["arrivals"], answer.response(entry["entry"])) for entry in recorded["entries"] if entry["arrivals"]]
    return {
        "run_id": recorded["run_id"],
        "solver": f"LINE {importlib.metadata.version('line-solver')}, LN",
        "recorded_rate": recorded["rate"],
        "rate": rate,
        "response_ms": 1e3 * mean(roots),
        "stations": stations,
        "nodes": nodes,
    }


def show(found):
    """Prints a table: solved figures, and the recorded ones in parentheses."""
    columns = ["rate", "utilisation", "queue_ms", "service_ms", "response_ms"]
    text = lambda value: "-" if value is None else f"{value:.3f}"
    print(f"{found['run_id']} at {found['rate']:.3f} requests a second (recorded: {found['recorded_rate']:.3f})")
    print(f"{'station':<28}" + "".join(f"{name:>22}" for name in columns))
    for station in found["stations"]:
        cells = (f"{text(station[name])} ({text(station['recorded'][name])})" for name in columns)
        print(f"{station['module'] + ' ' + station['instance']:<28.28}" + "".join(f"{cell:>22}" for cell in cells))
    for node in found["nodes"]:
        print(f"CPUs of {node['node']}: utilisation {text(node['utilisation'])}")
    print(f"mean response of requests from outside: {found['response_ms']:.3f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=int, default=SECONDS_DEFAULT)
    parser.add_argument("--out", type=pathlib.Path, default=folder / "results.json")
    flags = parser.parse_args()
    recorded = json.loads((folder / "recorded.json").read_text())
    rate = recorded["rate"] if flags.rate is None else flags.rate
    if not 0 < rate < math.inf:
        fail(f"invalid --rate {rate:g}: it must be more than 0")
    if flags.seconds < 1:
        fail(f"invalid --seconds {flags.seconds}: it must be at least 1")
    network = xml.etree.ElementTree.parse(folder / "model.lqnx").getroot()
    give_up_after(flags.seconds, network)
    answer = solve(network, recorded["customers"], rate)
    found = results(answer, recorded, rate)
    try:
        flags.out.write_text(json.dumps(found, indent=1) + "\n")
    except OSError as error:
        fail(f"cannot write {flags.out}: {error.strerror}; choose another --out")
    show(found)
    print(flags.out)


if __name__ == "__main__":
    main()
