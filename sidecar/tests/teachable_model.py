"""A scripted model that knows capitals if its prompt asks for care or has demos."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from scripted_model import chat

CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Peru": "Lima",
    "Chad": "N'Djamena", "Cuba": "Havana", "Iran": "Tehran", "Iraq": "Baghdad",
    "Kenya": "Nairobi", "Mali": "Bamako", "Nepal": "Kathmandu", "Oman": "Muscat",
    "Qatar": "Doha", "Togo": "Lome", "Tonga": "Nukualofa", "Cyprus": "Nicosia",
}  # fmt: skip
ADVICE = "Answer with the capital alone, and be careful."
# The outputs that DSPy's optimizers ask a model for, with its answers.
SAYS: dict[str, Any] = {
    "proposed_instruction": ADVICE,
    "proposed_prefix_for_output_field": "Answer:",
    "natural_language_rules": ADVICE,
    "new_instruction": ADVICE,
    "improved_instruction": ADVICE,
    "module_advice": {
        "self": ADVICE,
        "predict": ADVICE,
        "think.predict": ADVICE,
        "say": ADVICE,
    },
    "score": 1.0,
}


def fields_asked_for(system: str) -> list[str]:
    """The outputs that a prompt of DSPy's names."""
    part = system.split("Your output fields are:", 1)[1].split("All interactions", 1)[0]
    return re.findall(r"^\d+\. `(\w+)`", part, re.MULTILINE)


def teachable(request: dict[str, Any]) -> str:
    """The answer to a prompt of ChatAdapter's or JSONAdapter's."""
    system, *messages = request["messages"]
    last = str(messages[-1]["content"])
    is_taught = "careful" in str(system["content"]) or any(
        message["role"] == "assistant" for message in messages
    )
    country = next((name for name in CAPITALS if name in last), None)
    answer = CAPITALS[country] if country and is_taught else "dunno"
    names = fields_asked_for(str(system["content"]))
    said = {
        name: SAYS.get(name, answer if name in ("answer", "draft") else f"some {name}")
        for name in names
    }
    if "draft" in last and "answer" in names:
        said["answer"] = next((city for city in CAPITALS.values() if city in last), "dunno")
    return json.dumps(said) if "JSON" in str(system["content"]) else chat(said)


def divided() -> Callable[[dict[str, Any]], str]:
    """A teachable model that is right at every other request of the same text at temperature 1.

    Threads change nothing: as many answers are right, whichever comes first.
    """
    counts: Counter[str] = Counter()

    def answer(asked: dict[str, Any]) -> str:
        text = json.dumps(asked["messages"])
        counts[text] += 1
        is_right = counts[text] % 2 == 1 and asked.get("temperature") == 1.0
        return taught(asked) if is_right else teachable(asked)

    return answer


def taught(asked: dict[str, Any]) -> str:
    """The answer of a teachable model to a request that asks for care."""
    system, *others = asked["messages"]
    return teachable(
        {**asked, "messages": [{**system, "content": "careful " + system["content"]}, *others]}
    )


def wavering() -> Callable[[dict[str, Any]], str]:
    """A teachable model that is right at every other request with temperature 1."""
    count = itertools.count(1)

    def answer(asked: dict[str, Any]) -> str:
        is_right = next(count) % 2 == 1 and asked.get("temperature") == 1.0
        return taught(asked) if is_right else teachable(asked)

    return answer
