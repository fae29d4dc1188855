"""Judges predictions: errors against limits, the order of the placements that were run, and the regret of the first one."""

from measured import FIGURES

# Maximum relative errors of the recorded placement, and of the others.
RECORDED_MAX = {"p50": 0.05, "p95": 0.05, "p99": 0.20}
MOVED_MAX = {"p50": 0.10, "p95": 0.10, "p99": 0.20}
REGRET_MAX = 0.05
# Above this utilisation of the busiest station, errors are reported and not judged.
JUDGED_BUSY_MAX = 0.75
# Maximum busy share of the machine's CPUs in a measured run, and maximum share that the host took, percent.
CPU_PERCENT_MAX, STOLEN_PERCENT_MAX = 60.0, 0.5
# Minimum change of an instance's mean own time that is named as a reason. At a utilisation of 0.7, waits grow by some 8 times this share.
OWN_CHANGE_MIN = 0.01
BY = "p95"


def noise(first, second):
    """The relative differences of two runs of the same placement: the A/A error."""
    return {
        name: abs(first.figures[name]["value"] / second.figures[name]["value"] - 1) for name in FIGURES
    }


def overlaps(one, other):
    return one["low"] <= other["high"] and other["low"] <= one["high"]


def doubts(run):
    """Reasons not to use a measured run as the reference."""
    found = []
    if run.cpu_percent > CPU_PERCENT_MAX:
        found.append(f"the CPUs of the machine were busy for {run.cpu_percent:.0f}%")
    if run.stolen_percent > STOLEN_PERCENT_MAX:
        found.append(f"the host of the machine took {run.stolen_percent:.1f}% of its CPU time")
    return found


def slower(run, known):
    """Instances whose requests took longer or shorter by themselves than in the recording of the prediction."""
    found = []
    for name, before in known.services.items():
        now = run.services.get(name)
        if now and abs(now["own"] / before["own"] - 1) > OWN_CHANGE_MIN:
            waits = now["wait"] - before["wait"]
            found.append(
                f"a request of {name} took {now['own']:.2f} ms instead of {before['own']:.2f} ms, with {waits:+.2f} ms of waits for a CPU"
            )
    return found


def errors(case, known, busy, aa):
    """A row for each figure of a case: predicted, measured, error, limit, and why it misses. `known` is the run of the prediction."""
    limits = RECORDED_MAX if case["is_recorded"] else MOVED_MAX
    rows = []
    for name in FIGURES:
        predicted, measured = case["predicted"][name], case["run"].figures[name]
        error = predicted["value"] / measured["value"] - 1
        limit = max(limits[name], aa[name])
        is_judged = busy <= JUDGED_BUSY_MAX
        reasons = []
        if is_judged and abs(error) > limit:
            reasons = doubts(case["run"]) + slower(case["run"], known)
            if overlaps(predicted, measured):
                reasons.append("the intervals overlap: more requests would decide")
            reasons = reasons or ["not explained"]
        rows.append(
            {
                "figure": name,
                "predicted": predicted,
                "measured": measured,
                "error": error,
                "limit": limit if is_judged else None,
                "misses_because": reasons,
                "without_queues": case["without_queues"][name],
                "error_without_queues": case["without_queues"][name] / measured["value"] - 1,
            }
        )
    return rows


def order(cases):
    """Pairs of placements whose predicted intervals do not overlap, in the wrong measured order."""
    wrong = []
    for number, one in enumerate(cases):
        for other in cases[number + 1 :]:
            first, second = sorted((one, other), key=lambda case: case["predicted"][BY]["value"])
            is_clear = not overlaps(first["predicted"][BY], second["predicted"][BY])
            measured = [case["run"].figures[BY]["value"] for case in (first, second)]
            if is_clear and measured[0] > measured[1]:
                wrong.append(f"{first['name']} before {second['name']}")
    return wrong


def regret(cases):
    """How much slower the predicted best of the placements that were run is than the fastest one, as measured."""
    first = min(cases, key=lambda case: case["predicted"][BY]["value"])
    fastest = min(case["run"].figures[BY]["value"] for case in cases)
    return first["run"].figures[BY]["value"] / fastest - 1


def misses(load):
    """A sentence for each figure of a load that misses its limit."""
    found = []
    for case in load["cases"]:
        for row in case["errors"]:
            if row["misses_because"]:
                reasons = "; ".join(row["misses_because"])
                found.append(
                    f"{case['name']}: {row['figure']} {100 * row['error']:+.1f}%, limit {100 * row['limit']:.1f}%: {reasons}"
                )
    if load["busy"] <= JUDGED_BUSY_MAX:
        found += [f"wrong order: {pair}" for pair in load["wrong_order"]]
        if load["regret"] > REGRET_MAX:
            found.append(f"regret {100 * load['regret']:.1f}%, limit {100 * REGRET_MAX:.0f}%")
    return found
