"""A kernel alone: cold and warm start, memory, idle CPU, shutdown."""

import contextlib
import os
import sys
import time

from kernelbench.client import Kernel, now
from kernelbench.figures import MS, pct


def evict(dirs, files):
    """Drop those files from the page cache (posix_fadvise DONTNEED; pages mapped by a live process
    stay, hence cold-ish). Gentler to the neighbours than drop_caches."""

    def one(p):
        try:
            fd = os.open(p, os.O_RDONLY)
        except OSError:
            return
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)

    for d in dirs:
        for root, _, names in os.walk(d):
            for n in names:
                one(os.path.join(root, n))
    for f in files:
        one(f)


def python_dirs():
    v = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return {os.path.join(p, "lib", v) for p in (sys.prefix, sys.base_prefix)}


def mapped_files(pid):
    try:
        with open(f"/proc/{pid}/maps") as f:
            return {x.split(None, 5)[5].strip() for x in f if "/" in x}
    except OSError:
        return set()


def phase_start(spec, o, workdir, maps):
    out, infos = {}, None
    plan = (["cold"] if o.cold else []) + ["warm"] * o.starts
    warm_i, warm_e, downs = [], [], []
    for kind in plan:
        if kind == "cold":
            evict(python_dirs() | ({spec.resource_dir} if spec.resource_dir else set()), maps.get(spec.label, set()))
        k = Kernel(spec, o, workdir)
        try:
            a, b = k.start()
            infos = k.info
            maps.setdefault(spec.label, set()).update(mapped_files(k.pid))
            if kind == "cold":
                out["start.cold_info_ms"], out["start.cold_exec_ms"] = a * MS, b * MS
            else:
                warm_i.append(a)
                warm_e.append(b)
                out["start.cpu_ms"] = k.cpu() * MS
        finally:
            d = k.stop()
            if d is not None:
                downs.append(d)
                out["shutdown.exit_code"] = max(out.get("shutdown.exit_code", 0), abs(k.exit_code))
    if warm_i:
        out["start.warm_info_ms"] = pct(warm_i, 50) * MS
        out["start.warm_exec_ms"] = pct(warm_e, 50) * MS
    if downs:
        out["shutdown_ms"] = pct(downs, 50) * MS
    return out, infos


def phase_memory(spec, o, workdir):
    out = {}
    k = Kernel(spec, o, workdir)
    try:
        k.start()
        time.sleep(1.0)
        out["mem.idle_rss_mb"], out["mem.idle_pss_mb"] = k.memory()
        out["mem.idle_threads"] = k.threads()
        c0, w0, t0 = k.cpu(), k.wakeups(), now()
        time.sleep(2.0)
        dt = now() - t0
        out["idle.cpu_permille"] = (k.cpu() - c0) / dt * 1000
        out["idle.switches_per_s"] = (k.wakeups() - w0) / dt
        if not spec.floor:
            r = k.execute("import numpy", timeout=60)
            out["import_numpy_ms"] = r.t_idle * MS
            time.sleep(0.5)
            out["mem.numpy_rss_mb"], out["mem.numpy_pss_mb"] = k.memory()
            out["mem.numpy_threads"] = k.threads()
    finally:
        k.stop()
    return out
