"""Coerces values to types: a value is taken if nothing is lost, and refused if anything would be.

See the table in docs/values.md.
"""

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.values.numbers import (
    decimal_number,
    finite,
    is_exact,
    number_text,
    whole_number,
)
from dspy_sidecar.values.texts import joined_surrogates, text_fault
from dspy_sidecar.values.violations import MAX_VIOLATIONS, RefusedError, Violation, refused

Coercion = Callable[[Any], Any]
"""Gives the coerced value, or raises RefusedError with all violations."""

LOSES_DIGITS = (
    "must be a string; a whole number beyond 2^53-1 loses digits, so write it as a string"
)
WHOLE_KEY = re.compile(r"0|-?[1-9][0-9]*")
MAX_TYPES = 4_096


def coercion_of(tree: pb.Type) -> Coercion:
    """The coercion to a type."""
    return made_coercion(tree.SerializeToString(deterministic=True))


@lru_cache(MAX_TYPES)
def made_coercion(tree: bytes) -> Coercion:
    """The coercion to a type of the wire, from the cache."""
    return make(pb.Type.FromString(tree))


def make(tree: pb.Type) -> Coercion:
    """A new coercion to a type."""
    match tree.WhichOneof("kind"):
        case "scalar":
            return SCALARS[tree.scalar]
        case "literal":
            return to_literal(tuple(tree.literal.values))
        case "list":
            return to_list(make(tree.list.element))
        case "dict":
            return to_dict(tree.dict.key == pb.SCALAR_INT, make(tree.dict.value))
        case "optional":
            of = make(tree.optional.of)
            return lambda value: None if value is None else of(value)
        case kind:
            raise ValueError(f"unknown kind of type {kind}")


def to_str(value: Any) -> str:
    """A text."""
    if isinstance(value, str):
        text = joined_surrogates(value)
        if fault := text_fault(text):
            raise refused(fault, "text")
        return text
    return plain_text(value)


def plain_text(value: Any) -> str:
    """The one text of a boolean or a number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        if is_exact(value) or value != int(value):
            return number_text(value)
        raise refused(LOSES_DIGITS, "type")
    raise wrong("a string", value)


def to_int(value: Any) -> int:
    """An integer within 2^53-1."""
    number: float | None = None
    if isinstance(value, str):
        number = whole_number(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    # NaN is no number that equals another one, and infinity is out of range.
    if number is None or not is_exact(number) or number != int(number):
        raise wrong("a whole number between -(2^53-1) and 2^53-1", value)
    return int(number)


def to_float(value: Any) -> float:
    """A finite number."""
    number: float | None = None
    if isinstance(value, str):
        number = decimal_number(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = finite(value)
    if number is None:
        raise wrong("a finite number", value)
    return number


def to_bool(value: Any) -> bool:
    """A boolean."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise wrong("true or false", value)


SCALARS: dict[int, Coercion] = {
    pb.SCALAR_STR: to_str,
    pb.SCALAR_INT: to_int,
    pb.SCALAR_FLOAT: to_float,
    pb.SCALAR_BOOL: to_bool,
}


def to_literal(choices: tuple[str, ...]) -> Coercion:
    """One of some texts."""
    allowed = frozenset(choices)
    texts = ", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    message = f"must be one of {texts}"

    def coerced(value: Any) -> str:
        text = joined_surrogates(value) if isinstance(value, str) else plain_text(value)
        if text not in allowed:
            raise refused(message, "literal")
        return text

    return coerced


def to_list(element: Coercion) -> Coercion:
    """A list, each element coerced."""

    def coerced(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise wrong("a list", value)
        made: list[Any] = []
        violations: list[Violation] = []
        for index, part in enumerate(value):
            try:
                made.append(element(part))
            except RefusedError as error:
                violations += [one.at(index) for one in error.violations]
                if len(violations) >= MAX_VIOLATIONS:
                    break
        if violations:
            raise RefusedError(violations)
        return made

    return coerced


def to_dict(has_int_keys: bool, member: Coercion) -> Coercion:
    """An object, each value coerced; its keys are texts, or integers if the type says so."""

    def coerced(value: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise wrong("an object", value)
        made: dict[Any, Any] = {}
        violations: list[Violation] = []
        for name, part in value.items():
            if len(violations) >= MAX_VIOLATIONS:
                break
            text = name if isinstance(name, str) else key_text(name)
            key: Any = text
            try:
                key = key_of(text, has_int_keys)
                if key in made:
                    raise refused("another key of the object is the same", "type")
            except RefusedError as error:
                violations += [one.at(text) for one in error.violations]
            try:
                made[key] = member(part)
            except RefusedError as error:
                made[key] = None
                violations += [one.at(text) for one in error.violations]
        if violations:
            raise RefusedError(violations)
        return made

    return coerced


def key_text(name: Any) -> str:
    """A key of a Python literal as a text, as its value would be one."""
    try:
        return plain_text(name)
    except RefusedError:
        raise refused("every key must be a string or a number", "type") from None


def key_of(text: str, has_int_keys: bool) -> str | int:
    """A key as the type wants it: "07" would be the same integer as "7", and is refused."""
    if not has_int_keys:
        return to_str(text)
    if WHOLE_KEY.fullmatch(text) and (number := whole_number(text)) is not None:
        return number
    raise refused("the key must be a whole number in plain digits", "type")


def wrong(what: str, value: Any) -> RefusedError:
    """The error of a value of another type."""
    return refused(f"must be {what}{', not null' if value is None else ''}", "type")
