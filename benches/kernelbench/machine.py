"""How busy everything else on the machine is, and a pause until it is less so."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """CPU seconds that all processes together have used since the machine started."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return (sum(v) - v[3] - v[4]) / TICKS


def wait_quiet(limit, patience):
    """Wait until everything else uses fewer than `limit` CPUs over 0.3 s, `patience` seconds at the most."""
    t0 = time.perf_counter()
    while time.perf_counter() - t0 < patience:
        before, own, t = busy_seconds(), time.process_time(), time.perf_counter()
        time.sleep(0.3)
        others = busy_seconds() - before - (time.process_time() - own)
        if others / (time.perf_counter() - t) < limit:
            return
