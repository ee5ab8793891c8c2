"""What a server reports of tokens never costs the answer."""

import json

import pytest
from outcomes import done
from programs import QUESTION, asked, capital
from scripted_model import chat

USAGES = {
    "fractions": ({"prompt_tokens": 10.0, "completion_tokens": 5.7}, (10, 5, 0)),
    "texts": ({"prompt_tokens": "10", "completion_tokens": "many"}, (10, 0, 0)),
    "missing": (None, (0, 0, 0)),
    "an empty object": ({}, (0, 0, 0)),
    "nulls": (
        {"prompt_tokens": None, "completion_tokens": 5, "prompt_tokens_details": None},
        (0, 5, 0),
    ),
    "negative": ({"prompt_tokens": -1, "completion_tokens": 5, "total_tokens": 4}, (0, 5, 0)),
    "huge": ({"prompt_tokens": 10**30, "completion_tokens": 1e300}, (0, 0, 0)),
    "beyond 64 bits": ({"prompt_tokens": 2**64, "completion_tokens": 2**63}, (0, 0, 0)),
    "booleans": ({"prompt_tokens": True, "completion_tokens": 5}, (0, 5, 0)),
    "lists": ({"prompt_tokens": [1], "completion_tokens": {"a": 1}}, (0, 0, 0)),
    "a text": ("15 tokens", (0, 0, 0)),
    "a list": ([10, 5], (0, 0, 0)),
    "a number": (15, (0, 0, 0)),
    "details of another type": (
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": [4]},
        (10, 5, 0),
    ),
    "cached fractions": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4.0},
        },
        (10, 5, 4),
    ),
    "odd totals": ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": "x"}, (10, 5, 0)),
    "odd reasoning": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "completion_tokens_details": {"reasoning_tokens": -2.5},
        },
        (10, 5, 0),
    ),
}


def whole(usage) -> bytes:
    message = {"role": "assistant", "content": chat({"answer": "Paris"})}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode()


def streamed(usage) -> tuple:
    delta = {"role": "assistant", "content": chat({"answer": "Paris"})}
    choice = {"index": 0, "finish_reason": "stop", "delta": delta}
    events = [{"id": "1", "choices": [choice]}, {"id": "1", "choices": [], "usage": usage}]
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return 200, b"".join(lines) + b"data: [DONE]\n\n", {"content-type": "text/event-stream"}


@pytest.mark.parametrize("kind", ["fast", "by DSPy", "streamed"])
@pytest.mark.parametrize("name", USAGES)
async def test_an_answer_is_kept_whatever_its_usage_is(sidecar, model, name, kind):
    usage, expected = USAGES[name]
    model.script(streamed(usage) if kind == "streamed" else whole(usage))
    made = capital()
    run = asked(made, **QUESTION)
    run.chunks = kind == "streamed"
    if kind == "by DSPy":
        # The fast path leaves runs that cache to DSPy.
        run.lm.cache = True
        run.inputs = json.dumps({"question": f"{name}?"}).encode()
    end = await done(sidecar.run(run))
    assert json.loads(end.outputs) == {"answer": "Paris"}
    spent = end.trace.token_usage
    assert (spent.input_tokens, spent.output_tokens, spent.cached_tokens) == expected
