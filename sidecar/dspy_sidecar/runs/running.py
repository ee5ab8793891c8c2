"""Runs a program, with a DSPy context for each module."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.json_values import json_of
from dspy_sidecar.long_texts import in_thread_if_long, loads, loads_without_collector
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.models.fast_path import FastPath
from dspy_sidecar.models.meter import Meter
from dspy_sidecar.models.retries import DEADLINE
from dspy_sidecar.models.unreadable import characters_of, refusals_told
from dspy_sidecar.programs.programs import LoadedProgram, Step
from dspy_sidecar.runs.streaming import Streaming, text_fields
from dspy_sidecar.scoring.metrics import Metrics
from dspy_sidecar.values.violations import RefusedError

METRICS_STEP = "(metrics)"
"""The step of the metrics' requests to the model; no module can have that name."""

MAX_UNACKNOWLEDGED_CHUNKS = 16
"""Flow-control window: unacknowledged chunks of a run before its model's stream is paused."""

Values = dict[str, dict[str, Any]]
"""Values by module ("" for the program's inputs), then by field."""


class Events:
    """The events of a run. Chunks are under flow control.

    Args:
        tell: Sends an event and does not wait.

    """

    def __init__(self, tell: Callable[[pb.RunEvent], None]) -> None:
        self.tell = tell
        self._room = MAX_UNACKNOWLEDGED_CHUNKS
        self._has_room = asyncio.Event()

    async def send_chunk(self, chunk: pb.RunEvent) -> None:
        """Sends a chunk as soon as the flow-control window has room."""
        while self._room <= 0:
            self._has_room.clear()
            await self._has_room.wait()
        self._room -= 1
        self.tell(chunk)

    def acknowledge(self, chunks: int) -> None:
        """Makes room for as many further chunks, since the gateway has handed those on."""
        self._room += chunks
        self._has_room.set()


async def run(program: LoadedProgram, models: Models, request: pb.Run, events: Events) -> pb.Done:
    """Runs a program and gives its outputs; sends traces and chunks meanwhile.

    Raises:
        OutputUnreadableError: A model's answer can't be parsed as its module's outputs.
        OutputTruncatedError: A model's answer was cut off before all outputs had ended.
        Exception: Any fault of the models or modules, after an event with the trace so far.

    """
    if request.time_left_ms:
        # Each run has a task, and so a context, of its own.
        DEADLINE.set(time.monotonic() + request.time_left_ms / 1000)
    meter = Meter(on_spent=lambda: events.tell(pb.RunEvent(trace=meter.trace)))
    streaming = Streaming(events.send_chunk, events.tell) if request.chunks else None
    try:
        done = await outputs_and_scores(program, models, request, meter, streaming)
    except BaseException:
        events.tell(pb.RunEvent(trace=meter.trace))
        raise
    done.trace.CopyFrom(meter.trace)
    return done


async def outputs_and_scores(
    program: LoadedProgram,
    models: Models,
    request: pb.Run,
    meter: Meter,
    streaming: Streaming | None,
) -> pb.Done:
    """The outputs of a run, with their scores if the request has metrics.

    Outputs that the gateway refuses get no scores: their run fails.
    """
    outputs = await run_steps(program, models, request, meter, streaming)
    done = pb.Done(outputs=json_of(outputs))
    if request.scoring.metrics:
        try:
            coerced = program.check.coerced(outputs)
        except RefusedError:
            return done
        done.metric_scores.extend(await scores(program, models, request, coerced, meter))
    return done


async def scores(
    program: LoadedProgram, models: Models, request: pb.Run, outputs: dict[str, Any], meter: Meter
) -> list[float]:
    """The scores of the outputs, from 0 to 1: one for each metric of the request."""
    metrics = Metrics(program.signature, request.scoring.metrics)
    # A judge uses the program's model, not the run's, so that runs with different models compare.
    lm, adapter = models.choose(program.lm)
    if metrics.needs_model:
        meter.begin(METRICS_STEP)
    with dspy.context(
        lm=lm, adapter=adapter, usage_tracker=meter, callbacks=[], disable_history=True, trace=None
    ):
        expected = await loads(request.scoring.expected or b"{}")
        try:
            inputs = await inputs_of(program, request)
            verdicts = await metrics.acall(inputs, expected, outputs)
        finally:
            if metrics.needs_model:
                meter.end(None)
    return [verdict.score for verdict in verdicts]


async def run_steps(
    program: LoadedProgram,
    models: Models,
    request: pb.Run,
    meter: Meter,
    streaming: Streaming | None,
) -> dict[str, Any]:
    """Runs the modules in order, and gives the program's outputs by name."""
    values: Values = {"": await inputs_of(program, request)}
    callbacks = [streaming] if streaming else []
    for step in program.steps:
        layers = (program.lm, step.lm, request.lm)
        lm, adapter = models.choose(*layers)
        # No values of a caller may stay in memory after the run: no history, no trace.
        with dspy.context(
            lm=lm,
            adapter=adapter,
            lms={role: models.choose(*layers, own)[0] for role, own in step.lms.items()},
            usage_tracker=meter,
            callbacks=callbacks,
            send_stream=streaming,
            disable_history=True,
            trace=None,
            # The gateway has checked the types. DSPy would write a value that it finds wrong into
            # the log, such as every dict with int keys, which are texts in JSON.
            warn_on_type_mismatch=False,
        ):
            meter.begin(step.name)
            if streaming:
                streaming.begin(step.name, text_fields(step.module))
            fast_path = None if streaming else step.fast_paths.find(lm, adapter)
            values[step.name] = await outputs_of(program, step, fast_path, values, meter)
            if streaming:
                await streaming.end(values[step.name])
    return {output: values[module][field] for output, module, field in program.outputs}


async def inputs_of(program: LoadedProgram, request: pb.Run) -> dict[str, Any]:
    """The inputs of a run, with the Python types that the signature says."""
    data = request.inputs
    return await in_thread_if_long(
        len(data), lambda: program.numbers.made_in(loads_without_collector(data))
    )


async def outputs_of(
    program: LoadedProgram,
    step: Step,
    fast_path: FastPath | None,
    values: Values,
    meter: Meter,
) -> dict[str, Any]:
    """Runs one module on the values that it is wired to, and gives its outputs by name.

    `fast_path` is the module's fast path; without one, or if it gives None, DSPy runs the module.
    """
    inputs = step.inputs_from(values)
    try:
        outputs = await fast_path.answer(inputs, meter) if fast_path else None
        if outputs is None:
            outputs = dict((await step.module.acall(**inputs)).items())
    except AdapterParseError as error:
        meter.end(None)
        unreadable, names = error, program.output_names(step.name)
        refusals = await in_thread_if_long(
            characters_of(error), lambda: refusals_told(unreadable, names)
        )
        raise OutputUnreadableError(refusals) from error
    except BaseException:
        meter.end(None)
        raise
    meter.end(outputs)
    return outputs
