"""Classes that Python's `inspect` finds the source of another class for."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=type)


def reads_as(shown: type) -> Callable[[T], T]:
    """Has Python's `inspect` find the source of a class of DSPy's for another class.

    Optimizers show a model the source of a program's modules, and it must be what a notebook's
    program has.
    """

    def marked(kind: T) -> T:
        place(kind, shown.__module__, shown.__qualname__, line_of(shown))
        return kind

    return marked


def line_of(kind: type) -> int | None:
    """The line of a class in its file, which classes have as of Python 3.13."""
    return vars(kind).get("__firstlineno__")


def place(kind: type, module: str, name: str, line: int | None) -> None:
    """Has `inspect` look for a class's source at a place.

    Python 3.13 looks at the class's line, and forgets it when the module is set.
    """
    kind.__module__, kind.__qualname__ = module, name
    if line is not None:
        kind.__firstlineno__ = line  # type: ignore[attr-defined]
