"""Decomposes texts with many combining marks in linear time.

Unicode's normal forms sort the marks of each letter. Python sorts by insertion, in quadratic time.
"""

import re
import unicodedata

END_OF_MARKS = 0x1F000
"""No combining mark has this code point or a later one."""

MARKS = "".join(
    char for char in map(chr, range(0x300, END_OF_MARKS)) if unicodedata.combining(char)
)
RUN = re.compile(f"[{MARKS}]{{2,}}")
LONG_RUN = re.compile(f"[{MARKS}]{{64}}")


def has_many(text: str) -> bool:
    """Whether a letter of the text has 64 marks or more, which no language needs."""
    return not text.isascii() and LONG_RUN.search(text) is not None


def decomposed(text: str) -> str:
    """The same as `unicodedata.normalize("NFD", text)`."""
    if not has_many(text):
        return unicodedata.normalize("NFD", text)
    apart = "".join(unicodedata.normalize("NFD", char) for char in text)
    return RUN.sub(lambda run: "".join(sorted(run[0], key=unicodedata.combining)), apart)
