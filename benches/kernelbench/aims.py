"""What the kernel aims at, as ratios to peers in one run or as plain limits; medians over rounds."""

from typing import NamedTuple

XEUS = "xpython"


class Aim(NamedTuple):
    """At most `limit` of a figure, or of its ratio to that of a peer; `peer` None is a plain limit."""

    title: str
    figure: str
    limit: float
    unit: str
    peer: str | None = "base"


AIMS = [
    Aim("start to kernel_info", "start.warm_info_ms", 0.10, "x ipykernel"),
    Aim("start to the first cell", "start.warm_exec_ms", 0.50, "x ipykernel"),
    Aim("start to the first cell", "start.warm_exec_ms", 1.00, "x xeus-python", XEUS),
    Aim("`pass`, round trip", "pass.done_us", 0.25, "x ipykernel"),
    Aim("`pass`, round trip", "pass.done_us", 0.55, "x xeus-python", XEUS),
    Aim("100,000 prints", "stdout100k.total_ms", 0.125, "x ipykernel"),
    Aim("control reply while native code holds the GIL", "busy_gil.control_max_ms", 5, "ms", None),
    Aim("idle memory (RSS)", "mem.idle_rss_mb", 1.00, "x ipykernel"),
    Aim("idle memory (RSS)", "mem.idle_rss_mb", 1.00, "x xeus-python", XEUS),
    Aim("threads when idle", "mem.idle_threads", 1.00, "x ipykernel"),
    Aim("threads when idle", "mem.idle_threads", 1.00, "x xeus-python", XEUS),
    Aim("text lost by a slow reader", "slowreader.lost_percent", 0, "%", None),
]


def reached(aim, summary, kernel, base):
    """The figure, or its ratio to the peer's; None where one of them was not measured."""
    own = summary[kernel].get(aim.figure)
    if own is None or aim.peer is None:
        return own and own["median"]
    peer = summary.get(base if aim.peer == "base" else aim.peer, {}).get(aim.figure)
    if not peer or not peer["median"]:
        return None
    return own["median"] / peer["median"]
