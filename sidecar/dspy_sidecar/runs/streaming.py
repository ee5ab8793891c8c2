"""Text fields as the model writes them."""

import html
import re
from collections.abc import Awaitable, Callable
from typing import Any

import dspy
import jiter
from dspy.utils.callback import BaseCallback
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

Fields = dict[str, str]
"""What there is of each field so far; what comes later only adds to it."""

HEADER_BEGIN = "[[ ## "
HEADER = re.compile(r"\[\[ ## (\w+) ## \]\]")
ELEMENT = re.compile(r"<(\w+)>(.*?)(</\1>|\Z)", re.DOTALL)


class Streaming(BaseCallback):  # type: ignore[misc]
    """Hands on what the model writes of a module's text fields: as DSPy's stream of the pieces, as its callback of each beginning.

    What is handed on of a field, since the last reset, adds up to its value.

    Args:
        send: Waits while the reader is slow, and so does the reading of the model's answer.
        tell: Does not wait; for what is rare.

    """

    def __init__(
        self,
        send: Callable[[pb.RunEvent], Awaitable[None]],
        tell: Callable[[pb.RunEvent], None],
    ) -> None:
        self._put = send
        self._tell = tell
        self._read: Callable[[str], Fields] = chat_fields
        self.begin("", [])

    def begin(self, module: str, fields: list[str]) -> None:
        """A module begins, with these text fields among its outputs."""
        self._module = module
        self._fields = fields
        self._attempt = 0
        self._is_ours = True
        self._forget()

    async def end(self, outputs: dict[str, Any]) -> None:
        """The module has ended: sends what was not sent, all of it where the model's answer came in one piece."""
        texts = {name: outputs[name] for name in self._fields if isinstance(outputs.get(name), str)}
        if not all(text.startswith(self._sent.get(name, "")) for name, text in texts.items()):
            self._begin_again()
        await self._send_new(texts)

    def on_adapter_format_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """DSPy is about to write a prompt: its answer will be in this adapter's format."""
        self._read = reader_of(instance)
        # DSPy tells it once more for each adapter that this one derives from; the last time names the arguments.
        if "signature" not in inputs:
            return
        # A module may ask the model something of its own in between: advice, a judgement.
        self._is_ours = all(name in inputs["signature"].output_fields for name in self._fields)

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """DSPy is about to ask the model; the second time in a module, it begins again."""
        if not self._is_ours:
            return
        if self._attempt > 0:
            self._begin_again()
        self._attempt += 1

    async def send(self, chunk: Any) -> None:
        """DSPy's own method of a stream: a piece of the model's answer."""
        text = chunk.choices[0].delta.content
        if text and self._is_ours:
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
                await self._put(
                    pb.RunEvent(chunk=pb.Chunk(module=self._module, field=name, text=new))
                )

    def _begin_again(self) -> None:
        self._forget()
        self._tell(pb.RunEvent(reset=pb.Reset(module=self._module, attempt=self._attempt + 1)))

    def _forget(self) -> None:
        self._text = ""
        self._sent: Fields = {}


def text_fields(module: dspy.Module) -> list[str]:
    """The outputs of a module that are texts."""
    fields: dict[str, Any] = {}
    # A module that asks the model for more than its outputs says which part of it makes them.
    for predictor in getattr(module, "answering", module).predictors():
        fields.update(predictor.signature.output_fields)
    return [name for name, field in fields.items() if field.annotation is str]


def reader_of(adapter: Any) -> Callable[[str], Fields]:
    """Reads the beginning of an answer in an adapter's format."""
    if isinstance(adapter, dspy.JSONAdapter):
        return json_fields
    return xml_fields if isinstance(adapter, dspy.XMLAdapter) else chat_fields


def chat_fields(text: str) -> Fields:
    """Fields under headers. A last line that may become a header is not read yet."""
    lines = text.splitlines()
    if lines and text.endswith(lines[-1]) and may_be_header(lines[-1].strip()):
        lines.pop()
    fields: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if header := HEADER.match(line.strip()):
            current = []
            # As DSPy does: the first of a name counts.
            fields.setdefault(header.group(1), current)
            current.append(line[header.end() :].strip())
        else:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in fields.items()}


def may_be_header(line: str) -> bool:
    """Whether more text could make a header of a line."""
    return bool(line) and (
        HEADER_BEGIN.startswith(line) or (line.startswith(HEADER_BEGIN) and "]]" not in line)
    )


def json_fields(text: str) -> Fields:
    """Members of the first JSON object, its last text as far as it goes."""
    begin = text.find("{")
    if begin < 0:
        return {}
    try:
        read = jiter.from_json(text[begin:].encode(), partial_mode="trailing-strings")
    except ValueError:
        return {}
    return {name: value for name, value in read.items() if isinstance(value, str)}


def xml_fields(text: str) -> Fields:
    """Elements, the last one up to where markup may begin."""
    fields: Fields = {}
    for element in ELEMENT.finditer(text):
        name, content, end = element.groups()
        whole = content if end else re.sub(r"[<&][^<&;]*\Z", "", content)
        fields.setdefault(name, html.unescape(whole).strip())
    return fields
