"""Modules of DSPy's that have no async form, run in threads whose requests to the model are made on the event loop."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import dspy

MOST = 64
"""Runs of such modules at the same time; further ones wait. Apart from asyncio's own threads, which DSPy uses on the way."""

THREADS = concurrent.futures.ThreadPoolExecutor(MOST, "sync modules")


class StoppedError(BaseException):
    """The run has ended and the thread must. No Exception, since modules take those for an attempt that failed."""


class Bridge:
    """The way from one run's thread to the event loop, and its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._is_stopped = False

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs it on the event loop, in the thread's context, and blocks the thread until it is done."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        self._pending.add(future)
        if self._is_stopped:
            future.cancel()
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise StoppedError from None
        finally:
            self._pending.discard(future)

    def stop(self) -> None:
        """Cancels what the thread waits for, and whatever it asks for later."""
        self._is_stopped = True
        for future in tuple(self._pending):
            future.cancel()


BRIDGE: ContextVar[Bridge | None] = ContextVar("bridge", default=None)


class LM(dspy.LM):  # type: ignore[misc]
    """DSPy's, but that a request made in a thread is made on the event loop, where it can be cancelled."""

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """As `dspy.LM`'s."""
        bridge = BRIDGE.get()
        if bridge is None:
            return super().__call__(prompt, messages=messages, **kwargs)
        return bridge.wait_for(self.acall(prompt, messages=messages, **kwargs))


async def in_thread(call: Callable[[], Any], threads: concurrent.futures.Executor = THREADS) -> Any:
    """What a blocking call gives. Cancelled, it cancels the request to the model that the call waits for, and the thread ends."""
    loop = asyncio.get_running_loop()
    bridge = Bridge(loop)
    context = copy_context()
    context.run(BRIDGE.set, bridge)
    try:
        return await loop.run_in_executor(threads, context.run, call)
    finally:
        bridge.stop()
