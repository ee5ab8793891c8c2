"""DSPy's text normalization and F1 score; long texts are worked on in steps.

Between the steps other threads run: Python switches threads only between calls of C functions.
"""

import re
import string
from collections import Counter

from dspy.evaluate.metrics import normalize_text

from dspy_sidecar.scoring.combining_marks import decomposed

MAX_SHORT = 4_096
"""Length of a text up to which DSPy's own function takes no noticeable time."""

STEP = 16_384
"""Characters, or words, of one step."""
PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normal(text: str) -> str:
    """The same as DSPy's `normalize_text`."""
    if len(text) <= MAX_SHORT:
        return str(normalize_text(text))
    lower = decomposed(text).lower()
    bare = "".join(
        lower[begin : begin + STEP].translate(PUNCTUATION) for begin in range(0, len(lower), STEP)
    )
    # Word by word finds the same articles: blanks are boundaries in the whole text too.
    without = " ".join(ARTICLES.sub(" ", word) for word in bare.split())
    return " ".join(without.split())


def shared_words(one: str, other: str) -> float:
    """The same as DSPy's `f1_score`."""
    ours, theirs = normal(one).split(), normal(other).split()
    shared = (counted(ours) & counted(theirs)).total()
    if shared == 0:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return (2 * precision * recall) / (precision + recall)


def counted(words: list[str]) -> Counter[str]:
    """The number of occurrences of each word."""
    counts: Counter[str] = Counter()
    for begin in range(0, len(words), STEP):
        counts.update(words[begin : begin + STEP])
    return counts
