"""A provider's rate limit: waited for within the caller's deadline, told at once beyond it."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import grpc
import pytest
from outcomes import done, failure
from programs import QUESTION, asked, capital, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

DAY_S = 86_400.0


def limited(**headers: str) -> tuple[int, dict[str, str], dict[str, str]]:
    return 429, {"message": "slow down"}, {k.replace("_", "-"): v for k, v in headers.items()}


def run_of(made: pb.Program, left_ms: int, chunks: bool = False) -> pb.Run:
    run = asked(made, **QUESTION)
    run.time_left_ms, run.chunks = left_ms, chunks
    return run


def program_of(kind: str) -> pb.Program:
    once = {"N": 1, "threshold": 1.0, "reward_fn": "fits"}
    return capital() if kind == "Predict" else wrapped(kind, "Predict", once)


def in_a_minute() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=61), usegmt=True)


@pytest.mark.parametrize("kind", ["Predict", "BestOfN"])
@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize(
    ("retry_after", "expected_s"),
    [("60", 60), ("a date", 60), ("1e300", DAY_S), ("99999999999999", DAY_S)],
)
async def test_a_retry_beyond_the_deadline_is_told_at_once(
    sidecar, model, kind, chunks, retry_after, expected_s
):
    model.script(limited(retry_after=in_a_minute() if retry_after == "a date" else retry_after))
    before, began = len(model.requests), time.monotonic()
    run = run_of(program_of(kind), 20_000, chunks)
    code, reason, seconds, *_ = await failure(sidecar.run(run))
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LM_RATE_LIMITED")
    assert expected_s - 8 < seconds <= expected_s + 1
    assert time.monotonic() - began < 10
    assert len(model.requests) - before == 1


@pytest.mark.parametrize("chunks", [False, True])
async def test_a_retry_within_the_deadline_is_waited_for(sidecar, model, chunks):
    model.script(limited(retry_after="1"), {"answer": "Paris"})
    end = await done(sidecar.run(run_of(capital(), 20_000, chunks)))
    assert end.trace.token_usage.lm_calls == 1
    assert model.replies == [{"answer": "Paris"}]


@pytest.mark.parametrize("retry_after", ["-5", "soon", "", "inf", "nan"])
async def test_an_odd_retry_time_counts_as_none(sidecar, model, retry_after):
    model.script(limited(retry_after=retry_after))
    # DSPy's own pauses are 1 s and 2 s; the second would end after the deadline.
    code, reason, seconds, *_ = await failure(sidecar.run(run_of(capital(), 2_500)))
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LM_RATE_LIMITED")
    # Not set.
    assert seconds == 0
