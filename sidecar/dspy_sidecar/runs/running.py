"""Runs a program, one DSPy context a call."""

import asyncio
from collections.abc import Callable
from typing import Any

import dspy
import orjson
from dspy.utils.exceptions import AdapterParseError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.json_values import json_of
from dspy_sidecar.models.fast_path import Direct
from dspy_sidecar.models.lm import Models
from dspy_sidecar.models.meter import Meter
from dspy_sidecar.programs.programs import LoadedProgram, Step
from dspy_sidecar.runs.streaming import Streaming, text_fields
from dspy_sidecar.scoring.metrics import Metrics

SCORING = "(metrics)"
"""The step of the requests that metrics make; no module can have that name."""

CHUNKS_AHEAD = 16
"""Of those that nobody has taken yet; what is written further is read when they are."""

Values = dict[str, dict[str, Any]]
"""By module ("" for the program's inputs), then by field."""


class Events:
    """What a run tells while it goes on. Chunks wait for room, so that a slow reader slows the reading of the model's answer.

    Args:
        tell: Takes an event at once.

    """

    def __init__(self, tell: Callable[[pb.RunEvent], None]) -> None:
        self.tell = tell
        self._room = CHUNKS_AHEAD
        self._has_room = asyncio.Event()

    async def send(self, chunk: pb.RunEvent) -> None:
        """Once there is room."""
        while self._room <= 0:
            self._has_room.clear()
            await self._has_room.wait()
        self._room -= 1
        self.tell(chunk)

    def taken(self, chunks: int) -> None:
        """So many of those that were sent."""
        self._room += chunks
        self._has_room.set()


async def run(program: LoadedProgram, models: Models, asked: pb.Run, events: Events) -> pb.Done:
    """Tells traces and chunks while it goes on, and gives the outputs."""
    meter = Meter(on_spent=lambda: events.tell(pb.RunEvent(trace=meter.trace)))
    streaming = Streaming(events.send, events.tell) if asked.chunks else None
    try:
        done = await answer(program, models, asked, meter, streaming)
    except BaseException:
        events.tell(pb.RunEvent(trace=meter.trace))
        raise
    done.trace.CopyFrom(meter.trace)
    return done


async def answer(
    program: LoadedProgram, models: Models, asked: pb.Run, meter: Meter, streaming: Streaming | None
) -> pb.Done:
    """The outputs, with their scores where the run asks for them."""
    outputs = await steps(program, models, asked, meter, streaming)
    done = pb.Done(outputs=json_of(outputs))
    if asked.scoring.metrics:
        done.metric_scores.extend(await scores(program, models, asked, outputs, meter))
    return done


async def scores(
    program: LoadedProgram, models: Models, asked: pb.Run, outputs: dict[str, Any], meter: Meter
) -> list[float]:
    """One for each metric of the run."""
    metrics = Metrics(program.own, asked.scoring.metrics)
    # The run's own settings are what is tried; a judge must be the same for all that is.
    lm, adapter = models.choose(program.lm)
    if metrics.needs_model:
        meter.begin(SCORING)
    with dspy.context(
        lm=lm, adapter=adapter, usage_tracker=meter, callbacks=[], disable_history=True, trace=None
    ):
        expected = orjson.loads(asked.scoring.expected or b"{}")
        try:
            verdicts = await metrics.acall(orjson.loads(asked.inputs), expected, outputs)
        finally:
            if metrics.needs_model:
                meter.end(None)
    return [verdict.score for verdict in verdicts]


async def steps(
    program: LoadedProgram, models: Models, asked: pb.Run, meter: Meter, streaming: Streaming | None
) -> dict[str, Any]:
    """Runs each module on what it is wired to, and gives the program's outputs."""
    values: Values = {"": orjson.loads(asked.inputs)}
    callbacks = [streaming] if streaming else []
    for step in program.steps:
        lm, adapter = models.choose(program.lm, step.lm, asked.lm)
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
            direct = None if streaming else step.directs.to(lm, adapter)
            values[step.name] = await outputs_of(step, direct, values, meter)
            if streaming:
                await streaming.end(values[step.name])
    return {output: values[module][field] for output, module, field in program.outputs}


async def outputs_of(
    step: Step, direct: Direct | None, values: Values, meter: Meter
) -> dict[str, Any]:
    """What one module makes of its inputs."""
    inputs = {name: values[module][field] for name, module, field in step.wires}
    try:
        outputs = await direct.answer(inputs, meter) if direct else None
        if outputs is None:
            outputs = dict((await step.module.acall(**inputs)).items())
    except AdapterParseError as error:
        meter.end(None)
        raise OutputUnreadableError from error
    except BaseException:
        meter.end(None)
        raise
    meter.end(outputs)
    return outputs
