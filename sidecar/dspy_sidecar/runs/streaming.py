"""Streams text fields while the model writes them."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.reading import elements, headers, objects
from dspy_sidecar.runs.chat_reader import ChatReader
from dspy_sidecar.runs.draft_skipper import DraftSkipper
from dspy_sidecar.runs.json_reader import JsonReader
from dspy_sidecar.runs.streamed_text import New, Reader
from dspy_sidecar.runs.xml_reader import XmlReader
from dspy_sidecar.values.texts import replaced_surrogates

PIECE = 16_384
"""Maximum number of characters that are parsed at once; other runs then get their turn."""


HALF_BEGUN = re.compile("[\ud800-\udbff]\\Z")
"""The first half of a character at the end of a piece."""


class Streaming(BaseCallback):  # type: ignore[misc]
    """Sends a module's text fields as chunks, while the model writes them.

    DSPy takes it as its stream, for the pieces of an answer, and as a callback, for the beginning
    of each request. The chunks of a field since the last reset add up to the field's value.

    Args:
        send_chunk: Waits while the flow-control window is full; this pauses the model's stream.
        tell: Sends an event and does not wait; for resets.

    """

    def __init__(
        self,
        send_chunk: Callable[[pb.RunEvent], Awaitable[None]],
        tell: Callable[[pb.RunEvent], None],
    ) -> None:
        self._send_chunk = send_chunk
        self._tell = tell
        self._new_reader: Callable[[], Reader] = ChatReader
        self._reader: Reader | None = None
        self._half = ""
        self._sent: dict[str, list[str]] = {}
        self.begin("", [])

    def begin(self, module: str, fields: list[str]) -> None:
        """Begins a module; `fields` are its outputs that are texts."""
        self._module = module
        self._fields = fields
        self._attempt = 0
        self._makes_outputs = True
        self._clear()

    async def end(self, outputs: dict[str, Any]) -> None:
        """Ends the module and sends what its fields still lack.

        That is all of them if the model's answer came in one piece.
        """
        # A half of a character can't be sent; the gateway refuses the value.
        texts = {
            name: replaced_surrogates(outputs[name])
            for name in self._fields
            if isinstance(outputs.get(name), str)
        }
        sent = {name: "".join(self._sent.get(name, [])) for name in texts}
        if not all(text.startswith(sent[name]) for name, text in texts.items()):
            self._reset()
            sent = dict.fromkeys(texts, "")
        for name, text in texts.items():
            await self._send(name, text[len(sent[name]) :])

    def on_adapter_format_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Notes the adapter of the next request, whose format the answer will have."""
        # DSPy calls this once more for each base class of the adapter; the last call has the
        # arguments by name.
        if "signature" not in inputs:
            return
        self._new_reader = partial(reader_of, instance, inputs["signature"])
        # Some modules also ask the model for other things than their outputs, as Refine for advice.
        self._makes_outputs = all(
            name in inputs["signature"].output_fields for name in self._fields
        )

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Resets the fields if this is not the module's first request for its outputs."""
        if not self._makes_outputs:
            return
        if self._attempt > 0:
            self._reset()
        self._attempt += 1

    async def send(self, chunk: Any) -> None:
        """Takes a piece of the model's answer from DSPy."""
        text = chunk.choices[0].delta.content
        if not text or not self._makes_outputs:
            return
        if self._reader is None:
            self._reader = self._new_reader()
        text = self._half + text
        # A server may cut an emoji in two.
        self._half = text[-1] if HALF_BEGUN.search(text) else ""
        text = replaced_surrogates(text.removesuffix(self._half))
        for begin in range(0, len(text), PIECE):
            for name, new in self._reader.feed(text[begin : begin + PIECE]):
                if name in self._fields:
                    await self._send(name, new)

    async def _send(self, name: str, new: str) -> None:
        if new:
            self._sent.setdefault(name, []).append(new)
            await self._send_chunk(
                pb.RunEvent(chunk=pb.Chunk(module=self._module, field=name, text=new))
            )

    def _reset(self) -> None:
        self._clear()
        self._tell(pb.RunEvent(reset=pb.Reset(module=self._module, attempt=self._attempt + 1)))

    def _clear(self) -> None:
        self._reader = None
        self._half = ""
        self._sent = {}


def text_fields(module: dspy.Module) -> list[str]:
    """The names of a module's outputs that are texts."""
    fields: dict[str, Any] = {}
    # A module with several predictors names the part that makes its outputs: `answering`.
    for predictor in getattr(module, "answering", module).predictors():
        fields.update(predictor.signature.output_fields)
    return [name for name, field in fields.items() if field.annotation is str]


def reader_of(adapter: Any, signature: type[dspy.Signature]) -> Reader:
    """A parser of an answer in an adapter's format, without drafts."""
    names = signature.output_fields.keys()
    if isinstance(adapter, dspy.JSONAdapter):
        return AnswerReader(objects.draft_pattern(names), JsonReader())
    if isinstance(adapter, dspy.XMLAdapter):
        return AnswerReader(elements.draft_pattern(names), XmlReader(names))
    return AnswerReader(headers.draft_pattern(names), ChatReader(headers.known_names(signature)))


class AnswerReader:
    """Parses an answer without its drafts."""

    def __init__(self, found: re.Pattern[str], reader: Reader) -> None:
        self._drafts = DraftSkipper(found)
        self._reader = reader

    def feed(self, piece: str) -> New:
        """Reads the next piece."""
        yield from self._reader.feed(self._drafts.feed(piece))
