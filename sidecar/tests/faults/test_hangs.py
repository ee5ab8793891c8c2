"""A worker that hangs is killed and replaced, and its stack is in the log.

Each scenario waits for over 10 s, so all of them run at the same time.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from programs import capital
from worker_processes import children, gone, info, run, started

from dspy_sidecar.heartbeat import MAX_SILENCE_S

SCRIPT = Path(__file__).with_name("hanging_workers.py")


async def a_worker_that_hangs_is_replaced_and_its_stack_is_logged(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    try:
        logged = {}
        while len(logged) < 2:
            line = json.loads(await process.stderr.readline())
            if "stack" in line:
                logged[line["worker"]] = line
        assert {line["msg"] for line in logged.values()} == {"a worker hangs and is killed"}
        assert "in loop_for_ever" in logged[0]["stack"]
        assert "in hold_the_lock" in logged[1]["stack"]
        while len(list(tmp_path.iterdir())) < 5:
            await asyncio.sleep(0.05)
        # The worker that is well is still its first process.
        assert sorted(file.name[0] for file in tmp_path.iterdir()) == ["0", "0", "1", "1", "2"]
    finally:
        process.terminate()
        await process.wait()


async def no_worker_that_hangs_outlives_a_parent_that_is_killed(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), str(tmp_path), stderr=asyncio.subprocess.DEVNULL
    )
    while len(list(tmp_path.iterdir())) < 3:
        await asyncio.sleep(0.05)
    process.kill()
    await process.wait()
    async with asyncio.timeout(MAX_SILENCE_S):
        await gone([int(file.name[2:]) for file in tmp_path.iterdir()])


async def a_stopped_worker_is_replaced_and_the_others_go_on(model, tmp_path):
    async with started(model, tmp_path, 2) as (process, stubs):
        before = [await info(stub) for stub in stubs]
        first, _ = children(process.pid)
        os.kill(first, signal.SIGSTOP)
        began = time.monotonic()
        await gone([first])
        assert time.monotonic() - began > MAX_SILENCE_S - 2
        assert (await info(stubs[0])).boot_id != before[0].boot_id
        assert (await info(stubs[1])).boot_id == before[1].boot_id
        model.script({"answer": "Paris"})
        assert (await run(stubs[0], capital())).done.trace.token_usage.lm_calls == 1


async def nobody_is_killed_after_the_parent_itself_was_stopped(model, tmp_path):
    async with started(model, tmp_path, 2) as (process, stubs):
        before = [(await info(stub)).boot_id for stub in stubs]
        workers = children(process.pid)
        for pid in (process.pid, *workers):
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(MAX_SILENCE_S + 2)
        os.kill(process.pid, signal.SIGCONT)
        # The parent runs for a while before the workers do.
        await asyncio.sleep(MAX_SILENCE_S / 2)
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        assert [(await info(stub)).boot_id for stub in stubs] == before
        assert children(process.pid) == workers


SCENARIOS = [
    a_worker_that_hangs_is_replaced_and_its_stack_is_logged,
    no_worker_that_hangs_outlives_a_parent_that_is_killed,
    a_stopped_worker_is_replaced_and_the_others_go_on,
    nobody_is_killed_after_the_parent_itself_was_stopped,
]


@pytest_asyncio.fixture(scope="module")
async def running(model, tmp_path_factory) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """A task for each scenario, by its name."""
    tasks = {
        scenario.__name__: asyncio.create_task(
            scenario(*[model, tmp_path_factory.mktemp("hangs")][-scenario.__code__.co_argcount :])
        )
        for scenario in SCENARIOS
    }
    yield tasks
    for task in tasks.values():
        task.cancel()


@pytest.mark.parametrize("scenario", [scenario.__name__ for scenario in SCENARIOS])
async def test_a_worker_that_hangs(running, scenario):
    await running[scenario]
