"""Texts as DSPy's metrics compare them, in steps that leave room for other runs if they are long."""

import re
import string
from collections import Counter

from dspy.evaluate.metrics import normalize_text

from dspy_sidecar.scoring.combining_marks import decomposed

SHORT = 4_096
"""Characters that DSPy's own way takes no time for."""

STEP = 16_384
PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normal(text: str) -> str:
    """As DSPy's `normalize_text`."""
    if len(text) <= SHORT:
        return str(normalize_text(text))
    lower = decomposed(text).lower()
    bare = "".join(
        lower[begin : begin + STEP].translate(PUNCTUATION) for begin in range(0, len(lower), STEP)
    )
    # An article has the same neighbours in its word as in the text.
    without = " ".join(ARTICLES.sub(" ", word) for word in bare.split())
    return " ".join(without.split())


def shared_words(one: str, other: str) -> float:
    """As DSPy's `f1_score`."""
    ours, theirs = normal(one).split(), normal(other).split()
    shared = (counted(ours) & counted(theirs)).total()
    if shared == 0:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return (2 * precision * recall) / (precision + recall)


def counted(words: list[str]) -> Counter[str]:
    """How often each word is there."""
    counts: Counter[str] = Counter()
    for begin in range(0, len(words), STEP):
        counts.update(words[begin : begin + STEP])
    return counts
