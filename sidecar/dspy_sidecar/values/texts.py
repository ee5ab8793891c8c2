"""Texts that PostgreSQL and UTF-8 can store."""

import re

SURROGATE = re.compile("[\ud800-\udfff]")
NUL_FAULT = "must not hold a NUL character"
SURROGATE_FAULT = "must not hold a lone surrogate, which is not a character"


def joined_surrogates(text: str) -> str:
    """A text in which two surrogates that belong together are the character that they mean.

    JSON writes an emoji as two escapes, and a lenient reader gives each of them alone. A surrogate
    without its other half stays as it is.
    """
    if is_unicode(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def replaced_surrogates(text: str) -> str:
    """A text that UTF-8 can hold: a surrogate without its other half becomes U+FFFD."""
    return text if is_unicode(text) else SURROGATE.sub("\ufffd", joined_surrogates(text))


def is_unicode(text: str) -> bool:
    """Whether a text has no surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_fault(text: str) -> str | None:
    """Why a text can't be stored; None if it can."""
    if "\0" in text:
        return NUL_FAULT
    return None if is_unicode(text) else SURROGATE_FAULT
