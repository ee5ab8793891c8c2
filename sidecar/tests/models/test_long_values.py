"""Long values are written into prompts in pieces, as DSPy writes them at once."""

import json
import random
from typing import Any

from dspy_sidecar.models import long_values

SCALARS = [1, -2, 0.5, 1e300, None, True, "", 'é\n"', "\u2028", "x" * 50, 2**70, "\ud800"]


def random_value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth > 3 or kind < 0.3:
        return chance.choice(SCALARS)
    parts = [random_value(chance, depth + 1) for _ in range(chance.randint(0, 9))]
    if kind < 0.65:
        return parts
    return {chance.choice([n, str(n), f"ключ{n}"]): part for n, part in enumerate(parts)}


def test_pieces_add_up_to_the_text_that_dspy_writes(monkeypatch):
    monkeypatch.setattr(long_values, "MAX_AT_ONCE", 6)
    monkeypatch.setattr(long_values, "PIECE", 3)
    for seed in range(500):
        value = random_value(random.Random(seed))
        plain = long_values.serialize_at_once(value)
        assert repr(long_values.serialize_for_json(value)) == repr(plain)
        for written in (value, plain):
            assert long_values.dumps(written, ensure_ascii=False) == json.dumps(
                written, ensure_ascii=False
            )
