"""A key that is missing or refused is told by the name of its variable, never by its value."""

import grpc
import pytest
from outcomes import failure
from process import running, scripted
from programs import FITS, QUESTION, asked, capital, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.keys import unset_keys

MODELS = {
    "openai/gpt-5-mini": "OPENAI_API_KEY",
    "anthropic/claude-sonnet-4-5": "ANTHROPIC_API_KEY",
    "gemini/gemini-2.5-pro": "GEMINI_API_KEY or GOOGLE_API_KEY",
    "groq/llama-3.3-70b-versatile": "GROQ_API_KEY",
}


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("kind", ["Predict", "BestOfN"])
async def test_a_missing_key_is_told_at_start_and_by_each_run(model, capfd, chunks, kind):
    model.script({"answer": "Paris"})
    before = len(model.requests)
    env = {
        **scripted(model.url),
        "OPENAI_API_KEY": "",
        "ANTHROPIC_API_KEY": "",
        "SIGRUN_LM_ALLOWED": "anthropic/claude-sonnet-4-5",
    }
    async with running(env) as sidecar:
        made = capital() if kind == "Predict" else wrapped(kind, "Predict", FITS)
        run = asked(made, **QUESTION)
        run.chunks = chunks
        code, reason, _, message, _ = await failure(sidecar.run(run))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LM_NOT_CONFIGURED")
    told = "openai/scripted has no key: OPENAI_API_KEY is not set"
    assert message.startswith(told)
    assert len(model.requests) == before
    started = capfd.readouterr().err
    assert told in started
    assert "anthropic/claude-sonnet-4-5 has no key: ANTHROPIC_API_KEY is not set" in started


@pytest.mark.parametrize("chunks", [False, True])
async def test_a_refused_key_is_told_by_its_variable(sidecar, model, chunks):
    model.script((401, {"message": "Incorrect API key provided: sk-secret"}, {}))
    run: pb.Run = asked(capital(), **QUESTION)
    run.chunks = chunks
    _, reason, _, message, _ = await failure(sidecar.run(run))
    assert reason == "LM_AUTH_FAILED"
    assert "OPENAI_API_KEY" in message and "sk-secret" not in message


@pytest.mark.parametrize("name", MODELS)
def test_the_variable_of_each_provider_is_known(name, monkeypatch):
    for variable in MODELS[name].split(" or "):
        monkeypatch.delenv(variable, raising=False)
    assert " or ".join(unset_keys(name)) == MODELS[name]
    monkeypatch.setenv(MODELS[name].split(" or ")[-1], "a")
    assert unset_keys(name) == ()


@pytest.mark.parametrize("name", ["ollama/llama3", "hosted_vllm/any", "embedded/smollm2"])
def test_a_provider_that_wants_no_key_misses_none(name):
    assert unset_keys(name) == ()
