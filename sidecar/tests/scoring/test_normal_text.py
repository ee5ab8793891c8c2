"""Long texts are compared as DSPy compares them."""

import random
import string

import pytest
from dspy.evaluate.metrics import f1_score, normalize_text

from dspy_sidecar.scoring import normal_text

WORDS = [
    "the",
    "A",
    "an",
    "cat",
    "ÉTÉ",
    "ΣΑΣ",
    "a-b",
    "the.",
    "-",
    "a\u0301",
    "İ",
    "x" * 40,
    "😀",
    "\u2028",
    "\n",
]


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_long_text_is_normalized_as_dspy_does(monkeypatch, step):
    monkeypatch.setattr(normal_text, "MAX_SHORT", 0)
    monkeypatch.setattr(normal_text, "STEP", step)
    random_ = random.Random(step)
    for _ in range(400):
        one, other = (
            "".join(
                random_.choices([*WORDS, *" \t", *string.punctuation[:6]], k=random_.randrange(40))
            )
            for _ in "12"
        )
        assert normal_text.normalize_text(one) == normalize_text(one)
        assert normal_text.f1_score(one, other) == f1_score(one, other)
