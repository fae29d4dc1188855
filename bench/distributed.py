"""The part buckets of `make bench`: one merge, the same in buckets by hand, and under Spark, by CPU time and time per GB."""

import json
import pathlib
import shutil
import subprocess
import time

from processes import measured

# A million rows and ten million. The larger size is measured if the disk has room.
MIB = [512, 5120]
BUCKETS = 4
# The folders, the result of one merge, all buckets, and a bucket's or a merge's temporary files.
DISK_FACTOR = 5
SPARK = pathlib.Path(__file__).parent.parent / "deploy/spark/merge.py"


def machine_cpu_s():
    """CPU time of all processes: those of Spark start others, which no one waits for."""
    ticks = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, softirq = ticks[:7]
    return (user + nice + system + irq + softirq) / 100


def buckets(bench):
    for mib in MIB:
        if shutil.disk_usage(bench.scratch).free < DISK_FACTOR * (mib << 20):
            bench.say(f"buckets of {mib:,} MiB: not measured, they need {DISK_FACTOR * mib / 1024:.0f} GiB of disk", "", "", None)
            continue
        Sized(bench, mib).measure()


class Sized:
    """Measurements with the folders of three normalizers that have so many MiB of lines together."""

    def __init__(self, bench, mib):
        self.bench, self.folder = bench, bench.scratch / "buckets"
        shards = self.folder / "shards"
        subprocess.run([bench.bin_dir / "examples/shards", shards, str(mib)], check=True)
        self.inputs = sorted(shards.iterdir())
        self.gb = sum(path.stat().st_size for path in shards.glob("*/cctf/*.jsonl")) / 1e9
        rows = sum(int(subprocess.run(["wc", "-l", path], check=True, capture_output=True, text=True).stdout.split()[0])
                   for path in shards.glob("*/cctf/*.jsonl"))
        self.name = f"{self.gb:.1f} GB, {rows / 1e6:.1f} million rows"

    def merge(self, out, *flags):
        """CPU seconds, seconds and peak memory in MiB of a merge."""
        _, cpu, elapsed, peak = measured([self.bench.bin_dir / "cctf", "merge", self.folder / out, *self.inputs, "--format", "json", *flags])
        return cpu, elapsed, peak

    def say(self, what, cpu, elapsed, peak, one=None):
        against = f"{one[0] / self.gb:.2f}" if one else ""
        self.bench.say(f"merge of {self.name}: {what}: CPU s per GB", f"{cpu / self.gb:.2f}", against, cpu / one[0] if one else None)
        against = f"{one[1] / self.gb:.2f}" if one else ""
        self.bench.say(f"merge of {self.name}: {what}: s per GB", f"{elapsed / self.gb:.2f}", against, elapsed / one[1] if one else None)
        if peak:
            self.bench.say(f"merge of {self.name}: {what}: peak memory, MiB", f"{peak:.0f}", "", None)

    def measure(self):
        one = self.merge("one")
        self.say("one merge", *one)
        made, parts = [], []
        for index in range(BUCKETS):
            made.append(self.merge(f"bucket-{index}", "--bucket", f"{index}/{BUCKETS}"))
            parts.append(self.folder / f"bucket-{index}")
        cpu, elapsed, peak = (list(figures) for figures in zip(*made))
        self.say(f"one of {BUCKETS} buckets", sum(cpu) / BUCKETS, sum(elapsed) / BUCKETS, max(peak), one)
        rests = self.merge("rests", "--rests", *parts)
        self.say(f"rests of {BUCKETS} buckets", *rests, one)
        whole = self.merge("whole", "--rows", "--rests", *parts)
        self.say(f"rests of {BUCKETS} buckets with rows", *whole, one)
        self.say(f"{BUCKETS} machines by hand, with rows", sum(cpu) + whole[0], max(elapsed) + whole[1], None, one)
        handed = sum(sum(path.stat().st_size for path in part.glob("*.jsonl") if path.name not in ("invocations.jsonl", "calls.jsonl")) for part in parts)
        self.bench.say(f"merge of {self.name}: handed on by {BUCKETS} buckets, share of the folders", f"{handed / 1e9 / self.gb:.4f}", "", None)
        self.assert_same("whole")
        for path in [self.folder / "rests", self.folder / "whole", *parts]:
            shutil.rmtree(path)
        self.spark(one)
        shutil.rmtree(self.folder)

    def assert_same(self, run):
        differs = subprocess.run(["diff", "-rq", "--no-dereference", self.folder / "one", self.folder / run]).returncode
        assert differs == 0, f"{run} and one merge differ"

    def spark(self, one):
        """The same buckets as tasks of Spark in local mode, two at a time on this machine; then with the data set."""
        submit = [self.bench.tools / "readers/bin/spark-submit", "--master", "local[2]", "--conf", "spark.ui.enabled=false", SPARK]
        flags = ["--cctf", self.bench.bin_dir / "cctf", "--buckets", BUCKETS, "--out", self.folder / "spark", *self.inputs]
        variables = {"PYSPARK_PYTHON": str(self.bench.tools / "readers/bin/python"), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        for what, more in [("and rows", ["--run", "--no-data"]), ("data set and statistics", [])]:
            cpu, began = machine_cpu_s(), time.monotonic()
            command = [str(part) for part in [*submit, *flags, *more]]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=variables)
            if "--run" in more:
                self.assert_same("spark/run")
            self.say(f"Spark, {BUCKETS} tasks: " + ("buckets, rests " + what if more else what), machine_cpu_s() - cpu, time.monotonic() - began, None, one)
        stats = [json.loads(line) for line in (self.folder / "spark/stats.json").read_text().splitlines()]
        assert sum(row["calls"] for row in stats) > 0, stats
