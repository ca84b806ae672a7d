"""Results as Markdown: the table of all figures, and the aims with what was reached."""

import statistics

from kernelbench.aims import AIMS, reached


def number(x):
    if x != x:
        return "-"
    if x == 0:
        return "0"
    a = abs(x)
    return f"{x:.0f}" if a >= 100 else f"{x:.1f}" if a >= 10 else f"{x:.2f}" if a >= 0.1 else f"{x:.3f}"


def report(results, base, kernel):
    """All there is to say about a run."""
    parts = ["\n".join(table(results, base)), "\n".join(problems(results)), conditions(results)]
    if kernel in results["summary"]:
        parts.insert(1, "\n".join(aims(results, base, kernel)))
    return "\n\n".join(part for part in parts if part)


def table(results, base):
    """One row a figure, one column a kernel: the median over rounds, (min-p95), and the ratio to `base`."""
    summary = results["summary"]
    kernels = list(summary)
    figures = dict.fromkeys(figure for kernel in kernels for figure in summary[kernel])
    families = {}
    for figure in figures:
        families.setdefault(figure.split(".")[0].split("[")[0].split("_")[0], []).append(figure)
    yield "| figure: median over rounds (min-p95) | " + " | ".join(kernels) + " |"
    yield "|---|" + "---|" * len(kernels)
    for family in families.values():
        for figure in family:
            row = [cell(summary, kernel, figure, base) for kernel in kernels]
            yield f"| {figure} | " + " | ".join(row) + " |"


def cell(summary, kernel, figure, base):
    s = summary[kernel].get(figure)
    if not s:
        return "n/a"
    text = number(s["median"])
    if s["p95"] != s["median"]:
        text += f" ({number(s['min'])}-{number(s['p95'])})"
    b = summary.get(base, {}).get(figure)
    if b and kernel != base and b["median"] and figure.rsplit("_", 1)[-1] in ("us", "ms", "mb", "s"):
        text += f" {s['median'] / b['median']:.2f}x"
    return text


def aims(results, base, kernel):
    """One row an aim: what it asks for, what was reached, whether it holds."""
    yield f"| aim for {kernel} | at most | reached | |"
    yield "|---|---|---|---|"
    for aim in AIMS:
        value = reached(aim, results["summary"], kernel, base)
        verdict = "not measured" if value is None else "holds" if value <= aim.limit else "MISSED"
        shown = "-" if value is None else number(value)
        yield f"| {aim.title} | {number(aim.limit)} {aim.unit} | {shown} | {verdict} |"


def problems(results):
    for kernel, measures in results["problems"].items():
        for measure, errors in measures.items():
            for error, rounds in errors.items():
                if error != "n/a: floor":
                    yield f"- {kernel} / {measure} ({rounds} rounds): {error}"


def conditions(results):
    """Under which conditions it was measured: the noise decides how much a figure says."""
    others = results["others_cpu"].values()
    noise = "-"
    if others:
        noise = f"{statistics.median(v['median'] for v in others):.2f} / {max(v['max'] for v in others):.2f}"
    return (
        f"rounds {results['rounds']}, {results['seconds']:.0f} s, {results['machine']['cpus']} CPUs, "
        f"{results['transport']}; CPUs used by everything else during a measure "
        f"(median over measures of the median / worst): {noise}"
    )
