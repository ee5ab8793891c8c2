"""Imports litellm in a thread: the import takes seconds, in which the event loop must go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib import import_module
from typing import Any

from dspy.clients._litellm import get_litellm
from dspy.clients.engines.litellm_engine import AsyncLiteLLMEngine


def load() -> None:
    """Imports litellm. DSPy's lock makes other threads wait for the import."""
    # litellm would import it at the first request, on the event loop, which takes seconds, too.
    # Comes first: `loaded` takes litellm for the last.
    import_module("openai.resources")
    get_litellm(feature="LiteLLM engine")


async def loaded() -> None:
    """Returns when litellm is imported."""
    if get_litellm.cache_info().currsize == 0:
        await asyncio.to_thread(load)


def install() -> None:
    """Makes DSPy's async engine for litellm import it in a thread, before its first request."""
    complete, stream = AsyncLiteLLMEngine.complete, AsyncLiteLLMEngine.stream
    complete_legacy = AsyncLiteLLMEngine.complete_legacy

    async def complete_loaded(self: Any, request: Any) -> Any:
        await loaded()
        return await complete(self, request)

    async def complete_legacy_loaded(self: Any, lm: Any, request: Any, **context: Any) -> Any:
        await loaded()
        return await complete_legacy(self, lm, request, **context)

    async def stream_loaded(self: Any, request: Any) -> AsyncIterator[Any]:
        await loaded()
        async with aclosing(stream(self, request)) as events:
            async for event in events:
                yield event

    AsyncLiteLLMEngine.complete = complete_loaded
    AsyncLiteLLMEngine.complete_legacy = complete_legacy_loaded
    AsyncLiteLLMEngine.stream = stream_loaded
