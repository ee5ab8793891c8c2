"""How near a value is to the one that was expected, from 0 to 1."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
from dspy.evaluate.metrics import f1_score, normalize_text
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

Params = dict[str, Any]
Comparison = Callable[[Any, Any, pb.Type, Params], float]
RELATIVE_TOLERANCE = 1e-6


def exact_match(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """Whether both are the same, texts in them compared as DSPy does."""
    return float(canonical(got, tree) == canonical(expected, tree))


def contains(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """Whether one text has the other in it, as whole words."""
    if got is None or expected is None:
        return float(got is expected)
    return float(f" {normalized(expected)} " in f" {normalized(got)} ")


def token_f1(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """The words that two texts have in common."""
    if got is None or expected is None:
        return float(got is expected)
    # DSPy has 0 for two texts without words.
    return 1.0 if normalized(got) == normalized(expected) else float(f1_score(got, expected))


def numeric(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """Whether two numbers are near enough."""
    if got is None or expected is None:
        return float(got is expected)
    relative = params.get("relative_tolerance", RELATIVE_TOLERANCE) * abs(expected)
    return float(abs(got - expected) <= max(params.get("tolerance", 0.0), relative))


def list_f1(got: Any, expected: Any, tree: pb.Type, params: Params) -> float:
    """The elements that two lists have in common, in any order."""
    if got is None or expected is None:
        return float(got is expected)
    element = bare(tree).list.element
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
    """A text that two values share where they are the same."""
    return orjson.dumps(plain(value, bare(tree)), option=orjson.OPT_SORT_KEYS).decode()


def plain(value: Any, tree: pb.Type) -> Any:
    """A value of a type, as JSON that two equal ones share."""
    match tree.WhichOneof("kind"):
        case "list" if isinstance(value, list):
            return [plain(element, bare(tree.list.element)) for element in value]
        case "dict" if isinstance(value, dict):
            # What was expected came as JSON, where every key is a text.
            return {str(key): plain(part, bare(tree.dict.value)) for key, part in value.items()}
        case "scalar" if isinstance(value, str):
            return normalized(value)
    # 1 and 1.0 are the same number; true is none.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def normalized(text: str) -> str:
    """As DSPy has it; but nothing of "+" and "the" would be left, and they are not the same."""
    return str(normalize_text(text)) or text.strip().lower()


def bare(tree: pb.Type) -> pb.Type:
    """The type that an optional one is of."""
    return bare(tree.optional.of) if tree.HasField("optional") else tree
