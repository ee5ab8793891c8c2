"""Parses incomplete answers in the format of ChatAdapter; reads every character once."""

import re

from dspy_sidecar.runs.streamed_text import Fields, New

HEADER_BEGIN = "[[ ## "
HEADER = re.compile(r"\[\[ ## (\w+) ## \]\]")

MAX_OPEN_LINE = 4_096
"""Length up to which a line may grow while each further piece is searched for a header.

A longer line without a decision waits for its end, so that no line is read again and again."""


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
            can_decide = has_ended or self._length <= MAX_OPEN_LINE
            self._line.append(part)
            self._length += len(part)
            if can_decide:
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
