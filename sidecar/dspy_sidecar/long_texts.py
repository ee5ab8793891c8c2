"""Work on texts and values that may take too long for the event loop."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

T = TypeVar("T")

MAX_CHARACTERS_ON_LOOP = 4_096
"""Length of a text up to which work on it does not delay other runs noticeably."""

SIZED = (str, list, dict)


async def in_thread_if_long(characters: int, work: Callable[[], T]) -> T:
    """Does the work: in a thread if its text is longer than MAX_CHARACTERS_ON_LOOP."""
    return await asyncio.to_thread(work) if characters > MAX_CHARACTERS_ON_LOOP else work()


def size_of(value: Any, limit: int = MAX_CHARACTERS_ON_LOOP) -> int:
    """The characters, elements and members of a value at all depths.

    Stops counting beyond the limit.
    """
    size, parts = 0, [value]
    while parts and size <= limit:
        part = parts.pop()
        if not isinstance(part, SIZED):
            continue
        size += len(part)
        if isinstance(part, str) or size > limit:
            continue
        children = list(part.values()) if isinstance(part, dict) else part
        # Looks at types first: a list of a million numbers takes C functions a few milliseconds.
        kinds = set(map(type, children))
        if kinds == {str}:
            size += sum(map(len, children))
        elif not kinds.isdisjoint(SIZED):
            parts += children
    return size


async def loads(data: bytes) -> Any:
    """The value of JSON, which is parsed in a thread if it is long."""
    return await in_thread_if_long(len(data), lambda: loads_without_collector(data))


def loads_without_collector(data: bytes) -> Any:
    """The value of JSON.

    The garbage collector would visit each new list and dict several times while the parser makes
    further ones: five times as long for a million of them. No other thread runs meanwhile.
    """
    if len(data) <= MAX_CHARACTERS_ON_LOOP or not gc.isenabled():
        return orjson.loads(data)
    gc.disable()
    try:
        return orjson.loads(data)
    finally:
        gc.enable()
