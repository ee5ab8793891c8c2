"""An unreadable answer stays what the run tells if the provider refuses the retry in JSON."""

import grpc
import pytest
from outcomes import failure
from programs import QUESTION, asked, capital, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

UNREADABLE = "I would rather not."
REFUSALS = {
    "a parameter": (400, {"message": "response_format is not supported by this model"}, {}),
    "a schema": (422, {"message": "Invalid schema for response_format"}, {}),
    "a conflict": (409, {"message": "no"}, {}),
}


def run_of(kind: str, adapter: str, chunks: bool) -> pb.Run:
    # DSPy knows that this model takes response_format.
    settings = pb.LmSettings(model="openai/gpt-4o-mini", adapter=adapter)
    made = (
        capital(kind, lm=settings)
        if kind != "BestOfN"
        else wrapped(kind, "Predict", {"N": 1, "threshold": 1.0, "reward_fn": "fits"})
    )
    made.lm.CopyFrom(settings)
    run = asked(made, **QUESTION)
    run.chunks = chunks
    return run


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("adapter", ["ChatAdapter", "XMLAdapter"])
@pytest.mark.parametrize("kind", ["Predict", "ChainOfThought", "BestOfN"])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_the_unreadable_answer_is_told_and_on_record(
    sidecar, model, refusal, kind, adapter, chunks
):
    model.script(lambda asked: REFUSALS[refusal] if "response_format" in asked else UNREADABLE)
    before = len(model.requests)
    code, reason, _, _, traces = await failure(sidecar.run(run_of(kind, adapter, chunks)))
    assert (code, reason) == (grpc.StatusCode.INTERNAL, "OUTPUT_INVALID")
    step = traces[-1].steps[-1]
    assert (step.raw_answer, step.finish_reason) == (UNREADABLE, "stop")
    assert len(model.requests) - before >= 2


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((503, {"message": "later"}, {"retry-after": "0"}), "LM_UNAVAILABLE"),
        ((429, {"message": "slow down"}, {"retry-after": "0"}), "LM_RATE_LIMITED"),
        ((401, {"message": "key"}, {}), "LM_AUTH_FAILED"),
    ],
)
async def test_other_faults_of_the_retry_are_told_as_what_they_are(
    sidecar, model, reply, expected, chunks
):
    model.script(UNREADABLE, reply)
    _, reason, *_ = await failure(sidecar.run(run_of("Predict", "ChatAdapter", chunks)))
    assert reason == expected
