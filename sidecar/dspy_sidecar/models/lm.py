"""`dspy.LM` without its overhead per request: four thread hops and a look-up of prices."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dspy
from dspy.clients import execution
from dspy.clients._deprecation import warn_openai_messages
from dspy.clients.call_result import CallResult
from dspy.clients.capabilities import _planning, planning_scope
from dspy.clients.errors import error_boundary
from dspy.clients.lm import _is_openai_reasoning_model
from dspy.utils.callback import with_callbacks

from dspy_sidecar import threads
from dspy_sidecar.models import retries
from dspy_sidecar.models.http.engine import Engine, Engines
from dspy_sidecar.models.meter import Meter, answer_text
from dspy_sidecar.models.reading.cut_off import CUT, finish_reasons, marked, with_text
from dspy_sidecar.models.reading.kept import forget, kept

NATIVE_SETTINGS = {
    "model", "messages", "api_base", "rollout_id", "response_format", "temperature", "max_tokens",
    "max_completion_tokens", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty",
}  # fmt: skip
"""Request settings that DSPy's native engine always accepts.

If a request has any other setting, DSPy decides whether litellm must send it.
"""


class LM(threads.LM):
    """`dspy.LM` whose awaited requests use the sidecar's own engine, if it supports the model.

    Args:
        model: provider/model
        engines: The sidecar's engines. All models share them.
        settings: Further arguments of `dspy.LM`.

    """

    def __init__(self, model: str, *, engines: Engines, **settings: Any) -> None:
        super().__init__(model, **settings)
        self._engines = engines

    @property
    def fast_engine(self) -> Engine | None:
        """The sidecar's engine for this model; None if DSPy must send the requests."""
        return self._engines.find(self)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """Requests a completion, as `dspy.LM.acall` does, and reports it to the run's meter."""
        meter = dspy.settings.usage_tracker
        if not isinstance(meter, Meter):
            return await self._request(prompt, messages=messages, **kwargs)
        outputs = None
        meter.request_began(self.model)
        try:
            outputs = await self._request(prompt, messages=messages, **kwargs)
        finally:
            meter.request_ended(outputs)
        return outputs

    @with_callbacks  # type: ignore[untyped-decorator]
    async def _request(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        # DSPy prepares requests in a thread, because a request may name files to read. Requests of
        # the sidecar name none.
        call = execution.prepare(self, prompt, messages, kwargs, asynchronous=True)
        adapt(call.legacy, self.model)
        warn_openai_messages(self, messages)
        engine = self.fast_engine
        if (
            engine is None
            or call.request is not None
            or call.n != 1
            or not call.legacy.keys() <= NATIVE_SETTINGS
        ):
            result = await execution.aexecute(self, call)
        else:
            result = await execute(self, call, engine)
        reasons = finish_reasons(result)
        meter = dspy.settings.usage_tracker
        if isinstance(meter, Meter):
            meter.answer_ended(reasons[0] if reasons else "")
        outputs = marked(execution.finalize(self, call, result), reasons)
        if not call.cache:
            return outputs
        if not all(map(answer_text, outputs)) or any(reason in CUT for reason in reasons):
            forget(self, call)
            return outputs
        return [
            with_text(output, lambda text: kept(text, partial(forget, self, call)))
            for output in outputs
        ]


def adapt(settings: dict[str, Any], model: str) -> None:
    """Replaces a temperature that a reasoning model does not take, in place.

    It is a default of a module or an optimizer: the gateway refuses one that a caller sets.
    """
    if settings.get("temperature") is not None and _is_openai_reasoning_model(model):
        settings["temperature"] = 1.0


async def execute(lm: LM, call: execution.PreparedCall, engine: Engine) -> CallResult:
    """Sends a request as DSPy's `aexecute` does, but does not compute its price.

    DSPy keeps prices for its history only, and the sidecar disables the history.
    """
    cached = await asyncio.to_thread(execution._cached, lm, call, True) if call.cache else None
    if cached:
        return cached
    with error_boundary(lm.model):
        request = engine.request(call)

    async def attempt(state: execution._Attempt, spent: list[CallResult]) -> None:
        await execution._aattempt(lm, call, engine, request, engine.provider, state, spent)

    with accounting_failures(lm) as spent:
        result = await with_retries(lm, engine.provider, attempt, spent)
        if call.cache:
            await asyncio.to_thread(execution._store, lm, call, result, True)
    return result


@contextmanager
def accounting_failures(lm: dspy.LM) -> Iterator[list[CallResult]]:
    """Gives a list for the results of attempts; counts their usage also if the call fails."""
    spent: list[CallResult] = []
    try:
        yield spent
    except BaseException as error:
        execution._hint_responses_api(lm, error)
        execution._account_failed_call(lm, spent, error)
        raise


async def with_retries(
    lm: dspy.LM,
    provider: str,
    attempt: Callable[[execution._Attempt, list[CallResult]], Awaitable[None]],
    spent: list[CallResult],
) -> CallResult:
    """Runs `attempt` until it succeeds, with DSPy's rules for retries, never after the deadline.

    Raises:
        LMError: The error of the last attempt: it can't be retried, or no retries are left.

    """
    for number in range(lm.num_retries + 1):
        state = execution._Attempt()
        try:
            with error_boundary(lm.model, provider=provider, unexpected=True):
                await attempt(state, spent)
            break
        except Exception as error:
            if not execution._retryable(state, error, number, lm.num_retries):
                raise
            await asyncio.sleep(retries.delay(error, number))
    return state.result


@contextmanager
def known_capabilities(lm: Any, lm_kwargs: dict[str, Any]) -> Iterator[None]:
    """Gives DSPy's adapters the model's capabilities, which they otherwise look up for each prompt.

    DSPy does the look-up in a thread. Models without an engine of the sidecar keep it.
    """
    engine = lm.fast_engine if isinstance(lm, LM) else None
    if engine is None:
        yield
        return
    with planning_scope(lm, lm_kwargs):
        _planning.get().value = engine.capabilities
        yield
