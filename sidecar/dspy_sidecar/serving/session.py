"""The runs of one gateway, in parallel on one call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import grpc
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import DrainingError, failure_of
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.programs.programs import Programs
from dspy_sidecar.runs.running import Events, run

MEBIBYTE = 2**20
MAX_BATCH_BYTES = 4 * MEBIBYTE
"""Maximum size of a message of several events; a larger event has a message of its own."""

MAX_EVENT_BYTES = 31 * MEBIBYTE
"""Maximum size of an event.

The gateway takes messages of 32 MiB; a larger one would end the call with all of its runs."""


class Session:
    """Executes a gateway's commands and sends the events of its runs, in batches."""

    def __init__(self, programs: Programs, models: Models) -> None:
        self._programs = programs
        self._models = models
        self._runs: dict[int, tuple[asyncio.Task[None], Events]] = {}
        self._given_up: set[int] = set()
        """Runs that the gateway has cancelled or left, until the run's task has ended."""
        self._unsent: list[pb.RunEvent] = []
        self._has_changed = asyncio.Event()
        self._is_ending = False
        self.has_ended = asyncio.Event()
        """Set when every event has been sent."""

    def end(self) -> None:
        """Refuses further runs; the call ends when the runs in flight have ended."""
        self._is_ending = True
        self._has_changed.set()

    async def serve(
        self, requests: AsyncIterator[pb.RunProgramsRequest]
    ) -> AsyncGenerator[pb.RunProgramsResponse]:
        """Yields events until the gateway leaves; after `end`, until all events have been sent."""
        reading = asyncio.create_task(self._read(requests))
        try:
            while self._runs or self._unsent or not self._is_ending:
                await self._has_changed.wait()
                self._has_changed.clear()
                while self._unsent:
                    yield pb.RunProgramsResponse(events=self._next_batch())
        finally:
            reading.cancel()
            # The gateway has left: a run that ends now has no fault, and nobody to tell.
            self._given_up.update(self._runs)
            runs, self._runs = self._runs, {}
            for task, _ in runs.values():
                task.cancel()
            self.has_ended.set()

    async def _read(self, requests: AsyncIterator[pb.RunProgramsRequest]) -> None:
        async for request in requests:
            for command in request.commands:
                self._execute(command)
        self.end()

    def _execute(self, command: pb.RunCommand) -> None:
        number = command.run
        if command.HasField("start"):
            self._start(number, command.start)
        elif number in self._runs:
            task, events = self._runs[number]
            if command.HasField("cancel"):
                self._given_up.add(number)
                task.cancel()
            elif number not in self._given_up:
                events.acknowledge(command.taken)

    def _start(self, number: int, request: pb.Run) -> None:
        def tell(event: pb.RunEvent) -> None:
            if number in self._runs:
                self._tell(number, event)

        if self._is_ending:
            self._tell(number, pb.RunEvent(failure=failure_of(DrainingError())))
            return
        events = Events(tell)
        task = asyncio.create_task(self._run(number, request, events))
        self._runs[number] = (task, events)
        task.add_done_callback(lambda _: self._ended(number))

    async def _run(self, number: int, request: pb.Run, events: Events) -> None:
        try:
            has_definition = request.HasField("program")
            program = (
                self._programs.load(request.program)
                if has_definition
                else self._programs.get(request.program_id)
            )
            done = await run(program, self._models, request, events)
            events.tell(pb.RunEvent(done=done))
        except BaseException as error:
            # A run that the gateway cancelled has no fault; other cancellations are faults.
            if number not in self._given_up:
                events.tell(pb.RunEvent(failure=failure_of(error)))

    def _ended(self, number: int) -> None:
        if number in self._given_up:
            self._given_up.discard(number)
            # The gateway waits for this, since the trace of what the run has spent comes before.
            self._tell(number, pb.RunEvent(failure=CANCELLED))
        self._runs.pop(number, None)
        if self._is_ending:
            self._has_changed.set()

    def _tell(self, number: int, event: pb.RunEvent) -> None:
        event.run = number
        self._unsent.append(event)
        self._has_changed.set()

    def _next_batch(self) -> list[pb.RunEvent]:
        batch: list[pb.RunEvent] = []
        size = 0
        for event in self._unsent:
            own = event.ByteSize()
            if own > MAX_EVENT_BYTES:
                event = pb.RunEvent(run=event.run, failure=TOO_LARGE)
            elif batch and size + own > MAX_BATCH_BYTES:
                break
            size += own
            batch.append(event)
        del self._unsent[: len(batch)]
        return batch


CANCELLED = pb.Failure(
    code=grpc.StatusCode.CANCELLED.value[0], reason="CANCELLED", message="the run was cancelled"
)
TOO_LARGE = pb.Failure(
    code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0],
    reason="TOO_LARGE",
    message="the run's outputs are too large",
)
