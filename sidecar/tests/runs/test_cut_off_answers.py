import json

import grpc
import pytest
from outcomes import chunk_texts, done, failure, streamed
from programs import FITS, QUESTION, asked, capital, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

HALF = "[[ ## answer ## ]]\nParis is a ci"
WHOLE = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"


@pytest.fixture(autouse=True)
def ends_by_itself(model):
    yield
    model.finish = "stop"


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("finish", ["stop", "length", "content_filter", "eos", None])
async def test_a_step_says_how_the_model_ended(sidecar, model, finish, chunks):
    model.script(WHOLE)
    model.finish = finish
    request = asked(capital(), **QUESTION)
    request.chunks = chunks
    events, end = await streamed(sidecar.run(request))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    expected = {"eos": "stop", None: ""}.get(finish, finish)
    assert end.trace.steps[0].finish_reason == expected
    assert not chunks or chunk_texts(events) == {"answer": "Paris"}


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize(
    ("adapter", "text"),
    [("", HALF), ("JSONAdapter", '{"answer": "Par'), ("XMLAdapter", "<answer>Par"), ("", "")],
)
async def test_half_an_answer_fails_the_run_without_a_second_request(
    sidecar, model, adapter, text, chunks
):
    for finish in ("length", "content_filter"):
        model.script(text)
        model.finish = finish
        request = asked(capital(), pb.LmSettings(adapter=adapter), **QUESTION)
        request.chunks = chunks
        before = len(model.requests)
        code, reason, _, message, traces = await failure(sidecar.run(request))
        assert (code, reason) == (grpc.StatusCode.INTERNAL, "OUTPUT_TRUNCATED")
        assert ("max_tokens" in message) == (finish == "length") and "Par" not in message
        step = traces[-1].steps[0]
        assert (step.raw_answer, step.finish_reason) == (text, finish)
        assert len(model.requests) == before + 1


@pytest.mark.parametrize("kind", ["BestOfN", "Refine"])
async def test_attempts_that_are_cut_off_are_failed_attempts(sidecar, model, kind):
    model.script(HALF)
    model.finish = "length"
    _, reason, *_, traces = await failure(
        sidecar.run(asked(wrapped(kind, "Predict", FITS), **QUESTION))
    )
    assert reason == "OUTPUT_TRUNCATED"
    assert traces[-1].steps[0].raw_answer == HALF


async def test_an_answer_that_was_cut_off_or_could_not_be_read_is_not_cached(sidecar, model):
    lm = pb.LmSettings(cache=True, temperature=0.75, adapter="JSONAdapter")
    request = asked(capital(), lm, **QUESTION)
    model.script('{"answer": "Par')
    model.finish = "length"
    assert (await failure(sidecar.run(request)))[1] == "OUTPUT_TRUNCATED"
    model.finish = "stop"
    model.script("I would rather not.")
    for _ in range(2):
        before = len(model.requests)
        assert (await failure(sidecar.run(request)))[1] == "OUTPUT_INVALID"
        assert len(model.requests) > before
    model.script('{"answer": "Paris"}')
    for count in (1, 0):
        before = len(model.requests)
        assert json.loads((await done(sidecar.run(request))).outputs) == {"answer": "Paris"}
        assert len(model.requests) == before + count
