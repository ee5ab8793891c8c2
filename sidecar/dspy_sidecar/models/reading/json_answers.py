"""Reads JSON and Python literals in answers as DSPy's adapters do, in linear time.

A text that would take longer, or that nests too deep, is an error, as other unreadable texts are.
"""

import ast
import json
import re
from types import SimpleNamespace
from typing import Any

import dspy.adapters.json_adapter
import dspy.adapters.utils
import jiter
import json_repair

from dspy_sidecar.combining_marks import has_many
from dspy_sidecar.models.reading.bounded_parser import BoundedParser
from dspy_sidecar.models.reading.nesting import TooComplexError, is_too_deep

SHORT = 512
"""Characters. json_repair takes a few milliseconds for any text of this length."""

MAX_REPAIRED = 128 * 1_024
"""Characters of a text that is repaired. The parser copies a string for each character it adds."""

MAX_LITERAL = 64 * 1_024
"""Characters of a Python literal. No other run of the worker goes on while Python reads it."""

BRACES = re.compile(r"[{}]")


def loads(text: str) -> Any:
    """The value of a text, repaired if it is no JSON, as `json_repair.loads` gives it.

    Raises:
        ValueError: The text nests too deep, is too tangled, or is too long and no JSON.

    """
    if len(text) <= SHORT:
        return without_recursion_error(json_repair.loads, text)
    if is_too_deep(text):
        raise TooComplexError("the nest is too deep")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > MAX_REPAIRED:
        return first_object(text)
    return without_recursion_error(BoundedParser(text).parse)


def first_object(text: str) -> Any:
    """The first object in a long text; its last string may be cut off.

    "" if the text has no object, as json_repair gives then.

    Raises:
        ValueError: The object is no JSON or nests too deep.

    """
    begin = text.find("{")
    if begin < 0:
        return ""
    if is_too_deep(text, begin):
        raise TooComplexError("the nest is too deep")
    try:
        return json.JSONDecoder().raw_decode(text, begin)[0]
    except (ValueError, RecursionError):
        pass
    return jiter.from_json(text[begin:].encode(), partial_mode="trailing-strings")


def without_recursion_error(read: Any, *args: Any) -> Any:
    """The result of `read(*args)`; a RecursionError becomes a TooComplexError."""
    try:
        return read(*args)
    except RecursionError as error:
        raise TooComplexError("the nest is too deep") from error


def literal_eval(text: str) -> Any:
    """The value of a Python literal, as `ast.literal_eval` gives it.

    Raises:
        ValueError: The text is no literal, nests too deep, is too long, or has a letter with many
            combining marks, which Python sorts in quadratic time.
        SyntaxError: The text is no Python.

    """
    if len(text) > MAX_LITERAL or has_many(text):
        raise TooComplexError("the literal is too long")
    try:
        return ast.literal_eval(text)
    except (RecursionError, MemoryError) as error:
        raise TooComplexError("the nest is too deep") from error


def first_braces(text: str) -> re.Match[str] | None:
    """The first part of a text from an opening brace to the brace that closes it."""
    opened: list[int] = []
    first: tuple[int, int] | None = None
    for brace in BRACES.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            begin = opened.pop()
            # Outer pairs end after the pairs inside them, and begin before.
            if first is None or begin < first[0]:
                first = (begin, brace.end())
            if not opened:
                break
    return re.compile(".*", re.DOTALL).match(text, *first) if first else None


def install() -> None:
    """Makes DSPy's adapters use these functions, which they call by their modules' names."""
    for module in (dspy.adapters.utils, dspy.adapters.json_adapter):
        module.json_repair = SimpleNamespace(loads=loads)
    dspy.adapters.utils.ast = SimpleNamespace(literal_eval=literal_eval)
    dspy.adapters.json_adapter.regex = SimpleNamespace(
        search=lambda _, text, flags: first_braces(text), DOTALL=re.DOTALL
    )
