"""An optimizer's process, as the worker that asked for it sees it."""

import asyncio
import os
import signal
import time
from asyncio.streams import FlowControlMixin
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import InterruptedRunError
from dspy_sidecar.forks import Forks
from dspy_sidecar.heartbeat import MAX_SILENCE_S
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.optimizing import frames
from dspy_sidecar.stacks import DUMP_S, StackFile

MAX_FRAME_BYTES = 2**26


class Process:
    """A process that is forked at once, and ends with `close` or with this process."""

    def __init__(self, forks: Forks, embedded: EmbeddedModel | None, log_dir: Path | None) -> None:
        self.began = time.monotonic()
        self.events = asyncio.StreamReader(limit=MAX_FRAME_BYTES)
        self._pid: int | None = None
        self._stack = StackFile()
        with ExitStack() as opened, ExitStack() as handed:
            opened.callback(self._stack.close)
            requests, self._requests = pipe(handed, opened)
            self._events, events = pipe(opened, handed)
            arguments = {
                "began": self.began,
                "embedded_port": embedded.port if embedded else None,
                "log_dir": str(log_dir) if log_dir else None,
            }
            forks.ask(arguments, [requests.fileno(), events.fileno(), self._stack.fileno()])
            self._open = opened.pop_all()

    async def send(self, request: pb.OptimizeProgramRequest) -> None:
        """Sends the request.

        Raises:
            InterruptedRunError: The process did not begin, or died.

        """
        loop = asyncio.get_running_loop()
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self.events), self._events
        )
        self._open.callback(reading.close)
        writing, protocol = await loop.connect_write_pipe(FlowControlMixin, self._requests)
        self._open.callback(abort, writing)
        try:
            frame = await asyncio.wait_for(frames.receive(self.events), MAX_SILENCE_S)
        except TimeoutError:
            frame = None
        if frame is None:
            raise InterruptedRunError("the optimizer's process could not be started")
        self._pid = int(frame[1])
        # Kept: a writer that is collected closes its pipe, which ends the process.
        self._writer = asyncio.StreamWriter(writing, protocol, None, loop)
        self._writer.write(frames.pack(frames.REQUEST, request.SerializeToString()))
        with suppress(ConnectionError):
            await self._writer.drain()

    async def stack(self) -> str:
        """Where the process hangs."""
        if self._pid is None:
            return ""
        self._stack.request(self._pid)
        await asyncio.sleep(DUMP_S)
        return self._stack.read()

    def close(self) -> None:
        """Kills the process if it has not ended."""
        # It ends with its pipe, unless it hangs. After the end of its events the pid is free.
        if self._pid is not None and not self.events.at_eof():
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        self._open.close()


def abort(transport: asyncio.WriteTransport) -> None:
    """Closes a transport now, whatever it still has to write."""
    # asyncio's fails once its peer has closed it.
    if not transport.is_closing():
        transport.abort()


def pipe(reader: ExitStack, writer: ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """A pipe's two ends; each stack closes one."""
    reading, writing = os.pipe()
    return (
        reader.enter_context(os.fdopen(reading, "rb")),
        writer.enter_context(os.fdopen(writing, "wb")),
    )
