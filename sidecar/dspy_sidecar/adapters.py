"""DSPy's adapters, with the one thing that streaming asks of them."""

from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError


class AsksAgain:
    """Asks once more in JSON where the answer can't be read, also where it was streamed.

    DSPy does so only while nothing was handed on, since it can't take chunks back. Our callers are told to forget them.
    """

    async def acall(self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any) -> list[dict[str, Any]]:
        """As the adapter's own."""
        try:
            return await super().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            if dspy.settings.send_stream is None or error.adapter_name == "JSONAdapter":
                raise
            return await dspy.JSONAdapter().acall(lm, lm_kwargs, signature, demos, inputs)  # type: ignore[no-any-return]


class ChatAdapter(AsksAgain, dspy.ChatAdapter):  # type: ignore[misc]
    """Fields under headers."""


class XMLAdapter(AsksAgain, dspy.XMLAdapter):  # type: ignore[misc]
    """Fields as elements."""
