"""What front ends ask beside cells: completion, inspection, comms, stdin; many displays, many cells, plain Python."""

import itertools
import json
import time
import uuid

from kernelbench.cells import exec_content
from kernelbench.client import now
from kernelbench.errors import BenchError, NotApplicable, Timeout
from kernelbench.figures import MS, US, lat, pct
from kernelbench.requests import sequential
from kernelbench.wire import Result

COMPLETE = {
    "np.lin": ("np.lin", "linalg"),
    "np.linalg.": ("np.linalg.", "svd"),
    "np.": ("np.", "array"),
    "local": ("alpha_one = 1\nalpha_two = 2\nalpha_", None),
    "import": ("import nump", "numpy"),
    "cell100": ("\n".join(f"v{i} = [{i}, {i} + 1]" for i in range(100)) + "\nnp.lin", "linalg"),
}


def measure_complete(k, o):
    """complete_request; the first one (cold) and the median of the next, each on a new cell text."""
    out = {}
    if not k.spec.floor:
        k.execute("import numpy as np")
    for name, (code, want) in COMPLETE.items():
        xs = []
        for i in range(o.n(15) + 1):
            c = f"# {i}\n{code}"
            r = k.request("complete_request", {"code": c, "cursor_pos": len(c)}, timeout=60)
            xs.append(r.t_reply)
        m = r.reply.content.get("matches", [])
        out[f"complete[{name}].first_ms"] = xs[0] * MS
        out[f"complete[{name}]_ms"] = pct(xs[1:], 50) * MS
        if not k.spec.floor:
            out[f"complete[{name}].matches"] = len(m)
            if want and not any(want in x for x in m):
                out[f"complete[{name}].wrong"] = 1.0
    return out


def measure_inspect(k, o):
    """inspect_request on np.linalg.svd, detail 0 and 1; is_complete_request."""
    out = {}
    if not k.spec.floor:
        k.execute("import numpy as np")
    for lvl in (0, 1):
        xs = []
        for _ in range(o.n(15) + 1):
            r = k.request(
                "inspect_request", {"code": "np.linalg.svd", "cursor_pos": 13, "detail_level": lvl}, timeout=60
            )
            xs.append(r.t_reply)
        c = r.reply.content
        out[f"inspect[{lvl}].first_ms"] = xs[0] * MS
        out[f"inspect[{lvl}]_ms"] = pct(xs[1:], 50) * MS
        out[f"inspect[{lvl}].chars"] = len(c.get("data", {}).get("text/plain", "")) if c.get("found") else 0
    xs = [k.request("is_complete_request", {"code": "for i in range(3):"}).t_reply for _ in range(o.n(30))]
    out["is_complete_ms"] = pct(xs, 50) * MS
    return out


COMM_TARGET = """
import comm as _comm
def _bench_target(c, msg):
    def _m(m): c.send(m['content']['data'])
    c.on_msg(_m)
_comm.get_comm_manager().register_target('bench_echo', _bench_target)
"""
COMM_OPEN = """
import comm as _comm
_bench_comm = _comm.create_comm(target_name='bench_kernel_side')
def _bench_m(m): _bench_comm.send(m['content']['data'])
_bench_comm.on_msg(_bench_m)
"""


def measure_comm(k, o):
    """comm_msg round trip to a comm the kernel opened (as ipywidgets does) which echoes; and whether
    a comm_open from the front end reaches a registered target."""
    out = {}
    if k.spec.floor:
        cid = uuid.uuid4().hex
    else:
        r = k.execute(COMM_TARGET, ok=False)
        cid = uuid.uuid4().hex
        ok = 0.0
        if r.reply.content["status"] == "ok":
            try:
                k.request(
                    "comm_open", {"comm_id": cid, "target_name": "bench_echo", "data": {}}, want_reply=False, timeout=5
                )
                r = k.request("comm_msg", {"comm_id": cid, "data": {"x": 1}}, want_reply=False, timeout=3)
                ok = float(bool(r.first("comm_msg")))
            except Timeout:
                pass
        out["comm.frontend_open"] = ok
        r = k.execute(COMM_OPEN, ok=False)
        m = r.first("comm_open")
        if r.reply.content["status"] != "ok" or not m:
            out["comm.kernel_open"] = 0.0
            return out
        cid = m.content["comm_id"]
    xs = []
    data = json.dumps({"comm_id": cid, "data": {"x": 1, "y": "abc"}}).encode()
    for _ in range(o.n(200)):
        r = k.request("comm_msg", data, want_reply=False, timeout=3)
        m = r.first("comm_msg")
        if not m:
            out["comm.kernel_open"] = 0.0
            return out
        xs.append(m.t - r.t0)
    lat(out, "comm.echo", xs)
    return out


def measure_stdin(k, o):
    """input(): send -> input_request, and input_reply -> execute_reply."""
    if k.spec.floor:
        raise NotApplicable("floor")
    a, b = [], []
    for _ in range(o.n(20)):
        msg_id, frames = k.build("execute_request", exec_content("_x = input('? ')", allow_stdin=True))
        r = Result(now())
        k.socks["shell"].send_multipart(frames)
        if not k.socks["stdin"].poll(5000):
            raise NotApplicable("no input_request")
        k.socks["stdin"].recv_multipart()
        t = now()
        a.append(t - r.t0)
        k.send("stdin", "input_reply", {"value": "v", "status": "ok"})
        k.collect(r, msg_id, timeout=6)
        b.append(r.t0 + r.t_reply - t)
    out = {}
    lat(out, "stdin.request", a, tail=False)
    lat(out, "stdin.answer", b, tail=False)
    return out


CPU_LOOP = """
import time as _time
_t, _c = _time.perf_counter(), _time.thread_time()
_s = 0
for _i in range(2000000):
    _s += _i
print(_time.perf_counter() - _t, _time.thread_time() - _c)
"""


def measure_cpuloop(k, o):
    """The speed of plain Python inside the kernel (a global-scope loop), timed in the kernel."""
    if k.spec.floor:
        raise NotApplicable("floor")
    xs = [[float(x) for x in k.text(k.execute(CPU_LOOP)).split()] for _ in range(o.n(5))]
    return {"cpuloop.wall_ms": min(x[0] for x in xs) * MS, "cpuloop.cpu_ms": min(x[1] for x in xs) * MS}


def measure_display5k(k, o):
    """One cell which displays 5,000 objects."""
    if k.spec.floor:
        raise NotApplicable("floor")
    n = o.n(5000)
    c0 = k.cpu()
    r = k.execute(f"for _i in range({n}): display(_i)", timeout=120, ok=False)
    if r.reply.content["status"] != "ok":
        raise NotApplicable("no display()")
    got = sum(m.type == "display_data" for m in r.iopub)
    return {
        "display5k.total_ms": r.t_idle * MS,
        "display5k.cpu_ms": (k.cpu() - c0) * MS,
        "display5k.complete": float(got == n),
    }


def batches(k, contents, size=50):
    """Send requests in pipelined batches, wait for all the replies and the last idle of each."""
    shell = k.socks["shell"]
    it = iter(contents)
    while chunk := list(itertools.islice(it, size)):
        last = None
        for content in chunk:
            last, frames = k.build("execute_request", content)
            shell.send_multipart(frames)
        k.collect(Result(now()), last, timeout=60)


def measure_scale(k, o):
    """10,000 `pass` cells, then 2,000 cells with a result each: RSS growth and later latency."""
    n, n2 = o.n(10000), o.n(2000)
    before = sequential(k, "pass", o.n(200))[1]
    time.sleep(0.3)
    rss0 = k.memory()[0]
    t0 = now()
    one = json.dumps(exec_content("pass")).encode()
    batches(k, (one for _ in range(n)))
    t = now() - t0
    time.sleep(0.5)
    rss1 = k.memory()[0]
    after = sequential(k, "pass", o.n(200))[1]
    out = {
        "scale.pass10k_s": t,
        "scale.pass10k_rss_mb": rss1 - rss0,
        "scale.pass_before_us": pct(before, 50) * US,
        "scale.pass_after_us": pct(after, 50) * US,
    }
    if not k.spec.floor:
        batches(k, (json.dumps(exec_content(f"list(range({i}, {i}+100))")).encode() for i in range(n2)))
        time.sleep(0.5)
        out["scale.out2k_rss_mb"] = k.memory()[0] - rss1
    try:
        r = k.request(
            "history_request", {"hist_access_type": "tail", "n": 1000, "raw": True, "output": False}, timeout=30
        )
        out["scale.history1k_ms"] = r.t_reply * MS
        out["scale.history1k_n"] = len(r.reply.content.get("history", []))
    except BenchError:
        k.broken = True
    return out
