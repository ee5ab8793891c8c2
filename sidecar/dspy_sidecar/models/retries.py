"""When a request to a model is sent again: never after the first caller's deadline."""

import time
from contextvars import ContextVar

from dspy.clients import execution

DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
"""The deadline of the run's first caller on `time.monotonic`'s clock; None if it has none."""

_dspy_delay = execution._delay


def delay(error: Exception, attempt: int) -> float:
    """Seconds until the next attempt: what the provider asks for, or else DSPy's backoff.

    Raises:
        Exception: The error itself, if the next attempt would begin after the deadline. The caller
            then learns the provider's fault at once, and not that its deadline has passed.

    """
    seconds: float = _dspy_delay(error, attempt)
    deadline = DEADLINE.get()
    if deadline is not None and time.monotonic() + seconds >= deadline:
        raise error
    return seconds


def install() -> None:
    """Has DSPy ask this module."""
    execution._delay = delay
