"""`make bench`: measures whole processes, and prints a table of ratios and a table of receivers.

Everything runs on 127.0.0.1 for a limited time. CPU times are the kernel's (/proc/<pid>/stat for running servers,
rusage for drivers that have ended).
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import analysis
import distributed
import replay
import simulators

PARTS = ["merge", "buckets", "compare", "steady", "late", "live", "held", "pairs", "wire", "service", "driver", "replay", "stats", "validate", "parquet", "convert", "verdict", "report", "simgrid"]
ROUNDS = 3
SATURATED_S = 6
CONCURRENCY = 16
PACED_S = 10
INGEST_S = 6
INGEST_SIZES = [512, 32]
STEADY_S = 60
LATE_S = 5
MERGE_MIB = 1024
PACED_RATES = [2_000, 20_000]
BODY_BYTES = 8192
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 30


class Server:
    """A server as a child process."""

    def __init__(self, command, variables=None, announces=True, port=None):
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | (variables or {})
        out = subprocess.PIPE if announces else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [str(part) for part in command], env=environment, stdout=out, stderr=subprocess.DEVNULL, text=True
        )
        self.announced = json.loads(self.process.stdout.readline()) if announces else {}
        self.port = port

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def wait_until_it_answers(self, url, answer=None):
        """Waits for `answer`, which shows that no other process uses the port."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                request = urllib.request.Request(url, data=b"x", method="POST")
                answered = urllib.request.urlopen(request, timeout=1).read()
                if answer in (None, answered):
                    return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"bench: {url} does not answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    def __init__(self, bin_dir, tools, scratch):
        self.bin_dir, self.tools, self.scratch = bin_dir, tools, pathlib.Path(scratch)
        self.body = self.scratch / "body"
        self.body.write_bytes(os.urandom(BODY_BYTES))
        self.rows, self.receivers, self.scaled = [], [], []

    @staticmethod
    def children_cpu_s():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def say(self, what, ours, theirs, ratio, aim=""):
        self.rows.append((what, ours, theirs, ratio, aim))

    def vegeta(self, *args, url):
        """Sends load and returns the binary results. The target is JSON, so that vegeta does not read a file for each request."""
        # Without a content type, FastAPI parses any body as JSON.
        header = {"Content-Type": ["application/octet-stream"]}
        body = base64.b64encode(self.body.read_bytes()).decode()
        target = json.dumps({"method": "POST", "url": url, "header": header, "body": body})
        results = self.scratch / "results.bin"
        with results.open("wb") as out:
            subprocess.run(
                [self.tools / "bin/vegeta", "attack", "-format=json", *args],
                input=target.encode() + b"\n", stdout=out, check=True,
            )
        return results

    def report(self, results):
        with results.open("rb") as source:
            text = subprocess.run([self.tools / "bin/vegeta", "report", "-type=json"], stdin=source, check=True, capture_output=True)
        return json.loads(text.stdout)

    # ---- the service ----

    def fastapi(self):
        port = free_port()
        command = [self.tools / "fastapi/bin/uvicorn", "--app-dir", "bench/fastapi", "app:app", "--workers", "1",
                   "--port", port]
        server = Server(command, {"LOG_FILE": str(self.scratch / "events.jsonl")}, announces=False, port=port)
        server.url = f"http://127.0.0.1:{port}/hash/sha256"
        return server

    def service(self, variables):
        command = [self.bin_dir / "tunable-svc", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        server = Server(command, variables)
        server.url = server.announced["listening"] + "/hash/sha256"
        return server

    def normalizer(self, name):
        command = [self.bin_dir / "cctf-normalizer", "--out-dir", self.scratch / name]
        for listener in ("grpc", "http", "admin"):
            command += [f"--{listener}-listen", "127.0.0.1:0"]
        return Server(command)

    def requests_per_cpu_second(self, server):
        server.wait_until_it_answers(server.url, hashlib.sha256(b"x").hexdigest().encode())
        self.vegeta("-rate=0", f"-max-workers={CONCURRENCY}", "-duration=1s", url=server.url)
        before = server.cpu_s()
        results = self.vegeta("-rate=0", f"-max-workers={CONCURRENCY}", f"-duration={SATURATED_S}s", url=server.url)
        cpu = server.cpu_s() - before
        report = self.report(results)
        assert report["success"] == 1.0, f"failed requests: {report['status_codes']} {report['errors']}"
        return report["requests"] / cpu

    def saturated(self):
        found = {"fastapi": [], "traced": [], "untraced": []}
        for number in range(ROUNDS):
            with self.fastapi() as server:
                found["fastapi"].append(self.requests_per_cpu_second(server))
            with self.normalizer(f"logs{number}") as normalizer:
                with self.service({"OTEL_EXPORTER_OTLP_ENDPOINT": normalizer.announced["grpc"]}) as server:
                    found["traced"].append(self.requests_per_cpu_second(server))
            with self.service({"OTEL_SDK_DISABLED": "true"}) as server:
                found["untraced"].append(self.requests_per_cpu_second(server))
        fastapi, traced, untraced = (statistics.median(found[name]) for name in ("fastapi", "traced", "untraced"))
        name = "requests per CPU-second, /hash/sha256, 8 KiB"
        self.say(f"{name}: tracing on, against FastAPI", f"{traced:,.0f}", f"{fastapi:,.0f}", traced / fastapi, "at least 30")
        self.say(f"{name}: tracing on, against off", f"{traced:,.0f}", f"{untraced:,.0f}", traced / untraced, "0.9")

    # ---- the driver ----

    def paced(self, sink):
        for rate in PACED_RATES:
            before = self.children_cpu_s()
            ours = subprocess.run(
                [self.bin_dir / "cctf", "load", "--target", sink, "--endpoint", "hash", "--rate", str(rate),
                 "--duration", f"{PACED_S}s", "--size", str(BODY_BYTES), "--format", "json"],
                check=True, capture_output=True, text=True,
            )
            our_cpu = (self.children_cpu_s() - before) / PACED_S
            ours = json.loads(ours.stdout)
            before = self.children_cpu_s()
            results = self.vegeta(f"-rate={rate}", f"-duration={PACED_S}s", url=f"{sink}/hash/sha256")
            their_cpu = (self.children_cpu_s() - before) / PACED_S
            theirs = self.report(results)
            late = self.vegeta_lateness_ms(results, rate)
            assert ours["success_ratio"] == 1.0, ours["errors"]
            name = f"driver at {rate:,}/s"
            our_p99, their_p99 = ours["lateness_ms"]["p99"], late
            aim = "ours under 1 ms" if rate == PACED_RATES[0] else ""
            self.say(f"{name}: lateness p99, ms, against vegeta", f"{our_p99:.3f}", f"{their_p99:.3f}", our_p99 / their_p99, aim)
            aim = "ours at most 1" if rate == PACED_RATES[1] else ""
            self.say(f"{name}: CPUs used, against vegeta", f"{our_cpu:.2f}", f"{their_cpu:.2f}", our_cpu / their_cpu, aim)
            self.say(f"{name}: rate reached, against vegeta", f"{ours['rate_reached']:,.0f}", f"{theirs['rate']:,.0f}",
                     ours["rate_reached"] / theirs["rate"])
            # If vegeta finds no free connection for a request, it opens one. If the machine pauses, it reaches the limit of open
            # connections.
            if theirs["success"] < 1.0:
                self.say(f"{name}: requests answered, against vegeta", "100%", f"{theirs['success']:.2%}", 1.0 / max(theirs["success"], 1e-9))

    def vegeta_lateness_ms(self, results, rate):
        """vegeta records no lateness. It is the time since the first timestamp, minus the request's number divided by the rate."""
        text = subprocess.run([self.tools / "bin/vegeta", "encode", "-to", "csv", results], check=True, capture_output=True, text=True)
        sends = sorted((int(fields[8]), int(fields[0])) for fields in (line.split(",") for line in text.stdout.splitlines()))
        first = sends[0][1]
        late = sorted((timestamp - first) / 1e6 - number * 1e3 / rate for number, timestamp in sends)
        return late[int(0.99 * (len(late) - 1))]

    @contextlib.contextmanager
    def sink(self):
        """The URL of a server that does no work."""
        ports = free_port(), free_port()
        sink = self.bin_dir / "examples/sink"
        with Server([sink, f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"], announces=False) as server:
            url = f"http://127.0.0.1:{ports[0]}"
            server.wait_until_it_answers(url)
            yield url

    def driver(self):
        with self.sink() as url:
            self.paced(url)

    # ---- merge ----

    def merge(self, mib=MERGE_MIB):
        """Merges the folders of three tiers: bytes of lines for each second of CPU time of the process, and its peak memory."""
        shards, merged = self.scratch / "shards", self.scratch / "merged"
        subprocess.run([self.bin_dir / "examples/shards", shards, str(mib)], check=True)
        inputs = sorted(shards.iterdir())
        read = sum(path.stat().st_size for path in shards.glob("*/cctf/*.jsonl"))
        began = time.monotonic()
        command = [self.bin_dir / "cctf", "merge", merged, *inputs, "--format", "json"]
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        report = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0 and report["orphans"] == 0, report
        megabytes = read / 2**20
        cpu_s = usage.ru_utime + usage.ru_stime
        self.say(f"merge of {megabytes:,.0f} MiB in 3 folders: MB/s a core", f"{megabytes / cpu_s:,.0f}", "", None, "300")
        self.say(f"merge of {megabytes:,.0f} MiB in 3 folders: MB/s by the clock", f"{megabytes / elapsed:,.0f}", "", None)
        self.say(f"merge of {megabytes:,.0f} MiB in 3 folders: peak memory, MiB", f"{usage.ru_maxrss / 1024:,.0f}", "", None, "under 128")
        shutil.rmtree(shards)
        shutil.rmtree(merged)

    # ---- the wire ----

    def criterion(self):
        def ns_per_span(group, name):
            folder = pathlib.Path("target/criterion") / group / name / "new"
            estimate = json.loads((folder / "estimates.json").read_text())["median"]["point_estimate"]
            elements = json.loads((folder / "benchmark.json").read_text())["throughput"]["Elements"]
            return estimate / elements

        prost = ns_per_span("wire", "prost decode")
        for name, what, aim in [
            ("views and JSON", "views and JSON lines", "0.25"),
            ("admission, views and JSON", "strict check, admission, views and JSON lines", ""),
        ]:
            ours = ns_per_span("wire", name)
            self.say(f"ns a span: {what}, against prost decoding", f"{ours:,.0f}", f"{prost:,.0f}", ours / prost, aim)

    # ---- the normalizer ----

    def ingest(self, *args):
        """Figures of receivers. The program fails if the receivers have not written the expected data."""
        command = [self.bin_dir / "ingest", *args, "--bin-dir", self.bin_dir, "--collector", self.tools / "bin/otelcol",
                   "--scratch", self.scratch]
        done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        self.receivers += [figures for figures in found if "subject" in figures]
        return found

    def compare(self):
        compared = self.ingest("compare", "--seconds", INGEST_S, "--sizes", ",".join(map(str, INGEST_SIZES)))
        for size in INGEST_SIZES:
            of = {found["subject"]: found for found in compared if found["spans_a_request"] == size}
            name = f"us of CPU a span, {size} a request"
            for ours, theirs, aim in [
                ("fsync", "collector", "at most 0.25, aim 0.20"), ("flush", "collector", ""), ("fsync", "discard", ""),
            ]:
                against = {"collector": "the Collector's file exporter", "discard": "throwing away"}[theirs]
                self.figure(f"{name}: {ours}, against {against}", "cpu_us_a_span", of[ours], of[theirs], aim, ".3f")
            self.figure(f"spans/s, {size} a request: fsync, against the Collector's file exporter", "spans_a_second",
                        of["fsync"], of["collector"], "", ",.0f")

    def steady(self):
        steady = self.ingest("steady", "--seconds", STEADY_S)
        ours, theirs = steady
        name = "50,000 spans/s for a minute"
        self.figure(f"{name}: acknowledgement p99, ms, against the Collector", "ack_ms_p99", ours, theirs, "ours under 20", ".2f")
        self.figure(f"{name}: peak memory, MiB, against the Collector", "peak_mib", ours, theirs, "ours under 256", ".0f")
        self.figure(f"{name}: line readable, caller known, p99, ms", "readable_ms_p99", ours, None, "under 250", ".1f")

    def late(self):
        late, = self.ingest("steady", "--subjects", "fsync", "--callers-late-seconds", LATE_S, "--seconds", STEADY_S)
        name = f"50,000 spans/s, callers' spans up to {LATE_S} s later"
        self.figure(f"{name}: peak memory, MiB", "peak_mib", late, None, "under 256", ".0f")
        self.figure(f"{name}: line readable, caller known, p99, ms", "readable_ms_p99", late, None, "under 250", ".1f")

    def live(self):
        for found in self.ingest("live"):
            threads = "all threads" if found["threads"] == "all" else "the threads that receive and serve"
            self.say(f"two viewers of the live page at 50,000 spans/s: {threads}, % of a core",
                     f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})", "", None, "under 1")

    def held(self):
        held, = self.ingest("held")
        self.say("us of CPU a request of 512: 100,000 rows held, against 10", f"{held['many_us_a_request']:,.0f}",
                 f"{held['few_us_a_request']:,.0f}", held["ratio"], "at most 1.1")

    def pairs(self):
        """Compares the CPU time per span. If it is the same, two receivers handle twice the load with twice the CPUs."""
        pairs, = self.ingest("pairs")
        name = "carried by 2 Collectors and 2 normalizers, against 1 and 1, each pair with as many CPUs; us of CPU a span"
        for what, two, one, ratio, aim in [
            ("the normalizers alone", "two_normalizers_us_a_span", "one_normalizer_us_a_span", "normalizers_carry", "at least 1.8"),
            ("the Collectors alone", "two_collectors_us_a_span", "one_collector_us_a_span", "collectors_carry", ""),
            ("all", "two_us_a_span", "one_us_a_span", "pairs_carry", ""),
        ]:
            self.say(f"{name}: {what}", f"{pairs[two]:.2f}", f"{pairs[one]:.2f}", pairs[ratio], aim)

    def scale(self, spans):
        for found in self.ingest("scale", "--spans", spans):
            self.scaled.append((f"{found['spans']:,}", f"{found['spans'] / found['seconds']:,.0f}",
                                f"{found['cpu_us_a_span']:.3f}", f"{found['last_tenth_us_a_span']:.3f}",
                                f"{found['peak_mib']:.0f}", str(found["deleted_parts"])))

    def scale_table(self):
        print("\n| spans | spans/s | us of CPU a span | in the last tenth | peak MiB | parts checked and deleted |"
              "\n|---:|---:|---:|---:|---:|---:|")
        for row in self.scaled:
            print(f"| {' | '.join(row)} |")

    def figure(self, what, name, ours, theirs, aim, form):
        their_figure = format(theirs[name], form) if theirs else ""
        self.say(what, format(ours[name], form), their_figure, ours[name] / theirs[name] if theirs else None, aim)

    def table(self):
        print("\n| | ours | theirs | ratio | aim |\n|---|---:|---:|---:|---|")
        for what, ours, theirs, ratio, aim in self.rows:
            print(f"| {what} | {ours} | {theirs} | {'' if ratio is None else format(ratio, '.2f')} | {aim} |")
        if self.receivers:
            self.receiver_table()
        self.machine()

    def receiver_table(self):
        print("\n| receiver | load | spans a request | us of CPU a span | spans/s | ack p50, ms | ack p99, ms | peak MiB "
              "| bytes written a span |\n|---|---|---:|---:|---:|---:|---:|---:|---:|")
        for of in self.receivers:
            print(f"| {of['subject']} | {of['part']} | {of['spans_a_request']} | {of['cpu_us_a_span']:.3f} "
                  f"| {of['spans_a_second']:,.0f} | {of['ack_ms_p50']:.2f} | {of['ack_ms_p99']:.2f} | {of['peak_mib']:.0f} "
                  f"| {of['written_bytes_a_span']:.0f} |")

    def machine(self):
        model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        print(f"\n{os.cpu_count()} CPUs of {model}, Linux {platform.release()}, Python {platform.python_version()}")


def known_parts(text):
    parts = text.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown part {', '.join(unknown)}; use {', '.join(PARTS)}")
    return parts


def main():
    flags = argparse.ArgumentParser(description="Measures against the Collector, FastAPI, vegeta, prost, DuckDB, pandas and jq.")
    flags.add_argument("--bin-dir", type=pathlib.Path, required=True)
    flags.add_argument("--tools", type=pathlib.Path, required=True)
    flags.add_argument("--scale", metavar="SPANS,...", help="only measure loads of so many spans, each with a normalizer of its own")
    flags.add_argument("--parts", type=known_parts, default=PARTS, metavar="PART,...", help=f"parts to measure: {', '.join(PARTS)}")
    flags.add_argument("--merge", metavar="MIB", type=int, help="only measure a merge of so many MiB")
    flags = flags.parse_args()
    flags.tools.mkdir(parents=True, exist_ok=True)
    # Other projects' programs may run in another folder.
    flags.tools, flags.bin_dir = flags.tools.resolve(), flags.bin_dir.resolve()
    # The system's folder for temporary files is in memory on some machines, so it is not used.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=flags.tools) as scratch:
        bench = Bench(flags.bin_dir, flags.tools, scratch)
        if flags.scale:
            bench.scale(flags.scale)
            bench.scale_table()
            return bench.machine()
        if flags.merge:
            bench.merge(flags.merge)
            return bench.table()
        parts = dict(zip(PARTS, (bench.merge, lambda: distributed.buckets(bench), bench.compare, bench.steady, bench.late, bench.live, bench.held, bench.pairs,
                                 bench.criterion, bench.saturated, bench.driver, lambda: replay.replay(bench), lambda: analysis.stats(bench),
                                 lambda: analysis.validate(bench), lambda: analysis.parquet(bench), lambda: analysis.convert(bench),
                                 lambda: analysis.verdict(bench), lambda: analysis.report(bench),
                                 lambda: simulators.simgrid(bench)), strict=True))
        try:
            for part in flags.parts:
                parts[part]()
        finally:
            # A part that fails does not lose the figures of the parts before it.
            bench.table()


if __name__ == "__main__":
    main()
