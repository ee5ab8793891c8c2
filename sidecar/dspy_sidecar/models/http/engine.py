"""The way to an OpenAI-compatible server: DSPy's own requests, answers and errors, over our connections."""

from collections.abc import AsyncIterator
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

from dspy_sidecar.models.http.post import Post
from dspy_sidecar.models.http.prompt import Message, Prompt
from dspy_sidecar.models.http.transport import Got, Transport

PROVIDERS = ("openai-chat", "embedded")
"""As DSPy calls them: openai/... and embedded/..."""


MARK = "(what the run says)"
"""In the place of a run's own message, where a request is made before there is one."""

NOTHING = lm15.Message.user("-")
"""In the place of a run's own messages."""


@dataclass(frozen=True)
class Template:
    """A request as it goes to the server, but for a run's own message."""

    post: Post
    before: bytes
    after: bytes

    def saying(self, content: str) -> bytes:
        """Its body with the message; TypeError where that is no valid Unicode."""
        return self.before + orjson.dumps(content) + self.after


class Engine:
    """An async engine of DSPy's for one model. It is asked for one answer, once; retries are not its business."""

    def __init__(self, lm: dspy.LM, selection: BackendSelection, transport: Transport) -> None:
        self.provider = selection.resolution.provider
        self.capabilities = capabilities(lm)
        self._compat = selection.resolution.compat
        self._model = selection.resolution.model
        self._transport = transport
        self._made: Any = None
        url = selection.clients.get("api_base")
        urls = {self.provider: url} if url else None
        self._router = AsyncLMRouter(
            RouterConfig(base_urls=urls, transport=transport, providers=_definitions(lm._providers))
        )

    async def complete(self, request: Request) -> Response:
        """DSPy's own method of an engine."""
        return await self._lm().complete(request)

    def stream(self, request: Request) -> AsyncIterator[Any]:
        """DSPy's own method of an engine."""
        return self._lm().stream(request)  # type: ignore[no-any-return]

    def request(self, call: PreparedCall) -> Request:
        """What DSPy makes of a call. All but the run's own messages it makes once for a prompt and its settings."""
        prompt = call.messages
        constant = prompt.constant if isinstance(prompt, Prompt) else None
        if constant is None:
            return replace(self._canonical(call, call.legacy["messages"]), model=self._model)
        settings = {name: value for name, value in call.legacy.items() if name != "messages"}
        made = constant.made_by(self)
        if made is None or made[0] != settings:
            # DSPy takes no system message alone: with the run's first message, which is left out again.
            whole = self._canonical(call, prompt[: constant.length + 1])
            made = (
                settings,
                replace(whole, model=self._model, messages=(NOTHING,)),
                whole.messages[:-1],
            )
            constant.remember(self, made)
        _, request, messages = made
        return replace(request, messages=(*messages, *self._own(call, prompt[constant.length :])))

    def template(self, call: PreparedCall) -> Template | None:
        """Of a call whose last message is the mark; None where DSPy would do more than send the request and read the answer."""
        lm = self._lm()
        request = self.request(call)
        made, adaptations = lm._inner._build(request, stream=False, policy=lm.adaptations)
        is_plain = (
            not adaptations
            and not callable(lm.api_key)
            and not lm._inner._judgments_via_token_scoring(request)
        )
        parts = made.body.split(orjson.dumps(MARK))
        post = self._transport.post(made) if is_plain and len(parts) == 2 else None
        return Template(post, *parts) if post else None

    def that_got(self, answer: HttpResponse) -> Any:
        """An engine of DSPy's that has this answer to its request already."""
        return replace(self._lm(), transport=Got(answer))

    def _own(self, call: PreparedCall, messages: list[Message]) -> tuple[Any, ...]:
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

    def _lm(self) -> Any:
        # Made at the first request, since it looks for the key: a missing one is that request's fault.
        if self._made is None:
            self._made = self._router.lm(f"{self.provider}:{self._model}")
        return self._made


class Engines:
    """The engines of all models; there are no more of them than the operator allows models."""

    def __init__(self) -> None:
        self.transport = Transport()
        self._engines: dict[tuple[str, str | None], Engine | None] = {}

    def of(self, lm: dspy.LM) -> Engine | None:
        """None where the model's requests go another way: another provider, or an OpenAI's by litellm."""
        key = (lm.model, lm.kwargs.get("api_base"))
        if key not in self._engines:
            self._engines[key] = self._make(lm)
        return self._engines[key]

    def _make(self, lm: dspy.LM) -> Engine | None:
        selection = select_backend(lm)
        ours = (
            selection.native
            and lm.model_type == "chat"
            and selection.clients.keys() <= {"api_base"}
        )
        return (
            Engine(lm, selection, self.transport)
            if ours and selection.resolution.provider in PROVIDERS
            else None
        )
