"""The whole run: rounds, in which every measure is taken of kernel after kernel.

A round first starts each kernel alone; then one live process of each is asked measure by measure,
and the order of the kernels moves on by one from round to round, so that a noisy neighbour or a
slower clock meets all of them alike.
"""

import gc
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback

import jupyter_client
import psutil
import zmq

from kernelbench.client import Kernel, now
from kernelbench.errors import BenchError, NotApplicable
from kernelbench.figures import pct
from kernelbench.machine import busy_seconds, wait_quiet
from kernelbench.measures import MEASURES
from kernelbench.phases import phase_memory, phase_start


class Options:
    """What measures need to know of the command line."""

    def __init__(self, args):
        self.transport, self.cold, self.starts, self.scale = args.transport, args.cold, args.starts, args.scale

    def n(self, count):
        return max(2, int(count * self.scale))


class Session:
    """The kernels, the live processes, and everything measured so far."""

    def __init__(self, args, specs, names):
        self.args, self.specs, self.names = args, specs, names
        self.options = Options(args)
        self.workdir = tempfile.mkdtemp(prefix="kbench-")
        self.values = {s.label: {} for s in specs}  # kernel -> figure -> [one number a round]
        self.problems, self.infos, self.noise, self.maps = {}, {}, {}, {}
        self.live: dict[str, Kernel] = {}
        self.began = now()

    def run(self):
        """All rounds; the results."""
        for number in range(self.args.rounds):
            turn = number % len(self.specs)
            order = self.specs[turn:] + self.specs[:turn]
            labels = [s.label for s in order]
            print(f"round {number + 1}/{self.args.rounds} {labels} {now() - self.began:.0f} s", file=sys.stderr)
            self.round(order)
            results = self.results(number + 1)
            if self.args.json:  # After each round, so that a run that is cut off leaves figures too.
                save(results, self.args.json)
        shutil.rmtree(self.workdir, ignore_errors=True)
        return results

    def round(self, order):
        for spec in order:
            if "start" in self.names:
                self.timed("start", spec.label, lambda spec=spec: self.start(spec))
        for spec in order:
            if "memory" in self.names:
                run = lambda spec=spec: phase_memory(spec, self.options, self.workdir)  # noqa: E731
                self.timed("memory", spec.label, run)
        names = [name for name in self.names if name in MEASURES]
        if not names:
            return
        for spec in order:
            self.launch(spec)
        for name in names:
            for spec in order:
                self.measure(name, spec)
        for label, kernel in self.live.items():
            if kernel.stop() is not None:
                crashed = kernel.exit_code != 0 or "signal 11" in kernel.log_tail()
                self.add(label, {"shutdown.crash_after_session": float(crashed)})
        self.live.clear()

    def start(self, spec):
        figures, info = phase_start(spec, self.options, self.workdir, self.maps)
        if info:
            self.infos[spec.label] = info
        return figures

    def measure(self, name, spec):
        """One measure of one live kernel, which is replaced if that broke it."""
        kernel = self.live.get(spec.label)
        if kernel is None:
            return
        self.timed(name, spec.label, lambda: MEASURES[name](kernel, self.options))
        if kernel.broken or kernel.proc.poll() is not None:
            kernel.stop()
            self.launch(spec)
        else:
            kernel.drain()

    def launch(self, spec):
        """A live kernel for this round; none where it will not start."""
        kernel = Kernel(spec, self.options, self.workdir)
        try:
            kernel.start()
        except (BenchError, OSError) as error:
            self.note(spec.label, "launch", error)
            print(f"    {spec.label}: no start: {error}\n{kernel.log_tail()[-500:]}", file=sys.stderr)
            kernel.stop()
            self.live.pop(spec.label, None)
            return
        self.infos[spec.label] = kernel.info
        self.live[spec.label] = kernel

    def timed(self, name, label, measure):
        """Take one measure; note how many CPUs everything else on the machine used meanwhile."""
        if self.args.quiet:
            wait_quiet(*self.args.quiet)
        gc.collect()
        gc.disable()
        kernel = self.live.get(label)
        busy, own, t0 = busy_seconds(), time.process_time(), now()
        cpu = kernel.cpu() if kernel else None
        try:
            self.add(label, measure())
        except (BenchError, NotApplicable) as error:
            self.note(label, name, error)
            self.blame(kernel, isinstance(error, BenchError))
        except Exception as error:
            self.note(label, name, error)
            traceback.print_exc()
            self.blame(kernel, True)
        finally:
            gc.enable()
        elapsed = now() - t0
        if kernel and kernel.proc.poll() is None and elapsed > 0.2:
            others = busy_seconds() - busy - (time.process_time() - own) - (kernel.cpu() - cpu)
            self.noise.setdefault(name, []).append(round(max(0.0, others / elapsed), 2))

    def blame(self, kernel, broken):
        if kernel and broken:
            kernel.broken = True

    def note(self, label, name, error):
        kind = "n/a" if isinstance(error, NotApplicable) else type(error).__name__
        text = f"{kind}: {error}"[:400]
        if kind != "n/a":
            print(f"    {label} {name}: {text}", file=sys.stderr)
        counts = self.problems.setdefault(label, {}).setdefault(name, {})
        counts[text] = counts.get(text, 0) + 1

    def add(self, label, figures):
        for figure, value in figures.items():
            self.values[label].setdefault(figure, []).append(value)

    def results(self, rounds):
        """Everything as plain data."""
        return {
            "when": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "rounds": rounds,
            "seconds": round(now() - self.began, 1),
            "argv": sys.argv[1:],
            "nice": self.args.nice,
            "transport": self.args.transport,
            "scale": self.args.scale,
            "machine": {
                "cpus": os.cpu_count(),
                "system": platform.platform(),
                "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            },
            "client": {
                "python": platform.python_version(),
                "jupyter_client": jupyter_client.__version__,
                "pyzmq": zmq.__version__,
                "libzmq": zmq.zmq_version(),
            },
            "kernels": {s.label: self.describe(s) for s in self.specs},
            "summary": {k: {f: summary(v) for f, v in fs.items()} for k, fs in self.values.items()},
            "values": self.values,
            "problems": self.problems,
            "others_cpu": {t: {"median": pct(v, 50), "max": max(v)} for t, v in self.noise.items()},
        }

    def describe(self, spec):
        info = self.infos.get(spec.label, {})
        names = ("implementation", "implementation_version", "protocol_version", "supported_features")
        said = {name: info.get(name) for name in names}
        return {"argv": spec.argv, "interrupt_mode": spec.interrupt_mode, **said}


def summary(values):
    return {"median": pct(values, 50), "p95": pct(values, 95), "min": min(values), "max": max(values), "n": len(values)}


def save(results, path):
    """Write the results whole or not at all."""
    part = path + ".part"
    with open(part, "w") as f:
        json.dump(results, f, indent=1)
    os.replace(part, path)
