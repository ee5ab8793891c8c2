"""The object of an answer in the format of JSONAdapter."""

import json
import re
from collections.abc import Iterable

import dspy

from dspy_sidecar.models.reading.drafts import may_have_drafts, pattern_of, without_drafts
from dspy_sidecar.models.reading.nesting import STRING_OR_BRACKET, is_too_deep


def draft_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Finds the tags of drafts, and the members of some names."""
    return pattern_of(rf'"(?P<field>{"|".join(names)})"\s{{0,64}}:', ())


def plain(signature: type[dspy.Signature], completion: str) -> str:
    """The answer without drafts; unchanged if the whole answer is JSON, which may quote tags."""
    if not may_have_drafts(completion) or is_json(completion):
        return completion
    return without_drafts(completion, draft_pattern(signature.output_fields), is_plain=False)


def is_json(text: str) -> bool:
    """Whether a text is a JSON object and nothing else."""
    if not text.lstrip().startswith("{") or is_too_deep(text):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def is_closed(_: type[dspy.Signature], text: str) -> bool:
    """Whether the first object of an answer has its closing brace."""
    begin = text.find("{")
    if begin < 0:
        return False
    depth = 0
    for found in STRING_OR_BRACKET.finditer(text, begin):
        if found[0] in ("[", "{"):
            depth += 1
        elif found[0] in ("]", "}"):
            depth -= 1
            if depth == 0:
                return True
    return False
