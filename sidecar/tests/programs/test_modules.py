import asyncio
import inspect
import json

import dspy
import pytest
from outcomes import chunk_texts, done, failure, streamed
from programs import FITS, QUESTION, asked, wrapped

JUDGE = {**FITS, "reward_fn": "judge", "rubric": "It names a capital."}


async def test_best_of_n_takes_the_first_answer_that_reaches_the_threshold(sidecar, model):
    model.script({"answer": "dunno"}, {"answer": "Paris"}, {"answer": "Lyon"})
    before = len(model.requests)
    end = await done(sidecar.run(asked(wrapped("BestOfN", "Predict", FITS), **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    assert len(model.requests) == before + 2
    assert end.trace.token_usage.lm_calls == 2
    assert end.trace.token_usage.output_tokens == 24
    assert [request["temperature"] for request in model.requests[-2:]] == [1.0, 1.0]


async def test_best_of_n_takes_the_best_answer_if_none_reaches_the_threshold(sidecar, model):
    model.script({"answer": "one"}, {"answer": "two"}, {"answer": "three"})
    end = await done(sidecar.run(asked(wrapped("BestOfN", "Predict", FITS), **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "one"}
    assert end.trace.token_usage.lm_calls == 3


async def test_best_of_n_judges_by_a_rubric(sidecar, model):
    model.script({"answer": "Lyon"}, {"score": 0.2}, {"answer": "Paris"}, {"score": 1})
    end = await done(sidecar.run(asked(wrapped("BestOfN", "Predict", JUDGE), **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    assert "It names a capital." in str(model.requests[-1]["messages"])


async def test_refine_runs_again_with_advice(sidecar, model):
    advice = {
        "discussion": "It was no word.",
        "advice": {"self": "Answer with one capitalized word."},
    }
    model.script(
        {"reasoning": "hm", "answer": "dunno"}, advice, {"reasoning": "ah", "answer": "Paris"}
    )
    end = await done(sidecar.run(asked(wrapped("Refine", "ChainOfThought", FITS), **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    assert json.loads(end.trace.steps[0].outputs) == {"reasoning": "ah", "answer": "Paris"}
    asked_for_advice, again = model.requests[-2:]
    assert "keep to their types and constraints" in str(asked_for_advice["messages"])
    assert "hint" in str(again["messages"])


async def test_a_run_whose_attempts_all_fail_has_the_last_attempts_reason(sidecar, model):
    model.script((401, {"message": "no"}, {}))
    _, reason, *_ = await failure(
        sidecar.run(asked(wrapped("BestOfN", "Predict", FITS), **QUESTION))
    )
    assert reason == "LM_AUTH_FAILED"
    model.script("nothing to read")
    _, reason, *_ = await failure(
        sidecar.run(asked(wrapped("Refine", "Predict", FITS), **QUESTION))
    )
    assert reason == "OUTPUT_INVALID"


async def test_failed_attempts_of_one_run_do_not_count_in_the_next(sidecar, model):
    made = wrapped("BestOfN", "Predict", FITS)
    for _ in range(6):
        model.script("nothing to read", "nothing to read", {"answer": "Paris"})
        assert json.loads((await done(sidecar.run(asked(made, **QUESTION)))).outputs) == {
            "answer": "Paris"
        }


async def test_multi_chain_comparison_compares_lines_of_reasoning(sidecar, model):
    chains = [{"reasoning": f"line {n}", "answer": "Paris"} for n in range(3)]
    model.script(*chains, {"rationale": "all agree", "answer": "Paris"})
    made = wrapped("MultiChainComparison", "ChainOfThought", {"M": 3, "temperature": 0.6})
    end = await done(sidecar.run(asked(made, **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    assert json.loads(end.trace.steps[0].outputs) == {"rationale": "all agree", "answer": "Paris"}
    assert end.trace.token_usage.lm_calls == 4
    assert "line 0" in str(model.requests[-1]["messages"])
    assert [request["temperature"] for request in model.requests[-4:]] == [0.6] * 4


@pytest.mark.parametrize(
    ("kind", "inner", "params"), [("Refine", "Predict", FITS), ("BestOfN", "ChainOfThought", FITS)]
)
async def test_the_chunks_of_several_attempts_add_up_to_the_chosen_answer(
    sidecar, model, kind, inner, params
):
    first, third = ({"reasoning": text, "answer": text} for text in ("first", "third"))
    advice = {"discussion": "x", "advice": {"self": "y"}}
    between = [advice] if kind == "Refine" else []
    model.script(first, *between, first, *between, third)
    request = asked(wrapped(kind, inner, params), **QUESTION)
    request.chunks = True
    events, end = await streamed(sidecar.run(request))
    assert json.loads(end.outputs) == {"answer": "first"}
    assert chunk_texts(events)["answer"] == "first"
    assert [event.reset.attempt for event in events if event.HasField("reset")] == [2, 3, 4]


@pytest.mark.parametrize("kind", ["BestOfN", "MultiChainComparison"])
async def test_cancelling_a_run_cancels_its_request_and_ends_its_thread(sidecar, model, kind):
    model.script(None)
    given_up = model.given_up
    before = len(model.requests)
    params = FITS if kind == "BestOfN" else {"M": 2, "temperature": 0.6}
    call = sidecar.run(asked(wrapped(kind, "ChainOfThought", params), **QUESTION))
    reading = asyncio.ensure_future(done(call))
    while len(model.requests) == before:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    while model.given_up == given_up:
        await asyncio.sleep(0.01)
    # No further attempt is made.
    model.script({"answer": "Paris"})
    await done(sidecar.run(asked(wrapped("BestOfN", "Predict", FITS), **QUESTION)))
    assert len(model.requests) <= before + 3


async def test_a_hundred_runs_in_threads_work_in_parallel(sidecar, model):
    model.script({"answer": "Paris"})
    made = wrapped("BestOfN", "Predict", FITS)
    ends = await asyncio.gather(*(done(sidecar.run(asked(made, **QUESTION))) for _ in range(100)))
    assert all(json.loads(end.outputs) == {"answer": "Paris"} for end in ends)


def test_the_catalogues_parameters_are_dspys_own():
    def names(module) -> set[str]:
        return set(inspect.signature(module.__init__).parameters)

    assert {"N", "reward_fn", "threshold", "fail_count"} <= names(dspy.BestOfN) & names(dspy.Refine)
    assert {"M", "temperature"} <= names(dspy.MultiChainComparison)
