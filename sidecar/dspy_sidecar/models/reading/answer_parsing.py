"""Mixins that parse a model's answer: in a thread if it is long, and with the sidecar's errors."""

import html
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.clients.capabilities import with_capability_planning
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.faults import OutputTruncatedError
from dspy_sidecar.long_texts import in_thread_if_long, size_of
from dspy_sidecar.models.meter import answer_text
from dspy_sidecar.models.reading import elements, xml_answers
from dspy_sidecar.models.reading.cut_off import CutOff
from dspy_sidecar.models.reading.kept import Kept
from dspy_sidecar.values.texts import joined_surrogates

Signature = type[dspy.Signature]


@dataclass(frozen=True)
class AnswerFormat:
    """How the answer stands in what a model wrote."""

    plain: Callable[[Signature, str], str]
    """The answer as DSPy's adapter reads it: without drafts."""
    is_closed: Callable[[Signature, str], bool]
    """Whether a plain answer has the ends of all its fields."""


class RaisesParseErrors:
    """Mixin before an adapter of DSPy's: every failure to parse is an AdapterParseError."""

    answer_format: ClassVar[AnswerFormat]

    def parse(self, signature: Signature, completion: str) -> dict[str, Any]:
        """The outputs by name.

        Raises:
            AdapterParseError: The answer has not all outputs, nests too deep, or is no Unicode.
            OutputTruncatedError: The answer was cut off before all outputs had ended.

        """
        text = self.answer_format.plain(signature, joined_surrogates(completion))
        if isinstance(completion, CutOff) and not self.answer_format.is_closed(signature, text):
            raise OutputTruncatedError(completion.finish_reason)
        try:
            return super().parse(signature, text)  # type: ignore[misc, no-any-return]
        except AdapterParseError:
            forget_unreadable(completion)
            raise
        except (ValueError, RecursionError, MemoryError) as error:
            forget_unreadable(completion)
            name = type(self).__name__
            raise AdapterParseError(
                name, signature, completion, f"The answer can't be read: {error}"
            ) from error

    def _call_postprocess(
        self, processed: Signature, original: Signature, outputs: list[Any], *rest: Any
    ) -> list[dict[str, Any]]:
        for output in outputs:
            text = output.get("text") if isinstance(output, dict) else output
            # DSPy does not parse an empty answer.
            if isinstance(text, CutOff) and not text:
                raise OutputTruncatedError(text.finish_reason)
        return super()._call_postprocess(processed, original, outputs, *rest)  # type: ignore[misc, no-any-return]


def forget_unreadable(completion: str) -> None:
    """Takes an answer that can't be read out of the cache."""
    if isinstance(completion, Kept):
        completion.forget()


class EscapesTexts:
    """Mixin before DSPy's XMLAdapter: escapes all texts of demos, and reads unescaped ones.

    DSPy escapes those of the type `str` alone.
    """

    def format_assistant_message_content(
        self, signature: Signature, outputs: dict[str, Any], missing_field_message: Any = None
    ) -> str:
        """The message of a demo's outputs."""
        texts = {
            name: html.escape(outputs[name], quote=False).replace("&gt;", ">")
            for name, field in signature.output_fields.items()
            if field.annotation is not str and isinstance(outputs.get(name), str)
        }
        return super().format_assistant_message_content(  # type: ignore[misc, no-any-return]
            signature, {**outputs, **texts}, missing_field_message
        )

    def parse(self, signature: Signature, completion: str) -> dict[str, Any]:
        """The outputs by name, as `dspy.XMLAdapter.parse` gives them."""
        try:
            return super().parse(signature, completion)  # type: ignore[misc, no-any-return]
        except AdapterParseError as error:
            if not isinstance(error.__cause__, ET.ParseError):
                raise
            try:
                return super().parse(signature, elements.escaped(signature, completion))  # type: ignore[misc, no-any-return]
            except (AdapterParseError, ValueError):
                raise error from error.__cause__

    @classmethod
    def _elements_to_value(cls, found: list[ET.Element], schema: Any, definitions: Any) -> Any:
        # The first of several elements counts, as the first of several headers does; only a list
        # takes all.
        if len(found) > 1 and xml_answers.FIELD in found[0].attrib:
            kinds = [part.get("type") for part in (schema, *schema.get("anyOf", ()))]
            found = found if "array" in kinds else found[:1]
        return super()._elements_to_value(found, schema, definitions)  # type: ignore[misc]


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
