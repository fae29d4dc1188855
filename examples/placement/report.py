"""The results: `results.json`, `results.md` with a table for each load, and `results.svg`."""

import dataclasses
import json

from judge import BY, JUDGED_BUSY_MAX
from measured import FIGURES
from picture import picture


def write_all(out, studies):
    """Writes all files, and returns the tables."""
    text = tables(studies)
    (out / "results.md").write_text(text)
    (out / "results.svg").write_text(picture(studies))
    (out / "results.json").write_text(json.dumps([plain(study) for study in studies], indent=2) + "\n")
    return text


def plain(study):
    """Everything but the rankings, which are in files of their own."""
    loads = []
    for load in study["loads"]:
        cases = [case | {"run": dataclasses.asdict(case["run"])} for case in load["cases"]]
        names = ("busy", "rate", "run_id", "same_arrivals", "other_arrivals", "verdict", "wrong_order", "regret", "line_mean_ms", "misses")
        strategies = [{name: one[name] for name in ("name", "regret")} for one in load["ranking"]["strategies"]]
        loads.append({name: load[name] for name in names} | {"cases": cases, "strategies": strategies})
    return {"name": study["name"], "what_if": study["what_if"], "loads": loads}


def tables(studies):
    lines = []
    for study in studies:
        for load in study["loads"]:
            lines += [f"## {study['name']}, busiest station {100 * load['busy']:.0f}%", ""]
            lines += table(load) + [""] + below(study, load) + [""]
    return "\n".join(lines)


def table(load):
    rows = [
        "| placement | figure | predicted, ms | measured, ms | error | limit | | without queues | its error |",
        "|---|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    for case in load["cases"]:
        for row in case["errors"]:
            limit = "reported" if row["limit"] is None else f"{100 * row['limit']:.1f}%"
            verdict = "misses" if row["misses_because"] else ("" if row["limit"] is None else "holds")
            cells = [
                case["name"] + ("" if case["rank"] else " (not predicted)"),
                row["figure"],
                ranged(row["predicted"]),
                ranged(row["measured"]),
                f"{100 * row['error']:+.1f}%",
                limit,
                verdict,
                f"{row['without_queues']:.1f}",
                f"{100 * row['error_without_queues']:+.1f}%",
            ]
            rows.append("| " + " | ".join(cells) + " |")
    return rows


def ranged(interval):
    return f"{interval['value']:.1f} ({interval['low']:.1f} to {interval['high']:.1f})"


def below(study, load):
    """Sentences below a table."""
    recorded = load["cases"][0]
    percent = lambda figures: ", ".join(f"{name} {100 * figures[name]:.1f}%" for name in FIGURES)
    lines = [f"- A/A error, the same placement and arrivals twice: {percent(load['same_arrivals'])}; `cctf compare`: {load['verdict']}."]
    if load["other_arrivals"]:
        lines.append(f"- A/A error, the recorded placement with other arrivals: {percent(load['other_arrivals'])}.")
    if load["busy"] > JUDGED_BUSY_MAX:
        lines.append(f"- Above {100 * JUDGED_BUSY_MAX:.0f}% nothing is judged.")
    wrong = "; ".join(load["wrong_order"]) or "none"
    lines.append(f"- Wrong order of placements whose intervals do not overlap: {wrong}. Regret of the first one, {BY}: {100 * load['regret']:.1f}%.")
    for strategy in load["ranking"]["strategies"]:
        text = "not predicted" if strategy["regret"] is None else f"{100 * strategy['regret']:.1f}%"
        lines.append(f"- Predicted regret of the strategy {strategy['name']}: {text}.")
    if load["line_mean_ms"] is not None:
        means = f"predicted {recorded['predicted']['mean']['value']:.1f} ms, measured {recorded['run'].mean_ms:.1f} ms"
        lines.append(f"- LINE, mean response of the recorded placement: {load['line_mean_ms']:.1f} ms; {means}.")
    runs = [case["run"] for case in load["cases"]]
    lines.append(
        f"- Each run has {recorded['run'].requests} requests; the machine's CPUs were busy for {min(run.cpu_percent for run in runs):.0f}"
        f" to {max(run.cpu_percent for run in runs):.0f}%, and the host took up to {max(run.stolen_percent for run in runs):.1f}%."
    )
    asked = study["what_if"]
    if load is study["loads"][0]:
        agrees = "agrees with" if asked["agrees"] else "differs from"
        lines.append(f"- `cctf whatif` of the first placement took {asked['seconds']:.1f} s and {agrees} the ranking.")
    return lines + [f"- MISSES: {miss}" for miss in load["misses"]]
