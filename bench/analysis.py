"""Parts of `make bench` that read a recorded run: stats, validate, parquet, convert, verdict, report."""

import json
import pathlib
import shutil
import statistics
import subprocess

import responses
from processes import measured, spread

ROUNDS = 5
INVOCATIONS = 1_000_000
# Numbers of rounds. The largest run shows that memory does not grow.
PARQUET_INVOCATIONS = {1_000_000: 5, 10_000_000: 1}
PARQUET_MIB_MAX = 256
# Traces of six spans, and rounds of their conversion.
CONVERT_REQUESTS = 80_000
CONVERT_ROUNDS = 3
# Microseconds of CPU a span.
CONVERT_US_MAX = {"messages.bin": 2.5, "lines.json": 4, "jaeger.json": 4, "zipkin.json": 4}
# Call graphs of Alibaba with the published faults; about 13 rows a trace.
CONVERT_TABLES = ["alibaba2021.csv", "alibaba2022.csv"]
CONVERT_MB_MIN = 100
# The last table this many times, each with its own trace ids: memory must not grow.
CONVERT_COPIES = [1, 4]
CONVERT_MIB_MAX = 256
REPORT_INVOCATIONS = [10_000, 1_000_000, 10_000_000]
# A run of 10 million invocations has 10 GB. At least this space must remain free.
SPARE_BYTES = 3 << 30
BYTES_AN_INVOCATION = 1200
REPORT_KB_MAX = 500
# Rounds of `cctf compare` with two runs of a million invocations.
VERDICT_S_MAX = 15


class Recorded:
    """A run of so many invocations, until the end of the block. `rate` is that of its requests, per second.

    Runs with the same numbers have the same rows. They differ in their names."""

    def __init__(self, bench, invocations, rate=1_000, name="recorded"):
        self.bench, self.run = bench, bench.scratch / f"{name}-{invocations}"
        self.invocations, self.rate = invocations, rate

    def __enter__(self):
        arguments = [str(self.invocations), str(self.rate)]
        subprocess.run([self.bench.bin_dir / "examples/recorded", self.run, *arguments], check=True)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.run, ignore_errors=True)

    def bytes(self):
        return sum(path.stat().st_size for path in (self.run / "cctf").iterdir())

    def rows(self):
        meta = json.loads((self.run / "cctf/run_meta.json").read_text())
        return meta["counts"]["rows"]


def stats(bench):
    """Both read the same files in turns. The CPU time of DuckDB is that of its queries; ours is that of the whole process."""
    with Recorded(bench, INVOCATIONS) as recorded:
        for by in ["module", "module,endpoint,node,link"]:
            ours, theirs = [], []
            for _ in range(ROUNDS):
                out, cpu, _, _ = measured([bench.bin_dir / "cctf", "stats", recorded.run, "--by", by, "--format", "json"])
                our_calls = {}
                for group in json.loads(out)["groups"]:
                    our_calls[group["by"]] = our_calls.get(group["by"], 0) + group["calls"]
                ours.append(cpu)
                python = bench.tools / "readers/bin/python"
                out, *_ = measured([python, "bench/duckdb_stats.py", recorded.run / "cctf", by])
                cpu, *their_calls = out.split()
                theirs.append(float(cpu))
                assert list(our_calls.values()) == [int(calls) for calls in their_calls], (our_calls, their_calls)
            ratios = [ours_s / theirs_s for ours_s, theirs_s in zip(ours, theirs)]
            what = (f"CPU seconds of stats by {by}, {recorded.rows()['invocations.jsonl']:,} invocations of 6 modules, against DuckDB; "
                    f"ratios {min(ratios):.2f} to {max(ratios):.2f}")
            bench.say(what, spread(ours, ".2f"), spread(theirs, ".2f"), statistics.median(ratios), "at most 1.5")
        responses.compare(bench, recorded)


def validate(bench):
    with Recorded(bench, INVOCATIONS) as recorded:
        megabytes = recorded.bytes() / 1e6
        speeds = [megabytes / measured([bench.bin_dir / "cctf", "validate", recorded.run])[1] for _ in range(ROUNDS)]
        bench.say(f"validate of {megabytes:,.0f} MB: MB/s a core", spread(speeds, ",.0f"), "", None, "400")


def convert(bench):
    """The same 480,000 spans in each format. The CPU time is that of the whole command: reading, mapping, rows, merge."""
    folder, out = bench.scratch / "telemetry", bench.scratch / "converted"
    folder.mkdir()
    subprocess.run([bench.bin_dir / "examples/telemetry", folder, str(CONVERT_REQUESTS)], check=True)

    def converted(source, feed=None):
        printed, cpu, _, peak = measured([bench.bin_dir / "cctf", "convert", source, "--out", out, "--summary", "json"], feed)
        shutil.rmtree(out)
        return json.loads(printed), cpu, peak

    for name, limit in CONVERT_US_MAX.items():
        costs = []
        for _ in range(CONVERT_ROUNDS):
            summary, cpu, _ = converted(folder / name)
            costs.append(cpu * 1e6 / summary["spans"])
        bench.say(f"convert of {name}: CPU us a span, {CONVERT_REQUESTS:,} traces", spread(costs, ".2f"), "", None, f"at most {limit}")
    for name in CONVERT_TABLES:
        megabytes, speeds, costs, peaks = (folder / name).stat().st_size / 1e6, [], [], []
        for _ in range(CONVERT_ROUNDS):
            summary, cpu, peak = converted(folder / name)
            speeds.append(megabytes / cpu)
            costs.append(cpu * 1e6 / sum(summary["records"].values()))
            peaks.append(peak)
        bench.say(f"convert of {name}, {megabytes:,.0f} MB: MB/s a core", spread(speeds, ",.0f"), "", None, f"{CONVERT_MB_MIN}")
        bench.say(f"convert of {name}: CPU us a row", spread(costs, ".2f"), "", None)
        bench.say(f"convert of {name}: peak memory, MiB", f"{max(peaks):.0f}", "", None, f"under {CONVERT_MIB_MAX}")
    for copies in CONVERT_COPIES:
        summary, cpu, peak = converted("-", copies_of(folder / CONVERT_TABLES[-1], copies))
        rows = sum(summary["records"].values())
        bench.say(f"convert of {rows:,} rows of {CONVERT_TABLES[-1]} from standard input: CPU us a row", f"{cpu * 1e6 / rows:.2f}", "", None)
        bench.say(f"convert of {rows:,} rows of {CONVERT_TABLES[-1]} from standard input: peak memory, MiB", f"{peak:.0f}", "", None, f"under {CONVERT_MIB_MAX}")
    shutil.rmtree(folder)


def copies_of(table, copies):
    """The table so many times in pieces, each copy with its own trace ids. Linux counts the memory of this process as that of the
    measured one until the latter starts its program, so this process must be small."""
    for copy in range(1, copies + 1):
        with table.open("rb") as lines:
            while piece := lines.readlines(1 << 20):
                yield b"".join(piece).replace(b",T_", b",T_%d" % copy)


def parquet(bench):
    """Measures the whole command, including its sort and its temporary files. MB are those of the JSON files."""
    for invocations, rounds in PARQUET_INVOCATIONS.items():
        # Space for the run, the temporary files of its larger file, and the data set.
        needed = 2 * invocations * BYTES_AN_INVOCATION + SPARE_BYTES
        if shutil.disk_usage(bench.scratch).free < needed:
            bench.say(f"parquet of {invocations:,} invocations: not measured, it needs {needed / 1e9:.0f} GB of disk", "", "", None)
            continue
        with Recorded(bench, invocations) as recorded:
            out, megabytes = bench.scratch / "data", recorded.bytes() / 1e6
            a_core, a_second, peaks = [], [], []
            for _ in range(rounds):
                command = [bench.bin_dir / "cctf", "export", "parquet", recorded.run, "--out", out, "--format", "json"]
                summary, cpu, elapsed, peak = measured(command)
                tables = json.loads(summary)["runs"][0]["tables"]
                for name, rows in recorded.rows().items():
                    assert tables[name.removesuffix(".jsonl")]["rows"] == rows, (name, rows, tables)
                written = sum(table["bytes"] for table in tables.values()) / 1e6
                a_core.append(megabytes / cpu)
                a_second.append(megabytes / elapsed)
                peaks.append(peak)
                shutil.rmtree(out)
            name = f"parquet of {megabytes:,.0f} MB, {recorded.rows()['invocations.jsonl']:,} invocations"
            bench.say(f"{name}: MB/s a core", spread(a_core, ",.0f"), "", None, "100, aim 150")
            bench.say(f"{name}: MB/s", spread(a_second, ",.0f"), "", None)
            bench.say(f"{name}: peak memory, MiB", f"{max(peaks):.0f}", "", None, f"under {PARQUET_MIB_MAX}")
            bench.say(f"{name}: size, share of the JSON files", f"{written / megabytes:.2f}", "", None)


def verdict(bench):
    """Two runs with the same rows: all requests are paired, both runs are simulated, and the verdict is "same"."""
    with Recorded(bench, INVOCATIONS) as recorded, Recorded(bench, INVOCATIONS, name="again") as again:
        command = [bench.bin_dir / "cctf", "compare", recorded.run, again.run, "--format", "json"]
        out, cpu, elapsed, peak = measured(command)
        pairs = json.loads(out)["pairing"]["invocations"]
        assert pairs == recorded.rows()["invocations.jsonl"], pairs
        name = f"compare of two runs of {pairs:,} invocations"
        bench.say(f"{name}: seconds", f"{elapsed:.1f}", "", None, f"under {VERDICT_S_MAX}")
        bench.say(f"{name}: CPU seconds", f"{cpu:.1f}", "", None)
        bench.say(f"{name}: peak memory, MiB", f"{peak:.0f}", "", None)


def report(bench):
    for invocations in REPORT_INVOCATIONS:
        needed = invocations * BYTES_AN_INVOCATION + SPARE_BYTES
        if shutil.disk_usage(bench.scratch).free < needed:
            bench.say(f"report of {invocations:,} invocations: not measured, it needs {needed / 1e9:.0f} GB of disk", "", "", None)
            continue
        with Recorded(bench, invocations) as recorded:
            out = bench.scratch / "report.html"
            _, cpu, elapsed, peak = measured([bench.bin_dir / "cctf", "report", recorded.run, "--out", out])
            name = f"report of {recorded.rows()['invocations.jsonl']:,} invocations"
            is_largest = invocations == REPORT_INVOCATIONS[-1]
            bench.say(f"{name}: seconds", f"{elapsed:.1f}", "", None, "under 30" if is_largest else "")
            bench.say(f"{name}: CPU seconds", f"{cpu:.1f}", "", None)
            bench.say(f"{name}: peak memory, MiB", f"{peak:.0f}", "", None, "under 128" if is_largest else "")
            bench.say(f"{name}: size, kB", f"{pathlib.Path(out).stat().st_size / 1e3:.0f}", "", None, f"at most {REPORT_KB_MAX}")
            out.unlink()
