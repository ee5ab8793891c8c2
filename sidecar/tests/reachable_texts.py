"""The texts that objects keep alive."""

import asyncio
import gc
import types
from weakref import WeakKeyDictionary


def reachable_texts(roots) -> list[str]:
    """All texts that objects reference, at any depth; skips code and running tasks."""
    left, seen, texts = list(roots), set(), []
    skipped = (
        type,
        types.ModuleType,
        types.FunctionType,
        types.FrameType,
        asyncio.AbstractEventLoop,
        asyncio.Task,
    )
    while left:
        thing = left.pop()
        if id(thing) in seen or isinstance(thing, skipped):
            continue
        seen.add(id(thing))
        if isinstance(thing, str | bytes | bytearray):
            texts.append(thing if isinstance(thing, str) else thing.decode(errors="replace"))
        elif isinstance(thing, WeakKeyDictionary):
            left.extend(thing.values())
        left.extend(gc.get_referents(thing))
    return texts
