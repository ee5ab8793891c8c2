import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from dspy.dsp.utils.settings import DEFAULT_CONFIG
from optimizations import examples, request
from optimizer_processes import until
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import teachable

from dspy_sidecar.optimizing.budget import Budget, BudgetSpentError


@pytest.mark.parametrize("threads", [0, 3])
async def test_the_scores_ask_for_as_many_examples_at_once_as_there_are_threads(
    sidecar, model, threads
):
    expected = threads or DEFAULT_CONFIG.num_threads
    model.script(teachable)
    model.hold, model.most_open = asyncio.Event(), 0
    asked = request("LabeledFewShot", k=2)
    asked.threads, asked.budget.time_ms = threads, 60_000
    del asked.valset[:]
    asked.valset.extend(examples(0, 16))
    steps, kind = 0, None
    async for event in sidecar.OptimizeProgram(asked):
        kind = event.WhichOneof("event")
        # A further request would have come within two steps, which are up to a second each.
        steps += model.open >= expected
        if steps == 2:
            model.hold.set()
    model.hold = None
    assert (kind, model.most_open) == ("result", expected)


async def test_a_module_that_asks_from_threads_of_its_own_waits_for_its_turn():
    budget = Budget(pb.Budget(), time.monotonic())
    budget.limit_requests(2)
    release, begun = asyncio.Event(), []

    async def ask() -> str:
        begun.append(1)
        while not release.is_set():
            await asyncio.sleep(0.001)
        return "done"

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(budget.spend, ask, 1) for _ in range(6)]
        await until(lambda: budget._calls_in_flight == 6 and len(begun) >= 2)
        assert len(begun) == 2
        release.set()
        assert [one.result() for one in asked] == ["done"] * 6


async def test_a_request_that_never_had_its_turn_costs_nothing():
    budget = Budget(pb.Budget(time_ms=2000), time.monotonic())
    budget.limit_requests(1)

    async def ask() -> None:
        await asyncio.sleep(60)

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(budget.spend, ask, 1) for _ in range(3)]
        for one in asked:
            with pytest.raises(BudgetSpentError):
                await asyncio.to_thread(one.result)
    assert budget.usage.lm_calls == 1
