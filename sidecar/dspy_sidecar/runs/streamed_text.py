"""Text fields of an incomplete answer, piece by piece."""

from collections.abc import Iterator
from typing import Protocol

New = Iterator[tuple[str, str]]
"""Pairs of a field's name and its new text. The new texts of a field add up to its text."""


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
