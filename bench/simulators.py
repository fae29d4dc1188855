"""Parts of `make bench` that simulate a recorded run: simgrid."""

import shutil
import subprocess

from analysis import Recorded
from processes import measured

# A root of the shop has five invocations on average.
INVOCATIONS = 260_000
ROOTS = 50_000
SAMPLE_ROOTS = 1_000
SIMGRID_S_MAX = 5


def simgrid(bench):
    """Measures the export, and both of its drivers with SimGrid's CPUs and links. The driver in Python gets a sample."""
    with Recorded(bench, INVOCATIONS) as recorded:
        for roots, driver in [(ROOTS, "C++"), (SAMPLE_ROOTS, "Python")]:
            out, simulated = bench.scratch / "simgrid", bench.scratch / "simulated"
            command = [bench.bin_dir / "cctf", "export", "simgrid", recorded.run, "--out", out, "--limit", roots]
            _, _, elapsed, peak = measured(command)
            bench.say(f"export simgrid of {roots:,} roots: seconds, peak memory MiB", f"{elapsed:.1f}, {peak:.0f}", "", None)
            if driver == "C++":
                subprocess.run(["cmake", "-S", out / "cpp", "-B", out / "build"], check=True, capture_output=True)
                subprocess.run(["cmake", "--build", out / "build"], check=True, capture_output=True)
                command = [out / "build/replay"]
            else:
                command = ["/usr/bin/python3", out / "python/replay.py"]
            _, cpu, elapsed, peak = measured([*command, out, "--out", simulated])
            measured([bench.bin_dir / "cctf", "validate", simulated])
            name = f"SimGrid of {roots:,} roots by the driver in {driver}"
            bench.say(f"{name}: seconds", f"{elapsed:.1f}", "", None, f"under {SIMGRID_S_MAX}" if driver == "C++" else "")
            bench.say(f"{name}: peak memory, MiB", f"{peak:.0f}", "", None)
            shutil.rmtree(out)
            shutil.rmtree(simulated)
