"""What the metrics of a request say of an answer, for a score and for an optimizer to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.json_values import json_of
from dspy_sidecar.scoring.comparing import COMPARISONS
from dspy_sidecar.scoring.judge import Judgement, ReasonedGrade, RubricJudge

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


class JudgeMetric:
    """Has a model judge one output by a rubric, or the whole answer if the metric names no output."""

    needs_model = True

    def __init__(self, signature: pb.Signature, metric: pb.Metric) -> None:
        self._fields = [field.name for field in fields_of(signature, metric)]
        self._judge = RubricJudge(ReasonedGrade, params_of(metric)["rubric"])

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """As a metric's."""
        return verdict_of(self._judge(**self._shown(inputs, expected, outputs)))

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """As a metric's."""
        return verdict_of(await self._judge.acall(**self._shown(inputs, expected, outputs)))

    def _shown(self, inputs: Values, expected: Values, outputs: Values) -> dict[str, Values]:
        wanted, got = (
            {name: part[name] for name in self._fields if name in part}
            for part in (expected, outputs)
        )
        return {"question": inputs, "expected": wanted, "answer": got}


def verdict_of(judgement: Judgement) -> Verdict:
    """A judgement as a metric's verdict."""
    return Verdict(judgement.score, f"A judge said: {judgement.reason}")


class Metrics:
    """Those of a request, as one."""

    def __init__(self, signature: pb.Signature, metrics: Sequence[pb.Metric]) -> None:
        kinds = [JudgeMetric if metric.name == "judge" else Comparing for metric in metrics]
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
