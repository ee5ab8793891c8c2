"""A client of a worker as the gateway is: all runs in parallel on one call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from sigrun.sidecar.v1 import sidecar_service_pb2_grpc as pb_grpc


class RunFailed(Exception):
    def __init__(self, failure: pb.Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Worker:
    """The stub's methods, and `run`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.SidecarServiceStub(channel)
        self._session: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._runs: dict[int, asyncio.Queue[pb.RunEvent | None]] = {}
        self._last = 0
        self._writing = asyncio.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stub, name)

    def run(self, asked: pb.Run) -> "Run":
        return Run(self, asked)

    async def command(self, **command: Any) -> None:
        # gRPC takes one write at a time.
        async with self._writing:
            await self._session.write(pb.RunProgramsRequest(commands=[pb.RunCommand(**command)]))

    async def start(self, asked: pb.Run) -> tuple[int, asyncio.Queue[pb.RunEvent | None]]:
        if self._reading is None or self._reading.done():
            self._session = self._stub.RunPrograms()
            self._reading = asyncio.create_task(self._read())
        self._last += 1
        number = self._last
        events = self._runs[number] = asyncio.Queue()
        await self.command(run=number, start=asked)
        return number, events

    async def _read(self) -> None:
        try:
            async for response in self._session:
                for event in response.events:
                    self._runs[event.run].put_nowait(event)
        except grpc.aio.AioRpcError:
            pass
        finally:
            # A gateway takes the end of the call for the loss of the worker.
            for events in self._runs.values():
                events.put_nowait(
                    pb.RunEvent(failure=pb.Failure(code=grpc.StatusCode.UNAVAILABLE.value[0]))
                )


class Run:
    """The events of a run, which starts at once. Iterating raises RunFailed if the run fails."""

    def __init__(self, worker: Worker, asked: pb.Run) -> None:
        self._worker = worker
        self._started = asyncio.ensure_future(worker.start(asked))
        self._cancelling: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        self._cancelling = asyncio.create_task(self._cancel())

    async def _cancel(self) -> None:
        number, events = await self._started
        await self._worker.command(run=number, cancel=pb.Cancel())
        events.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[pb.RunEvent]:
        number, events = await self._started
        while event := await events.get():
            if event.HasField("failure"):
                raise RunFailed(event.failure)
            yield event
            if event.HasField("done"):
                return
            if event.HasField("chunk"):
                await self._worker.command(run=number, taken=1)
        raise asyncio.CancelledError
