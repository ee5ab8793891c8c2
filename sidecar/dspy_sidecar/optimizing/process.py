"""An optimizer's process, as the worker that asked for it sees it."""

import asyncio
import os
import signal
import time
from asyncio.streams import FlowControlMixin
from contextlib import suppress
from pathlib import Path

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
        self._stack = StackFile()
        self._pid: int | None = None
        requests, self._requests = os.pipe()
        self._events, events = os.pipe()
        self._open: list[asyncio.BaseTransport | asyncio.StreamWriter] = []
        try:
            arguments = {
                "began": self.began,
                "embedded_port": embedded.port if embedded else None,
                "log_dir": str(log_dir) if log_dir else None,
            }
            forks.ask(arguments, [requests, events, self._stack.fileno()])
        except BaseException:
            os.close(self._requests)
            os.close(self._events)
            self._stack.close()
            raise
        finally:
            os.close(requests)
            os.close(events)

    async def send(self, request: pb.OptimizeProgramRequest) -> None:
        """Sends the request.

        Raises:
            InterruptedRunError: The process did not begin, or died.

        """
        loop = asyncio.get_running_loop()
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self.events), os.fdopen(self._events, "rb")
        )
        self._open.append(reading)
        writing, protocol = await loop.connect_write_pipe(
            FlowControlMixin, os.fdopen(self._requests, "wb")
        )
        # Kept: a writer that is collected closes its pipe, which ends the process.
        writer = asyncio.StreamWriter(writing, protocol, None, loop)
        self._open.append(writer)
        try:
            frame = await asyncio.wait_for(frames.receive(self.events), MAX_SILENCE_S)
        except TimeoutError:
            frame = None
        if frame is None:
            raise InterruptedRunError("the optimizer's process could not be started")
        self._pid = int(frame[1])
        writer.write(frames.pack(frames.REQUEST, request.SerializeToString()))
        with suppress(ConnectionError):
            await writer.drain()

    async def stack(self) -> str:
        """Where the process hangs."""
        if self._pid is None:
            return ""
        self._stack.request(self._pid)
        await asyncio.sleep(DUMP_S)
        return self._stack.read()

    def close(self) -> None:
        """Kills the process if it has not ended."""
        # It would end with its pipe, unless it hangs. The pid is its own until its events end.
        if self._pid is not None and not self.events.at_eof():
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        for pipe in self._open:
            pipe.close()
        self._stack.close()
