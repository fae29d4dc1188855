"""Calls, mean and quantiles of responses by module. DuckDB, pandas, jq and `cctf stats` compute them from the same file."""

import json
import statistics
import subprocess

from processes import measured, spread

READERS = ["DuckDB", "pandas", "jq"]
# jq needs ten times the time of the others.
ROUNDS = {"DuckDB": 5, "pandas": 5, "jq": 2}
FIGURES = ["calls", "mean", "p50", "p95", "p99"]
# Relative error of the quantiles of `cctf stats` (docs/stats.md). The other programs sort all values.
SKETCH_ERROR = 1 / 128
# The order of summands differs, so sums of doubles are rounded differently. Milliseconds as doubles are not exact in their last
# digit.
ROUNDING = 1e-9
# The program of jq. It reads one line at a time and keeps two fields. The quantiles are those of DuckDB's quantile_disc.
JQ = """
def quantile(share): .[(length * share | ceil) - 1];
[inputs | [.module_id, .rt_ms]] | group_by(.[0])
| map({key: .[0][0], value: ([length] + (map(.[1] | numbers) | sort
    | [add / length, quantile(0.5), quantile(0.95), quantile(0.99)]))})
| from_entries
"""


def found_by(bench, reader, path):
    """CPU seconds, version and figures by module. The CPU time of jq is that of the whole process, whose start takes milliseconds."""
    if reader == "jq":
        out, cpu, *_ = measured(["jq", "--null-input", "--compact-output", JQ, path])
        version = subprocess.run(["jq", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        return cpu, version.removeprefix("jq-"), json.loads(out)
    out, *_ = measured([bench.tools / "readers/bin/python", "bench/python_responses.py", reader.lower(), path])
    found = json.loads(out)
    return found["cpu_s"], found["version"], found["modules"]


def ours(bench, run):
    """All figures of `cctf stats --by module`. The command cannot compute fewer."""
    out, cpu, *_ = measured([bench.bin_dir / "cctf", "stats", run, "--by", "module", "--format", "json"])
    names = ["calls", *(f"response_{figure}_ms" for figure in FIGURES[1:])]
    return cpu, {group["module_id"]: [group[name] for name in names] for group in json.loads(out)["groups"]}


def check(reader, our_modules, their_modules):
    assert our_modules.keys() == their_modules.keys(), f"{reader} has the modules {sorted(their_modules)}"
    for module, our_figures in our_modules.items():
        for name, our, their in zip(FIGURES, our_figures, their_modules[module], strict=True):
            error = {"calls": 0, "mean": their * ROUNDING}.get(name, their * SKETCH_ERROR + ROUNDING)
            assert abs(our - their) <= error, f"{name} of {module} is {our}, but {their} with {reader}"


def compare(bench, recorded):
    path = recorded.run / "cctf/invocations.jsonl"
    for reader in READERS:
        our_cpu, their_cpu = [], []
        for _ in range(ROUNDS[reader]):
            our_s, our_modules = ours(bench, recorded.run)
            their_s, version, their_modules = found_by(bench, reader, path)
            check(reader, our_modules, their_modules)
            our_cpu.append(our_s)
            their_cpu.append(their_s)
        ratios = [our_s / their_s for our_s, their_s in zip(our_cpu, their_cpu)]
        what = (f"CPU seconds of stats by module, {recorded.rows()['invocations.jsonl']:,} invocations, against {reader} {version} "
                f"for calls, mean, p50, p95 and p99 of response alone; ratios {min(ratios):.2f} to {max(ratios):.2f}")
        bench.say(what, spread(our_cpu, ".2f"), spread(their_cpu, ".2f"), statistics.median(ratios))
