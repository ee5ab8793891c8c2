"""Requests to optimize, as the gateway would send them, and their outcomes."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from programs import capital
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import CAPITALS


def examples(begin: int, end: int) -> list[pb.Example]:
    return [
        pb.Example(
            inputs=json.dumps({"question": f"Capital of {country}?"}).encode(),
            outputs=json.dumps({"answer": city}).encode(),
        )
        for country, city in list(CAPITALS.items())[begin:end]
    ]


def request(
    optimizer: str, made: pb.Program | None = None, **config: Any
) -> pb.OptimizeProgramRequest:
    """Ten examples to learn from, six for the scores."""
    made = made or capital()
    return pb.OptimizeProgramRequest(
        optimization_id=made.id,
        program=made,
        optimizer=optimizer,
        config=json.dumps(config).encode(),
        metrics=[pb.Metric(name="exact_match", weight=1)],
        trainset=examples(0, 10),
        valset=examples(10, 16),
    )


async def optimized(
    sidecar, asked: pb.OptimizeProgramRequest
) -> tuple[pb.OptimizationResult, list]:
    """The result, and the progress on the way."""
    events = [event async for event in sidecar.OptimizeProgram(asked)]
    assert [event.WhichOneof("event") for event in events[-2:]] == ["progress", "result"]
    return events[-1].result, [event.progress for event in events[:-1]]


def asked_about(model, before: int, of: list[pb.Example]) -> int:
    """Requests to the model whose own question, not a demo or a summary, is one of these."""
    questions = [json.loads(example.inputs)["question"] for example in of]
    return sum(any(q in str(one["messages"]) for q in questions) for one in model.requests[before:])


async def optimization_failure(call):
    """The code, the ErrorInfo's reason, the message, and the progress that came before."""
    seen = []
    async with asyncio.timeout(120):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for event in call:
                seen.append(event.progress)
    info = error_details_pb2.ErrorInfo()
    rpc_status.from_call(raised.value).details[0].Unpack(info)
    return raised.value.code(), info.reason, raised.value.details(), seen
