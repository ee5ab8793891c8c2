"""Signatures as Python source: a text in DSPy's notation, or a class."""

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import constraints, description, is_text
from dspy_sidecar.programs.source.literals import arguments, docstring, literal
from dspy_sidecar.values.trees import SCALARS


def type_text(tree: pb.Type) -> str:
    """A type as an annotation."""
    match tree.WhichOneof("kind"):
        case "literal":
            return f"Literal[{', '.join(map(literal, tree.literal.values))}]"
        case "list":
            return f"list[{type_text(tree.list.element)}]"
        case "dict":
            return f"dict[{SCALARS[tree.dict.key].__name__}, {type_text(tree.dict.value)}]"
        case "optional":
            return f"{type_text(tree.optional.of)} | None"
        case _:
            return SCALARS[tree.scalar].__name__


def reference(signature: pb.Signature) -> str:
    """A signature as the argument of a module."""
    if not is_text(signature):
        return signature.name
    inputs, outputs = (
        ", ".join(notation(field) for field in fields)
        for fields in (signature.inputs, signature.outputs)
    )
    text = literal(f"{inputs} -> {outputs}")
    if not signature.instructions:
        return text
    return f"dspy.Signature({text}, {literal(signature.instructions)})"


def notation(field: pb.Field) -> str:
    """A field in DSPy's notation."""
    is_str = field.type.scalar == pb.SCALAR_STR
    return field.name if is_str else f"{field.name}: {type_text(field.type)}"


def class_text(signature: pb.Signature) -> str:
    """A signature as a class of its own."""
    lines = [f"class {signature.name}(dspy.Signature):"]
    if signature.instructions:
        lines += [f"    {docstring(signature.instructions, '    ')}", ""]
    for kind, fields in (("InputField", signature.inputs), ("OutputField", signature.outputs)):
        for field in fields:
            told = arguments(**description(field), **constraints(field))
            lines.append(f"    {field.name}: {type_text(field.type)} = dspy.{kind}({told})")
    return "\n".join(lines)
