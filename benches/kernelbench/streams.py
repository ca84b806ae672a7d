"""Output: much of it, in order, to slow readers, from C and from children; and when it is first seen."""

import time

import zmq

from kernelbench.cells import BIG_LINE, BIG_LINES, PRINT_50MB, PRINT_100K, exec_content
from kernelbench.client import CTX, now
from kernelbench.errors import NotApplicable, Timeout
from kernelbench.figures import MS, lat
from kernelbench.wire import Msg, Result


def stream_run(k, code, timeout):
    """Run a printing cell; the stream messages raw, times of the last text and of the idle."""
    shell, iopub = k.socks["shell"], k.socks["iopub"]
    msg_id, frames = k.build("execute_request", exec_content(code))
    got, t_idle, t_reply, t_last, after = [], None, None, None, 0
    t0 = now()
    shell.send_multipart(frames)
    deadline = t0 + timeout
    while t_idle is None or t_reply is None:
        ev = k.poller.poll(500)
        if not ev:
            k.check_alive()
        if now() > deadline:
            raise Timeout(f"stream test not done in {timeout} s")
        for sock, _ in ev:
            frames = sock.recv_multipart()
            t = now()
            m = Msg(frames, t)
            if m.parent != msg_id:
                continue
            if sock is shell:
                t_reply = t - t0
            elif m.type == "stream":
                got.append(m)
                t_last = t - t0
                after += t_idle is not None
            elif m.type == "status" and b"idle" in m.raw:
                t_idle = t - t0
    # text which comes after the idle is a fault of the kernel: wait a little and count it
    while iopub.poll(300):
        m = Msg(iopub.recv_multipart(), now())
        if m.parent == msg_id and m.type == "stream":
            got.append(m)
            t_last = m.t - t0
            after += 1
    return got, t_last, t_idle, after


def measure_stdout100k(k, o):
    """100,000 prints in a loop; all the text must arrive, in order."""
    c0 = k.cpu()
    got, t_last, t_idle, after = stream_run(k, PRINT_100K, 180)
    cpu = k.cpu() - c0
    text = "".join(m.content["text"] for m in got)
    want = "".join(f"{i}\n" for i in range(100000))
    return {
        "stdout100k.total_ms": max(t_last or 0, t_idle) * MS,
        "stdout100k.cpu_ms": cpu * MS,
        "stdout100k.messages": len(got),
        "stdout100k.complete": float(text == want),
        "stdout100k.after_idle": after,
    }


def measure_stdout50mb(k, o):
    """One print of 50,000,000 characters; the kernel's peak RSS over its RSS before."""
    rss0 = k.memory()[0]
    can = k.peak_reset()
    got, t_last, t_idle, after = stream_run(k, PRINT_50MB, 180)
    out = {
        "stdout50mb.total_ms": max(t_last or 0, t_idle) * MS,
        "stdout50mb.messages": len(got),
        "stdout50mb.after_idle": after,
    }
    if can:
        out["stdout50mb.peak_mb"] = k.peak() - rss0
    time.sleep(0.3)
    out["stdout50mb.kept_mb"] = k.memory()[0] - rss0
    text = "".join(m.content["text"] for m in got)
    ok = len(text) == 100 * BIG_LINES and text == (BIG_LINE + "\n") * BIG_LINES
    out["stdout50mb.complete"] = float(ok)
    return out


SLOW_N = 20000


def measure_slowreader(k, o):
    """20,000 flushed prints to a subscriber with ZMQ's default high-water mark (as jupyter_client's)
    which reads nothing for 2 s: the share of the text that never arrives, and whether idle does."""
    if k.spec.floor:
        raise NotApplicable("floor")
    sub = CTX.socket(zmq.SUB)
    try:
        sub.linger = 0
        sub.setsockopt(zmq.SUBSCRIBE, b"")
        sub.connect(k.socks["iopub"].getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0"))
        for _ in range(50):  # until it has joined
            k.execute("pass")
            if sub.poll(100):
                break
        while sub.poll(200):
            sub.recv_multipart()
        # the ordinary subscription must not hold the kernel back nor be held back
        msg_id, frames = k.build(
            "execute_request", exec_content(f"for _i in range({SLOW_N}): print(_i, flush=True)\nNone")
        )
        k.socks["shell"].send_multipart(frames)
        t0, idle, got = now(), False, []
        time.sleep(2)
        while now() - t0 < 90 and not idle and sub.poll(8000):
            m = Msg(sub.recv_multipart(), 0)
            if m.parent == msg_id:
                if m.type == "stream":
                    got.append(m)
                elif m.type == "status" and b"idle" in m.raw:
                    idle = True
        lines = "".join(m.content["text"] for m in got).count("\n")
    finally:
        sub.close(0)
    k.collect(Result(now()), msg_id, timeout=60, want_reply=True)
    return {"slowreader.lost_percent": 100 * (1 - lines / SLOW_N), "slowreader.idle_lost": float(not idle)}


def measure_firstout(k, o):
    """print, then sleep: how long until the text is on iopub. And text from C (puts + fflush)."""
    if k.spec.floor:
        raise NotApplicable("floor")
    xs = []
    for _ in range(o.n(5)):
        r = k.execute("import time; print('hi'); time.sleep(0.4)")
        m = r.first("stream")
        if m:
            xs.append(m.t - r.t0)
    out = {}
    lat(out, "firstout", xs, MS, "ms", tail=False)
    out["print_in_for.ok"] = float(k.text(k.execute("for i in range(3): print(i)")) == "0\n1\n2\n")
    for name, code in (
        ("c_puts", "import ctypes; _c = ctypes.CDLL(None); _c.puts(b'bench-native'); _c.fflush(None)"),
        ("subprocess", "import subprocess; _p = subprocess.run(['echo', 'bench-native'])"),
    ):
        k.send("shell", "execute_request", exec_content(code))
        t0, seen = now(), 0.0
        while now() - t0 < 1.5 and not seen:
            if k.socks["iopub"].poll(50):
                m = Msg(k.socks["iopub"].recv_multipart(), now())
                if m.type == "stream" and "bench-native" in m.content["text"]:
                    seen = 1.0
                    out[f"capture.{name}_ms"] = (m.t - t0) * MS
        out[f"capture.{name}"] = seen
        time.sleep(0.3)
        k.drain()
    return out
