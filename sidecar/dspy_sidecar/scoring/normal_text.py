"""DSPy's text normalization and F1 score; long texts are worked on in steps.

Between the steps other threads run: Python switches threads only between calls of C functions.
"""

import re
import string
from collections import Counter

from dspy.evaluate import metrics

from dspy_sidecar.combining_marks import decomposed

MAX_SHORT = 4_096
"""Length of a text up to which DSPy's own function takes no noticeable time."""

STEP = 16_384
"""Characters, or words, of one step."""
PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize_text(text: str) -> str:
    """The same as DSPy's `normalize_text`."""
    if len(text) <= MAX_SHORT:
        return str(metrics.normalize_text(text))
    lower = decomposed(text).lower()
    bare = "".join(
        lower[begin : begin + STEP].translate(PUNCTUATION) for begin in range(0, len(lower), STEP)
    )
    # Word by word finds the same articles: blanks are boundaries in the whole text too.
    without = " ".join(ARTICLES.sub(" ", word) for word in bare.split())
    return " ".join(without.split())


def f1_score(one: str, other: str) -> float:
    """The same as DSPy's `f1_score`."""
    ours, theirs = normalize_text(one).split(), normalize_text(other).split()
    shared = (word_counts(ours) & word_counts(theirs)).total()
    if shared == 0:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return (2 * precision * recall) / (precision + recall)


def word_counts(words: list[str]) -> Counter[str]:
    """The number of occurrences of each word."""
    counts: Counter[str] = Counter()
    for begin in range(0, len(words), STEP):
        counts.update(words[begin : begin + STEP])
    return counts
