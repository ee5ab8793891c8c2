"""Parsers of text fields in incomplete answers; each reads every character once."""

import html
import json
import re
from collections.abc import Callable, Iterator
from typing import Protocol

New = Iterator[tuple[str, str]]
"""Pairs of a field's name and its new text. The new texts of a field add up to its text."""

HEADER_BEGIN = "[[ ## "
HEADER = re.compile(r"\[\[ ## (\w+) ## \]\]")
MAX_TAG = 256
"""Length of a tag's name beyond which the beginning of a tag counts as text."""
MAX_OPEN_LINE = 4_096
"""Length up to which the beginning of a line is searched for a header.

A longer line without a decision waits for its end."""

ELEMENT = re.compile(r"<(\w+)>")
ELEMENT_BEGUN = re.compile(rf"<\w{{0,{MAX_TAG}}}\Z")
REFERENCE_BEGUN = re.compile(r"&[^\t\n\f <&;]{0,32}\Z")
STRING_STOP = re.compile(r'["\\\x00-\x1f]')
ESCAPE = re.compile(
    r'\\(?:["\\/bfnrt]'
    r"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})"
)
MAX_ESCAPE = 12
NESTED_STOP = re.compile(r'["{}\[\]]')


class Reader(Protocol):
    """Parses one answer in an adapter's format, piece by piece."""

    def feed(self, piece: str) -> New:
        """Reads the next piece of the answer, and gives the new texts of its fields."""


class Stripped:
    """Strips a text, piece by piece, of the blanks at both ends."""

    def __init__(self) -> None:
        self._has_begun = False
        self._blanks: list[str] = []

    def add(self, text: str) -> str:
        """Adds a piece; gives the part of the stripped text that is certain now."""
        if not self._has_begun:
            text = text.lstrip()
        end = len(text.rstrip())
        if end == 0:
            self._blanks += [text] if text else []
            return ""
        self._has_begun = True
        new = "".join([*self._blanks, text[:end]])
        self._blanks = [text[end:]] if end < len(text) else []
        return new

    def drop_blanks(self) -> None:
        """Drops the blanks at the end so far, also if further text follows."""
        self._blanks = []


class Fields:
    """Texts by field. The first text of a name counts, as in DSPy."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self.text: Stripped | None = None
        self._name = ""

    def begin(self, name: str) -> None:
        """Begins a field; texts of a second field of the same name are dropped."""
        self.text = None if name in self._names else Stripped()
        self._names.add(name)
        self._name = name

    def add(self, text: str) -> New:
        """Adds text to the field that was begun last, and gives its new text."""
        if self.text and (new := self.text.add(text)):
            yield self._name, new


class ChatReader:
    """Parses fields under ChatAdapter's headers. A line that may become a header waits."""

    def __init__(self) -> None:
        self._fields = Fields()
        self._line: list[str] | None = []
        self._length = 0
        self._is_header = False
        self._ended_with_return = False

    def feed(self, piece: str) -> New:
        """Reads the next piece."""
        if self._ended_with_return and piece:
            piece = piece.removeprefix("\n")
            self._ended_with_return = False
        for line in piece.splitlines(keepends=True):
            self._ended_with_return = line.endswith("\r")
            body = "".join(line.splitlines())
            yield from self._read(body, has_ended=len(body) < len(line))

    def _read(self, part: str, has_ended: bool) -> New:
        if self._line is None:
            yield from self._fields.add(part)
        else:
            self._line.append(part)
            self._length += len(part)
            if has_ended or self._length <= MAX_OPEN_LINE:
                yield from self._decide("".join(self._line), has_ended)
        if has_ended:
            if self._is_header and self._fields.text:
                # DSPy strips the text on the line of a header.
                self._fields.text.drop_blanks()
            yield from self._fields.add("\n")
            self._line, self._length, self._is_header = [], 0, False

    def _decide(self, line: str, has_ended: bool) -> New:
        bare = line.strip()
        if header := HEADER.match(bare):
            self._fields.begin(header[1])
            self._line, self._is_header = None, True
            yield from self._fields.add(line[header.end() :])
        elif has_ended or (bare and not may_be_header(bare)):
            self._line = None
            yield from self._fields.add(line)


def may_be_header(line: str) -> bool:
    """Whether a line could still become a header."""
    return HEADER_BEGIN.startswith(line) or (line.startswith(HEADER_BEGIN) and "]]" not in line)


class XmlReader:
    """Parses XML elements. An end that may be the beginning of markup waits."""

    def __init__(self) -> None:
        self._fields = Fields()
        self._end = ""
        self._rest = ""

    def feed(self, piece: str) -> New:
        """Reads the next piece."""
        text, at = self._rest + piece, 0
        while True:
            if not self._end:
                if not (begin := ELEMENT.search(text, at)):
                    begun = ELEMENT_BEGUN.search(text, max(at, len(text) - MAX_TAG - 1))
                    self._rest = begun[0] if begun else ""
                    return
                self._fields.begin(begin[1])
                self._end, at = f"</{begin[1]}>", begin.end()
            end = text.find(self._end, at)
            if end < 0:
                break
            yield from self._fields.add(html.unescape(text[at:end]))
            at, self._end = end + len(self._end), ""
        whole = self._whole(text, at)
        self._rest = text[whole:]
        yield from self._fields.add(html.unescape(text[at:whole]))

    def _whole(self, text: str, at: int) -> int:
        """The end of the text that is certain: markup may begin after it."""
        tag = text.rfind("<", max(at, len(text) - len(self._end)))
        if tag >= 0 and self._end.startswith(text[tag:]):
            return tag
        reference = REFERENCE_BEGUN.search(text, max(at, len(text) - 33))
        return reference.start() if reference else len(text)


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
