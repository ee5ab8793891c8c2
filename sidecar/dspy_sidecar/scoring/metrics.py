"""The metrics of a request: scores of an answer, and feedback that optimizers learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.json_values import json_of
from dspy_sidecar.long_texts import in_thread_if_long
from dspy_sidecar.scoring.comparing import COMPARISONS
from dspy_sidecar.scoring.judge import Judgement, ReasonedGrade, RubricJudge

Values = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What a metric gives an answer."""

    score: float
    """From 0 to 1."""
    feedback: str
    """Why the score is not higher, for a model to read."""


class Metric(Protocol):
    """Scores an answer.

    `expected` may lack the outputs that the metric does not look at.
    """

    needs_model: bool

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """Scores an answer, each argument by field name."""

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """Scores an answer without blocking the event loop."""


class ComparisonMetric:
    """Compares one output with its expected value.

    If the metric names no output, the score is the mean over all outputs with an expected value.
    """

    needs_model = False

    def __init__(self, signature: pb.Signature, metric: pb.Metric) -> None:
        self._compare = COMPARISONS[metric.name]
        self._params = params_of(metric)
        self._fields = {field.name: field.type for field in fields_of(signature, metric)}

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """Scores an answer."""
        verdicts = [
            self._compare_field(name, expected[name], outputs.get(name))
            for name in self._fields
            if name in expected
        ]
        if not verdicts:
            # The gateway refuses such a request: see needsExpected in its catalogue/metrics.ts.
            raise ValueError("a metric has no expected output to compare with")
        score = sum(verdict.score for verdict in verdicts) / len(verdicts)
        return Verdict(score, "\n".join(verdict.feedback for verdict in verdicts))

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """Scores an answer."""
        length = len(json_of(expected)) + len(json_of(outputs))
        return await in_thread_if_long(length, lambda: self(inputs, expected, outputs))

    def _compare_field(self, name: str, expected: Any, got: Any) -> Verdict:
        try:
            score = self._compare(got, expected, self._fields[name], self._params)
        except (TypeError, AttributeError, OverflowError):
            # The model's answer is of another type, or a number that no float can hold.
            score = 0.0
        if score == 1:
            return Verdict(score, f"{name} is right.")
        return Verdict(score, f"{name}: expected {json_text(expected)}, got {json_text(got)}.")


class JudgeMetric:
    """Has a model judge one output by a rubric, or the whole answer if no output is named."""

    needs_model = True

    def __init__(self, signature: pb.Signature, metric: pb.Metric) -> None:
        self._fields = [field.name for field in fields_of(signature, metric)]
        self._judge = RubricJudge(ReasonedGrade, params_of(metric)["rubric"])

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """Scores an answer."""
        return verdict_of(self._judge(**self._shown(inputs, expected, outputs)))

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> Verdict:
        """Scores an answer."""
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


KINDS: dict[str, Callable[[pb.Signature, pb.Metric], Metric]] = {
    **dict.fromkeys(COMPARISONS, ComparisonMetric),
    "judge": JudgeMetric,
}
"""Every metric of the catalogue, by name."""


class Metrics:
    """All metrics of a request."""

    def __init__(self, signature: pb.Signature, metrics: Sequence[pb.Metric]) -> None:
        self._metrics = [KINDS[metric.name](signature, metric) for metric in metrics]
        self._weights = [metric.weight or 1.0 for metric in metrics]
        self.needs_model = any(metric.needs_model for metric in self._metrics)

    def __call__(self, inputs: Values, expected: Values, outputs: Values) -> list[Verdict]:
        """Scores an answer: one verdict for each metric, in the request's order."""
        return [metric(inputs, expected, outputs) for metric in self._metrics]

    async def acall(self, inputs: Values, expected: Values, outputs: Values) -> list[Verdict]:
        """Scores an answer without blocking the event loop."""
        return [await metric.acall(inputs, expected, outputs) for metric in self._metrics]

    def mean(self, verdicts: list[Verdict]) -> Verdict:
        """The weighted mean of the verdicts, with the feedback of all of them."""
        scored = zip(verdicts, self._weights, strict=True)
        score = sum(verdict.score * weight for verdict, weight in scored) / sum(self._weights)
        return Verdict(
            score,
            "\n".join(dict.fromkeys(verdict.feedback for verdict in verdicts if verdict.feedback)),
        )


def fields_of(signature: pb.Signature, metric: pb.Metric) -> list[pb.Field]:
    """The outputs that a metric looks at: the one that it names, or all."""
    return [field for field in signature.outputs if metric.field in ("", field.name)]


def params_of(metric: pb.Metric) -> Values:
    """A metric's own parameters."""
    return orjson.loads(metric.params) if metric.params else {}


def json_text(value: Any) -> str:
    """A value as JSON, for a model to read."""
    return json_of(value).decode()
