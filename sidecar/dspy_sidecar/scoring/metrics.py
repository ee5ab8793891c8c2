"""What the metrics of a request say of an answer, for a score and for an optimizer to learn from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dspy
import orjson
from dspy.utils.exceptions import AdapterParseError
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.json_values import json_of
from dspy_sidecar.scoring.comparing import COMPARISONS

Values = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """A score from 0 to 1, and why it is not higher."""

    score: float
    feedback: str


class Metric(Protocol):
    """Looks at an answer, at what it was asked and what was expected. What was expected may lack what it does not look at."""

    needs_model: bool

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """Its verdict."""

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """The same on an event loop."""


class Comparing:
    """Holds one output against what was expected; the mean over every one that was expected where none is named."""

    needs_model = False

    def __init__(self, signature: pb.Signature, metric: pb.Metric) -> None:
        self._compare = COMPARISONS[metric.name]
        self._params = params_of(metric)
        self._fields = {field.name: field.type for field in fields_of(signature, metric)}

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """As a metric's."""
        looked = [
            self._look(name, expected[name], outputs.get(name))
            for name in self._fields
            if name in expected
        ]
        score = sum(one.score for one in looked) / len(looked) if looked else 0.0
        return Verdict(score, "\n".join(one.feedback for one in looked))

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """As a metric's."""
        return self(inputs, expected, outputs)

    def _look(self, name: str, expected: Any, got: Any) -> Verdict:
        try:
            score = self._compare(got, expected, self._fields[name], self._params)
        except (TypeError, AttributeError, OverflowError):
            # The model's answer is of another type, or no number that there is room for.
            score = 0.0
        said = (
            f"{name} is right."
            if score == 1
            else f"{name}: expected {told(expected)}, got {told(got)}."
        )
        return Verdict(score, said)


class Grade(dspy.Signature):  # type: ignore[misc]
    """Judge how well an answer meets the rubric."""

    rubric: str = dspy.InputField()
    question: str = dspy.InputField(desc="What was given, as JSON")
    expected: str = dspy.InputField(
        desc="What a good answer may be, as JSON; {} where nobody said so"
    )
    answer: str = dspy.InputField(desc="What was answered, as JSON")
    reason: str = dspy.OutputField(desc="What is good and what is missing, in a sentence or two")
    score: float = dspy.OutputField(desc="From 0, not at all, to 1, in full", ge=0, le=1)


class Judge:
    """What a model says of one output, or of the whole answer where none is named, by a rubric of the caller's."""

    needs_model = True

    def __init__(self, signature: pb.Signature, metric: pb.Metric) -> None:
        self._rubric = params_of(metric)["rubric"]
        self._fields = [field.name for field in fields_of(signature, metric)]
        self._predict = dspy.Predict(Grade)

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """As a metric's."""
        try:
            return self._verdict(self._predict(**self._asked(inputs, expected, outputs)))
        except AdapterParseError as error:
            raise OutputUnreadableError from error

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """As a metric's."""
        try:
            return self._verdict(
                await self._predict.acall(**self._asked(inputs, expected, outputs))
            )
        except AdapterParseError as error:
            raise OutputUnreadableError from error

    def _asked(self, inputs: Values, expected: Values, outputs: Values) -> dict[str, str]:
        wanted, got = (
            {name: part[name] for name in self._fields if name in part}
            for part in (expected, outputs)
        )
        return {
            "rubric": self._rubric,
            "question": told(inputs),
            "expected": told(wanted),
            "answer": told(got),
        }

    def _verdict(self, grade: dspy.Prediction) -> Verdict:
        # A mean with it would be none either.
        if math.isnan(grade.score):
            raise OutputUnreadableError
        # The bounds are told to the model, and nobody enforces them.
        return Verdict(min(max(float(grade.score), 0.0), 1.0), f"A judge said: {grade.reason}")


class Metrics:
    """Those of a request, as one."""

    def __init__(self, signature: pb.Signature, metrics: Sequence[pb.Metric]) -> None:
        kinds = [Judge if metric.name == "judge" else Comparing for metric in metrics]
        self._metrics: list[Metric] = [
            kind(signature, metric) for kind, metric in zip(kinds, metrics, strict=True)
        ]
        self._weights = [metric.weight or 1.0 for metric in metrics]
        self.needs_model = any(metric.needs_model for metric in self._metrics)

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> list[Verdict]:
        """One verdict for each."""
        return [metric(inputs, expected, outputs) for metric in self._metrics]

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> list[Verdict]:
        """The same on an event loop."""
        return [await metric.acall(inputs, expected, outputs) for metric in self._metrics]

    def mean(self, verdicts: list[Verdict]) -> Verdict:
        """Their weighted mean, and all that they say."""
        scored = zip(verdicts, self._weights, strict=True)
        score = sum(verdict.score * weight for verdict, weight in scored) / sum(self._weights)
        return Verdict(
            score,
            "\n".join(dict.fromkeys(verdict.feedback for verdict in verdicts if verdict.feedback)),
        )


def fields_of(signature: pb.Signature, metric: pb.Metric) -> list[pb.Field]:
    """The outputs that a metric looks at."""
    return [field for field in signature.outputs if metric.field in ("", field.name)]


def params_of(metric: pb.Metric) -> Values:
    """A metric's own parameters."""
    return orjson.loads(metric.params) if metric.params else {}


def told(value: Any) -> str:
    """A value as JSON, for a model to read."""
    return json_of(value).decode()
