"""The runs of one gateway, side by side on one call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import grpc
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import NotWarmError, failure_of
from dspy_sidecar.models.lm import Models
from dspy_sidecar.programs.programs import Programs
from dspy_sidecar.runs.running import Events, run

MEBIBYTE = 2**20
BATCH_BYTES = 4 * MEBIBYTE
"""Of events that go together; what is larger goes by itself."""

MOST_BYTES = 31 * MEBIBYTE
"""Of one event. With a message's envelope it stays below the 32 MiB that the gateway takes: one over it would end the call, and all runs on it."""


class Session:
    """Obeys a gateway's commands and tells it what becomes of its runs: together what came up together."""

    def __init__(self, programs: Programs, models: Models) -> None:
        self._programs = programs
        self._models = models
        self._runs: dict[int, tuple[asyncio.Task[None], Events]] = {}
        self._waiting: list[pb.RunEvent] = []
        self._news = asyncio.Event()
        self._is_ending = False
        self.over = asyncio.Event()
        """Set once all has been told."""

    def end(self) -> None:
        """Takes no further run; the call ends with those that are under way."""
        self._is_ending = True
        self._news.set()

    async def serve(
        self, requests: AsyncIterator[pb.RunProgramsRequest]
    ) -> AsyncGenerator[pb.RunProgramsResponse]:
        """Until the gateway leaves, or all has been told after `end`."""
        reading = asyncio.create_task(self._read(requests))
        try:
            while self._runs or self._waiting or not self._is_ending:
                await self._news.wait()
                self._news.clear()
                while self._waiting:
                    yield pb.RunProgramsResponse(events=self._next_batch())
        finally:
            reading.cancel()
            runs, self._runs = self._runs, {}
            for task, _ in runs.values():
                task.cancel()
            self.over.set()

    async def _read(self, requests: AsyncIterator[pb.RunProgramsRequest]) -> None:
        async for request in requests:
            for command in request.commands:
                self._obey(command)
        self.end()

    def _obey(self, command: pb.RunCommand) -> None:
        number = command.run
        if command.HasField("start"):
            self._start(number, command.start)
        elif number in self._runs:
            task, events = self._runs[number]
            if command.HasField("cancel"):
                del self._runs[number]
                task.cancel()
            else:
                events.acknowledge(command.taken)

    def _start(self, number: int, asked: pb.Run) -> None:
        def tell(event: pb.RunEvent) -> None:
            if number in self._runs:
                self._tell(number, event)

        if self._is_ending:
            self._tell(number, pb.RunEvent(failure=failure_of(NotWarmError())))
            return
        events = Events(tell)
        task = asyncio.create_task(self._run(number, asked, events))
        self._runs[number] = (task, events)
        task.add_done_callback(lambda _: self._ended(number))

    async def _run(self, number: int, asked: pb.Run, events: Events) -> None:
        try:
            has_definition = asked.HasField("program")
            program = (
                self._programs.load(asked.program)
                if has_definition
                else self._programs.get(asked.program_id)
            )
            done = await run(program, self._models, asked, events)
            events.tell(pb.RunEvent(done=done))
        except BaseException as error:
            # Where it was not the gateway that cancelled it, a cancellation is a fault like others.
            if number in self._runs:
                events.tell(pb.RunEvent(failure=failure_of(error)))

    def _ended(self, number: int) -> None:
        self._runs.pop(number, None)
        if self._is_ending:
            self._news.set()

    def _tell(self, number: int, event: pb.RunEvent) -> None:
        event.run = number
        self._waiting.append(event)
        self._news.set()

    def _next_batch(self) -> list[pb.RunEvent]:
        batch: list[pb.RunEvent] = []
        size = 0
        for event in self._waiting:
            own = event.ByteSize()
            if own > MOST_BYTES:
                event = pb.RunEvent(run=event.run, failure=TOO_LARGE)
            elif batch and size + own > BATCH_BYTES:
                break
            size += own
            batch.append(event)
        del self._waiting[: len(batch)]
        return batch


TOO_LARGE = pb.Failure(
    code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="the run's outputs are too large"
)
