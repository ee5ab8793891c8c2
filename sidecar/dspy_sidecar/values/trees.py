"""The type tree of the wire as Python annotations, and back."""

import types
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

SCALARS: dict[pb.Scalar, type] = {
    pb.SCALAR_STR: str,
    pb.SCALAR_INT: int,
    pb.SCALAR_FLOAT: float,
    pb.SCALAR_BOOL: bool,
}
KINDS = {annotation: scalar for scalar, annotation in SCALARS.items()}
MAX_ANNOTATIONS = 4_096


def annotation(tree: pb.Type) -> Any:
    """The Python annotation of a type."""
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
            raise ValueError(f"unknown kind of type {kind}")


def tree_of(wanted: Any) -> pb.Type | None:
    """The type of an annotation; None if the table of values has no such type."""
    try:
        return known_tree(wanted)
    except TypeError:
        # The annotation is not hashable.
        return None


@lru_cache(MAX_ANNOTATIONS)
def known_tree(wanted: Any) -> pb.Type | None:
    """The type of a hashable annotation, from the cache."""
    if isinstance(wanted, type) and wanted in KINDS:
        return pb.Type(scalar=KINDS[wanted])
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is Literal and all(isinstance(part, str) for part in parts):
        return pb.Type(literal=pb.LiteralType(values=parts))
    if origin is list and (element := tree_of(parts[0])):
        return pb.Type(list=pb.ListType(element=element))
    if origin is dict and parts[0] in (str, int) and (value := tree_of(parts[1])):
        return pb.Type(dict=pb.DictType(key=KINDS[parts[0]], value=value))
    if origin in (Union, types.UnionType) and len(parts) == 2 and type(None) in parts:
        inner = tree_of(parts[0] if parts[1] is type(None) else parts[1])
        return pb.Type(optional=pb.OptionalType(of=inner)) if inner else None
    return None
