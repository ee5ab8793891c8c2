"""Constraints of a field's value, in addition to its type."""

from collections.abc import Callable
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.values.numbers import number_text
from dspy_sidecar.values.patterns import compile_pattern
from dspy_sidecar.values.violations import Violation

Rule = tuple[Violation, Callable[[Any], bool]]
"""The violation of a constraint, and whether a value satisfies it."""


def rules_of(field: pb.Field) -> list[Rule]:
    """The constraints of a field.

    A pattern that RE2 refuses is left out. The gateway's engine takes every pattern of a field.
    """
    declared, rules = field.constraints, []

    def add(reason: str, description: str, holds: Callable[[Any], bool]) -> None:
        rules.append((Violation("", description, reason), holds))

    unit = "characters" if is_text(field.type) else "elements"
    shortest, longest = declared.min_length, declared.max_length
    if declared.HasField("min_length"):
        add("length", f"must have at least {shortest} {unit}", lambda v: len(v) >= shortest)
    if declared.HasField("max_length"):
        add("length", f"must have at most {longest} {unit}", lambda v: len(v) <= longest)
    least, most, above, below = declared.min, declared.max, declared.gt, declared.lt
    if declared.HasField("min"):
        add("range", f"must be at least {number_text(least)}", lambda v: v >= least)
    if declared.HasField("max"):
        add("range", f"must be at most {number_text(most)}", lambda v: v <= most)
    if declared.HasField("gt"):
        add("range", f"must be greater than {number_text(above)}", lambda v: v > above)
    if declared.HasField("lt"):
        add("range", f"must be less than {number_text(below)}", lambda v: v < below)
    if declared.pattern and (matches := compile_pattern(declared.pattern)):
        add("pattern", f"must match {declared.pattern}", matches)
    return rules


def is_text(tree: pb.Type) -> bool:
    """Whether a type is `str` or `Optional[str]`."""
    return (tree.optional.of if tree.HasField("optional") else tree).scalar == pb.SCALAR_STR
