"""Signatures as Python source: a text in DSPy's notation, or a class."""

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import constraints, description, is_text
from dspy_sidecar.programs.source.literals import arguments, docstring, literal
from dspy_sidecar.values.trees import SCALARS

# Names that the body of a class uses, and that a field would hide from the fields below it.
USED = {"dspy", "Literal", *(scalar.__name__ for scalar in SCALARS.values()), "list", "dict"}


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
    if not USED.isdisjoint(field.name for field in (*signature.inputs, *signature.outputs)):
        return made_text(signature)
    lines = [f"class {signature.name}(dspy.Signature):"]
    if signature.instructions:
        lines += [f"    {docstring(signature.instructions, '    ')}", ""]
    lines += [f"    {name}: {kind} = {made}" for name, kind, made in field_texts(signature)]
    return "\n".join(lines)


def made_text(signature: pb.Signature) -> str:
    """The same class, made by a call of DSPy's."""
    fields = [
        f"        {literal(name)}: ({kind}, {made})," for name, kind, made in field_texts(signature)
    ]
    instructions = literal(signature.instructions or None)
    return "\n".join(
        [
            f"{signature.name} = dspy.make_signature(",
            "    {",
            *fields,
            "    },",
            f"    {instructions},",
            f"    {literal(signature.name)},",
            ")",
        ]
    )


def field_texts(signature: pb.Signature) -> list[tuple[str, str, str]]:
    """The name, the type and the DSPy field of each field."""
    return [
        (
            field.name,
            type_text(field.type),
            f"dspy.{kind}({arguments(**description(field), **constraints(field))})",
        )
        for kind, fields in (("InputField", signature.inputs), ("OutputField", signature.outputs))
        for field in fields
    ]
