"""Parses incomplete answers in the format of XMLAdapter; reads every character once."""

import re
from collections.abc import Collection

from dspy_sidecar.models.reading.elements import unescaped
from dspy_sidecar.runs.streamed_text import Fields, New

MAX_TAG = 256
"""Length of a tag's name beyond which the beginning of a tag counts as text."""

ELEMENT_BEGUN = re.compile(rf"<\w{{0,{MAX_TAG}}}\Z")
REFERENCE_BEGUN = re.compile(r"&[^\t\n\f <&;]{0,32}\Z")


class XmlReader:
    """Parses XML elements. An end that may be the beginning of markup waits.

    Args:
        names: The elements; empty for any.

    """

    def __init__(self, names: Collection[str] = ()) -> None:
        name = "|".join(names) or r"\w+"
        self._element = re.compile(f"<({name})>")
        self._fields = Fields()
        self._end = ""
        self._rest = ""

    def feed(self, piece: str) -> New:
        """Reads the next piece."""
        text, at = self._rest + piece, 0
        while True:
            if not self._end:
                if not (begin := self._element.search(text, at)):
                    begun = ELEMENT_BEGUN.search(text, max(at, len(text) - MAX_TAG - 1))
                    self._rest = begun[0] if begun else ""
                    return
                self._fields.begin(begin[1])
                self._end, at = f"</{begin[1]}>", begin.end()
            end = text.find(self._end, at)
            if end < 0:
                break
            yield from self._fields.add(unescaped(text[at:end]))
            at, self._end = end + len(self._end), ""
        whole = self._whole(text, at)
        self._rest = text[whole:]
        yield from self._fields.add(unescaped(text[at:whole]))

    def _whole(self, text: str, at: int) -> int:
        """The end of the text that is certain: markup may begin after it."""
        tag = text.rfind("<", max(at, len(text) - len(self._end)))
        if tag >= 0 and self._end.startswith(text[tag:]):
            return tag
        reference = REFERENCE_BEGUN.search(text, max(at, len(text) - 33))
        return reference.start() if reference else len(text)
