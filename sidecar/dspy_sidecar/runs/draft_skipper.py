"""Takes drafts out of an incomplete answer; reads every character once."""

import re

from dspy_sidecar.models.reading.drafts import TAGS, begins_line

MAX_CONTEXT = 300
"""Characters before the present place that are looked at again, for a field that began there."""

ALL_TAGS = (*TAGS, *TAGS.values())
MAX_TAG = max(map(len, ALL_TAGS))
BEGINNINGS = {tag[:length] for tag in ALL_TAGS for length in range(1, len(tag))}


class DraftSkipper:
    """Gives the parts of an answer that are certain to be no draft.

    It gives nothing more after a tag inside a field's text: only the whole answer shows whether
    that is a draft or a part of the text.

    Args:
        found: The pattern of the tags and the fields.

    """

    def __init__(self, found: re.Pattern[str]) -> None:
        self._found = found
        self._context = self._held = ""
        self._closing: re.Pattern[str] | None = None
        self._has_begun = self._is_uncertain = False

    def feed(self, piece: str) -> str:
        """Reads the next piece of the answer, and gives what is certain of it now."""
        if self._is_uncertain:
            return ""
        text = self._context + self._held + piece
        at = len(self._context)
        given: list[str] = []
        while not self._is_uncertain:
            if self._closing:
                closed = self._closing.search(text, at)
                if closed is None:
                    self._context, self._held = "", text[max(at, len(text) - MAX_TAG) :]
                    break
                # What follows a draft begins a line.
                text, at, self._closing = text[closed.end() :], 0, None
            token = self._next(text, at)
            if token is None:
                end = len(text) - held_length(text[at:])
                given.append(text[at:end])
                self._context, self._held = text[max(0, end - MAX_CONTEXT) : end], text[end:]
                break
            at = self._take(text, at, token, given)
        return "".join(given)

    def _next(self, text: str, at: int) -> re.Match[str] | None:
        """The next tag, or beginning of a field, that ends after an index."""
        token = self._found.search(text, max(0, at - MAX_CONTEXT))
        while token and token.end() <= at:
            token = self._found.search(text, token.end())
        return token

    def _take(self, text: str, at: int, token: re.Match[str], given: list[str]) -> int:
        """Gives the text up to a token, and the token if it is text; gives the index after it."""
        if token.lastgroup == "field":
            self._has_begun = True
        elif self._has_begun:
            given.append(text[at : token.start()])
            self._is_uncertain = True
            return token.end()
        elif token.lastgroup == "open" and begins_line(text, token.start()):
            given.append(text[at : token.start()])
            self._closing = re.compile(re.escape(TAGS[token[0].lower()]), re.IGNORECASE)
            return token.end()
        given.append(text[at : token.end()])
        return token.end()


def held_length(text: str) -> int:
    """The length of the end of a text that may be the beginning of a tag."""
    end = text[-MAX_TAG:].lower()
    return next((length for length in range(len(end), 0, -1) if end[-length:] in BEGINNINGS), 0)
