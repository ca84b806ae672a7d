"""All measures by name; a measure takes (kernel, options) and returns {figure: number}."""

from kernelbench import busy, requests, streams, tools

MEASURES = {
    "pass": requests.measure_pass,
    "silent": requests.measure_silent,
    "expr": requests.measure_expr,
    "display": requests.measure_display,
    "error": requests.measure_error,
    "bigcell": requests.measure_bigcell,
    "pipeline": requests.measure_pipeline,
    "stdout100k": streams.measure_stdout100k,
    "stdout50mb": streams.measure_stdout50mb,
    "slowreader": streams.measure_slowreader,
    "firstout": streams.measure_firstout,
    "complete": tools.measure_complete,
    "inspect": tools.measure_inspect,
    "comm": tools.measure_comm,
    "stdin": tools.measure_stdin,
    "cpuloop": tools.measure_cpuloop,
    "display5k": tools.measure_display5k,
    "busy": busy.measure_busy,
    "interrupt_signal": busy.make_interrupt("signal"),
    "interrupt_message": busy.make_interrupt("message"),
    "scale": tools.measure_scale,
}
ALONE = {
    "start": "Launch to the first kernel_info_reply and the first execute_reply, cold-ish and warm; shutdown.",
    "memory": "RSS and PSS (with children) idle and after `import numpy`; idle CPU and context switches.",
}
ALL = [*ALONE, *MEASURES]


def explain(name: str) -> str:
    """What a measure is, in a line."""
    return " ".join((ALONE.get(name) or MEASURES[name].__doc__ or "").split())
