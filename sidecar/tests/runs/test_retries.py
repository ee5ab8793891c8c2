"""A request that fails for a time is sent again, as often as by stock DSPy."""

import json

import dspy
import pytest
from outcomes import done, failure
from programs import QUESTION, asked, capital

DOWN = (500, {"message": "boom"}, {"retry-after": "0"})


@pytest.mark.parametrize("chunks", [False, True])
async def test_the_third_retry_may_succeed(sidecar, model, chunks):
    model.script(DOWN, DOWN, DOWN, {"answer": "Paris"})
    run = asked(capital(), **QUESTION)
    run.chunks = chunks
    assert json.loads((await done(sidecar.run(run))).outputs) == {"answer": "Paris"}


@pytest.mark.parametrize("chunks", [False, True])
async def test_a_request_is_sent_as_often_as_by_stock_dspy(sidecar, model, chunks):
    model.script(DOWN)
    before = len(model.requests)
    run = asked(capital(), **QUESTION)
    run.chunks = chunks
    assert (await failure(sidecar.run(run)))[1] == "LM_UNAVAILABLE"
    ours = len(model.requests) - before
    lm = dspy.LM("openai/scripted", api_base=model.url, cache=False)
    with pytest.raises(dspy.LMError):
        await lm.acall("hello")
    assert ours == len(model.requests) - before - ours == lm.num_retries + 1
