"""Shows that calls take time in proportion to a text's length."""

import time
from contextlib import suppress

from dspy.utils.exceptions import AdapterParseError

KIB = 1_024
NOISE_S = 0.01
"""Shorter times are not compared: they count as this long."""


def spent(call, text: str) -> float:
    """CPU time of a call in seconds; answers that can't be read are no error."""
    began = time.thread_time()
    with suppress(AdapterParseError, ValueError):
        call(text)
    return time.thread_time() - began


def assert_linear(call, make) -> None:
    """Four times the length takes about four times as long; quadratic time would be 16 times.

    Longer texts are not measured once a text has taken a tenth of a second.
    """
    size, before = 4 * KIB, NOISE_S
    while size <= 64 * KIB and before < 0.1:
        text, attempts = make(size), 3
        now = spent(call, text)
        # A time that looks quadratic is measured again, because noise only adds time.
        while size > 4 * KIB and now > 9 * before and attempts > 1:
            now, attempts = min(now, spent(call, text)), attempts - 1
        assert size == 4 * KIB or now < 9 * before, (size, before, now)
        size, before = size * 4, max(now, NOISE_S)
