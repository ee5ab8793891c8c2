"""Streams text fields while the model writes them."""

import html
import re
from collections.abc import Awaitable, Callable
from typing import Any

import dspy
import jiter
from dspy.utils.callback import BaseCallback
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

Fields = dict[str, str]
"""The text of each field so far; later text only adds to it."""

HEADER_BEGIN = "[[ ## "
HEADER = re.compile(r"\[\[ ## (\w+) ## \]\]")
ELEMENT = re.compile(r"<(\w+)>(.*?)(</\1>|\Z)", re.DOTALL)


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
        self._read: Callable[[str], Fields] = chat_fields
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
        texts = {name: outputs[name] for name in self._fields if isinstance(outputs.get(name), str)}
        if not all(text.startswith(self._sent.get(name, "")) for name, text in texts.items()):
            self._reset()
        await self._send_new(texts)

    def on_adapter_format_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Notes the adapter of the next request, whose format the answer will have."""
        self._read = reader_of(instance)
        # DSPy calls this once more for each base class of the adapter; the last call has the
        # arguments by name.
        if "signature" not in inputs:
            return
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
        if text and self._makes_outputs:
            self._text += text
            await self._send_new(
                {
                    name: text
                    for name, text in self._read(self._text).items()
                    if name in self._fields
                }
            )

    async def _send_new(self, texts: Fields) -> None:
        for name, text in texts.items():
            new = text[len(self._sent.get(name, "")) :]
            if new:
                self._sent[name] = text
                await self._send_chunk(
                    pb.RunEvent(chunk=pb.Chunk(module=self._module, field=name, text=new))
                )

    def _reset(self) -> None:
        self._clear()
        self._tell(pb.RunEvent(reset=pb.Reset(module=self._module, attempt=self._attempt + 1)))

    def _clear(self) -> None:
        self._text = ""
        self._sent: Fields = {}


def text_fields(module: dspy.Module) -> list[str]:
    """The names of a module's outputs that are texts."""
    fields: dict[str, Any] = {}
    # A module with several predictors names the part that makes its outputs: `answering`.
    for predictor in getattr(module, "answering", module).predictors():
        fields.update(predictor.signature.output_fields)
    return [name for name, field in fields.items() if field.annotation is str]


def reader_of(adapter: Any) -> Callable[[str], Fields]:
    """The function that parses an incomplete answer in an adapter's format."""
    if isinstance(adapter, dspy.JSONAdapter):
        return json_fields
    return xml_fields if isinstance(adapter, dspy.XMLAdapter) else chat_fields


def chat_fields(text: str) -> Fields:
    """Fields under ChatAdapter's headers; skips a last line that may become a header."""
    lines = text.splitlines()
    if lines and text.endswith(lines[-1]) and may_be_header(lines[-1].strip()):
        lines.pop()
    fields: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if header := HEADER.match(line.strip()):
            current = []
            # The first field of a name counts, as in DSPy.
            fields.setdefault(header.group(1), current)
            current.append(line[header.end() :].strip())
        else:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in fields.items()}


def may_be_header(line: str) -> bool:
    """Whether a line could still become a header."""
    return bool(line) and (
        HEADER_BEGIN.startswith(line) or (line.startswith(HEADER_BEGIN) and "]]" not in line)
    )


def json_fields(text: str) -> Fields:
    """The texts among the members of the first JSON object; the last may be incomplete."""
    begin = text.find("{")
    if begin < 0:
        return {}
    try:
        read = jiter.from_json(text[begin:].encode(), partial_mode="trailing-strings")
    except ValueError:
        return {}
    return {name: value for name, value in read.items() if isinstance(value, str)}


def xml_fields(text: str) -> Fields:
    """XML elements; the last one without an end that may be the beginning of markup."""
    fields: Fields = {}
    for element in ELEMENT.finditer(text):
        name, content, end = element.groups()
        whole = content if end else re.sub(r"[<&][^<&;]*\Z", "", content)
        fields.setdefault(name, html.unescape(whole).strip())
    return fields
