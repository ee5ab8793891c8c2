"""Work on texts that may take too long for the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MAX_CHARACTERS_ON_LOOP = 4_096
"""Length of a text up to which work on it does not delay other runs noticeably."""


async def in_thread_if_long(characters: int, work: Callable[[], T]) -> T:
    """Does the work: in a thread if its text is longer than MAX_CHARACTERS_ON_LOOP."""
    return await asyncio.to_thread(work) if characters > MAX_CHARACTERS_ON_LOOP else work()
