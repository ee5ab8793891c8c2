"""Forked workers all serve, dead ones are replaced, and none outlives its parent."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from programs import capital
from worker_processes import children, gone, info, run, started

from dspy_sidecar.serving.workers import addresses
from dspy_sidecar.settings import Settings, SettingsError


def own_megabytes(pid: int) -> float:
    """Memory that a process shares with no other, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def test_the_other_workers_addresses_follow_the_first_ones():
    assert addresses("127.0.0.1:50051", 3) == [
        "127.0.0.1:50051",
        "127.0.0.1:50052",
        "127.0.0.1:50053",
    ]
    assert addresses("[::1]:7", 2) == ["[::1]:7", "[::1]:8"]
    assert addresses("unix:/run/a.b/side.sock", 2) == [
        "unix:/run/a.b/side.sock",
        "unix:/run/a.b/side-1.sock",
    ]


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5"])
def test_refuses_a_number_of_workers_that_is_no_whole_number_from_1(wrong):
    with pytest.raises(SettingsError, match="SIGRUN_WORKERS must be a whole number from 1"):
        Settings.read({"SIGRUN_WORKERS": wrong})
    assert Settings.read({}).workers >= 1


async def test_all_workers_serve_and_each_further_one_takes_less_than_30_megabytes(model, tmp_path):
    model.script({"answer": "Paris"})
    made = capital()
    async with started(model, tmp_path, 4) as (process, stubs):
        infos = [await info(stub) for stub in stubs]
        assert [one.workers for one in infos] == [4] * 4
        assert len({one.boot_id for one in infos}) == 4
        for stub in stubs:
            await asyncio.gather(*(run(stub, made) for _ in range(50)))
        own = [own_megabytes(pid) for pid in children(process.pid)]
        assert len(own) == 4
        assert max(own) < 30, own


async def test_a_killed_worker_is_replaced_and_the_others_go_on(model, tmp_path):
    async with started(model, tmp_path, 2) as (process, stubs):
        before = [await info(stub) for stub in stubs]
        first, second = children(process.pid)
        os.kill(first, signal.SIGKILL)
        await gone([first])
        assert (await info(stubs[1])).boot_id == before[1].boot_id
        replaced = await info(stubs[0])
        assert replaced.boot_id != before[0].boot_id
        assert second in children(process.pid)
        model.script({"answer": "Paris"})
        assert (await run(stubs[0], capital())).done.trace.token_usage.lm_calls == 1


async def test_no_worker_outlives_a_parent_that_is_killed(model, tmp_path):
    async with started(model, tmp_path, 2) as (process, _):
        workers = children(process.pid)
        assert len(workers) == 2
        process.kill()
        await process.wait()
        await gone(workers)


@pytest.mark.parametrize("how", ["the end of stdin", "SIGTERM"])
async def test_in_flight_runs_end_before_the_workers_do(model, tmp_path, how):
    async with started(model, tmp_path, 2) as (process, stubs):
        workers = children(process.pid)
        answer = asyncio.Event()
        model.hold = answer
        model.script({"answer": "Paris"})
        asked_before = len(model.requests)
        runs = [asyncio.create_task(run(stub, capital())) for stub in stubs]
        while len(model.requests) < asked_before + 2:
            await asyncio.sleep(0.01)
        if how == "SIGTERM":
            process.terminate()
        else:
            process.stdin.close()
        answer.set()
        for event in await asyncio.gather(*runs):
            assert event.HasField("done")
        assert await process.wait() == 0
        await gone(workers)
    model.hold = None
