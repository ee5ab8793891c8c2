"""DSPy's LM without its detours: four hops to threads a request, and a look at each model's price list."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.clients import execution
from dspy.clients._deprecation import warn_openai_messages
from dspy.clients.call_result import CallResult
from dspy.clients.capabilities import _planning, planning_scope
from dspy.clients.errors import error_boundary
from dspy.utils.callback import with_callbacks

from dspy_sidecar import threads
from dspy_sidecar.models.http.engine import Engine, Engines
from dspy_sidecar.models.meter import Meter

SETTINGS = {
    "model", "messages", "api_base", "rollout_id", "response_format", "temperature", "max_tokens",
    "max_completion_tokens", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty",
}  # fmt: skip
"""What DSPy's own engine is known never to refuse. With any other, DSPy looks whether litellm must do it."""


class LM(threads.LM):
    """As `dspy.LM`; requests that are awaited go by an engine of ours where there is one."""

    def __init__(self, model: str, *, engines: Engines, **settings: Any) -> None:
        super().__init__(model, **settings)
        self._engines = engines

    @property
    def way(self) -> Engine | None:
        """The engine of ours, if any."""
        return self._engines.of(self)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """As `dspy.LM`'s, and tells the run's meter."""
        meter = dspy.settings.usage_tracker
        if not isinstance(meter, Meter):
            return await self._ask(prompt, messages=messages, **kwargs)
        outputs = None
        meter.asks(self.model)
        try:
            outputs = await self._ask(prompt, messages=messages, **kwargs)
        finally:
            meter.answered(outputs)
        return outputs

    @with_callbacks  # type: ignore[untyped-decorator]
    async def _ask(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """DSPy prepares in a thread, for files that a request may name: ours name none."""
        call = execution.prepare(self, prompt, messages, kwargs, asynchronous=True)
        warn_openai_messages(self, messages)
        engine = self.way
        if (
            engine is None
            or call.request is not None
            or call.n != 1
            or not call.legacy.keys() <= SETTINGS
        ):
            result = await execution.aexecute(self, call)
        else:
            result = await execute(self, call, engine)
        return execution.finalize(self, call, result)


async def execute(lm: LM, call: execution.PreparedCall, engine: Engine) -> CallResult:
    """What DSPy's `aexecute` does, less the price, which is only for DSPy's history; we keep none."""
    cached = await asyncio.to_thread(execution._cached, lm, call, True) if call.cache else None
    if cached:
        return cached
    with error_boundary(lm.model):
        request = engine.request(call)

    async def attempt(state: execution._Attempt, spent: list[CallResult]) -> None:
        await execution._aattempt(lm, call, engine, request, engine.provider, state, spent)

    with accounted(lm) as spent:
        result = await attempts(lm, engine.provider, attempt, spent)
        if call.cache:
            await asyncio.to_thread(execution._store, lm, call, result, True)
    return result


@contextmanager
def accounted(lm: dspy.LM) -> Iterator[list[CallResult]]:
    """What attempts have spent, which counts as well where a call fails."""
    spent: list[CallResult] = []
    try:
        yield spent
    except BaseException as error:
        execution._hint_responses_api(lm, error)
        execution._account_failed_call(lm, spent, error)
        raise


async def attempts(
    lm: dspy.LM,
    provider: str,
    attempt: Callable[[execution._Attempt, list[CallResult]], Awaitable[None]],
    spent: list[CallResult],
) -> CallResult:
    """Asks until there is an answer, or a fault that DSPy does not ask again after; then waits as DSPy waits."""
    for number in range(lm.num_retries + 1):
        state = execution._Attempt()
        try:
            with error_boundary(lm.model, provider=provider, unexpected=True):
                await attempt(state, spent)
            break
        except Exception as error:
            if not execution._retryable(state, error, number, lm.num_retries):
                raise
            await asyncio.sleep(execution._delay(error, number))
    return state.result


@contextmanager
def planned(lm: Any, lm_kwargs: dict[str, Any]) -> Iterator[None]:
    """Tells DSPy's adapters what a model of ours can do, which they ask anew, in a thread, for each prompt."""
    engine = lm.way if isinstance(lm, LM) else None
    if engine is None:
        yield
        return
    with planning_scope(lm, lm_kwargs):
        _planning.get().value = engine.capabilities
        yield
