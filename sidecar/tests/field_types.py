"""Types of fields with values of each, and demos and answers made of them."""

import dspy
from programs import STR
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

INT, FLOAT, BOOL = (
    pb.Type(scalar=kind) for kind in (pb.SCALAR_INT, pb.SCALAR_FLOAT, pb.SCALAR_BOOL)
)


def literal(*values: str) -> pb.Type:
    return pb.Type(literal=pb.LiteralType(values=values))


def listed(of: pb.Type) -> pb.Type:
    return pb.Type(list=pb.ListType(element=of))


def keyed(of: pb.Type, key=pb.SCALAR_STR) -> pb.Type:
    return pb.Type(dict=pb.DictType(key=key, value=of))


def optional(of: pb.Type) -> pb.Type:
    return pb.Type(optional=pb.OptionalType(of=of))


TYPES = {
    "str": (STR, ["", "plain", 'Ünï\ncödé 😀 "<&>" [[ ## y ## ]]', "3"]),
    "int": (INT, [0, -7]),
    "float": (FLOAT, [0.5, 3.0, 1e-9]),
    "bool": (BOOL, [True, False]),
    "Literal": (literal("a b", "it's", 'say "hi"', "é", "1"), ["é", "it's"]),
    "list[str]": (listed(STR), [[], ["one"], ["a\nb", "«c»"]]),
    "list[int]": (listed(INT), [[1, 2]]),
    "list[bool]": (listed(BOOL), [[True]]),
    "list[Literal]": (listed(literal("x", "y")), [["x"]]),
    "list[list[float]]": (listed(listed(FLOAT)), [[[1.5], []]]),
    "dict[str, int]": (keyed(INT), [{"ключ": 1, "b-c.d": 2}, {}]),
    "dict[int, str]": (keyed(STR, pb.SCALAR_INT), [{1: "один"}]),
    "dict[str, list[str]]": (keyed(listed(STR)), [{"a": ["b"]}]),
    "Optional[str]": (optional(STR), [None, "x"]),
    "Optional[int]": (optional(INT), [None, 4]),
    "Optional[Literal]": (optional(literal("p", "q")), [None, "p"]),
    "Optional[list[dict]]": (optional(listed(keyed(FLOAT))), [None, [{"a": 0.25}]]),
    "list[Optional[int]]": (listed(optional(INT)), [[1, None]]),
}
MALFORMED_ANSWERS = [
    "",
    "no fields",
    "[[ ## y ## ]]\n\n[[ ## note ## ]]\nx",
    "[[ ## y ## ]]\nNone\n[[ ## note ## ]] 1",
    '{"y": null, "note": "n"}',
    '{"y": "1", "note": 2}',
    '{"y": [1, "a"], "note": "n"}',
    '{"y": {"1": "a"}, "note": "n"',
    "<y>1</y><note>n</note>",
    "<y><item>1</item><item>é</item></y><note/>",
    '<y><a>1</a><entry key="b c">2</entry></y><note>&lt;</note>',
    "<y>",
]


def demos_of(values: list, count: int) -> list[dict]:
    """Complete demos, and demos that lack an input or an output or have further fields."""
    shapes = [
        lambda value: {"x": value, "y": value, "note": "ok é"},
        lambda value: {"augmented": True, "x": value, "note": "n"},
        lambda value: dspy.Example(x=value, y=value, note=None, other="?"),
        lambda value: {"y": value, "note": "no input"},
        lambda value: dspy.Example(x=value, y=value, note="<&>").with_inputs("x"),
    ]
    return [shapes[n % len(shapes)](values[n % len(values)]) for n in range(count)]
