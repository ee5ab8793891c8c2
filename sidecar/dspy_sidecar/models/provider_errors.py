"""Errors of providers: DSPy reads them, and this module mends what DSPy reads otherwise.

Every error of a provider passes `dspy.clients.errors.wrap_error`, so a mended error is the same for
retries, for ReAct, which shortens its trajectory, and for callers.
"""

from collections.abc import Iterator
from typing import Any

import orjson
from dspy import lm15
from dspy._vendor.lm15.providers import anthropic, base, gemini, openai, openai_chat, typesafe, xai
from dspy.clients import errors
from dspy.clients.engines import legacy_engine
from dspy.utils import exceptions as dspy_errors

from dspy_sidecar.models.context_windows import says_context, says_rate, words_of
from dspy_sidecar.models.keys import named

READERS = (
    base.BaseProviderLM,
    openai.OpenAILM,
    openai_chat.OpenAIChatLM,
    anthropic.AnthropicLM,
    gemini.GeminiLM,
    xai.XaiLM,
    typesafe.TypeSafeLM,
)
"""DSPy's classes that read the body of an error."""

NEVER_LONG = (dspy_errors.LMBillingError, dspy_errors.LMRateLimitError)
"""Errors whose status or code says something else than a long prompt."""

RATE_LIMITED = 429

_wrap_error = errors.wrap_error


def wrap_error(error: Exception, *, model: str, provider: str | None = None) -> Any:
    """DSPy's error of an engine's error, by the provider's words."""
    wrapped = _wrap_error(error, model=model, provider=provider)
    if not isinstance(error, lm15.LM15Error) or not isinstance(wrapped, dspy_errors.LMError):
        return wrapped
    if isinstance(wrapped, dspy_errors.LMNotConfiguredError | dspy_errors.LMAuthError):
        return named(wrapped)
    words = getattr(error, "body_words", None) or [error.message, error.provider_code or ""]
    if isinstance(wrapped, dspy_errors.ContextWindowExceededError):
        is_rate = wrapped.status == RATE_LIMITED or (not wrapped.status and says_rate(words))
        return retyped(wrapped, dspy_errors.LMRateLimitError) if is_rate else wrapped
    is_provider = isinstance(wrapped, dspy_errors.LMProviderError | dspy_errors.LMUnexpectedError)
    if not is_provider or isinstance(wrapped, NEVER_LONG) or not says_context(words):
        return wrapped
    return retyped(wrapped, dspy_errors.ContextWindowExceededError)


def retyped(error: dspy_errors.LMError, kind: type[dspy_errors.LMError]) -> dspy_errors.LMError:
    """The same error as another class of DSPy's."""
    return kind(
        message=error.message,
        model=error.model,
        provider=error.provider,
        provider_code=error.provider_code,
        status=error.status,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )


def keeps_words(kind: type[Any]) -> None:
    """Has a class of DSPy's keep the words of an error's body, of which it may read none."""
    normalize = kind.normalize_error

    def normalize_error(self: Any, status: int, body: str) -> Any:
        error = normalize(self, status, body)
        error.body_words = words_of(body)
        return error

    kind.normalize_error = normalize_error


def error_text(data: bytes | str) -> str | None:
    """The text of an error that is sent as `{"error": "..."}`; None of any other body.

    DSPy looks for an object there, and takes such a body for an answer without text.
    """
    marker = b'"error"' if isinstance(data, bytes) else '"error"'
    if marker not in data:  # type: ignore[operator]
        return None
    try:
        read = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    error = read.get("error") if isinstance(read, dict) else None
    return error if isinstance(error, str) and error else None


def reads_text_errors() -> None:
    """Has DSPy read errors that are texts in answers and streams with the status 200."""
    chat: Any = openai_chat.OpenAIChatLM
    parse, parse_events = chat.parse_response, chat.parse_stream_events

    def parse_response(self: Any, request: Any, response: Any) -> Any:
        if text := error_text(response.body):
            raise self._response_error("", text)
        return parse(self, request, response)

    def parse_stream_events(self: Any, request: Any, raw: Any) -> Iterator[Any]:
        if raw.data and (text := error_text(raw.data)):
            yield lm15.StreamErrorEvent(error=self._error_detail("", text))
            return
        yield from parse_events(self, request, raw)

    chat.parse_response, chat.parse_stream_events = parse_response, parse_stream_events


def install() -> None:
    """Makes DSPy read errors so."""
    for kind in READERS:
        if "normalize_error" in vars(kind):
            keeps_words(kind)
    errors.wrap_error = legacy_engine.wrap_error = wrap_error
    reads_text_errors()
