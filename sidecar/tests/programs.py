"""Programs as the gateway would send them."""

import json
import uuid
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

QUESTION = {"question": "Capital of France?"}
STR = pb.Type(scalar=pb.SCALAR_STR)


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
