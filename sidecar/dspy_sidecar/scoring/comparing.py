"""Comparisons of an output with its expected value; each gives a score from 0 to 1."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.scoring.normal_text import f1_score, normalize_text

Params = dict[str, Any]
Comparison = Callable[[Any, Any, pb.Type, Params], float]
"""Takes the output, the expected value, the field's type and the metric's parameters."""

DEFAULT_RELATIVE_TOLERANCE = 1e-6


def exact_match(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """1 if both values are equal, with texts in them normalized as DSPy does."""
    return float(canonical(got, tree) == canonical(expected, tree))


def contains(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """1 if the output contains the expected text as whole words."""
    if got is None or expected is None:
        return float(got is expected)
    return float(f" {normalized(expected)} " in f" {normalized(got)} ")


def token_f1(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """The F1 score over the words of two texts."""
    if got is None or expected is None:
        return float(got is expected)
    # DSPy gives 0 for two equal texts without words.
    return 1.0 if normalized(got) == normalized(expected) else f1_score(got, expected)


def numeric(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """1 if two numbers differ by no more than the larger of both tolerances."""
    if got is None or expected is None:
        return float(got is expected)
    relative = params.get("relative_tolerance", DEFAULT_RELATIVE_TOLERANCE) * abs(expected)
    return float(abs(got - expected) <= max(params.get("tolerance", 0.0), relative))


def list_f1(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """The F1 score over the elements of two lists, in any order."""
    if got is None or expected is None:
        return float(got is expected)
    element = without_optional(tree).list.element
    one, other = (
        Counter(canonical(value, element) for value in values) for values in (got, expected)
    )
    if not one and not other:
        return 1.0
    return 2 * (one & other).total() / (one.total() + other.total())


COMPARISONS: dict[str, Comparison] = {
    "exact_match": exact_match,
    "contains": contains,
    "token_f1": token_f1,
    "numeric": numeric,
    "list_f1": list_f1,
}


def canonical(value: Any, tree: pb.Type) -> str:
    """A text that is the same for equal values of a type."""
    normal = normal_form(value, without_optional(tree))
    return orjson.dumps(normal, option=orjson.OPT_SORT_KEYS).decode()


def normal_form(value: Any, tree: pb.Type) -> Any:
    """A value with its texts normalized, its dict keys as texts and its numbers as floats."""
    match tree.WhichOneof("kind"):
        case "list" if isinstance(value, list):
            element = without_optional(tree.list.element)
            return [normal_form(each, element) for each in value]
        case "dict" if isinstance(value, dict):
            # The expected value came as JSON, which has texts alone as keys.
            kind = without_optional(tree.dict.value)
            return {str(key): normal_form(part, kind) for key, part in value.items()}
        case "scalar" if isinstance(value, str):
            return normalized(value)
    # 1 equals 1.0, and True does not.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def normalized(text: str) -> str:
    """A text as DSPy normalizes it, or lower-cased if nothing would be left of it, as of "+"."""
    return normalize_text(text) or text.strip().lower()


def without_optional(tree: pb.Type) -> pb.Type:
    """The type inside Optional, at any depth; else the type itself."""
    return without_optional(tree.optional.of) if tree.HasField("optional") else tree
