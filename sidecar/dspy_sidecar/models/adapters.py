"""DSPy's adapters with prompt caches, retries of streamed answers, and parsing in linear time."""

from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

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


class RetriesInJson:
    """Mixin before an adapter of DSPy's: retries an unreadable answer once, in JSON.

    DSPy itself does so only if no chunk was streamed, since it can't take chunks back. The sidecar
    can: its callers receive a reset.
    """

    def __call__(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Requests and parses an answer, as `dspy.Adapter.__call__` does."""
        try:
            return super().__call__(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            if not needs_json_retry(error):
                raise
            return JSONAdapter()(lm, lm_kwargs, signature, demos, inputs)

    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Requests and parses an answer, as `dspy.Adapter.acall` does."""
        try:
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            if not needs_json_retry(error):
                raise
            return await JSONAdapter().acall(lm, lm_kwargs, signature, demos, inputs)

    def _make_json_adapter_fallback(self) -> dspy.JSONAdapter:
        return JSONAdapter(use_native_function_calling=False)


def needs_json_retry(error: AdapterParseError) -> bool:
    """Whether the answer was streamed, so that DSPy has not retried it in JSON itself."""
    return dspy.settings.send_stream is not None and error.adapter_name != "JSONAdapter"


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
