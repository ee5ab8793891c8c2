"""The fast path sends the same requests, outputs and errors as stock DSPy."""

import asyncio
import itertools
import json

import dspy
import pytest
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy.clients import execution
from field_types import MALFORMED_ANSWERS, TYPES, demos_of
from programs import STR, asked, capital, program, signature
from provider_errors import ERRORS
from reachable_texts import reachable_texts
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import failure_of
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.models.fast_path import MAX_FAST_PATHS
from dspy_sidecar.models.http import plain
from dspy_sidecar.models.meter import Meter
from dspy_sidecar.programs.programs import LoadedProgram, build
from dspy_sidecar.runs import running
from dspy_sidecar.settings import Settings

STOCK = {"ChatAdapter": dspy.ChatAdapter, "XMLAdapter": dspy.XMLAdapter}
PARIS = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"


@pytest.fixture
async def models(model):
    made = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    yield made
    await made.close()


def is_fast(made: LoadedProgram, models: Models, *settings: pb.LmSettings) -> bool:
    return made.steps[0].fast_paths.find(*models.choose(made.lm, *settings)) is not None


async def run(made: LoadedProgram, models: Models, adapter: str = "", **inputs) -> tuple:
    """The outputs or the failure of a run, and its trace."""
    events = []
    request = asked(pb.Program(), pb.LmSettings(adapter=adapter), **inputs)
    try:
        done = await running.run(made, models, request, running.Events(events.append))
        outcome, trace = json.loads(done.outputs), done.trace
    except Exception as error:
        failure = failure_of(error)
        outcome, trace = str(failure), events[-1].trace
    for step in trace.steps:
        step.ClearField("duration_ms")
    return outcome, str(trace)


async def by_dspy(
    made: LoadedProgram, models: Models, monkeypatch, adapter: str = "", **inputs
) -> tuple:
    """The same without the fast path."""
    with monkeypatch.context() as patched:
        patched.setattr("dspy_sidecar.models.fast_path.FastPaths.find", lambda *_: None)
        return await run(made, models, adapter, **inputs)


@pytest.mark.parametrize("adapter", STOCK)
@pytest.mark.parametrize("kind", ["Predict", "ChainOfThought"])
async def test_requests_and_outputs_are_those_of_stock_dspy(model, models, adapter, kind):
    for name, count in itertools.product(TYPES, (0, 5, 16)):
        type_, values = TYPES[name]
        sig = pb.Signature(name="Odd", instructions="Do it:\n  well, ünd\n\tquickly.")
        sig.inputs.extend(
            [
                pb.Field(name="x", type=type_),
                pb.Field(name="note", type=STR, description="a “note”"),
            ]
        )
        sig.outputs.append(pb.Field(name="y", type=type_))
        made = build(program(sig, kind))
        predict = made.steps[0].module.predictors()[0]
        predict.demos = demos_of(values, count)
        assert is_fast(made, models, pb.LmSettings(adapter=adapter))
        stock = dspy.Predict(predict.signature)
        stock.demos = predict.demos
        lm = dspy.LM("openai/scripted", api_base=model.url, cache=False)
        for value in values:
            # JSON has only texts as keys: values from the wire differ from the ones in Python.
            inputs = {
                "x": json.loads(json.dumps(value)),
                "note": 'Ünï\ncödé 😀\t"<&>"\\ \x7f [[ ## y ## ]] ',
            }
            written = {"y": value, "reasoning": "so é"}
            model.script(
                STOCK[adapter]().format_assistant_message_content(predict.signature, written)
            )
            outputs, _ = await run(made, models, adapter, **inputs)
            with dspy.context(lm=lm, adapter=STOCK[adapter](), disable_history=True, trace=None):
                theirs = await stock.acall(**inputs)
            assert model.bodies[-2] == model.bodies[-1]
            assert outputs == json.loads(json.dumps({"y": theirs.y}))


def body(text: str | None = PARIS, finish: str = "stop", usage: object = None, **message) -> dict:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
    }
    counted = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    return {
        "id": "1",
        "model": "x",
        "choices": [choice],
        "usage": counted if usage is None else usage,
    }


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BODIES = {
    "plain": body(),
    "other names of nothing": body(
        refusal=None, tool_calls=[], reasoning_content="", annotations=[]
    ),
    "no usage": body(usage={}),
    "half a usage": body(usage={"prompt_tokens": 5}),
    "no count of the cached": body(
        usage={"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {}}
    ),
    "an error of nothing": {**body(), "error": {}},
    "a count below nothing": body(usage={"prompt_tokens": -1, "completion_tokens": 7}),
    "a count that is none": body(usage={"prompt_tokens": True, "completion_tokens": 7}),
    "odd details": body(
        usage={"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": [1]}
    ),
    "a usage of another kind": body(usage=[1]),
    "an odd count of the cached": body(
        usage={"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": [1]}
    ),
    "cut off": body(finish="length"),
    "filtered": body(finish="content_filter"),
    "reasoning beside": body(reasoning_content="thinking"),
    "a refusal": body(None, refusal="I won't"),
    "tools": body(None, finish="tool_calls", tool_calls=[CALL]),
    "text and tools": body(tool_calls=[CALL]),
    "nothing": body(None),
    "an empty text": body(""),
    "parts": body([{"type": "text", "text": PARIS}]),
    "an error in an answer": {
        **body(),
        "error": {"message": "no", "code": "context_length_exceeded"},
    },
    "two choices": {**body(), "choices": body()["choices"] * 2},
    "no choices": {**body(), "choices": []},
    "no object": [1],
}


@pytest.mark.parametrize("name", [*BODIES, *ERRORS, "no JSON"])
async def test_every_kind_of_answer_gives_the_same_outcome_as_dspy(
    model, models, monkeypatch, name
):
    made = build(capital())
    assert is_fast(made, models)
    monkeypatch.setattr(execution, "_delay", lambda *_: 0)
    seen = []
    for run_by in (run, lambda *args, **inputs: by_dspy(*args, monkeypatch, **inputs)):
        model.script(
            ERRORS.get(name) or (json.dumps(BODIES[name]).encode() if name in BODIES else b"<html>")
        )
        before = len(model.requests)
        outcome = await run_by(made, models, question="Where?")
        seen.append(
            (
                outcome,
                len(model.requests) - before,
                [json.dumps(sent) for sent in model.requests[before:]],
            )
        )
    assert seen[0] == seen[1]


@pytest.mark.parametrize("text", [*MALFORMED_ANSWERS, PARIS, '{"answer": "Paris"}'])
@pytest.mark.parametrize("adapter", STOCK)
async def test_an_unreadable_answer_is_retried_in_json_as_by_dspy(
    model, models, monkeypatch, adapter, text
):
    made = build(capital())
    seen = []
    for run_by in (
        run,
        lambda *args, **inputs: by_dspy(*args[:2], monkeypatch, *args[2:], **inputs),
    ):
        model.script(text, '{"answer": "Rome"}')
        before = len(model.requests)
        outcome = await run_by(made, models, adapter, question="Where?")
        seen.append((outcome, [json.dumps(sent) for sent in model.requests[before:]]))
    assert seen[0] == seen[1]


def test_only_plain_answers_are_read_without_dspy():
    def is_plain(body: object) -> bool:
        return plain.read_plain(HttpResponse(200, "OK", [], json.dumps(body).encode())) is not None

    assert [name for name, body in BODIES.items() if is_plain(body)] == [
        *("plain", "other names of nothing", "no usage", "half a usage", "no count of the cached"),
        *("a count below nothing", "a count that is none", "odd details"),
        *("a usage of another kind", "an odd count of the cached"),
    ]


@pytest.mark.parametrize(
    "settings", [{"adapter": "JSONAdapter"}, {"cache": True}, {"params": b'{"logprobs": true}'}]
)
async def test_runs_with_other_settings_go_through_dspy(models, settings):
    assert is_fast(build(capital()), models)
    assert not is_fast(build(capital()), models, pb.LmSettings(**settings))


async def test_text_with_dspys_public_markers_is_sent_as_any_text(model, models, monkeypatch):
    made = build(capital())
    model.script(PARIS)
    for text in ["<<CUSTOM-TYPE-START-IDENTIFIER>>[1]<<CUSTOM-TYPE-END-IDENTIFIER>>", "plain"]:
        await run(made, models, question=text)
        await by_dspy(made, models, monkeypatch, question=text)
        assert json.dumps(model.requests[-2]) == json.dumps(model.requests[-1])


async def test_invalid_unicode_and_unknown_inputs_are_left_to_dspy(models):
    sig = signature({"question": STR}, {"answer": STR})
    step = build(program(sig)).steps[0]
    fast_path = step.fast_paths.find(*models.choose())
    assert await fast_path.answer({"question": "\ud800"}, Meter(lambda: None)) is None
    assert await fast_path.answer({"other": ""}, Meter(lambda: None)) is None


async def test_a_cancelled_run_closes_its_request(model, models):
    model.script(None)
    made = build(capital())
    before, asked_before = model.given_up, len(model.requests)
    going = asyncio.create_task(run(made, models, question="Where?"))
    while len(model.requests) == asked_before:
        await asyncio.sleep(0.01)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    while model.given_up == before:
        await asyncio.sleep(0.01)


async def test_the_fast_path_keeps_no_text_of_a_run(model, models):
    made = build(capital())
    made.steps[0].module.demos = [{"question": "kept demo", "answer": "kept"}]
    model.script(PARIS.replace("Paris", "marked answer"))
    for _ in range(2):
        assert "marked answer" in str(await run(made, models, question="marked question"))
    texts = "\n".join(reachable_texts([made, models]))
    assert "kept demo" in texts
    assert "marked question" not in texts and "marked answer" not in texts


async def test_a_predictor_keeps_its_4_latest_fast_paths(model, models):
    made = build(capital())
    fast_paths = made.steps[0].fast_paths
    paths = [fast_paths.find(*models.choose(pb.LmSettings(temperature=n / 10))) for n in range(10)]
    assert all(paths) and len(fast_paths._paths) == MAX_FAST_PATHS
    assert fast_paths.find(*models.choose(pb.LmSettings(temperature=0.9))) is paths[-1]
