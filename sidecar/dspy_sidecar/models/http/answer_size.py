"""The maximum size of a model's answer, for every client that may receive one.

The sidecar's own transport counts what it reads. DSPy's own transports and litellm's httpx have no
setting for this, so `install` puts a counter into the one method through which each of them reads.
"""

import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
from dspy._vendor.lm15.transports import AsyncTransportResponse, TransportResponse

from dspy_sidecar.faults import AnswerTooLargeError
from dspy_sidecar.settings import DEFAULT_MAX_ANSWER

END_OF_EVENT = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Limit:
    """The maximum in force in this process, in bytes after unpacking."""

    bytes = DEFAULT_MAX_ANSWER
    is_installed = False


def count(size: int) -> int:
    """Gives the size of what was received so far.

    Raises:
        AnswerTooLargeError: It is beyond the maximum.

    """
    if size > Limit.bytes:
        raise AnswerTooLargeError(
            f"the answer is larger than {Limit.bytes} bytes, the maximum of SIGRUN_LM_MAX_ANSWER"
        )
    return size


async def bounded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks of an answer, up to the maximum."""
    size = 0
    async for chunk in chunks:
        size = count(size + len(chunk))
        yield chunk


def bounded_sync(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks of an answer, up to the maximum."""
    size = 0
    for chunk in chunks:
        size = count(size + len(chunk))
        yield chunk


class Received:
    """Counts a response of httpx: all of it, or if it is a stream of events, the current event.

    An MCP server's stream of events lives as long as its connection.
    """

    def __init__(self, response: Any) -> None:
        kind = response.headers.get("content-type", "")
        self._is_stream = kind.startswith("text/event-stream")
        self._size = 0

    def add(self, chunk: bytes) -> bytes:
        """Counts a chunk, and gives it."""
        rest = len(chunk)
        ends = [chunk.rfind(end) for end in END_OF_EVENT] if self._is_stream else [-1]
        if max(ends) >= 0:
            self._size, rest = 0, len(chunk) - max(ends)
        self._size = count(self._size + rest)
        return chunk


def install(max_bytes: int | None = None) -> None:
    """Bounds the answers that DSPy's transports and httpx receive in this process."""
    if max_bytes is not None:
        Limit.bytes = max_bytes
    if Limit.is_installed:
        return
    Limit.is_installed = True
    bound_chunks(TransportResponse, bounded_sync)
    bound_chunks(AsyncTransportResponse, bounded)
    bound_reading(httpx.Response)
    # mcp's.
    with suppress(ImportError):
        bound_reading(importlib.import_module("httpx2").Response)


def bound_reading(response: Any) -> None:
    """Has every response of an httpx count what it receives."""
    iter_bytes, aiter_bytes = response.iter_bytes, response.aiter_bytes

    def iter_bounded(self: Any, chunk_size: int | None = None) -> Iterator[bytes]:
        return map(Received(self).add, iter_bytes(self, chunk_size))

    async def aiter_bounded(self: Any, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        received = Received(self)
        async for chunk in aiter_bytes(self, chunk_size):
            yield received.add(chunk)

    response.iter_bytes, response.aiter_bytes = iter_bounded, aiter_bounded


def bound_chunks(response: Any, bound: Callable[[Any], Any]) -> None:
    """Has every response of one of DSPy's transports give bounded chunks."""
    create = response.__init__

    def create_bounded(self: Any, *, chunks: Any, **parts: Any) -> None:
        create(self, chunks=bound(chunks), **parts)

    response.__init__ = create_bounded
