"""The sidecar's LM behaves as DSPy's: errors, retries, usage, callbacks, streams, cache."""

import asyncio

import dspy
import pytest
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import LMError
from provider_errors import ERRORS
from reachable_texts import reachable_texts

from dspy_sidecar.models import adapters
from dspy_sidecar.models.choosing import ADAPTERS
from dspy_sidecar.models.http import type_adapters
from dspy_sidecar.models.http.engine import Engines
from dspy_sidecar.models.lm import LM


@pytest.fixture(scope="module", autouse=True)
def no_disk_cache():
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)


@pytest.fixture
async def pair(model):
    """Makes the same model twice: ours, and DSPy's own."""
    engines = Engines()

    def make(ours="openai/ours", theirs="openai/theirs", **settings):
        settings = {"api_base": model.url, "cache": False, "num_retries": 2, **settings}
        return LM(ours, engines=engines, **settings), dspy.LM(theirs, **settings)

    with dspy.context(disable_history=True):
        yield make
    await engines.transport.close()


async def fault(lm) -> tuple:
    with pytest.raises(LMError) as raised:
        await lm.acall("hello")
    error = raised.value
    return (
        type(error),
        error.message,
        error.status,
        error.retry_after,
        error.provider,
        error.provider_code,
    )


@pytest.mark.parametrize("name", ERRORS)
async def test_errors_and_the_number_of_attempts_are_those_of_stock_dspy(model, pair, name):
    model.script(ERRORS[name])
    seen = []
    for lm in pair():
        before = len(model.requests)
        seen.append((await fault(lm), len(model.requests) - before))
    assert seen[0] == seen[1]


async def test_an_unreachable_server_is_a_transport_error_as_in_stock_dspy(pair):
    ours, theirs = pair(api_base="http://127.0.0.1:9/v1", num_retries=0)
    assert (
        (await fault(ours))[0] is (await fault(theirs))[0] is dspy.utils.exceptions.LMTransportError
    )


async def test_a_missing_api_key_is_the_same_error_as_in_stock_dspy(pair, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    seen = [await fault(lm) for lm in pair("openai/same", "openai/same")]
    assert seen[0] == seen[1]
    # The key is looked for again at the next request.
    monkeypatch.setenv("OPENAI_API_KEY", "test")


async def test_a_request_is_retried_after_a_temporary_error(model, pair):
    ours, _ = pair()
    model.script(ERRORS["down"], ERRORS["rate limit"], "fine")
    assert await ours.acall("hello") == ["fine"]
    model.script(ERRORS["down"], ERRORS["down"], ERRORS["down"], "fine")
    assert (await fault(ours))[0] is dspy.utils.exceptions.LMServerError


class Heard(BaseCallback):
    """Records the events of DSPy, in order."""

    def __init__(self):
        self.told = []

    def add_usage(self, lm, entry):
        self.told.append(("usage", entry))

    async def send(self, chunk):
        self.told.append(("chunk", chunk.choices[0].delta.content))

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda call_id, outputs=None, instance=None, **rest: self.told.append(
            (name, type(instance).__name__ if instance else outputs and repr(outputs))
        )


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter", "XMLAdapter"])
async def test_callbacks_usage_and_chunks_are_those_of_stock_dspy(model, pair, adapter, streams):
    model.script(
        '[[ ## answer ## ]]\nParis\n{"answer": "Paris"}'
        if adapter != "XMLAdapter"
        else "<answer>P</answer>"
    )
    told = []
    for lm, kind in zip(pair(), (getattr(adapters, adapter), getattr(dspy, adapter)), strict=True):
        heard = Heard()
        stream = heard if streams else None
        with dspy.context(
            lm=lm,
            adapter=kind(),
            callbacks=[heard],
            usage_tracker=heard,
            send_stream=stream,
            disable_history=True,
        ):
            answer = (await dspy.Predict("question -> answer").acall(question="Where?")).answer
        told.append([answer, *heard.told])
    assert told[0] == told[1]
    assert any(what == "usage" for what, *_ in told[0][1:])


async def test_the_cache_setting_and_rollout_ids_are_those_of_stock_dspy(model, pair):
    ours, theirs = pair("openai/cached", "openai/cached", cache=True, temperature=0.9)
    model.script("first", "second", "third")
    before = len(model.requests)
    assert await ours.acall("hello") == ["first"]
    # Both have the same cache key, so DSPy finds the answer that ours has cached.
    assert await theirs.acall("hello") == ["first"]
    assert await ours.acall("hello", rollout_id=1) == ["second"]
    assert await theirs.acall("hello", rollout_id=1) == ["second"]
    assert await ours.acall("hello", cache=False) == ["third"]
    assert "rollout_id" not in model.requests[-2]
    assert len(model.requests) - before == 3


async def test_a_cancelled_call_closes_its_request(model, pair):
    model.script(None)
    ours, _ = pair()
    before, asked = model.given_up, len(model.requests)
    call = asyncio.create_task(ours.acall("hello"))
    while len(model.requests) == asked:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    while model.given_up == before:
        await asyncio.sleep(0.01)


async def test_300_calls_are_in_flight_at_once(model, pair):
    model.script(None)
    ours, _ = pair()
    asked = len(model.requests)
    calls = [asyncio.create_task(ours.acall(f"hello {n}")) for n in range(300)]
    while len(model.requests) - asked < 300:
        await asyncio.sleep(0.01)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


def test_other_providers_and_proxies_of_litellm_have_no_fast_engine(monkeypatch):
    engines = Engines()
    assert LM("openai/gpt-4o-mini", engines=engines).fast_engine is not None
    assert LM("anthropic/claude-sonnet-4-5", engines=engines).fast_engine is None
    assert LM("openai/gpt-4o", engines=engines, model_type="responses").fast_engine is None
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:1")
    assert LM("openai/gpt-4.1", engines=engines).fast_engine is None


async def test_a_prompt_has_demos_and_instructions_that_were_changed_in_place(model, pair):
    ours, _ = pair()
    model.script("[[ ## answer ## ]]\nx")
    predict = dspy.Predict("question -> answer")

    async def prompt() -> str:
        with dspy.context(
            lm=ours, adapter=ADAPTERS["ChatAdapter"], disable_history=True, trace=None
        ):
            await predict.acall(question="Where?")
        return str(model.requests[-1]["messages"])

    assert "first demo" not in await prompt()
    predict.demos = [{"question": "first demo", "answer": "1"}]
    assert "first demo" in await prompt()
    predict.demos[0]["question"] = "second demo"
    assert "second demo" in await prompt()
    predict.demos.append({"question": "third demo", "answer": True})
    assert "third demo" in await prompt()
    predict.signature.instructions = "Fourth instructions"
    assert "Fourth instructions" in await prompt()


async def test_the_caches_keep_no_text_of_a_run(model, pair):
    ours, _ = pair()
    adapter = ADAPTERS["ChatAdapter"]
    model.script("[[ ## answer ## ]]\nmarked answer")
    predict = dspy.Predict("question -> answer")
    predict.demos = [{"question": "kept demo", "answer": "kept"}]
    for _ in range(2):
        with dspy.context(lm=ours, adapter=adapter, disable_history=True, trace=None):
            await predict.acall(question="marked question")
    texts = "\n".join(reachable_texts([adapter, ours, type_adapters.cached_type_adapter]))
    assert "kept demo" in texts
    assert "marked question" not in texts and "marked answer" not in texts
