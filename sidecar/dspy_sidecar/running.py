"""Runs a program, one DSPy context a call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dspy
import orjson
from dspy.utils.exceptions import AdapterParseError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.lm import Models
from dspy_sidecar.meter import Meter
from dspy_sidecar.programs import LoadedProgram, Step

Values = dict[str, dict[str, Any]]
"""By module ("" for the program's inputs), then by field."""


async def run(
    program: LoadedProgram, models: Models, request: pb.RunProgramRequest
) -> AsyncIterator[pb.RunProgramResponse]:
    """Yields traces while it goes on, then the outputs; leaving the iteration cancels the request to the model."""
    events: asyncio.Queue[pb.RunProgramResponse | None] = asyncio.Queue()
    meter = Meter(on_spent=lambda: events.put_nowait(pb.RunProgramResponse(trace=meter.trace())))
    task = asyncio.create_task(steps(program, models, request, meter))
    task.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        if task.exception() is not None:
            yield pb.RunProgramResponse(trace=meter.trace())
        outputs = orjson.dumps(task.result(), option=orjson.OPT_NON_STR_KEYS)
        yield pb.RunProgramResponse(done=pb.Done(outputs=outputs, trace=meter.trace()))
    finally:
        task.cancel()


async def steps(program: LoadedProgram, models: Models, request: pb.RunProgramRequest, meter: Meter) -> dict[str, Any]:
    """Runs each module on what it is wired to, and gives the program's outputs."""
    values: Values = {"": orjson.loads(request.inputs)}
    for step in program.steps:
        lm, adapter = models.choose(program.lm, step.lm, request.lm)
        # Nothing of a caller's may stay behind: no history, no trace.
        with dspy.context(
            lm=lm, adapter=adapter, usage_tracker=meter, callbacks=[meter], disable_history=True, trace=None
        ):
            meter.begin(step.name)
            values[step.name] = await outputs_of(step, values, meter)
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
