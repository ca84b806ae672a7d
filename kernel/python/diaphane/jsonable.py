"""JSON as the protocol wants it: whatever a user's object holds, a message can be sent.

The fast path is the standard encoder. What it refuses (NaN, keys that are no strings, lone surrogates) is rewritten.
"""

import base64
import json
import math
import numbers
from collections.abc import Iterable, Mapping
from datetime import date


def _default(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return _clean(float(value))
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


_encode = json.JSONEncoder(default=_default, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(value):
    """The JSON of `value`; bytes become base64, dates ISO 8601, NaN and infinities their names."""
    try:
        text = _encode(value)
        text.encode()  # fails on lone surrogates
    except (TypeError, ValueError):
        return json.dumps(_clean(value), default=lambda value: _clean(_default(value)))
    return text


def encodable(text):
    """The text without lone surrogates, which no UTF-8 has."""
    return text.encode(errors="replace").decode()


def _clean(value):
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(item) for item in value]
    return value
