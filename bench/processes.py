"""Runs processes until they exit and measures them, and computes the spread of figures."""

import os
import statistics
import subprocess
import threading
import time


def measured(command, feed=None):
    """Standard output, CPU seconds, seconds and peak memory in MiB of a process. The process must succeed. `feed` are the parts of its
    standard input."""
    began = time.monotonic()
    stdin = None if feed is None else subprocess.PIPE
    process = subprocess.Popen([str(part) for part in command], stdin=stdin, stdout=subprocess.PIPE)
    if feed is not None:
        writer = threading.Thread(target=write_all, args=(process.stdin, feed))
        writer.start()
    out = process.stdout.read().decode()
    if feed is not None:
        writer.join()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return out, usage.ru_utime + usage.ru_stime, elapsed, usage.ru_maxrss / 1024


def write_all(pipe, parts):
    try:
        with pipe:
            for part in parts:
                pipe.write(part)
    except BrokenPipeError:
        pass  # The process has failed; its exit code says so.


def spread(values, form):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"
