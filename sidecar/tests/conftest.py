import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest_asyncio
from scripted_model import ScriptedModel
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from sigrun.sidecar.v1 import sidecar_service_pb2_grpc as pb_grpc

# As the process itself does, before DSPy is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
os.environ.setdefault("OPENAI_API_KEY", "test")

SIDECAR = Path(__file__).parent.parent


@pytest_asyncio.fixture(scope="session")
async def model() -> AsyncIterator[ScriptedModel]:
    scripted = ScriptedModel()
    runner = await scripted.start()
    yield scripted
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session")
async def work_dir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest_asyncio.fixture(scope="session")
async def sidecar(model: ScriptedModel, work_dir: Path, tmp_path_factory) -> AsyncIterator[pb_grpc.SidecarServiceStub]:
    """The real process, on a socket of its own."""
    address = f"unix:{tmp_path_factory.mktemp('s')}/sidecar.sock"
    env = {**os.environ, "SIGRUN_LM": "openai/scripted", "SIGRUN_LM_API_BASE": model.url, "OPENAI_API_KEY": "test"}
    env["SIGRUN_LM_ALLOWED"] = "openai/other"
    env["SIGRUN_WORKERS"] = "1"
    args = ["-m", "dspy_sidecar", "--listen", address, "--exit-with-stdin", "--work-dir", str(work_dir)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *args, cwd=SIDECAR, env=env, stdin=asyncio.subprocess.PIPE
    )
    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.SidecarServiceStub(channel)
        while True:
            try:
                await stub.GetInfo(pb.GetInfoRequest(), wait_for_ready=True)
                break
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                await asyncio.sleep(0.05)
        yield stub
    # The end of its stdin is the end of it.
    process.stdin.close()
    assert await process.wait() == 0
