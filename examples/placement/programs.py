"""The programs of the study: cctf, and the solver of the analytic model."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Exit codes of cctf whatif and place: predicted, or not.
DONE, UNDECIDED = 0, 4
# Far more slots and cores than requests at once: nobody waits.
SLOTS_FREE = 1_024
CORES_FREE = 65_536


class Failed(Exception):
    """A step of the study failed."""


@dataclass
class Programs:
    bin_dir: Path
    toxiproxy: Path
    line_python: Path | None
    work: Path

    @property
    def logs(self):
        return self.work / "logs"

    def cctf(self, *args, codes=(DONE,)):
        """Runs `cctf` and returns its JSON."""
        command = [self.bin_dir / "cctf", *args, "--format", "json"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode not in codes:
            last = done.stderr.strip().splitlines() or ["no message"]
            raise Failed(f"cctf {args[0]} ended with exit code {done.returncode}: {last[-1]}")
        return json.loads(done.stdout)

    def run(self, of, run_id, placement=None):
        """Runs stand-ins for a run over links by namespaces, merges the result, and returns its folder."""
        args = ["run", "--stand-in", of, "--netns", "--toxiproxy", self.toxiproxy, "--join-window", "1s"]
        args += ["--logs-dir", self.logs, "--run-id", run_id]
        self.cctf(*args, *(["--placement", placement] if placement else []))
        merged = self.work / "merged" / run_id
        merged.parent.mkdir(exist_ok=True)
        command = [self.bin_dir / "cctf", "merge", merged, self.logs / run_id]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != DONE:
            raise Failed(f"cctf merge of {run_id} ended with exit code {done.returncode}: {done.stderr.strip()}")
        return merged

    def place(self, run, tiers, scale, out, strategies):
        """The ranking of all placements at `scale` times the load of a run. Placements that are too busy have figures, but no rank."""
        args = ["place", run, "--tiers", tiers, "--scale", f"{scale:.6g}", "--top", 100, "--out", out]
        for strategy in strategies:
            args += ["--strategy", strategy]
        return self.cctf(*args, codes=(DONE, UNDECIDED))

    def whatif(self, run, tiers, modules, workers=()):
        """The answer for these modules on these nodes, and the seconds that it took."""
        args = ["whatif", run, "--tiers", tiers]
        for module, node in modules.items():
            args += ["--move", f"{module}={node}"]
        for module in workers:
            args += ["--workers", f"{module}={SLOTS_FREE}"]
        began = time.monotonic()
        answer = self.cctf(*args, codes=(DONE, UNDECIDED))
        return answer, time.monotonic() - began

    def compare(self, first, second):
        """The verdict of `cctf compare`: same, differs, cannot decide, or void."""
        return self.cctf("compare", first, second, codes=(0, 3, 4))["verdict"]["answer"]

    def line(self, run, rate, name):
        """The mean response that LINE computes for a run at a rate; None without LINE."""
        if self.line_python is None:
            return None
        out = self.work / f"line-{name}"
        if not out.exists():
            self.cctf("export", "lqn", run, "--out", out)
        command = [self.line_python, out / "solve.py", "--rate", f"{rate:.6g}"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != DONE:
            last = done.stderr.strip().splitlines() or ["no message"]
            raise Failed(f"solve.py of LINE ended with exit code {done.returncode}: {last[-1]}")
        return json.loads((out / "results.json").read_text())["response_ms"]


def rows(run, name):
    """The rows of a file of a run."""
    with open(run / "cctf" / f"{name}.jsonl") as file:
        return [json.loads(line) for line in file]


def write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")
    return path
