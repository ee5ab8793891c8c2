"""Parses incomplete answers in the format of ChatAdapter; reads every character once."""

import re
from collections.abc import Collection

from dspy_sidecar.models.reading.headers import HEADER, MAX_BEFORE, QUOTES, is_header
from dspy_sidecar.runs.streamed_text import Fields, New

HEADER_BEGUN = re.compile(
    r"\[(?:\[(?: (?:#(?:#(?: (?:\w{0,256}(?: (?:#(?:#(?: \]?)?)?)?)?)?)?)?)?)?)?\Z"
)
MAX_HEADER = 300
LINE_BREAK = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


class ChatReader:
    """Parses fields under ChatAdapter's headers. The end of a piece that may become one waits.

    Args:
        known: The names that make a header one in the middle of a line.

    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._fields = Fields()
        self._known = known
        self._seen: set[str] = set()
        self._before = self._rest = ""
        self._is_on_header_line = False

    def feed(self, piece: str) -> New:
        """Reads the next piece."""
        text, at, searched = self._before + self._rest + piece, len(self._before), len(self._before)
        while found := HEADER.search(text, searched):
            begin, end = found.span()
            before = text[max(0, begin - MAX_BEFORE) : begin]
            if end == len(text) and before[-1:] in QUOTES:
                # The next character tells whether the header is quoted.
                break
            searched = end
            if is_header(found[1], before, text[end : end + 1], self._known, self._seen):
                yield from self._add(text[at:begin])
                self._seen.add(found[1])
                self._fields.begin(found[1])
                self._is_on_header_line = True
                at = end
        certain = found.start() if found else self._certain(text, searched)
        certain = max(at, certain)
        yield from self._add(text[at:certain])
        self._before, self._rest = text[max(0, certain - MAX_BEFORE) : certain], text[certain:]

    def _certain(self, text: str, searched: int) -> int:
        """The end of the text that has no beginning of a header, nor half of a line break."""
        begun = HEADER_BEGUN.search(text, max(searched, len(text) - MAX_HEADER))
        if begun:
            return begun.start()
        return len(text) - 1 if text.endswith("\r") and len(text) > searched else len(text)

    def _add(self, text: str) -> New:
        text = LINE_BREAK.sub("\n", text)
        if self._is_on_header_line and (line_end := text.find("\n")) >= 0:
            yield from self._fields.add(text[:line_end])
            if self._fields.text:
                # DSPy strips the text on the line of a header.
                self._fields.text.drop_blanks()
            self._is_on_header_line, text = False, text[line_end:]
        yield from self._fields.add(text)
