"""The part `replay` of `make bench`: how late recorded requests are sent, compared with vegeta's library at the same times."""

import json
import subprocess

from analysis import Recorded

# Name, length of the run in seconds, requests per second, and speed of the replay.
AT_FULL_RATE = ("20,000/s", 200, 1_000, 20)
HOUR = ("an hour at 100x", 3_600, 100, 100)
FIVE_MINUTES = ("5 minutes at 1x", 300, 100, 1)
# Mean number of invocations of a request of the shop, weighted by its routes.
INVOCATIONS_A_REQUEST = 2.95
LATENESS_MS_P99_MAX = 0.5
LAST_LATE_SHARE_MAX = 0.001
LAST_LATE_MS_MAX = 1


def recorded(bench, seconds, rate):
    """A run of the shop with Poisson arrivals and bodies of lognormal sizes."""
    return Recorded(bench, round(seconds * rate * INVOCATIONS_A_REQUEST), rate)


def lines(path):
    with path.open() as source:
        for line in source:
            yield json.loads(line)


def ours(bench, run, speed, sink):
    """The summary of the replay, its CPU seconds, and the lateness of its last request in ms."""
    events = bench.scratch / "events_client.jsonl"
    events.unlink(missing_ok=True)
    before = bench.children_cpu_s()
    # The command also fails if requests were not sent. Here, this is a result.
    done = subprocess.run(
        [bench.bin_dir / "cctf", "replay", run, "--target", sink, "--speed", str(speed), "--out", events, "--format", "json"],
        capture_output=True, text=True,
    )
    cpu_s = bench.children_cpu_s() - before
    assert done.stdout, f"cctf replay ended with {done.returncode}: {done.stderr}"
    last = max(lines(events), key=lambda event: event["seq"])
    return json.loads(done.stdout), cpu_s, last["lateness_ns"] / 1e6


def theirs(bench, run, speed, sink):
    """The report of vegeta, and its CPU seconds. Its lateness counts from its first request."""
    arrivals = bench.scratch / "arrivals"
    with arrivals.open("w") as out:
        subprocess.run([bench.bin_dir / "examples/arrivals", run, str(speed)], stdout=out, check=True)
    before = bench.children_cpu_s()
    with arrivals.open() as source:
        done = subprocess.run([bench.tools / "bin/vegeta-pacer", sink], stdin=source, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout), bench.children_cpu_s() - before


def ratio(ours, theirs):
    return ours / theirs if theirs > 0 else None


def at_full_rate(bench, sink):
    what, seconds, rate, speed = AT_FULL_RATE
    with recorded(bench, seconds, rate) as found:
        our, our_cpu_s, _ = ours(bench, found.run, speed, sink)
        their, their_cpu_s = theirs(bench, found.run, speed, sink)
    name = f"replay of {our['requests']:,} recorded requests at {what}"
    for quantile, aim in [("p99", f"ours under {LATENESS_MS_P99_MAX} ms"), ("max", "")]:
        mine, other = our["lateness_ms"][quantile], their["lateness_ms"][quantile]
        bench.say(f"{name}: lateness {quantile}, ms, against vegeta", f"{mine:.3f}", f"{other:.3f}", ratio(mine, other), aim)
    length_s = seconds / speed
    bench.say(f"{name}: CPUs used, against vegeta", f"{our_cpu_s / length_s:.2f}", f"{their_cpu_s / length_s:.2f}",
              ratio(our_cpu_s, their_cpu_s))
    bench.say(f"{name}: rate reached, against vegeta", f"{our['rate_reached']:,.0f}", f"{their['rate_reached']:,.0f}",
              ratio(our["rate_reached"], their["rate_reached"]))
    if their["success_ratio"] < 1.0:
        bench.say(f"{name}: requests answered, against vegeta", f"{our['success_ratio']:.2%}", f"{their['success_ratio']:.2%}", None)


def to_the_end(bench, sink, part, aim):
    """The lateness of the last request of a long replay, in ms and as a share of the replay's length."""
    what, seconds, rate, speed = part
    with recorded(bench, seconds, rate) as source:
        found, _, late_ms = ours(bench, source.run, speed, sink)
    length_ms = seconds * 1e3 / speed
    shown = f"{late_ms:.3f} ({late_ms / length_ms:.4%})"
    bench.say(f"replay of {what}, {found['requests']:,} requests: the last one is late, ms", shown, "", None, aim)
    bench.say(f"replay of {what}: lateness p99, ms", f"{found['lateness_ms']['p99']:.3f}", "", None)


def replay(bench):
    with bench.sink() as sink:
        at_full_rate(bench, sink)
        to_the_end(bench, sink, HOUR, f"under {LAST_LATE_SHARE_MAX:.1%}")
        to_the_end(bench, sink, FIVE_MINUTES, f"under {LAST_LATE_MS_MAX} ms")
