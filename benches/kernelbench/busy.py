"""A kernel that runs a cell: does it answer, and can it be interrupted?"""

import os
import signal
import time

import zmq

from kernelbench.cells import exec_content
from kernelbench.client import now
from kernelbench.errors import Died, NotApplicable, Timeout
from kernelbench.figures import MS, US, pct
from kernelbench.wire import Msg, Result

BUSY = {
    "py": "import time\n_t = time.perf_counter()\nwhile time.perf_counter() - _t < 3: pass",
    "gil": "import ctypes; ctypes.PyDLL(None).usleep(3000000)",
    "sleep": "import time; time.sleep(3)",
}


class BusyCell:
    """A running cell, while kernel_info on control and heartbeats are asked one after the other."""

    PAUSE = 0.05

    def __init__(self, k, code):
        self.k, self.control, self.hb = k, k.socks["control"], k.socks["hb"]
        self.control_times, self.hb_times = [], []
        self.asked_control = self.asked_hb = self.ident = None
        self.next_control = self.next_hb = 0.0
        self.reply = self.idle = False
        self.poller = zmq.Poller()
        for s in (self.control, self.hb, k.socks["shell"], k.socks["iopub"]):
            self.poller.register(s, zmq.POLLIN)
        self.began = now()
        self.msg_id = k.send("shell", "execute_request", exec_content(code))

    def run(self):
        """Until the cell and all answers are there; False when an answer never came."""
        time.sleep(0.3)  # The cell shall be well under way.
        while not (self.reply and self.idle and self.asked_control is None and self.asked_hb is None):
            if now() - self.began > 20:
                if self.reply and self.idle:
                    return False
                raise Timeout("the busy cell was not done in 20 s")
            if not self.reply:
                self.ask()
            for s, _ in self.poller.poll(20):
                self.take(s, s.recv_multipart())
        return True

    def ask(self):
        if self.asked_control is None and now() >= self.next_control:
            self.asked_control = now()
            self.ident = self.k.send("control", "kernel_info_request", {})
        if self.asked_hb is None and now() >= self.next_hb:
            self.asked_hb = now()
            self.hb.send(b"ping")

    def take(self, socket, frames):
        t = now()
        if socket is self.hb:
            self.hb_times.append(t - self.asked_hb)
            self.asked_hb, self.next_hb = None, t + self.PAUSE
            return
        m = Msg(frames, t)
        if socket is self.control and m.parent == self.ident and self.asked_control:
            self.control_times.append(t - self.asked_control)
            self.asked_control, self.next_control = None, t + self.PAUSE
        elif m.parent == self.msg_id:
            if socket is self.k.socks["shell"]:
                self.reply = True
            elif m.type == "status" and b"idle" in m.raw:
                self.idle = True


def measure_busy(k, o):
    """kernel_info on CONTROL and the heartbeat while a 3 s cell runs: a pure-Python loop, a C call
    which holds the GIL, and time.sleep (GIL released)."""
    if k.spec.floor:
        raise NotApplicable("floor")
    out = {}
    for name, code in BUSY.items():
        cell = BusyCell(k, code)
        if not cell.run():
            out[f"busy_{name}.unanswered"] = 1.0
        out[f"busy_{name}.cell_ms"] = (now() - cell.began) * MS
        for channel, times in (("control", cell.control_times), ("hb", cell.hb_times)):
            if times:
                out[f"busy_{name}.{channel}_ms"] = pct(times, 50) * MS
                out[f"busy_{name}.{channel}_max_ms"] = max(times) * MS
        k.drain()
    out.update(measure_idle(k, o))
    return out


def measure_idle(k, o):
    """The same two questions to an idle kernel."""
    control, hb = k.socks["control"], k.socks["hb"]
    control_times, hb_times = [], []
    for _ in range(o.n(100)):
        t = now()
        ident = k.send("control", "kernel_info_request", {})
        while True:
            if not control.poll(10000):
                raise Timeout("idle control channel silent")
            if Msg(control.recv_multipart(), 0).parent == ident:
                control_times.append(now() - t)
                break
        t = now()
        hb.send(b"x")
        if hb.poll(5000):
            hb.recv()
            hb_times.append(now() - t)
    k.drain()
    return {"control_idle_us": pct(control_times, 50) * US, "hb_idle_us": pct(hb_times, 50) * US}


INTERRUPT = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(60)",
    "numpy": "import numpy as np\n_A = np.random.rand(80, 80)\nwhile True: np.linalg.svd(_A)",
}


def make_interrupt(mode):
    def test(k, o):
        if k.spec.floor:
            raise NotApplicable("floor")
        out = {}
        for name, code in INTERRUPT.items():
            msg_id, frames = k.build("execute_request", exec_content(code))
            r = Result(now())
            k.socks["shell"].send_multipart(frames)
            time.sleep(0.5 if name != "numpy" else 1.0)
            k.check_alive()
            t_int = now()
            if mode == "signal":
                os.killpg(k.pid, signal.SIGINT)
            else:
                k.send("control", "interrupt_request", {})
            try:
                k.collect(r, msg_id, timeout=6)
            except Timeout:
                out[f"interrupt_{mode}[{name}].ok"] = 0.0
                k.broken = True
                return out
            except Died:
                out[f"interrupt_{mode}[{name}].ok"] = 0.0
                out[f"interrupt_{mode}.died"] = 1.0
                k.broken = True
                return out
            c = r.reply.content
            good = c["status"] == "error" and c.get("ename") == "KeyboardInterrupt"
            out[f"interrupt_{mode}[{name}].ok"] = float(good)
            out[f"interrupt_{mode}[{name}]_ms"] = (r.t0 + r.t_reply - t_int) * MS
            k.drain()
            m = k.execute("1+1", timeout=6).first("execute_result")
            if not m:
                out[f"interrupt_{mode}[{name}].after"] = 0.0
        return out

    test.__doc__ = f"Interrupt by {mode}: from the request to the KeyboardInterrupt reply."
    return test
