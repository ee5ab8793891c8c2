"""However an optimization ends, its process ends, and the worker has none of its pipes open."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path

import grpc
from optimizations import optimization_failure, request
from optimizer_processes import optimizers, until
from process import running, scripted
from teachable_model import teachable
from worker_processes import children, started

from dspy_sidecar.forks import Forks
from dspy_sidecar.optimizing.process import Process


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def leave_after(stub, seconds: float) -> None:
    call = stub.OptimizeProgram(request("LabeledFewShot"))

    async def read() -> None:
        async for _ in call:
            pass

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(seconds)
    call.cancel()
    with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
        await reading


async def test_callers_that_leave_at_any_time_leave_no_process_and_no_descriptor(model, tmp_path):
    model.script(teachable)
    async with started(model, tmp_path, 1) as (process, (stub,)):
        (worker,) = [pid for pid in children(process.pid) if pid not in optimizers(model.url)]
        await leave_after(stub, 5)
        await until(lambda: not optimizers(model.url))
        before = descriptors(worker)
        await asyncio.gather(*(leave_after(stub, step * 0.02) for step in range(20)))
        await until(lambda: not optimizers(model.url))
        await until(lambda: descriptors(worker) <= before, 10)


async def test_a_caller_that_leaves_at_any_step_of_the_start_leaves_no_descriptor():
    forks = Forks(lambda: lambda *_: None)
    await asyncio.sleep(0)
    before = descriptors(os.getpid())
    for steps in range(8):
        process = Process(forks, None, None)
        sending = asyncio.ensure_future(process.send(request("COPRO")))
        for _ in range(steps):
            await asyncio.sleep(0)
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        process.close()
        await asyncio.sleep(0.01)
        assert descriptors(os.getpid()) == before, steps


async def test_a_process_that_can_not_begin_ends_at_once_as_interrupted(model, tmp_path):
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {}}))
    async with running({**scripted(model.url), "SIGRUN_MCP_SERVERS": str(file)}) as stub:
        file.write_text("no JSON")
        code, reason, *_ = await optimization_failure(stub.OptimizeProgram(request("COPRO")))
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "INTERRUPTED")
