"""Runs a program, one DSPy context a call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dspy
import orjson
from dspy.utils.exceptions import AdapterParseError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.json_values import json_of
from dspy_sidecar.lm import Models
from dspy_sidecar.meter import Meter
from dspy_sidecar.metrics import Metrics
from dspy_sidecar.programs import LoadedProgram, Step
from dspy_sidecar.streaming import Streaming, text_fields

SCORING = "(metrics)"
"""The step of the requests that metrics make; no module can have that name."""

CHUNKS_AHEAD = 16
"""Of those that nobody has taken yet; what is written further is read when they are."""

Values = dict[str, dict[str, Any]]
"""By module ("" for the program's inputs), then by field."""


class Events:
    """What a run tells while it goes on. Chunks wait for room, so that a slow reader slows the reading of the model's answer."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[pb.RunProgramResponse | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(CHUNKS_AHEAD)

    def tell(self, event: pb.RunProgramResponse | None) -> None:
        """Without waiting. None is the last."""
        self._queue.put_nowait(event)

    async def send(self, chunk: pb.RunProgramResponse) -> None:
        """Once there is room."""
        await self._room.acquire()
        self._queue.put_nowait(chunk)

    async def __aiter__(self) -> AsyncIterator[pb.RunProgramResponse]:
        while (event := await self._queue.get()) is not None:
            yield event
            if event.HasField("chunk"):
                self._room.release()


async def run(
    program: LoadedProgram, models: Models, request: pb.RunProgramRequest
) -> AsyncIterator[pb.RunProgramResponse]:
    """Yields traces and chunks while it goes on, then the outputs; leaving the iteration cancels the request to the model."""
    events = Events()
    meter = Meter(on_spent=lambda: events.tell(pb.RunProgramResponse(trace=meter.trace())))
    streaming = Streaming(events.send, events.tell) if request.chunks else None
    task = asyncio.create_task(answer(program, models, request, meter, streaming))
    task.add_done_callback(lambda _: events.tell(None))
    try:
        async for event in events:
            yield event
        if task.exception() is not None:
            yield pb.RunProgramResponse(trace=meter.trace())
        done = task.result()
        done.trace.CopyFrom(meter.trace())
        yield pb.RunProgramResponse(done=done)
    finally:
        task.cancel()


async def answer(
    program: LoadedProgram, models: Models, request: pb.RunProgramRequest, meter: Meter, streaming: Streaming | None
) -> pb.Done:
    """The outputs, with their scores where the request asks for them."""
    outputs = await steps(program, models, request, meter, streaming)
    done = pb.Done(outputs=json_of(outputs))
    if request.scoring.metrics:
        done.metric_scores.extend(await scores(program, models, request, outputs, meter))
    return done


async def scores(
    program: LoadedProgram, models: Models, request: pb.RunProgramRequest, outputs: dict[str, Any], meter: Meter
) -> list[float]:
    """One for each metric of the request."""
    metrics = Metrics(program.own, request.scoring.metrics)
    # The run's own settings are what is tried; a judge must be the same for all that is.
    lm, adapter = models.choose(program.lm)
    if metrics.needs_model:
        meter.begin(SCORING)
    with dspy.context(lm=lm, adapter=adapter, usage_tracker=meter, callbacks=[], disable_history=True, trace=None):
        expected = orjson.loads(request.scoring.expected or b"{}")
        try:
            verdicts = await metrics.acall(orjson.loads(request.inputs), expected, outputs)
        finally:
            if metrics.needs_model:
                meter.end(None)
    return [verdict.score for verdict in verdicts]


async def steps(
    program: LoadedProgram, models: Models, request: pb.RunProgramRequest, meter: Meter, streaming: Streaming | None
) -> dict[str, Any]:
    """Runs each module on what it is wired to, and gives the program's outputs."""
    values: Values = {"": orjson.loads(request.inputs)}
    callbacks = [streaming] if streaming else []
    for step in program.steps:
        lm, adapter = models.choose(program.lm, step.lm, request.lm)
        # Nothing of a caller's may stay behind: no history, no trace.
        with dspy.context(
            lm=lm,
            adapter=adapter,
            usage_tracker=meter,
            callbacks=callbacks,
            send_stream=streaming,
            disable_history=True,
            trace=None,
        ):
            meter.begin(step.name)
            if streaming:
                streaming.begin(step.name, text_fields(step.module))
            values[step.name] = await outputs_of(step, values, meter)
            if streaming:
                await streaming.end(values[step.name])
    return {output: values[module][field] for output, module, field in program.outputs}


async def outputs_of(step: Step, values: Values, meter: Meter) -> dict[str, Any]:
    """What one module makes of its inputs."""
    inputs = {name: values[module][field] for name, module, field in step.wires}
    try:
        prediction = await step.module.acall(**inputs)
    except AdapterParseError as error:
        meter.end(None)
        raise OutputUnreadableError from error
    except BaseException:
        meter.end(None)
        raise
    outputs = dict(prediction.items())
    meter.end(outputs)
    return outputs
