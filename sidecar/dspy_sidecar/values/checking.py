"""Checks the outputs of a program as the gateway does: types, constraints, missing fields."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.values.coercion import coercion_of
from dspy_sidecar.values.constraints import rules_of
from dspy_sidecar.values.soundness import faults_of
from dspy_sidecar.values.violations import MAX_VIOLATIONS, RefusedError, Violation

Values = dict[str, Any]


class FieldCheck:
    """The type and the constraints of one field."""

    def __init__(self, field: pb.Field) -> None:
        self.is_optional = field.type.HasField("optional")
        self._coerce = coercion_of(field.type)
        self._rules = rules_of(field)

    def coerced(self, value: Any) -> Any:
        """The value as the field's type has it.

        Raises:
            RefusedError: The type or a constraint refuses the value.

        """
        try:
            made = self._coerce(value)
        except RefusedError as error:
            if any(not one.path for one in error.violations):
                raise
            # Only members are refused, so that the list or object still has a length.
            raise RefusedError([*error.violations, *self._broken(value)]) from None
        if broken := self._broken(made):
            raise RefusedError(broken)
        return made

    def _broken(self, value: Any) -> list[Violation]:
        return [] if value is None else [rule for rule, holds in self._rules if not holds(value)]

    def accepts(self, value: Any) -> bool:
        """Whether the type and the constraints take a value."""
        try:
            self.coerced(value)
        except RefusedError:
            return False
        return True


class ValuesCheck:
    """The check of some fields' values. Unknown and missing fields are refused.

    Only fields of an optional type may be left out: outputs have no defaults.
    """

    def __init__(self, fields: Sequence[pb.Field]) -> None:
        self._fields = {field.name: FieldCheck(field) for field in fields}

    @property
    def names(self) -> Iterable[str]:
        """The names of the fields."""
        return self._fields

    def coerced(self, values: Values) -> Values:
        """The values of all fields, in the order of the fields.

        Raises:
            RefusedError: At least one value is refused. It has all violations.

        """
        made: Values = {}
        refusals: list[Violation] = []
        for name, field in self._fields.items():
            if name not in values and not field.is_optional:
                refusals.append(Violation(name, "is missing", "missing"))
                continue
            try:
                made[name] = field.coerced(values.get(name))
            except RefusedError as error:
                # `faults_of` has all faults of texts, and knows keys from values.
                refusals += [one.at(name) for one in error.violations if one.reason != "text"]
        if found := one_per_path(chain(self._unknown(values), faults_of(values), refusals)):
            raise RefusedError(found)
        return made

    def _unknown(self, values: Values) -> Iterable[Violation]:
        what = "unknown field; the signature has no such field"
        unknown = [name for name in values if name not in self._fields]
        return (Violation("", what, "unknown").at(name) for name in unknown)


def one_per_path(violations: Iterable[Violation]) -> list[Violation]:
    """The first violation at each path, up to the maximum."""
    found: dict[str, Violation] = {}
    for violation in violations:
        found.setdefault(violation.path, violation)
        if len(found) >= MAX_VIOLATIONS:
            break
    return list(found.values())
