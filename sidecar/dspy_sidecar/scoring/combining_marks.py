"""Marks that combine with the letter before them, put in order in linear time.

Unicode's normal forms sort the marks of a letter, and Python inserts each where it belongs: the square of their number.
"""

import re
import unicodedata

LAST = 0x1F000
"""No mark comes after it."""

MARKS = "".join(char for char in map(chr, range(0x300, LAST)) if unicodedata.combining(char))
RUN = re.compile(f"[{MARKS}]{{2,}}")
LONG_RUN = re.compile(f"[{MARKS}]{{64}}")


def has_many(text: str) -> bool:
    """Whether a letter of the text has more marks than any language needs."""
    return not text.isascii() and LONG_RUN.search(text) is not None


def decomposed(text: str) -> str:
    """As `unicodedata.normalize("NFD", text)`."""
    if not has_many(text):
        return unicodedata.normalize("NFD", text)
    apart = "".join(unicodedata.normalize("NFD", char) for char in text)
    return RUN.sub(lambda run: "".join(sorted(run[0], key=unicodedata.combining)), apart)
