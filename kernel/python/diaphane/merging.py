"""`diaphane.merge`: one report of many processes' reports."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import _diaphane
from ._diaphane import Report

MIME = "application/vnd.diaphane."


def merge(reports):
    """One report of many: `merge({worker: report})`; of a list, a worker's name is its place.

    A report is a `Report`, its JSON (text or a dict), or the file of that. What is none of these is told as the reason
    why that worker has no report: an exception, None, a sentence.
    """
    if isinstance(reports, Mapping):
        named = list(reports.items())
    elif isinstance(reports, Iterable) and not isinstance(reports, str | bytes | Report):
        named = list(enumerate(reports))
    else:
        raise TypeError(f"merge() takes {{worker: report}} or a list of reports, not {type(reports).__name__}")
    merger = _diaphane.Merger()
    for worker, report in named:
        _add(merger, _utf8(worker), report)
    return merger.finish()


def _add(merger, worker, report):
    if isinstance(report, Report):
        merger.add(worker, report)
    elif report is None:
        merger.add_silent(worker, "has no report")
    elif isinstance(report, BaseException):
        merger.add_silent(worker, described(report))
    elif isinstance(report, Mapping):
        _add_fields(merger, worker, report)
    elif isinstance(report, bytes):
        _add_text(merger, worker, report.decode(errors="replace"))
    elif isinstance(report, str):
        _add_text(merger, worker, _utf8(report))
    elif isinstance(report, os.PathLike):
        _add_file(merger, worker, Path(report))
    else:
        merger.add_silent(worker, f"a value of the type {type(report).__name__} is no report")


def _add_fields(merger, worker, fields):
    # The answer to a `magic_request` has the report among its other views.
    views = [value for key, value in fields.items() if isinstance(key, str) and key.startswith(MIME)]
    try:
        merger.add_json(worker, json.dumps(views[0] if views else fields))
    except (TypeError, ValueError) as error:
        merger.add_silent(worker, f"this is no report: {described(error)}")


def _add_text(merger, worker, text):
    if text.lstrip().startswith(("{", "[")):
        merger.add_json(worker, text)
    elif text.endswith(".json"):
        _add_file(merger, worker, Path(text))
    else:
        merger.add_silent(worker, text.strip() or "has no report")


def _add_file(merger, worker, path):
    try:
        merger.add_json(worker, path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        merger.add_silent(worker, described(error))


def described(error):
    """An exception in a line."""
    return _utf8(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _utf8(value):
    """Text that Rust can have: a lone surrogate has no UTF-8."""
    return str(value).encode(errors="replace").decode()
