"""A language model that judges answers by a caller's rubric; metrics and rewards share it."""

from dataclasses import dataclass
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.json_values import json_of

# The texts of both signatures are the judge's prompts: a model reads every word of them.


class Grade(dspy.Signature):  # type: ignore[misc]
    """Judge how well an answer meets the rubric."""

    rubric: str = dspy.InputField()
    question: str = dspy.InputField(desc="What was given, as JSON")
    answer: str = dspy.InputField(desc="What was answered, as JSON")
    score: float = dspy.OutputField(desc="From 0, not at all, to 1, in full", ge=0, le=1)


class ReasonedGrade(dspy.Signature):  # type: ignore[misc]
    """Judge how well an answer meets the rubric."""

    rubric: str = dspy.InputField()
    question: str = dspy.InputField(desc="What was given, as JSON")
    expected: str = dspy.InputField(
        desc="What a good answer may be, as JSON; {} where nobody said so"
    )
    answer: str = dspy.InputField(desc="What was answered, as JSON")
    reason: str = dspy.OutputField(desc="What is good and what is missing, in a sentence or two")
    score: float = dspy.OutputField(desc="From 0, not at all, to 1, in full", ge=0, le=1)


@dataclass(frozen=True)
class Judgement:
    """A score from 0 to 1, and its reason; the reason is empty if the prompt asks for none."""

    score: float
    reason: str


class RubricJudge:
    """Asks the model of the current DSPy context how well an answer meets a rubric.

    Args:
        prompt: `Grade`, or `ReasonedGrade`, which also shows what was expected.
        rubric: The caller's text.

    Raises:
        OutputUnreadableError: The model's answer holds no score.

    """

    def __init__(self, prompt: type[dspy.Signature], rubric: str) -> None:
        self._predict = dspy.Predict(prompt)
        self._rubric = rubric

    def __call__(self, **values: Any) -> Judgement:
        """Judges an answer. `values` are the prompt's inputs besides the rubric."""
        try:
            return judgement_of(self._predict(rubric=self._rubric, **texts(values)))
        except AdapterParseError as error:
            raise OutputUnreadableError from error

    async def acall(self, **values: Any) -> Judgement:
        """Judges an answer without blocking the event loop."""
        try:
            return judgement_of(await self._predict.acall(rubric=self._rubric, **texts(values)))
        except AdapterParseError as error:
            raise OutputUnreadableError from error


def texts(values: dict[str, Any]) -> dict[str, str]:
    """The inputs of a judge's prompt, each as JSON."""
    return {name: json_of(value).decode() for name, value in values.items()}


def judgement_of(grade: dspy.Prediction) -> Judgement:
    """The judgement in a model's answer, with the score forced into its bounds."""
    # DSPy tells the model the bounds and does not enforce them.
    return Judgement(min(max(float(grade.score), 0.0), 1.0), grade.get("reason", ""))
