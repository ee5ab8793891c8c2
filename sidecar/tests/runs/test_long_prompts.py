"""A provider's error in each form in which servers send it, whole and in a stream."""

import json

import grpc
import pytest
from outcomes import failure
from programs import QUESTION, asked, capital
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

VLLM = "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens."
LLAMA = "the request exceeds the available context size, try increasing it"
LM_STUDIO = "Trying to keep the first 4534 tokens when context the overflows."
EVENTS = {"content-type": "text/event-stream"}


def body(**members):
    return json.dumps(members).encode()


def event(**members):
    return b"data: " + json.dumps(members).encode() + b"\n\ndata: [DONE]\n\n"


LONG = {
    "OpenAI": (400, body(error={"message": "long", "code": "context_length_exceeded"}), {}),
    "vLLM": (400, body(object="error", message=VLLM, type="BadRequestError", code=400), {}),
    "vLLM, new": (400, body(error={"message": VLLM, "type": "BadRequestError", "code": 400}), {}),
    "llama.cpp": (
        400,
        body(error={"code": 400, "message": LLAMA, "type": "exceed_context_size_error"}),
        {},
    ),
    "llama.cpp, late": (500, body(error={"message": "Context size has been exceeded."}), {}),
    "LM Studio": (400, body(error=LM_STUDIO), {}),
    "FastAPI": (422, body(detail=VLLM), {}),
    "a page": (413, VLLM.encode(), {}),
}
ANSWERED = {
    "an answer": (200, body(error={"message": VLLM}), {}),
    "an answer's text": (200, body(error=LM_STUDIO), {}),
}
STREAMED = {
    "an event": (200, event(error={"message": VLLM, "code": 400}), EVENTS),
    "an event's text": (200, event(error=LM_STUDIO), EVENTS),
}


def run_of(chunks: bool = False, **lm) -> pb.Run:
    run = asked(capital(lm=pb.LmSettings(**lm)), **QUESTION)
    run.chunks = chunks
    return run


@pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter"])
@pytest.mark.parametrize("form", [*LONG, *ANSWERED])
async def test_a_prompt_that_is_too_long_is_told_whatever_the_form(sidecar, model, form, adapter):
    model.script({**LONG, **ANSWERED}[form])
    before = len(model.requests)
    code, reason, *_ = await failure(sidecar.run(run_of(adapter=adapter)))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_WINDOW_EXCEEDED")
    assert len(model.requests) - before == 1


@pytest.mark.parametrize("form", [*LONG, *STREAMED])
async def test_a_prompt_that_is_too_long_is_told_of_streams(sidecar, model, form):
    model.script({**LONG, **STREAMED}[form])
    _, reason, *_ = await failure(sidecar.run(run_of(chunks=True)))
    assert reason == "CONTEXT_WINDOW_EXCEEDED"


async def test_an_error_in_a_text_is_told_as_the_providers(sidecar, model):
    model.script((200, event(error="the engine has crashed"), EVENTS))
    _, reason, *_ = await failure(sidecar.run(run_of(chunks=True)))
    assert reason == "LM_UNAVAILABLE"
