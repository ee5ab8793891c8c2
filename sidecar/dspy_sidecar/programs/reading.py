"""Classes of the sidecar's own that read as DSPy's."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=type)


def reads_as(shown: type) -> Callable[[T], T]:
    """Has Python's `inspect` find the source of a class of DSPy's for another class.

    Optimizers show a model the source of a program's modules, and it must be what a notebook's
    program has.
    """

    def marked(kind: T) -> T:
        kind.__module__, kind.__qualname__ = shown.__module__, shown.__qualname__
        return kind

    return marked
