"""The outcomes of runs: outputs, failures, chunks."""

import grpc
import pytest
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from worker import RunFailed


async def events(call):
    return [event async for event in call]


async def done(call) -> pb.Done:
    return (await events(call))[-1].done


async def failure(call):
    """The code, the reason, the retry delay, the message, and the traces that came before."""
    seen = []
    with pytest.raises(RunFailed) as raised:
        async for event in call:
            seen.append(event.trace)
    failed = raised.value.failure
    code = next(code for code in grpc.StatusCode if code.value[0] == failed.code)
    return code, failed.reason, failed.retry_after_s, failed.message, seen


async def streamed(call) -> tuple[list[pb.RunEvent], pb.Done]:
    events = [event async for event in call]
    return events, events[-1].done


def chunk_texts(events) -> dict[str, str]:
    """The text of each field: its chunks since the last reset, joined."""
    fields: dict[str, str] = {}
    for event in events:
        if event.HasField("reset"):
            fields = {}
        if event.HasField("chunk"):
            fields[event.chunk.field] = fields.get(event.chunk.field, "") + event.chunk.text
    return fields
