"""Violations of the table of values, each with its path."""

from collections.abc import Iterable
from dataclasses import dataclass

from dspy_sidecar.values.paths import path_to, path_under

MAX_VIOLATIONS = 100


@dataclass(frozen=True)
class Violation:
    """One place of a value that the table refuses."""

    path: str
    """From the value on; empty for the value itself."""
    description: str
    reason: str

    def at(self, key: str | int) -> "Violation":
        """The same violation, seen from the list or object whose part the value is."""
        path = path_under(path_to("", key), self.path)
        return Violation(path, self.description, self.reason)


class RefusedError(ValueError):
    """The table refuses a value.

    A ValueError, because DSPy's adapters take that for an answer that can't be parsed.
    """

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = list(violations)[:MAX_VIOLATIONS]
        super().__init__("; ".join(violation_text(one) for one in self.violations))


def refused(description: str, reason: str) -> RefusedError:
    """The error of a value that is refused as a whole."""
    return RefusedError([Violation("", description, reason)])


def violation_text(violation: Violation) -> str:
    """A violation in words."""
    path, description = violation.path, violation.description
    return f"{path}: {description}" if path else description
