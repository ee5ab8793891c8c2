"""Values that no type allows: NaN, NUL, lone surrogates, and nesting that is too deep."""

import math
from collections.abc import Iterator
from typing import Any

from dspy_sidecar.values.texts import joined_surrogates, text_fault
from dspy_sidecar.values.violations import Violation

MAX_DEPTH = 32
"""Nesting of lists and objects, with the object of all fields. protobuf's Struct takes no more."""


def faults_of(value: Any, depth: int = MAX_DEPTH) -> Iterator[Violation]:
    """What is wrong with a value whatever its type is."""
    if isinstance(value, list | dict):
        if depth == 0:
            yield Violation("", f"must nest at most {MAX_DEPTH} levels deep", "depth")
            return
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            if isinstance(key, str) and (fault := text_fault(joined_surrogates(key))):
                yield Violation("", f"the key {fault}", "text").at(key)
            else:
                place = key if isinstance(value, list) else str(key)
                yield from (one.at(place) for one in faults_of(part, depth - 1))
    elif isinstance(value, str):
        if fault := text_fault(joined_surrogates(value)):
            yield Violation("", fault, "text")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Violation("", "must be a finite number", "type")
    elif value is not None and not isinstance(value, bool | int | float):
        yield Violation("", "must be a JSON value", "type")
