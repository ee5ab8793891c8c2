"""The methods of the sidecar's gRPC service."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing

import dspy
import grpc
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from sigrun.sidecar.v1 import sidecar_service_pb2_grpc as pb_grpc

from dspy_sidecar.faults import NotWarmError, abort
from dspy_sidecar.long_texts import in_thread_if_long
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.optimizing.parent import Optimizing
from dspy_sidecar.programs.foreign_states import refuse_foreign
from dspy_sidecar.programs.programs import Programs
from dspy_sidecar.programs.source.export import exported
from dspy_sidecar.serving.session import Session
from dspy_sidecar.settings import Settings
from dspy_sidecar.tools.tools import toolbox


class Servicer(pb_grpc.SidecarServiceServicer):
    """Answers the gateway. Every exception ends its call, or its run, with a fault."""

    def __init__(
        self, settings: Settings, models: Models, programs: Programs, optimizing: Optimizing
    ) -> None:
        self.is_warm = False
        self._boot_id = secrets.token_hex(8)
        self._settings = settings
        self._models = models
        self._programs = programs
        self._optimizing = optimizing
        self._sessions: set[Session] = set()
        self._is_draining = False

    async def GetInfo(
        self, request: pb.GetInfoRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetInfoResponse:
        """Tells versions, models and tools; NotWarmError until the model is warm."""
        if not self.is_warm:
            await abort(context, NotWarmError())
        return pb.GetInfoResponse(
            dspy_version=dspy.__version__,
            default_model=self._settings.default_model,
            allowed_models=self._settings.allowed_models,
            workers=self._settings.workers,
            boot_id=self._boot_id,
            tools=[pb.Tool(name=tool.name, description=tool.desc) for tool in toolbox().all()],
            tool_servers_away=toolbox().unreachable(),
        )

    async def LoadProgram(
        self, request: pb.LoadProgramRequest, context: grpc.aio.ServicerContext
    ) -> pb.LoadProgramResponse:
        """Builds and caches a program."""
        try:
            if request.is_import:
                refuse_foreign(request.program)
            return pb.LoadProgramResponse(type=self._programs.load(request.program).type)
        except Exception as error:
            await abort(context, error)
            raise

    async def ExportProgram(
        self, request: pb.ExportProgramRequest, context: grpc.aio.ServicerContext
    ) -> pb.ExportProgramResponse:
        """Writes a program as Python source."""
        try:
            # Builds the modules and loads the state: 30 ms of CPU for each MiB of it.
            source, state = await in_thread_if_long(
                len(request.program.compiled_state),
                lambda: exported(request.program, request.handle),
            )
            return pb.ExportProgramResponse(source=source, compiled_state=state)
        except Exception as error:
            await abort(context, error)
            raise

    async def RunPrograms(
        self, requests: AsyncIterator[pb.RunProgramsRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.RunProgramsResponse]:
        """Runs a gateway's programs until the call ends."""
        session = Session(self._programs, self._models)
        if self._is_draining:
            session.end()
        self._sessions.add(session)
        try:
            async with aclosing(session.serve(requests)) as responses:
                async for response in responses:
                    yield response
        finally:
            self._sessions.remove(session)

    async def drain(self) -> None:
        """Refuses further runs, and waits until the runs in flight have sent their last events."""
        self._is_draining = True
        for session in self._sessions:
            session.end()
        await asyncio.gather(*(session.has_ended.wait() for session in self._sessions))

    async def OptimizeProgram(
        self, request: pb.OptimizeProgramRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.OptimizeProgramResponse]:
        """Optimizes a program in a process, which is killed if the call ends before."""
        try:
            async with aclosing(self._optimizing.optimize(request)) as events:
                async for event in events:
                    yield event
        except Exception as error:
            await abort(context, error)

    async def ListPrograms(
        self, request: pb.ListProgramsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListProgramsResponse:
        """Lists the cached programs."""
        programs = [
            pb.LoadedProgram(id=p.id, type=p.type, signature=p.signature.name)
            for p in self._programs.all()
        ]
        return pb.ListProgramsResponse(programs=programs)
