"""DSPy's adapters, with the one thing that streaming asks of them."""

from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.models import markers, small_model_adapter
from dspy_sidecar.models.http import type_adapters
from dspy_sidecar.models.memo import Memoized, MemoizedFormat


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
            return dspy.JSONAdapter()(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[no-any-return]

    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """As the adapter's own."""
        try:
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            if not may_ask_again(error):
                raise
            return await dspy.JSONAdapter().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[no-any-return]


def may_ask_again(error: AdapterParseError) -> bool:
    """Whether DSPy has not done so itself."""
    return dspy.settings.send_stream is not None and error.adapter_name != "JSONAdapter"


class ChatAdapter(Memoized, AsksAgain, dspy.ChatAdapter):  # type: ignore[misc]
    """Fields under headers."""


class JSONAdapter(MemoizedFormat, dspy.JSONAdapter):  # type: ignore[misc]
    """Fields as members of an object. The name is DSPy's too, since its errors carry it."""


class XMLAdapter(Memoized, AsksAgain, dspy.XMLAdapter):  # type: ignore[misc]
    """Fields as elements."""


class SmallModelAdapter(MemoizedFormat, small_model_adapter.SmallModelAdapter):
    """The short prompt."""


type_adapters.install()
markers.install()
