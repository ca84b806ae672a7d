#!/usr/bin/env python3
"""Measure any installed Jupyter kernels side by side, interleaved.

    benches/kernels.py python3 xpython diaphane --rounds 5 --json out.json --md out.md
    benches/kernels.py python3 FOLDER-OF-A-KERNELSPEC floor --measures pass,pipeline
    benches/kernels.py --list

A kernel is a kernelspec name, a folder with a kernel.json, `label=either`, or `floor`: a
pseudo-kernel that executes nothing. README.md beside this file says how to read the tables.
"""

import argparse
import json
import os
import signal
import sys

from jupyter_client.kernelspec import KernelSpecManager
from kernelbench.errors import BenchError
from kernelbench.floor import Floor
from kernelbench.measures import ALL, explain
from kernelbench.report import report
from kernelbench.session import Session, save
from kernelbench.spec import find_spec


def main():
    parser = make_parser()
    args = parser.parse_args()
    if args.floor_kernel:
        Floor(args.floor_kernel).run()
    elif args.list:
        show_list()
    elif args.render:
        with open(args.render) as f:
            print(report(json.load(f), args.base, args.of))
    elif args.kernels:
        measure(args, parser)
    else:
        parser.error("name at least one kernel")


def make_parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("kernels", nargs="*", help="kernelspec name, folder, label=either, or floor")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--json", help="write all figures here (after every round)")
    p.add_argument("--md", help="write the tables here")
    p.add_argument("--measures", help="only these, comma-separated: " + ",".join(ALL))
    p.add_argument("--skip", help="measures to leave out")
    p.add_argument("--base", default="python3", help="the kernel that ratios refer to")
    p.add_argument("--of", default="diaphane", help="the kernel whose aims are judged")
    p.add_argument("--starts", type=int, default=2, help="warm starts a round")
    p.add_argument("--no-cold", dest="cold", action="store_false", help="no cold-ish starts")
    p.add_argument("--scale", type=float, default=1.0, help="factor on all request counts (0.1: quick)")
    p.add_argument(
        "--quiet",
        metavar="CPUS:SECONDS",
        type=lambda x: tuple(float(y) for y in x.split(":")),
        help="before each measure wait until everything else uses fewer than CPUS, SECONDS at the most",
    )
    p.add_argument("--nice", type=int, default=0, help="nice value of client and kernels (negative: root)")
    p.add_argument("--transport", choices=("tcp", "ipc"), default="tcp")
    p.add_argument("--list", action="store_true", help="list the installed kernels and the measures")
    p.add_argument("--render", metavar="JSON", help="print the tables of an earlier run")
    p.add_argument("--floor-kernel", metavar="CONNECTION_FILE", help=argparse.SUPPRESS)
    return p


def show_list():
    for name, folder in sorted(KernelSpecManager().find_kernel_specs().items()):
        print(f"{name:20} {folder}")
    for name in ALL:
        print(f"measure {name:18} {explain(name)}")


def measure(args, parser):
    # A shell starts background jobs with SIGINT ignored, and kernels would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    skipped = set(args.skip.split(",")) if args.skip else set()
    names = [n for n in (args.measures.split(",") if args.measures else ALL) if n not in skipped]
    if unknown := (set(names) | skipped) - set(ALL):
        parser.error(f"unknown measures: {', '.join(sorted(unknown))}; known: {', '.join(ALL)}")
    try:
        specs = [find_spec(kernel) for kernel in args.kernels]
    except BenchError as error:
        parser.error(str(error))
    if args.nice:
        os.setpriority(os.PRIO_PROCESS, 0, args.nice)  # The kernels inherit it.
    results = Session(args, specs, names).run()
    text = report(results, args.base, args.of)
    if args.json:
        save(results, args.json)
    if args.md:
        with open(args.md, "w") as f:
            f.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
