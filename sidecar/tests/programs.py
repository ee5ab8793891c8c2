"""Programs as the gateway would send them."""

import json
import uuid
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

QUESTION = {"question": "Capital of France?"}
STR = pb.Type(scalar=pb.SCALAR_STR)
FITS = {"N": 3, "threshold": 1.0, "reward_fn": "fits"}


def signature(inputs: dict[str, pb.Type], outputs: dict[str, pb.Type]) -> pb.Signature:
    def fields(types: dict[str, pb.Type]) -> list[pb.Field]:
        return [pb.Field(name=name, type=type) for name, type in types.items()]

    return pb.Signature(name="Test", inputs=fields(inputs), outputs=fields(outputs))


def program(sig: pb.Signature, kind: str = "Predict", **settings: Any) -> pb.Program:
    """One module over the program's own signature."""
    wires = [pb.Wire(input=field.name, field=field.name) for field in sig.inputs]
    outputs = [pb.Wire(input=field.name, module="only", field=field.name) for field in sig.outputs]
    module = pb.Module(name="only", type=kind, signature=sig, wires=wires)
    return pb.Program(
        id=uuid.uuid4().hex, signature=sig, modules=[module], outputs=outputs, **settings
    )


def capital(kind: str = "Predict", **settings: Any) -> pb.Program:
    return program(signature({"question": STR}, {"answer": STR}), kind, **settings)


def asked(made: pb.Program, lm: pb.LmSettings | None = None, **inputs: Any) -> pb.Run:
    return pb.Run(program=made, inputs=json.dumps(inputs).encode(), lm=lm)


def pipeline() -> pb.Program:
    """Two modules, of which the first drafts the answer."""
    made = capital()
    think, say = (
        signature({"question": STR}, {"draft": STR}),
        signature({"draft": STR}, {"answer": STR}),
    )
    del made.modules[:]
    made.modules.add(name="think", type="ChainOfThought", signature=think).wires.add(
        input="question", field="question"
    )
    made.modules.add(name="say", type="Predict", signature=say).wires.add(
        input="draft", module="think", field="draft"
    )
    made.outputs[0].module = "say"
    return made


def wrapped(kind: str, inner: str, params: dict, pattern: str = "[A-Z][a-z]+") -> pb.Program:
    """A module around another, over question -> answer; the answer must match a pattern."""
    sig = signature({"question": STR}, {"answer": STR})
    sig.outputs[0].constraints.pattern = pattern
    made = program(sig, kind)
    module = made.modules[0]
    module.params = json.dumps(params).encode()
    module.modules.add(name="inner", type=inner, signature=sig, wires=module.wires)
    return made
