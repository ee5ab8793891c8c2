"""Halves of characters: JSON writes an emoji as two, and a model may write one alone."""

import re

HALF = re.compile("[\ud800-\udfff]")


def has_halves(text: str) -> bool:
    """Whether a text has halves of characters, so that UTF-8 can't hold it."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def joined(text: str) -> str:
    """A text in which two halves that belong together are one character."""
    if not has_halves(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def replaced(text: str) -> str:
    """A text that UTF-8 can hold: a half without its other half becomes U+FFFD."""
    return HALF.sub("\ufffd", joined(text)) if has_halves(text) else text
