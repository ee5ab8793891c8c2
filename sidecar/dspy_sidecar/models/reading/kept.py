"""Answers that are in DSPy's cache."""

from collections.abc import Callable

import dspy
from dspy.clients.execution import IGNORED_CACHE_KEYS, PreparedCall


class Kept(str):
    """The text of an answer that is in DSPy's cache, until it turns out to be unreadable."""

    forget: Callable[[], None]
    """Removes the answer from the cache."""


def kept(text: str, forget: Callable[[], None]) -> Kept:
    """The text as one that is in the cache."""
    made = Kept(text)
    made.forget = forget
    return made


def forget(lm: dspy.LM, call: PreparedCall) -> None:
    """Removes the answer to an awaited request from DSPy's cache. DSPy has no method for this."""
    cache = dspy.cache
    key = cache.cache_key(call.key(lm, True), IGNORED_CACHE_KEYS)
    with cache._lock:
        cache.memory_cache.pop(key, None)
    if cache.enable_disk_cache:
        cache.disk_cache.delete(key)
