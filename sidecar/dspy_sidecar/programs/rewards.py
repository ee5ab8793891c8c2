"""Rewards: the scores by which BestOfN and Refine choose among answers."""

from collections.abc import Callable
from typing import Any

import dspy
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import constraints
from dspy_sidecar.scoring.judge import Grade, RubricJudge
from dspy_sidecar.values.checking import FieldCheck
from dspy_sidecar.values.trees import annotation

Reward = Callable[[dict[str, Any], dspy.Prediction], float]


class Fits:
    """The share of the outputs that satisfy their types and constraints, from 0 to 1."""

    def __init__(self, signature: pb.Signature) -> None:
        self._checks = {field.name: FieldCheck(field) for field in signature.outputs}
        self.told = (
            "The share of the outputs that keep to their types and constraints: "
            + ", ".join(f"{field.name}: {field_text(field)}" for field in signature.outputs)
        )
        """What Refine tells the model of the reward."""

    def __call__(self, args: dict[str, Any], pred: dspy.Prediction) -> float:
        """The reward of a prediction."""
        valid = [check.accepts(pred.get(name)) for name, check in self._checks.items()]
        return sum(valid) / len(valid)


class Judge:
    """The score, from 0 to 1, that the program's own model gives an answer by a caller's rubric."""

    def __init__(self, signature: pb.Signature, rubric: str) -> None:
        self._outputs = [field.name for field in signature.outputs]
        self._judge = RubricJudge(Grade, rubric)
        self.told = f"How well the answer meets this rubric, from 0 to 1: {rubric}"
        """What Refine tells the model of the reward."""

    def __call__(self, args: dict[str, Any], pred: dspy.Prediction) -> float:
        """The reward of a prediction."""
        answer = {name: pred.get(name) for name in self._outputs}
        return self._judge(question=args, answer=answer).score


def reward_of(signature: pb.Signature, params: dict[str, Any]) -> Fits | Judge:
    """The reward that a module's `reward_fn` names: `judge` or `fits`."""
    if params["reward_fn"] == "judge":
        return Judge(signature, params["rubric"])
    return Fits(signature)


def field_text(field: pb.Field) -> str:
    """A field's type and constraints, for a model to read."""
    limits = constraints(field)
    if field.constraints.pattern:
        limits["pattern"] = field.constraints.pattern
    text = ", ".join(f"{name} {value}" for name, value in limits.items())
    return f"{annotation(field.type)}{f' with {text}' if text else ''}"
