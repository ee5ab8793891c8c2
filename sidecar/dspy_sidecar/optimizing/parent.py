"""Runs each optimization in a process of its own, which can be killed at any time."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BudgetExceededError, Fault, FaultError, InterruptedRunError
from dspy_sidecar.forks import Forks
from dspy_sidecar.heartbeat import Watch
from dspy_sidecar.log import logger
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.optimizing import frames
from dspy_sidecar.optimizing.folders import Folders
from dspy_sidecar.optimizing.process import Process

PROGRESS_PERIOD_S = 1.0
GRACE_S = 10.0
"""Seconds after the time limit until a process that has not ended by itself is killed."""


class ProcessHangsError(Exception):
    """The process of an optimization sent no heartbeat for 10 s."""


class Optimizing:
    """Has an optimizer's process forked for each request."""

    def __init__(self, forks: Forks, embedded: EmbeddedModel | None, work_dir: Path | None) -> None:
        self._forks = forks
        self._embedded = embedded
        self._folders = Folders(work_dir)
        self._folders.remove_old()

    async def optimize(
        self, request: pb.OptimizeProgramRequest
    ) -> AsyncGenerator[pb.OptimizeProgramResponse, None]:
        """Yields the progress, at least once a second, and at the end the result.

        Leaving the iteration kills the process.

        Raises:
            BudgetExceededError: The process did not end within its time limit and GRACE_S.
            FaultError: The optimization failed.
            InterruptedRunError: The process died, or hung and was killed.

        """
        folder = self._folders.of(request.optimization_id) if request.optimizer == "GEPA" else None
        process = Process(self._forks, self._embedded, folder)
        try:
            await process.send(request)
            async for event in events(process.events, process.began, request.budget.time_ms / 1000):
                yield event
            if folder:
                self._folders.remove(folder)
        except ProcessHangsError as error:
            fields = {"stack": await process.stack()}
            logger.error("an optimizer's process hangs and is killed", extra={"fields": fields})
            raise InterruptedRunError("the optimizer's process hung and was killed") from error
        finally:
            process.close()


async def events(
    stream: asyncio.StreamReader, began: float, time_s: float
) -> AsyncIterator[pb.OptimizeProgramResponse]:
    """The events of a process up to its result; repeats the last one if none came for a second.

    Args:
        stream: The pipe that the process writes to.
        began: Beginning of the time limit, in seconds of the monotonic clock.
        time_s: The time limit in seconds; 0 for none.

    """
    last = pb.OptimizeProgramResponse(
        progress=pb.OptimizationProgress(phase="baseline", message="starting the optimizer")
    )
    receiving = asyncio.ensure_future(frames.receive(stream))
    watch = Watch()
    try:
        while True:
            done, _ = await asyncio.wait([receiving], timeout=PROGRESS_PERIOD_S)
            if time_s and time.monotonic() > began + time_s + GRACE_S:
                raise BudgetExceededError(
                    "the optimizer did not end within its budget of time and was killed"
                )
            if watch.is_silent():
                raise ProcessHangsError
            if not done:
                yield last
                continue
            watch.beat()
            match receiving.result():
                case None:
                    raise InterruptedRunError("the optimizer's process died")
                case (frames.BEAT, _):
                    pass
                case (frames.FAULT, message):
                    raise FaultError(fault_from(json.loads(message)))
                case (_, message):
                    last = pb.OptimizeProgramResponse.FromString(message)
            yield last
            if last.HasField("result"):
                return
            receiving = asyncio.ensure_future(frames.receive(stream))
    finally:
        receiving.cancel()


def fault_from(members: dict[str, Any]) -> Fault:
    """The fault of a FAULT frame's JSON."""
    return Fault(
        grpc.StatusCode[members["code"]],
        members["reason"],
        members["message"],
        members["retry_after_s"],
    )
