"""A sidecar with several workers, as a process."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from process import SIDECAR
from programs import QUESTION, asked
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from worker import Worker

from dspy_sidecar.serving.workers import addresses


@asynccontextmanager
async def started(model, tmp_path, workers: int):
    """The process, and a stub for each worker."""
    first = f"unix:{tmp_path}/sidecar.sock"
    env = {
        **os.environ,
        "SIGRUN_LM": "openai/scripted",
        "SIGRUN_LM_API_BASE": model.url,
        "OPENAI_API_KEY": "test",
    }
    env["SIGRUN_WORKERS"] = str(workers)
    args = ["-m", "dspy_sidecar", "--listen", first, "--exit-with-stdin"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *args, cwd=SIDECAR, env=env, stdin=asyncio.subprocess.PIPE
    )
    channels = [grpc.aio.insecure_channel(address) for address in addresses(first, workers)]
    try:
        stubs = [Worker(channel) for channel in channels]
        for stub in stubs:
            await info(stub)
        yield process, stubs
    finally:
        for channel in channels:
            await channel.close()
        if process.returncode is None:
            process.stdin.close()
            await process.wait()


async def info(stub) -> pb.GetInfoResponse:
    """The worker's info; waits until it serves."""
    while True:
        try:
            return await stub.GetInfo(pb.GetInfoRequest(), wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            await asyncio.sleep(0.02)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pids: list[int]) -> None:
    while any(is_alive(pid) for pid in pids):
        await asyncio.sleep(0.02)


async def run(stub, made) -> pb.RunEvent:
    return [event async for event in stub.run(asked(made, **QUESTION))][-1]
