"""`make bench`: whole processes side by side in one run, and one table of ratios.

Everything runs on 127.0.0.1, for a bounded time. CPU times are the kernel's own count for each process
(/proc/<pid>/stat for servers while they run, rusage for drivers when they have ended).
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROUNDS = 3
SATURATED_S = 6
CONCURRENCY = 16
PACED_S = 10
PACED_RATES = [2_000, 20_000]
BODY_BYTES = 8192
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 30


class Server:
    """A server as a child process, ready to be asked."""

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
        """Waits for `answer`, so that nobody else who has got the port meanwhile is taken for this server."""
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


def children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Bench:
    def __init__(self, bin_dir, tools, scratch):
        self.bin_dir, self.tools, self.scratch = bin_dir, tools, pathlib.Path(scratch)
        self.body = self.scratch / "body"
        self.body.write_bytes(os.urandom(BODY_BYTES))
        self.rows = []

    def say(self, what, ours, theirs, ratio, aim=""):
        self.rows.append((what, ours, theirs, ratio, aim))

    def vegeta(self, *args, url):
        """Attacks and returns the binary results; the target is JSON, so that nothing is read anew for each request."""
        # Without a content type FastAPI takes any body for JSON.
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
        assert report["success"] == 1.0, f"not every answer was a good one: {report['status_codes']} {report['errors']}"
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
            before = children_cpu_s()
            ours = subprocess.run(
                [self.bin_dir / "cctf", "load", "--target", sink, "--endpoint", "hash", "--rate", str(rate),
                 "--duration", f"{PACED_S}s", "--size", str(BODY_BYTES), "--format", "json"],
                check=True, capture_output=True, text=True,
            )
            our_cpu = (children_cpu_s() - before) / PACED_S
            ours = json.loads(ours.stdout)
            before = children_cpu_s()
            results = self.vegeta(f"-rate={rate}", f"-duration={PACED_S}s", url=f"{sink}/hash/sha256")
            their_cpu = (children_cpu_s() - before) / PACED_S
            theirs = self.report(results)
            late = self.vegeta_lateness_ms(results, rate)
            assert ours["success_ratio"] == 1.0 and theirs["success"] > 0.99, (ours["errors"], theirs["errors"])
            name = f"driver at {rate:,}/s"
            our_p99, their_p99 = ours["lateness_ms"]["p99"], late
            aim = "ours under 1 ms" if rate == PACED_RATES[0] else ""
            self.say(f"{name}: lateness p99, ms, against vegeta", f"{our_p99:.3f}", f"{their_p99:.3f}", our_p99 / their_p99, aim)
            aim = "ours at most 1" if rate == PACED_RATES[1] else ""
            self.say(f"{name}: CPUs used, against vegeta", f"{our_cpu:.2f}", f"{their_cpu:.2f}", our_cpu / their_cpu, aim)
            self.say(f"{name}: rate reached, against vegeta", f"{ours['rate_reached']:,.0f}", f"{theirs['rate']:,.0f}",
                     ours["rate_reached"] / theirs["rate"])

    def vegeta_lateness_ms(self, results, rate):
        """vegeta records no lateness: each stamp is held against the first one plus its number over the rate."""
        text = subprocess.run([self.tools / "bin/vegeta", "encode", "-to", "csv", results], check=True, capture_output=True, text=True)
        sends = sorted((int(fields[8]), int(fields[0])) for fields in (line.split(",") for line in text.stdout.splitlines()))
        first = sends[0][1]
        late = sorted((stamp - first) / 1e6 - number * 1e3 / rate for number, stamp in sends)
        return late[int(0.99 * (len(late) - 1))]

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
            ("whole pipeline", "whole pipeline: check, dedup, join, rows", ""),
        ]:
            ours = ns_per_span("wire", name)
            self.say(f"ns a span: {what}, against prost decoding", f"{ours:,.0f}", f"{prost:,.0f}", ours / prost, aim)

    def table(self):
        print(f"\n| | ours | theirs | ratio | aim |\n|---|---:|---:|---:|---|")
        for what, ours, theirs, ratio, aim in self.rows:
            print(f"| {what} | {ours} | {theirs} | {ratio:.2f} | {aim} |")
        model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        print(f"\n{os.cpu_count()} CPUs of {model}, Linux {platform.release()}, Python {platform.python_version()}")


def main():
    flags = argparse.ArgumentParser(description="Measures against FastAPI, vegeta and prost.")
    flags.add_argument("--bin-dir", type=pathlib.Path, required=True)
    flags.add_argument("--tools", type=pathlib.Path, required=True)
    flags = flags.parse_args()
    with tempfile.TemporaryDirectory(prefix="cctf-bench-") as scratch:
        bench = Bench(flags.bin_dir.resolve(), flags.tools.resolve(), scratch)
        bench.criterion()
        bench.saturated()
        ports = free_port(), free_port()
        sink = flags.bin_dir.resolve() / "examples/sink"
        with Server([sink, f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"], announces=False) as server:
            url = f"http://127.0.0.1:{ports[0]}"
            server.wait_until_it_answers(url)
            bench.paced(url)
        bench.table()


if __name__ == "__main__":
    main()
