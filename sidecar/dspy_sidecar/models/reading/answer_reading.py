"""The way from a model's text to a signature's values: in a thread if the text is long, and never with another fault than DSPy's."""

from typing import Any

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.clients.capabilities import with_capability_planning
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.long_texts import in_thread_if_long
from dspy_sidecar.models.meter import text_of
from dspy_sidecar.models.reading import json_reading, xml_reading


class Reads:
    """Goes before an adapter of DSPy's."""

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """As the adapter's own; its fault as well if the text is nested too deep for it, or no Unicode."""
        try:
            return super().parse(signature, completion)  # type: ignore[misc, no-any-return]
        except (ValueError, RecursionError, MemoryError) as error:
            name = type(self).__name__
            raise AdapterParseError(
                name, signature, completion, f"The answer can't be read: {error}"
            ) from error


class ReadsInThread(dspy.Adapter):  # type: ignore[misc]
    """Goes after DSPy's ChatAdapter, which all others derive from, so that it is called in the place of `dspy.Adapter`."""

    @with_capability_planning  # type: ignore[untyped-decorator]
    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """As `dspy.Adapter`'s."""
        render = self._call_preprocess(lm, lm_kwargs, signature, inputs)
        messages = self.format(render, demos, inputs)
        with adapter_message_call(lm, messages):
            outputs = await lm.acall(messages=messages, **lm_kwargs)
        length = sum(len(text_of(output)) for output in outputs)
        return await in_thread_if_long(
            length, lambda: self._call_postprocess(render, signature, outputs, lm, lm_kwargs)
        )


json_reading.install()
xml_reading.install()
