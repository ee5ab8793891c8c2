"""The type tree of the wire as Python annotations and DSPy fields."""

import types
from typing import Any, Literal

import dspy
import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

SCALARS: dict[int, type] = {
    pb.SCALAR_STR: str,
    pb.SCALAR_INT: int,
    pb.SCALAR_FLOAT: float,
    pb.SCALAR_BOOL: bool,
}


def annotation(tree: pb.Type) -> Any:
    """The annotation that DSPy gets for a type."""
    match tree.WhichOneof("kind"):
        case "scalar":
            return SCALARS[tree.scalar]
        case "literal":
            return Literal[tuple(tree.literal.values)]
        case "list":
            return types.GenericAlias(list, (annotation(tree.list.element),))
        case "dict":
            return types.GenericAlias(dict, (SCALARS[tree.dict.key], annotation(tree.dict.value)))
        case "optional":
            return annotation(tree.optional.of) | None
        case kind:
            raise ValueError(f"a type of kind {kind}")


def constraints(field: pb.Field) -> dict[str, Any]:
    """The keyword arguments of DSPy's field: told to the model; the gateway is who checks them."""
    given = field.constraints
    names = {
        "min": "ge",
        "max": "le",
        "gt": "gt",
        "lt": "lt",
        "min_length": "min_length",
        "max_length": "max_length",
    }
    known = {to: getattr(given, name) for name, to in names.items() if given.HasField(name)}
    return {**known, **(orjson.loads(given.other) if given.other else {})}


def described(field: pb.Field) -> dict[str, str]:
    """The description; DSPy says nothing of a pattern, so it stands here. Left to DSPy where there is neither."""
    pattern = (
        f"must match the regular expression {field.constraints.pattern}"
        if field.constraints.pattern
        else ""
    )
    words = "; ".join(filter(None, [field.description, pattern]))
    return {"desc": words} if words else {}


def signature_class(signature: pb.Signature) -> type[dspy.Signature]:
    """The class that `class Name(dspy.Signature)` would have made."""
    inputs = {
        f.name: (annotation(f.type), dspy.InputField(**described(f), **constraints(f)))
        for f in signature.inputs
    }
    outputs = {
        f.name: (annotation(f.type), dspy.OutputField(**described(f), **constraints(f)))
        for f in signature.outputs
    }
    made = dspy.make_signature(
        {**inputs, **outputs}, signature.instructions or None, signature.name or "Signature"
    )
    return made  # type: ignore[no-any-return]
