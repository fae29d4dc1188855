"""Runs processes until they exit and measures them, and computes the spread of figures."""

import os
import statistics
import subprocess
import time


def measured(command):
    """Standard output, CPU seconds, seconds and peak memory in MiB of a process. The process must succeed."""
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return out, usage.ru_utime + usage.ru_stime, elapsed, usage.ru_maxrss / 1024


def spread(values, form):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"
