"""Percentiles and units of what was measured."""

import math

US, MS = 1e6, 1e3


def pct(xs, q):
    """The q-th percentile, interpolated; NaN of nothing."""
    xs = sorted(xs)
    if not xs:
        return float("nan")
    i = (len(xs) - 1) * q / 100
    lo, hi = math.floor(i), math.ceil(i)
    return xs[lo] + (xs[hi] - xs[lo]) * (i - lo)


def lat(out, name, xs, unit=US, suffix="us", tail=True):
    """Put the median of a round's samples into the figures, and with `tail` the 10th and 99th percentile."""
    out[f"{name}_{suffix}"] = pct(xs, 50) * unit
    if tail:
        out[f"{name}_{suffix}.p10"] = pct(xs, 10) * unit
        out[f"{name}_{suffix}.p99"] = pct(xs, 99) * unit
