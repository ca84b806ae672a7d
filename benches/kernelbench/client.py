"""One kernel process, and a lean front end to it: times are taken before anything is parsed.

jupyter_client costs more per request than a good kernel does, and would blur what is measured.
"""

import atexit
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import zmq

from kernelbench.cells import exec_content
from kernelbench.errors import BenchError, Died, Timeout
from kernelbench.process import Process
from kernelbench.spec import Spec
from kernelbench.wire import Msg, Result, Signer

now = time.perf_counter
CTX = zmq.Context()
ALIVE: set = set()  # Kernels to kill, should the benchmark itself end early.
KINDS = {"shell": zmq.DEALER, "iopub": zmq.SUB, "stdin": zmq.DEALER, "control": zmq.DEALER, "hb": zmq.REQ}


@atexit.register
def _kill_all():
    for k in list(ALIVE):
        k.kill()


def free_ports(n: int) -> list[int]:
    """Free ports outside the ephemeral range: a client that keeps re-connecting to a local port
    not bound yet could otherwise connect to itself (TCP simultaneous open)."""
    socks, ports = [], []
    while len(ports) < n:
        p = random.randint(12000, 31000)
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", p))
        except OSError:
            s.close()
            continue
        socks.append(s)
        ports.append(p)
    for s in socks:
        s.close()
    return ports


class Kernel(Process):
    """One kernel process and the sockets to it."""

    def __init__(self, spec: Spec, opts, workdir: str):
        self.spec, self.opts, self.workdir = spec, opts, workdir
        self.key = uuid.uuid4().hex
        self.signer = Signer(self.key)
        self.proc = self.exit_code = None
        self.socks = {}
        self.info = {}
        self.broken = False

    def start(self, timeout=60.0):
        """Launch; returns (s to the first kernel_info_reply, s to the first execute_reply)."""
        directory = tempfile.mkdtemp(prefix="k-", dir=self.workdir)
        connection_file = self.connect(directory)
        t0 = self.launch(directory, connection_file)
        r = self.request("kernel_info_request", {}, timeout=timeout, want_idle=False)
        t_info = r.t_reply + (r.t0 - t0)
        self.info = r.reply.content
        r = self.request("execute_request", exec_content("pass"), timeout=timeout, want_idle=False)
        t_exec = r.t_reply + (r.t0 - t0)
        if r.reply.content["status"] != "ok":
            raise BenchError(f"the first `pass` failed: {r.reply.content}")
        self.join_iopub()
        self.drain()
        return t_info, t_exec

    def connect(self, directory):
        """Write the connection file and connect the sockets; the path of the file."""
        transport, names = self.opts.transport, tuple(KINDS)
        connection = {
            "transport": transport,
            "key": self.key,
            "signature_scheme": "hmac-sha256",
            "kernel_name": self.spec.label,
        }
        if transport == "tcp":
            connection["ip"], ports, separator = "127.0.0.1", free_ports(5), ":"
        else:
            connection["ip"], ports, separator = os.path.join(directory, "s"), [1, 2, 3, 4, 5], "-"
        for name, port in zip(names, ports, strict=True):
            connection[name + "_port"] = port
            self.socks[name] = self.socket(name, f"{transport}://{connection['ip']}{separator}{port}")
        self.poller = zmq.Poller()
        self.poller.register(self.socks["shell"], zmq.POLLIN)
        self.poller.register(self.socks["iopub"], zmq.POLLIN)
        path = os.path.join(directory, "conn.json")
        with open(path, "w") as f:
            json.dump(connection, f)
        return path

    def socket(self, name, endpoint):
        s = CTX.socket(KINDS[name])
        s.linger = 0
        s.set_hwm(0)
        s.setsockopt(zmq.RECONNECT_IVL, 2 if name in ("shell", "iopub") else 10)
        if name in ("shell", "stdin", "control"):
            s.setsockopt(zmq.IDENTITY, self.signer.session.encode())
        if name == "iopub":
            s.setsockopt(zmq.SUBSCRIBE, b"")
        s.connect(endpoint)
        return s

    def launch(self, directory, connection_file):
        """Start the process; the moment before it."""
        argv = list(self.spec.argv)
        major, minor = sys.version_info[:2]
        if argv[0] in ("python", f"python{major}", f"python{major}.{minor}"):
            argv[0] = sys.executable  # As jupyter_client does.
        values = {
            "connection_file": connection_file,
            "resource_dir": self.spec.resource_dir or "",
            "prefix": sys.prefix,
        }
        for name, value in values.items():
            argv = [a.replace("{" + name + "}", value) for a in argv]
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONUNBUFFERED", "PYTHONPATH")}
        env.update(
            IPYTHONDIR=os.path.join(directory, "ipython"),
            JUPYTER_RUNTIME_DIR=directory,
            JPY_PARENT_PID=str(os.getpid()),
        )
        env.update(self.spec.env)
        self.log = os.path.join(directory, "log")
        with open(self.log, "wb") as log:
            t0 = now()
            # A missing executable raises here, and counts as a kernel that does not start.
            self.proc = subprocess.Popen(
                argv,
                env=env,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self.proc.pid
        ALIVE.add(self)
        return t0

    def join_iopub(self):
        """IOPub may have joined late: go on once one idle has been seen."""
        for _ in range(40):
            try:
                self.request("kernel_info_request", {}, timeout=0.5)
                return
            except Timeout:
                continue
        raise BenchError("no idle status on iopub")

    def kill(self):
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def stop(self):
        """Ask for a shutdown; returns the seconds until the process was gone (None: killed)."""
        took = None
        if self.proc and self.proc.poll() is None and self.info:
            t0 = now()
            self.send("control", "shutdown_request", {"restart": False})
            while now() - t0 < 5:
                if self.proc.poll() is not None:
                    took = now() - t0
                    self.exit_code = self.proc.returncode
                    break
                time.sleep(0.002)
            else:
                self.kill()
                self.proc.wait(10)
        elif self.proc and self.proc.poll() is None:  # it never answered
            self.kill()
            self.proc.wait(10)
        ALIVE.discard(self)
        for s in self.socks.values():
            s.close(0)
        self.socks = {}
        return took

    def log_tail(self):
        try:
            with open(self.log, "rb") as f:
                return f.read()[-2000:].decode(errors="replace")
        except OSError:
            return ""

    # Messages.

    def build(self, msg_type, content):
        return self.signer.message(msg_type, content)

    def send(self, channel, mtype, content):
        msg_id, frames = self.build(mtype, content)
        self.socks[channel].send_multipart(frames)
        return msg_id

    def drain(self):
        for n in ("shell", "iopub", "control", "stdin"):
            while self.socks[n].poll(0):
                self.socks[n].recv_multipart()

    def check_alive(self):
        if self.proc and self.proc.poll() is not None:
            raise Died(f"kernel exited with {self.proc.returncode}: {self.log_tail()[-300:]}")

    def request(self, mtype, content, timeout=20.0, want_idle=True, want_reply=True, frames=None):
        """Send on shell, wait for the reply and the idle status."""
        shell, _iopub = self.socks["shell"], self.socks["iopub"]
        msg_id, frames = frames or self.build(mtype, content)
        r = Result(now())
        shell.send_multipart(frames)
        return self.collect(r, msg_id, timeout, want_idle, want_reply)

    def collect(self, r, msg_id, timeout=20.0, want_idle=True, want_reply=True):
        shell, _iopub = self.socks["shell"], self.socks["iopub"]
        t0, deadline = r.t0, now() + timeout
        while (want_reply and r.reply is None) or (want_idle and r.t_idle is None):
            events = self.poller.poll(200)
            if not events:
                if self.proc.poll() is not None:
                    self.check_alive()
                if now() > deadline:
                    raise Timeout(f"no answer in {timeout:g} s")
                continue
            for sock, _ in events:
                frames = sock.recv_multipart()
                t = now()
                m = Msg(frames, t)
                if m.parent != msg_id:
                    continue
                if sock is shell:
                    r.reply, r.t_reply = m, t - t0
                elif m.type == "status":
                    if b"idle" in m.raw:
                        r.t_idle = t - t0
                else:
                    r.iopub.append(m)
            if now() > deadline:
                raise Timeout(f"not done in {timeout:g} s")
        return r

    def execute(self, code, timeout=20.0, ok=True, **kw):
        r = self.request("execute_request", exec_content(code, **kw), timeout)
        if ok:
            c = r.reply.content
            if c["status"] != "ok":
                raise BenchError(f"{code[:60]!r} failed: {c.get('ename')}: {c.get('evalue')}")
        return r

    def text(self, r):
        return "".join(m.content["text"] for m in r.iopub if m.type == "stream")
