"""DSPy's adapters with prompt caches, one retry in JSON, and parsing in linear time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.exceptions import (
    AdapterParseError,
    ContextWindowExceededError,
    LMInvalidRequestError,
    LMUnsupportedFeatureError,
)

from dspy_sidecar.models import small_model_adapter
from dspy_sidecar.models.memo import CachesPrompts, CachesResponseFormat
from dspy_sidecar.models.reading import elements, headers, objects
from dspy_sidecar.models.reading.answer_parsing import (
    AnswerFormat,
    EscapesTexts,
    ParsesInThread,
    RaisesParseErrors,
)

HEADERS = AnswerFormat(headers.plain, headers.is_closed)
OBJECT = AnswerFormat(objects.plain, objects.is_closed)
ELEMENTS = AnswerFormat(elements.plain, elements.is_closed)


REFUSALS = (LMInvalidRequestError, LMUnsupportedFeatureError)
"""Errors of a provider that does not take the request, however often it is sent."""


@contextmanager
def unreadable_if_refused(unreadable: AdapterParseError) -> Iterator[None]:
    """Runs a retry in JSON. If the provider refuses the retry, the answer was unreadable.

    Raises:
        AdapterParseError: The first answer's error, in place of the refusal. A prompt that is too
            long stays what it is, because ReAct shortens its trajectory then.

    """
    try:
        yield
    except AdapterParseError as retried:
        retried.first = unreadable
        raise
    except ContextWindowExceededError:
        raise
    except REFUSALS as refusal:
        raise unreadable from refusal


class RetriesInJson:
    """Mixin before an adapter of DSPy's: retries an unreadable answer once, in JSON.

    DSPy itself does so only if no chunk was streamed, since it can't take chunks back. The sidecar
    can: its callers receive a reset.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # DSPy's own retry, which this class replaces.
        self.use_json_adapter_fallback = False

    def __call__(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Requests and parses an answer, as `dspy.Adapter.__call__` does."""
        try:
            return super().__call__(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            with unreadable_if_refused(error):
                return self._make_json_adapter_fallback()(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[no-any-return]

    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Requests and parses an answer, as `dspy.Adapter.acall` does."""
        try:
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            with unreadable_if_refused(error):
                return await self._make_json_adapter_fallback().acall(  # type: ignore[no-any-return]
                    lm, lm_kwargs, signature, demos, inputs
                )

    def _make_json_adapter_fallback(self) -> dspy.JSONAdapter:
        return JSONAdapter(use_native_function_calling=False)


class ChatAdapter(
    CachesPrompts,
    RetriesInJson,
    RaisesParseErrors,
    dspy.ChatAdapter,  # type: ignore[misc]
    ParsesInThread,
):
    """Answers have fields under headers."""

    answer_format = HEADERS


class JSONAdapter(CachesResponseFormat, RaisesParseErrors, dspy.JSONAdapter, ParsesInThread):  # type: ignore[misc]
    """Answers are objects. The class is named as DSPy's, because DSPy's errors carry the name."""

    answer_format = OBJECT


class XMLAdapter(
    CachesPrompts,
    RetriesInJson,
    RaisesParseErrors,
    EscapesTexts,
    dspy.XMLAdapter,  # type: ignore[misc]
    ParsesInThread,
):
    """Answers have fields as elements."""

    answer_format = ELEMENTS


class SmallModelAdapter(
    CachesResponseFormat, RaisesParseErrors, small_model_adapter.SmallModelAdapter, ParsesInThread
):
    """Short prompts for the embedded model."""

    answer_format = OBJECT
