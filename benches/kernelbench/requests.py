"""Requests one by one and in a row: round trips, results, displays, errors, a pipeline."""

import json

import zmq

from kernelbench.cells import exec_content
from kernelbench.client import now
from kernelbench.errors import BenchError, NotApplicable
from kernelbench.figures import MS, US, lat
from kernelbench.wire import Msg


def sequential(k, code, n, **kw):
    reply, idle, gap = [], [], []
    content = json.dumps(exec_content(code, **kw)).encode()
    c0 = k.cpu()
    for _ in range(n):
        r = k.request("execute_request", content)
        reply.append(r.t_reply)
        idle.append(r.t_idle)
        gap.append(max(r.t_reply, r.t_idle))
    return reply, idle, gap, (k.cpu() - c0) / n


def measure_pass(k, o):
    """`pass`, silent=False, store_history=True: sequential requests."""
    sequential(k, "pass", 30)
    reply, idle, both, cpu = sequential(k, "pass", o.n(1000))
    out = {}
    lat(out, "pass.reply", reply)
    lat(out, "pass.idle", idle)
    lat(out, "pass.done", both, tail=False)
    out["pass.cpu_us"] = cpu * US
    if r := k.request("execute_request", exec_content("pass")):
        out["pass.iopub_msgs"] = len(r.iopub) + 2
    return out


def measure_silent(k, o):
    """`pass`, silent=True (what widgets and front-end probes send)."""
    _reply, idle, _both, _cpu = sequential(k, "pass", o.n(300), silent=True, store_history=False)
    out = {}
    lat(out, "silent.idle", idle, tail=False)
    return out


def measure_expr(k, o):
    """`1+1` with an execute_result."""
    r = k.execute("1+1")
    m = r.first("execute_result")
    if not m or m.content["data"].get("text/plain") != "2":
        raise BenchError("1+1 gave no execute_result 2")
    _reply, idle, res = [], [], []
    for _ in range(o.n(300)):
        r = k.execute("1+1")
        res.append(r.first("execute_result").t - r.t0)
        idle.append(r.t_idle)
    out = {}
    lat(out, "expr.result", res)
    lat(out, "expr.idle", idle)
    return out


def measure_display(k, o):
    """`display(obj)` of an object with _repr_html_ (IPython.display.HTML where it works)."""
    if not k.spec.floor:
        for setup in (
            "class _BenchH:\n    def _repr_html_(self): return '<b>x</b>'\n_bench_h = _BenchH()",
            "from IPython.display import HTML, display\n_bench_h = HTML('<b>x</b>')",
        ):
            if k.execute(setup, ok=False).reply.content["status"] != "ok":
                continue
            r = k.execute("display(_bench_h)", ok=False)
            m = r.first("display_data")
            if m and "text/html" in m.content["data"]:
                break
        else:
            raise NotApplicable("display() gives no display_data with text/html")
    idle, res = [], []
    for _ in range(o.n(300)):
        r = k.execute("display(_bench_h)")
        res.append(r.first("display_data").t - r.t0)
        idle.append(r.t_idle)
    out = {}
    lat(out, "display.data", res)
    lat(out, "display.idle", idle, tail=False)
    return out


def measure_error(k, o):
    """`1/0`: time to the idle after the traceback."""
    if k.spec.floor:
        raise NotApplicable("floor")
    idle = []
    for _ in range(o.n(50)):
        r = k.execute("1/0", ok=False)
        if not r.first("error"):
            raise BenchError("no error message")
        idle.append(r.t_idle)
    out = {}
    lat(out, "error.idle", idle, MS, "ms")
    return out


def measure_bigcell(k, o):
    """A 200-line cell of assignments."""
    if k.spec.floor:
        raise NotApplicable("floor")
    code = "\n".join(f"_b{i} = ({i} * 2, 'text {i}', [{i}])" for i in range(200))
    xs = [k.execute(code).t_idle for _ in range(o.n(30))]
    out = {}
    lat(out, "bigcell200.idle", xs, MS, "ms", tail=False)
    return out


def measure_pipeline(k, o):
    """execute_requests sent without waiting; total time until the last reply and idle."""
    n = o.n(2000)
    content = json.dumps(exec_content("pass")).encode()
    msgs = [k.build("execute_request", content) for _ in range(n)]
    left_r, left_i = {m for m, _ in msgs}, {m for m, _ in msgs}
    order, order_i = [], []
    shell, _iopub = k.socks["shell"], k.socks["iopub"]
    c0, t0 = k.cpu(), now()
    for _, frames in msgs:
        shell.send_multipart(frames)
    while left_r or left_i:
        ev = k.poller.poll(10000)
        if not ev:
            k.check_alive()
            raise BenchError(f"pipelined: {len(left_r)} replies and {len(left_i)} idles never came")
        for sock, _ in ev:
            while True:
                try:
                    frames = sock.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                m = Msg(frames, 0)
                if sock is shell:
                    if m.parent in left_r:
                        left_r.discard(m.parent)
                        order.append(m.parent)
                elif m.type == "status" and b"idle" in m.raw and m.parent in left_i:
                    left_i.discard(m.parent)
                    order_i.append(m.parent)
    t = now() - t0
    want = [m for m, _ in msgs]
    return {
        "pipeline.total_ms": t * MS,
        "pipeline.per_req_us": t / n * US,
        "pipeline.cpu_us": (k.cpu() - c0) / n * US,
        "pipeline.in_order": float(order == want and order_i == want),
    }
