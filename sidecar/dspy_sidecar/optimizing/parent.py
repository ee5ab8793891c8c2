"""Optimizations in processes of their own, which can be killed, and never slow down what is served."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path

import grpc
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BudgetExceededError, Fault, FaultError, InterruptedRunError
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.optimizing import frames
from dspy_sidecar.optimizing.folders import Folders

PERIOD_S = 1.0
GRACE_S = 10.0
"""Over its time; a process that has not ended by itself then is killed."""


class Optimizing:
    """Starts the processes."""

    def __init__(self, embedded: EmbeddedModel | None, work_dir: Path | None) -> None:
        self._embedded = embedded
        self._folders = Folders(work_dir)

    async def optimize(
        self, request: pb.OptimizeProgramRequest
    ) -> AsyncGenerator[pb.OptimizeProgramResponse, None]:
        """Yields where it stands, at least once a second, and then the result; leaving the iteration kills the process."""
        began = time.monotonic()
        folder = self._folders.of(request.optimization_id) if request.optimizer == "GEPA" else None
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(writing, began, folder),
                stdin=asyncio.subprocess.PIPE,
                # DSPy prints what it does.
                stdout=asyncio.subprocess.DEVNULL,
                env={**os.environ, "TQDM_DISABLE": "1"},
                pass_fds=[writing],
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        stream = asyncio.StreamReader(limit=2**26)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb")
        )
        try:
            await send(process, request)
            async for event in events(stream, began, request.budget.time_ms / 1000):
                yield event
            if folder:
                self._folders.remove(folder)
        finally:
            pipe.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _command(self, events: int, began: float, folder: Path | None) -> list[str]:
        command = [sys.executable, "-W", "ignore", "-m", "dspy_sidecar.optimizing.main"]
        command += ["--parent", str(os.getpid()), "--events", str(events), "--began", str(began)]
        command += ["--embedded-port", str(self._embedded.port)] if self._embedded else []
        return command + (["--log-dir", str(folder)] if folder else [])


async def send(process: asyncio.subprocess.Process, request: pb.OptimizeProgramRequest) -> None:
    """The request, over a pipe that then stays open: its end would be the process's."""
    assert process.stdin
    process.stdin.write(frames.pack(frames.REQUEST, request.SerializeToString()))
    with suppress(ConnectionError):
        await process.stdin.drain()


async def events(
    stream: asyncio.StreamReader, began: float, time_s: float
) -> AsyncIterator[pb.OptimizeProgramResponse]:
    """What a process tells until its result; InterruptedRunError where that does not come."""
    last = pb.OptimizeProgramResponse(
        progress=pb.OptimizationProgress(phase="baseline", message="starting the optimizer")
    )
    receiving = asyncio.ensure_future(frames.receive(stream))
    try:
        while True:
            done, _ = await asyncio.wait([receiving], timeout=PERIOD_S)
            if time_s and time.monotonic() > began + time_s + GRACE_S:
                raise BudgetExceededError("the optimizer did not end in its time, and was killed")
            if not done:
                yield last
                continue
            match receiving.result():
                case None:
                    raise InterruptedRunError("the optimizer's process died")
                case (frames.FAULT, message):
                    raise FaultError(fault(json.loads(message)))
                case (_, message):
                    last = pb.OptimizeProgramResponse.FromString(message)
            yield last
            if last.HasField("result"):
                return
            receiving = asyncio.ensure_future(frames.receive(stream))
    finally:
        receiving.cancel()


def fault(told: dict[str, str]) -> Fault:
    """The fault that a process ended with."""
    retry_after_s = told["retry_after_s"]
    code = grpc.StatusCode[told["code"]]
    return Fault(
        code,
        told["reason"],
        told["message"],
        float(retry_after_s) if retry_after_s is not None else None,
    )
