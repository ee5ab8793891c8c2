"""Parses incomplete answers in the format of JSONAdapter; reads every character once."""

import json
import re
from collections.abc import Callable

from dspy_sidecar.runs.streamed_text import New

STRING_STOP = re.compile(r'["\\\x00-\x1f]')
ESCAPE = re.compile(
    r'\\(?:["\\/bfnrt]'
    r"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})"
)
MAX_ESCAPE = 12
NESTED_STOP = re.compile(r'["{}\[\]]')


class JsonReader:
    """Parses the texts among the members of the first object, up to the first syntax error."""

    def __init__(self) -> None:
        self._text, self._at = "", 0
        self._step: Callable[[], New] | None = self._before
        self._names: set[str] = set()
        self._name = ""
        self._parts: list[str] = []
        self._is_value = False
        self._depth = 0

    def feed(self, piece: str) -> New:
        """Reads the next piece."""
        self._text, self._at = self._text[self._at :] + piece, 0
        while self._step and self._at < len(self._text):
            before = (self._at, self._step)
            yield from self._step()
            if (self._at, self._step) == before:
                return

    def _before(self) -> New:
        begin = self._text.find("{", self._at)
        self._at = begin + 1 if begin >= 0 else len(self._text)
        self._step = self._member if begin >= 0 else self._step
        yield from ()

    def _member(self) -> New:
        """Reads up to the next string or value."""
        char = self._text[self._at]
        self._at += 1
        if char == '"':
            self._parts = []
            self._step = self._string
        elif char == ":":
            self._is_value = True
        elif char == ",":
            self._is_value = False
        elif char in "[{":
            self._depth, self._step = 1, self._nested
        elif char == "}":
            self._step = None
        yield from ()

    def _string(self) -> New:
        stop = STRING_STOP.search(self._text, self._at)
        end = stop.start() if stop else len(self._text)
        yield from self._add(self._text[self._at : end])
        self._at = end
        if not stop:
            return
        if stop[0] == '"':
            self._at += 1
            if not self._is_value:
                self._name = "".join(self._parts)
                self._step = None if self._name in self._names else self._member
                self._names.add(self._name)
            else:
                self._step = self._member
        elif stop[0] == "\\" and (escape := ESCAPE.match(self._text, end)):
            self._at = escape.end()
            yield from self._add(json.loads(f'"{escape[0]}"'))
        elif stop[0] != "\\" or len(self._text) - end >= MAX_ESCAPE:
            self._step = None

    def _add(self, text: str) -> New:
        if self._is_value and text:
            yield self._name, text
        elif text:
            self._parts.append(text)

    def _nested(self) -> New:
        """Reads up to the end of a list or an object in a member."""
        stop = NESTED_STOP.search(self._text, self._at)
        self._at = stop.end() if stop else len(self._text)
        if stop and stop[0] == '"':
            self._step = self._nested_string
        elif stop:
            self._depth += 1 if stop[0] in "[{" else -1
            self._step = self._nested if self._depth else self._member
        yield from ()

    def _nested_string(self) -> New:
        stop = STRING_STOP.search(self._text, self._at)
        end = stop.start() if stop else len(self._text)
        if stop and stop[0] == "\\":
            # The escaped character may be in the next piece.
            self._at = end if end + 1 == len(self._text) else end + 2
        else:
            self._at = end + 1 if stop else end
            self._step = self._nested if stop and stop[0] == '"' else self._nested_string
        yield from ()
