"""Numbers of JSON, which has one kind of them, as the Python numbers that a type says.

DSPy shows the float 3 to the model as 3.0.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

Conversion = Callable[[Any], Any]


class PythonNumbers:
    """Makes the numbers of some fields' values those that the fields' types say."""

    def __init__(self, fields: Iterable[pb.Field]) -> None:
        made = {field.name: conversion_of(field.type) for field in fields}
        self._conversions = {name: convert for name, convert in made.items() if convert}

    def made_in(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, changed in place."""
        for name, convert in self._conversions.items():
            if name in values:
                values[name] = convert(values[name])
        return values


def conversion_of(tree: pb.Type) -> Conversion | None:
    """The conversion of values of a type; None if the values are right as JSON gives them."""
    match tree.WhichOneof("kind"):
        case "scalar":
            return SCALARS.get(tree.scalar)
        case "optional":
            return conversion_of(tree.optional.of)
        case "list":
            element = conversion_of(tree.list.element)
            return element and (lambda value: in_list(element, value))
        case "dict":
            member = conversion_of(tree.dict.value)
            return member and (lambda value: in_dict(member, value))
    return None


def to_float(value: Any) -> Any:
    """An integer as a float; other values are returned unchanged."""
    return float(value) if type(value) is int else value


def to_int(value: Any) -> Any:
    """-0.0 as an integer; other values are returned unchanged."""
    return 0 if value == 0 and type(value) is float else value


SCALARS: dict[int, Conversion] = {pb.SCALAR_FLOAT: to_float, pb.SCALAR_INT: to_int}


def in_list(element: Conversion, value: Any) -> Any:
    """A list with each element converted."""
    return [element(part) for part in value] if isinstance(value, list) else value


def in_dict(member: Conversion, value: Any) -> Any:
    """A dict with each member converted."""
    if not isinstance(value, dict):
        return value
    return {name: member(part) for name, part in value.items()}
