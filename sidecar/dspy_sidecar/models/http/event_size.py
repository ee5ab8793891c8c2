"""Events of a model's stream of any size that a whole answer may have.

DSPy refuses an event of more than 64 KiB, but some servers send an answer in one piece.
"""

import sys
from functools import partial

from dspy._vendor.lm15 import sse
from dspy._vendor.lm15.providers import async_base


def install() -> None:
    """Lifts DSPy's bounds of an event. SIGRUN_LM_MAX_ANSWER bounds the whole stream."""
    async_base.aparse_sse = partial(
        sse.aparse_sse, max_line_bytes=sys.maxsize, max_event_bytes=sys.maxsize
    )
