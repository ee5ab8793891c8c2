"""The fields of the wire as DSPy's fields and signatures."""

from typing import Any

import dspy
import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.values.trees import annotation


def constraints(field: pb.Field) -> dict[str, Any]:
    """A field's constraints as keyword arguments of DSPy's field.

    DSPy tells them to the model and enforces none; the gateway does.
    """
    declared = field.constraints
    names = {
        "min": "ge",
        "max": "le",
        "gt": "gt",
        "lt": "lt",
        "min_length": "min_length",
        "max_length": "max_length",
    }
    limits = {to: getattr(declared, name) for name, to in names.items() if declared.HasField(name)}
    return {**limits, **(orjson.loads(declared.other) if declared.other else {})}


def description(field: pb.Field) -> dict[str, str]:
    """A field's description with its pattern, which DSPy does not tell the model by itself.

    Empty if the field has neither, so that DSPy's default applies.
    """
    pattern = (
        f"must match the regular expression {field.constraints.pattern}"
        if field.constraints.pattern
        else ""
    )
    words = "; ".join(filter(None, [field.description, pattern]))
    return {"desc": words} if words else {}


def signature_class(signature: pb.Signature) -> type[dspy.Signature]:
    """A signature as a DSPy class, the same as `class Name(dspy.Signature)` would make."""
    inputs = {
        f.name: (annotation(f.type), dspy.InputField(**description(f), **constraints(f)))
        for f in signature.inputs
    }
    outputs = {
        f.name: (annotation(f.type), dspy.OutputField(**description(f), **constraints(f)))
        for f in signature.outputs
    }
    made = dspy.make_signature(
        {**inputs, **outputs}, signature.instructions or None, signature.name or "Signature"
    )
    return made  # type: ignore[no-any-return]
