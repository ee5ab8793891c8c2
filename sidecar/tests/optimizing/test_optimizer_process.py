import asyncio
import json
import os
import signal
import sys
import tempfile
import time

import grpc
import pytest
from optimizations import optimization_failure, optimized, request
from optimizer_processes import optimizers, until
from process import SIDECAR
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import CAPITALS, teachable
from worker import Worker

from dspy_sidecar.faults import BudgetExceededError
from dspy_sidecar.forks import Forks
from dspy_sidecar.heartbeat import PERIOD_S
from dspy_sidecar.optimizing import frames
from dspy_sidecar.optimizing.folders import MAX_AGE_S, Folders
from dspy_sidecar.optimizing.parent import GRACE_S, Optimizing, events


async def drain(call) -> None:
    async for _ in call:
        pass


async def test_cancelling_the_call_ends_the_process_and_its_requests(sidecar, model):
    model.script(None)
    given_up = model.given_up
    before = len(model.requests)
    call = sidecar.OptimizeProgram(request("COPRO"))
    reading = asyncio.ensure_future(drain(call))
    await until(lambda: len(model.requests) > before)
    assert len(optimizers(model.url)) == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until(lambda: not optimizers(model.url), 5)
    await until(lambda: model.given_up > given_up, 5)


async def test_cancelling_while_it_starts_ends_the_process(sidecar, model):
    call = sidecar.OptimizeProgram(request("COPRO"))
    await call.read()
    call.cancel()
    await until(lambda: not optimizers(model.url), 5)


async def test_a_killed_process_fails_the_call_as_interrupted(sidecar, model):
    model.script(None)
    before = len(model.requests)
    call = sidecar.OptimizeProgram(request("COPRO"))
    failing = asyncio.ensure_future(optimization_failure(call))
    await until(lambda: len(model.requests) > before)
    (process,) = optimizers(model.url)
    os.kill(process, signal.SIGKILL)
    code, reason, *_ = await failing
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "INTERRUPTED")


async def test_the_process_has_low_priority_and_a_group_of_its_own(sidecar, model):
    model.script(None)
    before = len(model.requests)
    call = sidecar.OptimizeProgram(request("COPRO"))
    reading = asyncio.ensure_future(drain(call))
    await until(lambda: len(model.requests) > before)
    (process,) = optimizers(model.url)
    assert os.getpriority(os.PRIO_PROCESS, process) >= 10
    assert os.getpgid(process) == process
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_process_that_goes_on_beyond_its_time_limit_fails_and_reports_each_second():
    stream = asyncio.StreamReader()

    async def beat() -> None:
        while True:
            stream.feed_data(frames.pack(frames.BEAT, b""))
            await asyncio.sleep(PERIOD_S)

    beating = asyncio.create_task(beat())
    began = time.monotonic()
    told = []
    with pytest.raises(BudgetExceededError):
        async for event in events(stream, began, 1):
            told.append(event)
    assert time.monotonic() - began >= 1 + GRACE_S
    assert len(told) >= 1 + GRACE_S - 2
    beating.cancel()


async def test_a_stopped_process_is_killed_and_fails_the_call_as_interrupted(sidecar, model):
    model.script(None)
    before = len(model.requests)
    failing = asyncio.ensure_future(optimization_failure(sidecar.OptimizeProgram(request("COPRO"))))
    await until(lambda: len(model.requests) > before)
    (process,) = optimizers(model.url)
    os.kill(process, signal.SIGSTOP)
    code, reason, *_ = await failing
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "INTERRUPTED")
    await until(lambda: not optimizers(model.url), 5)


async def test_the_process_dies_with_the_sidecar(model, tmp_path):
    address = f"unix:{tmp_path}/sidecar.sock"
    env = {
        **os.environ,
        "SIGRUN_LM": "openai/scripted",
        "SIGRUN_LM_API_BASE": model.url,
        "OPENAI_API_KEY": "test",
    }
    model.script(None)
    before = len(model.requests)
    args = ["-m", "dspy_sidecar", "--listen", address, "--work-dir", str(tmp_path)]
    own = await asyncio.create_subprocess_exec(sys.executable, *args, cwd=SIDECAR, env=env)
    async with grpc.aio.insecure_channel(address) as channel:
        stub = Worker(channel)
        reading = asyncio.ensure_future(
            drain(stub.OptimizeProgram(request("GEPA"), wait_for_ready=True))
        )
        await until(lambda: len(model.requests) > before)
        assert len(optimizers(model.url)) == 1
        own.kill()
        with pytest.raises(grpc.aio.AioRpcError):
            await reading
    await own.wait()
    await until(lambda: not optimizers(model.url), 5)


async def test_gepa_resumes_after_its_process_was_killed(sidecar, model, work_dir):
    def halting(asked: dict):
        """Proposes a prompt for five of ten; leaves the second reflection unanswered."""
        system, *others = asked["messages"]
        if "new_instruction" in str(system):
            reflections.append(asked)
            return (
                json.dumps({"new_instruction": "Be halfway sure."})
                if len(reflections) == 1
                else None
            )
        knows = "halfway" in str(system) and any(name in str(others) for name in list(CAPITALS)[:5])
        return teachable(
            {**asked, "messages": [{**system, "content": f"careful {system['content']}"}, *others]}
            if knows
            else asked
        )

    reflections: list[dict] = []
    model.script(halting)
    asked = request("GEPA", max_metric_calls=60)
    call = sidecar.OptimizeProgram(asked)
    failing = asyncio.ensure_future(optimization_failure(call))
    await until(lambda: len(reflections) == 2)
    folder = work_dir / "optimizations" / asked.optimization_id
    assert folder.stat().st_mode & 0o777 == 0o700
    kept = json.loads((folder / "candidates.json").read_text())
    (process,) = optimizers(model.url)
    os.kill(process, signal.SIGKILL)
    assert (await failing)[1] == "INTERRUPTED"

    before = len(model.requests)
    model.script(teachable)
    result, _ = await optimized(sidecar, asked)
    assert result.score == 1
    assert "Be halfway sure." in str(kept[1:])
    # The first reflection is on the killed process's best candidate.
    first = next(
        one for one in model.requests[before:] if "new_instruction" in str(one["messages"])
    )
    assert "Be halfway sure." in str(first["messages"])
    assert not folder.exists()


async def test_refuses_a_folder_that_is_not_private(tmp_path):
    (tmp_path / "optimizations").mkdir(mode=0o755)
    assert Folders(tmp_path).of("a-1") is None
    (tmp_path / "optimizations").rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "optimizations").symlink_to(tmp_path / "elsewhere")
    assert Folders(tmp_path).of("a-1") is None
    (tmp_path / "optimizations").unlink()
    assert Folders(tmp_path).of("../a") is None
    assert Folders(tmp_path).of("a-1") == tmp_path / "optimizations" / "a-1"


async def test_refuses_the_default_folder_if_another_user_made_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    usual = tmp_path / f"sigrun-sidecar-{os.getuid()}"
    assert Folders(None).of("a-1") == usual / "optimizations" / "a-1"
    usual.chmod(0o777)
    assert Folders(None).of("a-1") is None


async def test_abandoned_folders_are_removed(tmp_path):
    folders = Folders(tmp_path)
    old, new = folders.of("old"), folders.of("new")
    os.utime(old, (0, time.time() - MAX_AGE_S - 1))
    Optimizing(Forks(lambda: lambda *_: None), None, tmp_path)
    assert not old.exists()
    assert new.exists()


async def test_the_log_holds_no_values_of_examples(model, tmp_path):
    address = f"unix:{tmp_path}/sidecar.sock"
    env = {
        **os.environ,
        "SIGRUN_LM": "openai/scripted",
        "SIGRUN_LM_API_BASE": model.url,
        "OPENAI_API_KEY": "test",
    }
    model.script(
        lambda asked: "unreadable" if "Spain" in str(asked["messages"][-1]) else teachable(asked)
    )
    args = ["-m", "dspy_sidecar", "--listen", address, "--work-dir", str(tmp_path)]
    own = await asyncio.create_subprocess_exec(
        sys.executable, *args, cwd=SIDECAR, env=env, stderr=asyncio.subprocess.PIPE
    )
    async with grpc.aio.insecure_channel(address) as channel:
        stub = Worker(channel)
        await stub.GetInfo(pb.GetInfoRequest(), wait_for_ready=True)
        for optimizer in ("MIPROv2", "GEPA"):
            await drain(stub.OptimizeProgram(request(optimizer)))
    own.terminate()
    _, log = await own.communicate()
    lines = log.decode().splitlines()
    assert [line for line in lines if not line.startswith("{")] == []
    assert "Capital" not in log.decode()
