"""Mixins that parse a model's answer: in a thread if it is long, and with DSPy's errors only."""

from typing import Any

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.clients.capabilities import with_capability_planning
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.long_texts import in_thread_if_long, size_of
from dspy_sidecar.models.meter import answer_text


class RaisesParseErrors:
    """Mixin before an adapter of DSPy's: every failure to parse is an AdapterParseError."""

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """The outputs by name.

        Raises:
            AdapterParseError: The answer has not all outputs, nests too deep, or is no Unicode.

        """
        try:
            return super().parse(signature, completion)  # type: ignore[misc, no-any-return]
        except (ValueError, RecursionError, MemoryError) as error:
            name = type(self).__name__
            raise AdapterParseError(
                name, signature, completion, f"The answer can't be read: {error}"
            ) from error


class ParsesInThread(dspy.Adapter):  # type: ignore[misc]
    """Mixin after an adapter of DSPy's: writes long inputs and parses long answers in a thread.

    All adapters derive from DSPy's ChatAdapter, whose `acall` calls the next class in the order of
    methods. After the ChatAdapter that is this class, in place of `dspy.Adapter`.
    """

    @with_capability_planning  # type: ignore[untyped-decorator]
    async def acall(
        self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        """Requests and parses an answer, as `dspy.Adapter.acall` does."""
        render = self._call_preprocess(lm, lm_kwargs, signature, inputs)
        messages = await in_thread_if_long(
            size_of(inputs), lambda: self.format(render, demos, inputs)
        )
        with adapter_message_call(lm, messages):
            outputs = await lm.acall(messages=messages, **lm_kwargs)
        length = sum(len(answer_text(output)) for output in outputs)
        return await in_thread_if_long(
            length, lambda: self._call_postprocess(render, signature, outputs, lm, lm_kwargs)
        )
