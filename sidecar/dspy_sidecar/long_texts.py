"""Work whose time grows with the length of a text."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MAX_CHARACTERS_ON_LOOP = 4_096
"""A longer text may take so long that the other runs of the event loop would wait."""


async def in_thread_if_long(characters: int, work: Callable[[], T]) -> T:
    """Does the work: in a thread if it is on more characters than the event loop may take."""
    return await asyncio.to_thread(work) if characters > MAX_CHARACTERS_ON_LOOP else work()
