"""DSPy's adapters, with the one thing that streaming asks of them."""

from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.models import markers, small_model_adapter
from dspy_sidecar.models.http import type_adapters
from dspy_sidecar.models.memo import Memoized, MemoizedFormat
from dspy_sidecar.models.reading.answer_reading import Reads, ReadsInThread


class AsksAgain:
    """Asks once more in JSON where the answer can't be read, also where it was streamed.

    DSPy does so only while nothing was handed on, since it can't take chunks back. Our callers are told to forget them.
    """

    def __call__(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """As the adapter's own."""
        try:
            return super().__call__(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            if not may_ask_again(error):
                raise
            return JSONAdapter()(lm, lm_kwargs, signature, demos, inputs)

    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """As the adapter's own."""
        try:
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            if not may_ask_again(error):
                raise
            return await JSONAdapter().acall(lm, lm_kwargs, signature, demos, inputs)

    def _make_json_adapter_fallback(self) -> dspy.JSONAdapter:
        """As the adapter's own, but of ours."""
        return JSONAdapter(use_native_function_calling=False)


def may_ask_again(error: AdapterParseError) -> bool:
    """Whether DSPy has not done so itself."""
    return dspy.settings.send_stream is not None and error.adapter_name != "JSONAdapter"


class ChatAdapter(Memoized, AsksAgain, Reads, dspy.ChatAdapter, ReadsInThread):  # type: ignore[misc]
    """Fields under headers."""


class JSONAdapter(MemoizedFormat, Reads, dspy.JSONAdapter, ReadsInThread):  # type: ignore[misc]
    """Fields as members of an object. The name is DSPy's too, since its errors carry it."""


class XMLAdapter(Memoized, AsksAgain, Reads, dspy.XMLAdapter, ReadsInThread):  # type: ignore[misc]
    """Fields as elements."""


class SmallModelAdapter(
    MemoizedFormat, Reads, small_model_adapter.SmallModelAdapter, ReadsInThread
):
    """The short prompt."""


type_adapters.install()
markers.install()
