"""The rewards of BestOfN and Refine as functions of a notebook."""

import inspect
import re
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import constraints
from dspy_sidecar.programs.source.literals import literal
from dspy_sidecar.programs.source.signatures import type_text
from dspy_sidecar.scoring.judge import Grade

JUDGE = """\
def {name}(args, pred):
    \"\"\"The score, from 0 to 1, that the program's own model gives an answer by a rubric.\"\"\"

    def text(values):
        return orjson.dumps(values, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

    answer = {{name: pred.get(name) for name in {outputs}}}
    grade = dspy.Predict(Grade)(rubric={rubric}, question=text(args), answer=text(answer))
    return min(max(float(grade.score), 0.0), 1.0)"""

FITS = """\
def {name}(args, pred):
    \"\"\"The share of the outputs that satisfy their types and constraints, from 0 to 1.\"\"\"

    def fits(name, kind, pattern):
        try:
            value = pydantic.TypeAdapter(kind).validate_python(pred.get(name))
        except pydantic.ValidationError:
            return False
        return not pattern or value is None or re.fullmatch(pattern, value) is not None

    outputs = [
{outputs}
    ]
    return sum(fits(*output) for output in outputs) / len(outputs)"""


def judge_text(name: str, signature: pb.Signature, rubric: str) -> str:
    """The reward `judge`, as a function of a name."""
    outputs = [field.name for field in signature.outputs]
    return JUDGE.format(name=name, outputs=literal(outputs), rubric=literal(rubric))


def grade_text() -> str:
    """The signature that `judge` asks the model by."""
    return re.sub(r" +# type: ignore.*", "", inspect.getsource(Grade)).strip()


def fits_text(name: str, signature: pb.Signature) -> str:
    """The reward `fits`, as a function of a name."""
    outputs = "\n".join(
        f"        ({literal(f.name)}, {limited(f)}, {literal(f.constraints.pattern)}),"
        for f in signature.outputs
    )
    return FITS.format(name=name, outputs=outputs)


def limited(field: pb.Field) -> str:
    """A field's type with its constraints, as pydantic reads it."""
    limits: dict[str, Any] = constraints(field)
    is_optional = field.type.HasField("optional")
    kind = type_text(field.type.optional.of if is_optional else field.type)
    if limits:
        told = ", ".join(f"{name}={literal(value)}" for name, value in limits.items())
        kind = f"Annotated[{kind}, pydantic.Field({told})]"
    return f"{kind} | None" if is_optional else kind
