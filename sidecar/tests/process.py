"""The real sidecar, as a process."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from worker import Worker

SIDECAR = Path(__file__).parent.parent


@asynccontextmanager
async def running(env: dict[str, str], *more: str) -> AsyncIterator[Worker]:
    """A sidecar on a socket of its own; it ends when its stdin is closed."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/sidecar.sock"
        args = ["-m", "dspy_sidecar", "--listen", address, "--exit-with-stdin", *more]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *args,
            cwd=SIDECAR,
            env={**os.environ, **env},
            stdin=asyncio.subprocess.PIPE,
        )
        async with grpc.aio.insecure_channel(address) as channel:
            stub = Worker(channel)
            while True:
                try:
                    await stub.GetInfo(pb.GetInfoRequest(), wait_for_ready=True)
                    break
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE
                    await asyncio.sleep(0.05)
            yield stub
        process.stdin.close()
        assert await process.wait() == 0


def scripted(url: str) -> dict[str, str]:
    """The settings that lead to a scripted model."""
    return {
        "SIGRUN_LM": "openai/scripted",
        "SIGRUN_LM_API_BASE": url,
        "OPENAI_API_KEY": "test",
        "SIGRUN_WORKERS": "1",
    }
