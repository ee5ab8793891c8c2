import asyncio
import json
import time
from contextlib import suppress

import dspy
import grpc
import pytest
import pytest_asyncio
from dspy.utils.exceptions import AdapterParseError
from optimizations import optimization_failure, optimized, request
from optimizer_processes import until
from programs import capital
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import teachable, wavering

from dspy_sidecar.models.choosing import Models
from dspy_sidecar.optimizing.budget import Budget
from dspy_sidecar.optimizing.spending import budgeted
from dspy_sidecar.settings import Settings

TOKENS = 42
"""Of each request to the scripted model."""

ENDLESS_S = 120
"""Far more than any of these takes on a busy machine, and far less than a silent model would."""


@pytest_asyncio.fixture(scope="module")
async def time_ms(sidecar, model) -> int:
    """A time limit in which an optimizer starts on this machine, and has time left to search."""
    model.script(None)
    before, began = len(model.requests), time.monotonic()
    call = sidecar.OptimizeProgram(request("COPRO"))
    reading = asyncio.ensure_future(optimization_failure(call))
    await until(lambda: len(model.requests) > before)
    start_s = time.monotonic() - began
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    return round(1_000 * (2 + 3 * start_s))


def bounded(optimizer: str, budget: pb.Budget, **config) -> pb.OptimizeProgramRequest:
    asked = request(optimizer, **config)
    asked.budget.CopyFrom(budget)
    return asked


ENDLESS = [
    ("lm_calls", "BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 30}),
    ("lm_calls", "MIPROv2", {"auto": "heavy"}),
    ("lm_calls", "COPRO", {"breadth": 10, "depth": 10}),
    ("lm_calls", "GEPA", {"max_metric_calls": 2000}),
    ("lm_calls", "InferRules", {"num_candidates": 90}),
    (
        "lm_calls",
        "BetterTogether",
        {"optimizers": {"p": {"name": "COPRO"}}, "strategy": "p -> p", "valset_ratio": 0.2},
    ),
    ("tokens", "MIPROv2", {"auto": "heavy"}),
    ("tokens", "COPRO", {"breadth": 10, "depth": 10}),
]


@pytest.mark.parametrize(("bound", "optimizer", "config"), ENDLESS)
async def test_a_spent_budget_ends_the_search_with_the_best_so_far(
    sidecar, model, bound, optimizer, config
):
    # Never wholly right, so that there is always more to try.
    rules = iter(range(1000))
    model.script(lambda asked: variedly(asked, next(rules)))
    before = len(model.requests)
    calls = 60
    budget = pb.Budget(lm_calls=calls) if bound == "lm_calls" else pb.Budget(tokens=calls * TOKENS)
    result, _ = await optimized(sidecar, bounded(optimizer, budget, **config))
    made = len(model.requests) - before
    assert result.message == f"the budget of {bound} ended the search"
    # What the scores after cost was kept for them, and all the rest was used.
    assert calls - 8 <= made == result.token_usage.lm_calls <= calls
    assert (result.baseline_score, result.score) == (0, 1)


def variedly(asked: dict, number: int) -> str:
    """The teachable, with other advice each time, and without a word on Peru."""
    messages = asked["messages"]
    if (
        "Peru" in str(messages[-1])
        and "`answer`" in messages[0]["content"].split("output fields")[1]
    ):
        return "[[ ## answer ## ]]\ndunno\n\n[[ ## completed ## ]]"
    return teachable(asked).replace("be careful", f"be {number} times careful")


async def test_simba_gives_its_best_program_if_the_budget_lacks_room_for_its_last_scores(
    sidecar, model
):
    model.script(wavering())
    asked = bounded("SIMBA", pb.Budget(lm_calls=120), bsize=5, max_steps=50, num_candidates=4)
    result, _ = await optimized(sidecar, asked)
    assert result.message == "the budget of lm_calls ended the search"
    assert (result.baseline_score, result.score) == (0, 1)


async def test_the_time_limit_ends_the_search_while_the_model_is_silent(sidecar, model, time_ms):
    def slow_to_propose(asked: dict):
        return None if "proposed_instruction" in str(asked["messages"]) else teachable(asked)

    model.script(slow_to_propose)
    given_up, began = model.given_up, time.monotonic()
    result, _ = await optimized(
        sidecar, bounded("COPRO", pb.Budget(time_ms=time_ms), breadth=2, depth=1)
    )
    assert time.monotonic() - began < ENDLESS_S
    assert result.message == "the budget of time ended the search"
    assert (result.baseline_score, result.score) == (0, 0)
    async with asyncio.timeout(10):
        while model.given_up == given_up:
            await asyncio.sleep(0.01)
    assert result.compiled_state
    assert result.token_usage.lm_calls > 6


async def test_the_time_limit_ends_the_search_with_the_best_so_far(sidecar, model, time_ms):
    rules = iter(range(10_000))
    model.script(lambda asked: variedly(asked, next(rules)))
    began = time.monotonic()
    result, _ = await optimized(
        sidecar, bounded("COPRO", pb.Budget(time_ms=time_ms), breadth=4, depth=100)
    )
    assert result.message == "the budget of time ended the search"
    assert (result.baseline_score, result.score) == (0, 1)
    assert time.monotonic() - began < ENDLESS_S


@pytest.mark.parametrize(
    "budget",
    [pb.Budget(lm_calls=5), pb.Budget(tokens=3 * TOKENS), pb.Budget(time_ms=10)],
    ids=["calls", "tokens", "time"],
)
async def test_a_budget_too_small_for_the_score_before_fails(sidecar, model, budget):
    model.script(teachable)
    before = len(model.requests)
    call = sidecar.OptimizeProgram(bounded("COPRO", budget))
    code, reason, message, _ = await optimization_failure(call)
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED")
    assert "can't be scored on all 6 held-out examples" in message
    # Six requests run in parallel before the first one's tokens are known.
    assert len(model.requests) - before <= 6


async def test_an_optimized_program_that_the_budget_can_not_score_is_not_taken(
    sidecar, model, time_ms
):
    def silent_when_taught(asked: dict):
        is_taught = any(message["role"] == "assistant" for message in asked["messages"])
        return None if is_taught else teachable(asked)

    model.script(silent_when_taught)
    asked = bounded("LabeledFewShot", pb.Budget(time_ms=time_ms), k=2)
    began = time.monotonic()
    result, _ = await optimized(sidecar, asked)
    assert time.monotonic() - began < ENDLESS_S
    assert result.score == result.baseline_score
    assert result.message.endswith(
        "ended before the optimized program was scored; the program is unchanged"
    )
    assert json.loads(result.compiled_state)["demos"] == []


async def test_the_last_progress_before_a_fault_has_the_usage(sidecar, model):
    def failing(asked: dict):
        return (
            (401, {"message": "no"}, {})
            if "proposed_instruction" in str(asked["messages"])
            else teachable(asked)
        )

    model.script(failing)
    before = len(model.requests)
    _, reason, _, told = await optimization_failure(
        sidecar.OptimizeProgram(request("COPRO", breadth=2, depth=1))
    )
    assert reason == "LM_AUTH_FAILED"
    usage = told[-1].token_usage
    assert usage.lm_calls == len(model.requests) - before
    assert usage.input_tokens == 6 * 30


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((401, {"message": "no"}, {}), "LM_AUTH_FAILED"),
        ((404, {"message": "no such model", "code": "model_not_found"}, {}), "LM_NOT_CONFIGURED"),
        (
            (400, {"message": "too long", "code": "context_length_exceeded"}, {}),
            "CONTEXT_WINDOW_EXCEEDED",
        ),
    ],
)
async def test_a_provider_that_fails_every_request_fails_the_optimization_with_its_reason(
    sidecar, model, reply, reason
):
    model.script(reply)
    assert (await optimization_failure(sidecar.OptimizeProgram(request("BootstrapFewShot"))))[
        1
    ] == reason


async def test_a_teacher_that_fails_every_request_fails_the_optimization(sidecar, model):
    model.script(
        lambda asked: (
            (401, {"message": "no"}, {}) if asked["model"] == "other" else teachable(asked)
        )
    )
    asked = request("BootstrapFewShot")
    asked.lms["teacher"].model = "openai/other"
    assert (await optimization_failure(sidecar.OptimizeProgram(asked)))[1] == "LM_AUTH_FAILED"


async def test_refuses_a_model_that_the_operator_does_not_allow(sidecar, model):
    asked = request("COPRO")
    asked.lms["prompt"].model = "openai/secret"
    assert (await optimization_failure(sidecar.OptimizeProgram(asked)))[1] == "LM_NOT_CONFIGURED"


async def test_refuses_a_program_that_dspy_can_not_build(sidecar, model):
    asked = request("COPRO", capital(compiled_state='{"other": {}}'))
    assert (await optimization_failure(sidecar.OptimizeProgram(asked)))[1] == "BUILD_FAILED"


async def test_unreadable_advice_fails_the_optimization_as_output_invalid(sidecar, model):
    def mumbling(asked: dict) -> str:
        return "hm" if "proposed_instruction" in str(asked["messages"]) else teachable(asked)

    model.script(mumbling)
    assert (await optimization_failure(sidecar.OptimizeProgram(request("COPRO"))))[
        1
    ] == "OUTPUT_INVALID"


async def test_a_cached_answer_costs_the_budget_nothing_and_an_unreadable_one_each_time(model):
    models = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    lm, adapter = models.choose(pb.LmSettings(cache=True, temperature=0.35, adapter="JSONAdapter"))
    budget = Budget(pb.Budget(), time.monotonic())
    signature = dspy.Signature("question -> answer")

    def ask() -> None:
        spending = budgeted(lm, adapter, budget)
        with suppress(AdapterParseError), dspy.context(lm=spending, adapter=adapter):
            dspy.Predict(signature)(question="Capital of France?")

    for text, cost in [("I would rather not.", 2), ('{"answer": "Paris"}', 1)]:
        model.script(text)
        before, calls, tokens = len(model.requests), budget.usage.lm_calls, budget.tokens
        for _ in range(2):
            await asyncio.to_thread(ask)
        assert len(model.requests) == before + cost
        assert (budget.usage.lm_calls, budget.tokens) == (calls + cost, tokens + cost * TOKENS)
