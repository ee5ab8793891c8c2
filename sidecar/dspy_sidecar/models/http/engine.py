"""Engines for OpenAI-compatible servers: DSPy's requests and errors, the sidecar's connections."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import dspy
import orjson
from dspy import lm15
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy.clients.backend_selection import BackendSelection, select_backend
from dspy.clients.capabilities import capabilities
from dspy.clients.execution import PreparedCall, _canonical
from dspy.lm15 import AsyncLMRouter, Request, Response, RouterConfig, _definitions

from dspy_sidecar.models.http.post import PreparedPost
from dspy_sidecar.models.http.prompt import Message, Prompt
from dspy_sidecar.models.http.transport import ReceivedAnswer, Transport

PROVIDERS = ("openai-chat", "embedded")
"""DSPy's names of the providers of openai/... and embedded/..."""

PLACEHOLDER = "(the message of the run)"
"""Stands for a run's own message in a request that is prepared before the run."""

PLACEHOLDER_MESSAGE = lm15.Message.user("-")
"""Stands for a run's own messages in a cached request."""


@dataclass(frozen=True)
class Template:
    """A prepared request whose JSON body lacks only the run's own message."""

    post: PreparedPost
    before: bytes
    after: bytes

    def body_with(self, content: str) -> bytes:
        """The body with the run's message.

        Raises:
            TypeError: The message is no valid Unicode.

        """
        return self.before + orjson.dumps(content) + self.after


class Engine:
    """An async engine, as DSPy defines it, for one model. The caller does the retries."""

    def __init__(self, lm: dspy.LM, selection: BackendSelection, transport: Transport) -> None:
        self.provider = selection.resolution.provider
        self.capabilities = capabilities(lm)
        self._compat = selection.resolution.compat
        self._model = selection.resolution.model
        self._transport = transport
        self._made_engine: Any = None
        url = selection.clients.get("api_base")
        urls = {self.provider: url} if url else None
        self._router = AsyncLMRouter(
            RouterConfig(base_urls=urls, transport=transport, providers=_definitions(lm._providers))
        )

    async def complete(self, request: Request) -> Response:
        """The whole answer to a request. DSPy calls this method."""
        return await self._lm15_engine().complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """The answer to a request, piece by piece. DSPy calls this method."""
        async with aclosing(self._lm15_engine().stream(request)) as events:
            async for event in events:
                yield without_guess(event) if event.type == "end" else event

    def request(self, call: PreparedCall) -> Request:
        """DSPy's canonical request for a call.

        The part that is the same in every run is cached: one for each prompt, with the settings it
        was made for.
        """
        prompt = call.messages
        constant = prompt.constant if isinstance(prompt, Prompt) else None
        if constant is None:
            return replace(self._canonical(call, call.legacy["messages"]), model=self._model)
        settings = {name: value for name, value in call.legacy.items() if name != "messages"}
        cached = constant.cached_for(self)
        if cached is None or cached[0] != settings:
            # DSPy refuses a system message alone, so the run's first message goes along and is
            # removed afterwards.
            whole = self._canonical(call, prompt[: constant.length + 1])
            cached = (
                settings,
                replace(whole, model=self._model, messages=(PLACEHOLDER_MESSAGE,)),
                whole.messages[:-1],
            )
            constant.cache_for(self, cached)
        _, request, messages = cached
        return replace(
            request, messages=(*messages, *self._own_messages(call, prompt[constant.length :]))
        )

    def template(self, call: PreparedCall) -> Template | None:
        """The template of a call whose last message is the placeholder.

        None if DSPy does more for the call than to send one request and read the answer.
        """
        engine = self._lm15_engine()
        request = self.request(call)
        built, adaptations = engine._inner._build(request, stream=False, policy=engine.adaptations)
        is_plain = (
            not adaptations
            and not callable(engine.api_key)
            and not engine._inner._judgments_via_token_scoring(request)
        )
        parts = built.body.split(orjson.dumps(PLACEHOLDER))
        post = self._transport.prepare_post(built) if is_plain and len(parts) == 2 else None
        return Template(post, *parts) if post else None

    def replaying(self, answer: HttpResponse) -> Any:
        """An engine of DSPy whose requests all get this answer, without a network."""
        return replace(self._lm15_engine(), transport=ReceivedAnswer(answer))

    def _own_messages(self, call: PreparedCall, messages: list[Message]) -> tuple[Any, ...]:
        if (
            len(messages) == 1
            and messages[0]["role"] == "user"
            and isinstance(messages[0]["content"], str)
        ):
            return (lm15.Message.user(messages[0]["content"]),)
        return self._canonical(call, messages).messages  # type: ignore[no-any-return]

    def _canonical(self, call: PreparedCall, messages: list[Message]) -> Request:
        part = replace(call, legacy={**call.legacy, "messages": messages})
        return _canonical(part, compat=self._compat)

    def _lm15_engine(self) -> Any:
        # Made at the first request: this looks for the API key, and a missing key must fail the
        # request, not the sidecar's start.
        if self._made_engine is None:
            self._made_engine = self._router.lm(f"{self.provider}:{self._model}")
        return self._made_engine


def without_guess(end: Any) -> Any:
    """The end of a stream with the finish reason that the provider gave.

    If it gave none, DSPy would say "stop". The answer's body has the provider's own word, as that
    of an answer in one piece has.
    """
    if end.finish_reason is not None:
        return end
    return replace(
        end, provider_data={**(end.provider_data or {}), "choices": [{"finish_reason": None}]}
    )


class Engines:
    """One engine for each model and address; the operator's list of models limits their number."""

    def __init__(self) -> None:
        self.transport = Transport()
        self._engines: dict[tuple[str, str | None], Engine | None] = {}

    def find(self, lm: dspy.LM) -> Engine | None:
        """The engine of a model; None if DSPy must send its requests.

        DSPy does so for other providers, and if litellm must send requests to OpenAI.
        """
        key = (lm.model, lm.kwargs.get("api_base"))
        if key not in self._engines:
            self._engines[key] = self._make(lm)
        return self._engines[key]

    def _make(self, lm: dspy.LM) -> Engine | None:
        selection = select_backend(lm)
        is_supported = (
            selection.native
            and lm.model_type == "chat"
            and selection.clients.keys() <= {"api_base"}
            and selection.resolution.provider in PROVIDERS
        )
        return Engine(lm, selection, self.transport) if is_supported else None
