"""Threads for DSPy's modules without an async form; their model requests run on the event loop."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import dspy

MAX_RUNS = 64
"""Runs of such modules at the same time; further runs wait.

The pool is not asyncio's default one, whose threads DSPy needs during these runs."""

THREADS = concurrent.futures.ThreadPoolExecutor(MAX_RUNS, "sync modules")


class StoppedError(BaseException):
    """The run of this thread was cancelled.

    No subclass of Exception: modules catch Exception and would start a further attempt.
    """


class Bridge:
    """Runs coroutines of one run's thread on the event loop, until the run is stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._is_stopped = False

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Blocks the thread until the coroutine has run, in the thread's context, on the loop.

        Raises:
            StoppedError: The run was cancelled.

        """
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
        """Cancels the thread's pending coroutines and every later one."""
        self._is_stopped = True
        for future in tuple(self._pending):
            future.cancel()


BRIDGE: ContextVar[Bridge | None] = ContextVar("bridge", default=None)


class LM(dspy.LM):  # type: ignore[misc]
    """DSPy's LM; a request made in a run's thread runs on the event loop, which can cancel it."""

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """Requests a completion, as `dspy.LM` does."""
        bridge = BRIDGE.get()
        if bridge is None:
            return super().__call__(prompt, messages=messages, **kwargs)
        return bridge.wait_for(self.acall(prompt, messages=messages, **kwargs))


async def in_thread(call: Callable[[], Any], threads: concurrent.futures.Executor = THREADS) -> Any:
    """The result of a blocking call, made in a thread.

    If the awaiting task is cancelled, the call's request to the model is cancelled, and the thread
    ends with StoppedError.
    """
    loop = asyncio.get_running_loop()
    bridge = Bridge(loop)
    context = copy_context()
    context.run(BRIDGE.set, bridge)
    try:
        return await loop.run_in_executor(threads, context.run, call)
    finally:
        bridge.stop()
