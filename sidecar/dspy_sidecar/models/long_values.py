"""Writes long values into prompts as DSPy does, in pieces, so that other runs go on in between.

One call of a C function on millions of elements would hold up all threads of the worker.
"""

import json
from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

import dspy.adapters.json_adapter
import dspy.adapters.utils
import dspy.adapters.xml_adapter

from dspy_sidecar.long_texts import size_of

MAX_AT_ONCE = 16_384
"""Size of a value, as of `size_of`, up to which it is written in one call."""

PIECE = 4_096
"""Elements of a list, or members of a dict, that are written in one call."""

serialize_at_once = dspy.adapters.utils.serialize_for_json


def serialize_for_json(value: Any) -> Any:
    """The same as DSPy's function."""
    if not is_long_json(value):
        return serialize_at_once(value)
    try:
        return serialize_in_pieces(value)
    except UnserializableError:
        return str(value)


class UnserializableError(Exception):
    """pydantic can't serialize a part of a value. DSPy then takes the whole value's `str()`."""


def serialize_in_pieces(value: Any) -> Any:
    """A list or a dict as JSON values.

    Raises:
        UnserializableError: pydantic refuses a part of the value.

    """
    if not is_long_json(value):
        return serialize_part(value)
    if isinstance(value, list):
        elements: list[Any] = []
        for piece, is_short in pieces(value):
            if is_short:
                elements += serialize_part(piece)
            else:
                elements.append(serialize_in_pieces(piece[0]))
        return elements
    members: dict[Any, Any] = {}
    for piece, is_short in pieces(value):
        if is_short:
            members.update(serialize_part(piece))
        else:
            ((key, part),) = piece.items()
            (plain_key,) = serialize_part({key: None})
            members[plain_key] = serialize_in_pieces(part)
    return members


def serialize_part(part: Any) -> Any:
    """A short part of a value as JSON values.

    Raises:
        UnserializableError: pydantic refuses the part.

    """
    plain = serialize_at_once(part)
    if isinstance(part, list | dict) and not isinstance(plain, list | dict):
        raise UnserializableError
    return plain


def dumps(value: Any, **options: Any) -> str:
    """The same as `json.dumps`, whose options must not have separators or an indentation."""
    if not is_long_json(value):
        return json.dumps(value, **options)
    texts = []
    for piece, is_short in pieces(value):
        if is_short:
            texts.append(json.dumps(piece, **options)[1:-1])
        elif isinstance(piece, list):
            texts.append(dumps(piece[0], **options))
        else:
            ((key, part),) = piece.items()
            texts.append(json.dumps({key: 0}, **options)[1:-2] + dumps(part, **options))
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return opening + ", ".join(texts) + closing


def is_long_json(value: Any) -> bool:
    """Whether a value must be written in pieces. Other types than these have no pieces."""
    return type(value) in (list, dict) and size_of(value, MAX_AT_ONCE) > MAX_AT_ONCE


def pieces(value: list[Any] | dict[Any, Any]) -> Iterator[tuple[Any, bool]]:
    """The value as several lists, or dicts, in its order.

    With each: whether it is short; else it has one element.
    """
    parts = iter(value.items() if isinstance(value, dict) else value)
    while several := list(islice(parts, PIECE)):
        piece = type(value)(several)
        if size_of(piece, MAX_AT_ONCE) > MAX_AT_ONCE:
            for part in several:
                one = type(value)([part])
                yield one, size_of(one, MAX_AT_ONCE) <= MAX_AT_ONCE
        else:
            yield piece, True


def install() -> None:
    """Makes DSPy's adapters use these functions, which they call by their modules' names."""
    for module in (dspy.adapters.utils, dspy.adapters.json_adapter, dspy.adapters.xml_adapter):
        module.serialize_for_json = serialize_for_json
    dspy.adapters.utils.json = SimpleNamespace(dumps=dumps)
