import asyncio
import json
import os
import sys

import grpc
from outcomes import failure
from process import SIDECAR
from programs import STR, asked, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from worker import Worker


async def test_the_embedded_models_answers_are_valid_and_it_ends_with_the_sidecar(
    tmp_path,
):
    address = f"unix:{tmp_path}/s.sock"
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIGRUN_")}
    args = ["-m", "dspy_sidecar", "--listen", address, "--exit-with-stdin"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *args, cwd=SIDECAR, env=env, stdin=asyncio.subprocess.PIPE
    )
    sig = signature(
        {"question": STR, "context": STR},
        {
            "answer": STR,
            "confidence": pb.Type(scalar=pb.SCALAR_FLOAT),
            "sources": pb.Type(list=pb.ListType(element=STR)),
        },
    )
    sig.outputs[1].constraints.min = 0
    sig.outputs[1].constraints.max = 1
    inputs = {"question": "What is rain?", "context": "Rain is water that falls from clouds."}
    async with grpc.aio.insecure_channel(address) as channel:
        stub = Worker(channel)
        while True:
            try:
                info = await stub.GetInfo(pb.GetInfoRequest(), wait_for_ready=True)
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
        assert info.default_model == "embedded/smollm2"
        for kind in ("Predict", "ChainOfThought"):
            seen = [event async for event in stub.run(asked(program(sig, kind), **inputs))]
            outputs = json.loads(seen[-1].done.outputs)
            assert isinstance(outputs["answer"], str) and 0 <= outputs["confidence"] <= 1
            assert seen[-1].done.trace.token_usage.output_tokens > 0
        long = {**inputs, "context": "rain " * 9_000}
        _, reason, *_ = await failure(stub.run(asked(program(sig), **long)))
        assert reason == "CONTEXT_WINDOW_EXCEEDED"

    child = await asyncio.create_subprocess_exec(
        "pgrep", "-P", str(process.pid), "-f", "embedded_server", stdout=asyncio.subprocess.PIPE
    )
    model_pid = int((await child.communicate())[0].split()[0])
    process.kill()
    await process.wait()
    while is_alive(model_pid):
        await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
