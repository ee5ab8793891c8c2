"""How BestOfN and Refine tell a good answer from a better one."""

from collections.abc import Callable
from typing import Annotated, Any

import dspy
import pydantic
import pydantic_core
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import annotation, constraints
from dspy_sidecar.scoring.judge import Grade, RubricJudge

Reward = Callable[[dict[str, Any], dspy.Prediction], float]


class Fits:
    """1 where every output keeps to its type and its constraints, else the share of those that do."""

    def __init__(self, signature: pb.Signature) -> None:
        self._checks = {field.name: check_of(field) for field in signature.outputs}
        self.told = (
            "The share of the outputs that keep to their types and constraints: "
            + ", ".join(f"{field.name}: {words(field)}" for field in signature.outputs)
        )

    def __call__(self, args: dict[str, Any], pred: dspy.Prediction) -> float:
        """The reward."""
        return sum(keeps(check, pred.get(name)) for name, check in self._checks.items()) / len(
            self._checks
        )


class Judge:
    """The score that the program's own model gives an answer, by a rubric of the caller's."""

    def __init__(self, signature: pb.Signature, rubric: str) -> None:
        self._outputs = [field.name for field in signature.outputs]
        self._judge = RubricJudge(Grade, rubric)
        self.told = f"How well the answer meets this rubric, from 0 to 1: {rubric}"

    def __call__(self, args: dict[str, Any], pred: dspy.Prediction) -> float:
        """The reward."""
        answer = {name: pred.get(name) for name in self._outputs}
        return self._judge(question=args, answer=answer).score


def reward_of(signature: pb.Signature, params: dict[str, Any]) -> Fits | Judge:
    """The reward that parameters name."""
    if params["reward_fn"] == "judge":
        return Judge(signature, params["rubric"])
    return Fits(signature)


def check_of(field: pb.Field) -> pydantic.TypeAdapter[Any]:
    """Says whether a value keeps to a field. The pattern is matched in linear time, since pydantic's engine is Rust's."""
    known, pattern = constraints(field), field.constraints.pattern
    if pattern:
        try:
            return adapter_of(field, {**known, "pattern": f"^(?:{pattern})$"})
        except pydantic_core.SchemaError:
            # RE2 knows it and Rust's engine does not: the gateway checks it in the end.
            pass
    return adapter_of(field, known)


def adapter_of(field: pb.Field, limits: dict[str, Any]) -> pydantic.TypeAdapter[Any]:
    """Of a field's type within limits."""
    bounded: Any = Annotated[annotation(field.type), pydantic.Field(**limits)]
    return pydantic.TypeAdapter(bounded)


def keeps(check: pydantic.TypeAdapter[Any], value: Any) -> bool:
    """Whether a value passes a check as it is."""
    try:
        check.validate_python(value, strict=True)
    except pydantic.ValidationError:
        return False
    return True


def words(field: pb.Field) -> str:
    """A field's type and constraints as the model may read them."""
    known = constraints(field)
    if field.constraints.pattern:
        known["pattern"] = field.constraints.pattern
    limits = ", ".join(f"{name} {value}" for name, value in known.items())
    return f"{annotation(field.type)}{f' with {limits}' if limits else ''}"
