"""The fields of the wire as DSPy's fields and signatures."""

from typing import Any

import dspy
import orjson
from dspy.utils.constants import IS_TYPE_UNDEFINED
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
    tree = field.type.optional.of if field.type.HasField("optional") else field.type
    if tree.scalar == pb.SCALAR_INT:
        # The wire has them as floats, and DSPy would tell the model of 1.0.
        limits = {
            name: int(limit) if limit == int(limit) else limit for name, limit in limits.items()
        }
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


def is_text(signature: pb.Signature) -> bool:
    """Whether DSPy's notation says all of a signature, as in `dspy.Predict("question -> answer")`.

    A signature with a name, a description or a constraint is a class in a notebook. So is one with
    an arrow in a literal, since DSPy refuses a text with two.
    """
    fields = [*signature.inputs, *signature.outputs]
    return signature.is_unnamed and not any(
        description(f) or constraints(f) or "->" in str(annotation(f.type)) for f in fields
    )


def signature_class(signature: pb.Signature) -> type[dspy.Signature]:
    """A signature as DSPy makes it of a text, or of `class Name(dspy.Signature)`.

    Its name and the mark of fields without a type are in the requests of optimizers.
    """
    from_text = is_text(signature)

    def mark(field: pb.Field) -> dict[str, Any]:
        return {IS_TYPE_UNDEFINED: field.type.scalar == pb.SCALAR_STR} if from_text else {}

    inputs = {
        f.name: (annotation(f.type), dspy.InputField(**mark(f), **description(f), **constraints(f)))
        for f in signature.inputs
    }
    outputs = {
        f.name: (annotation(f.type), dspy.OutputField(**description(f), **constraints(f)))
        for f in signature.outputs
    }
    name = "StringSignature" if from_text else signature.name or "Signature"
    made = dspy.make_signature({**inputs, **outputs}, signature.instructions or None, name)
    return made  # type: ignore[no-any-return]
