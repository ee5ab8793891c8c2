"""Where an optimization stands, and the best program that it has seen on the way."""

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import dspy
from dspy.utils.callback import BaseCallback
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.optimizing.budget import Purse
from dspy_sidecar.optimizing.forecast import Expectation
from dspy_sidecar.optimizing.student import RAN, Student
from dspy_sidecar.scoring.judge import ReasonedGrade

BASELINE_SHARE, SCORE_SHARE = 0.1, 0.1
"""Of the whole, for the scores before and after."""


class Best:
    """The state of the best program among those that were scored on most examples."""

    def __init__(self) -> None:
        self.state: str | None = None
        self.score: float | None = None
        self._examples = 0

    def seen(self, program: Student, score: float, examples: int) -> None:
        """A program was scored on so many."""
        if examples < self._examples or (
            examples == self._examples and self.score is not None and score <= self.score
        ):
            return
        self.state, self.score, self._examples = program.state(), score, examples


class Progress(BaseCallback):  # type: ignore[misc]
    """DSPy's callback of what optimizers do.

    Args:
        purse: Says what was spent.
        batch: Examples that SIMBA scores a candidate on, without DSPy's Evaluate; 0 for other optimizers.

    """

    def __init__(self, purse: Purse, batch: int) -> None:
        self.best = Best()
        self._purse = purse
        self._batch = batch
        self._told = pb.OptimizationProgress(
            phase="baseline", message="scoring the program as it is"
        )
        self._is_compiling = False
        self._expected = Expectation()
        self._scores = self._candidates = 0
        self._evaluating: dict[str, tuple[Any, int]] = {}
        self._batches: WeakKeyDictionary[Student, list[float]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def now(self) -> pb.OptimizationProgress:
        """A copy."""
        with self._lock:
            told = pb.OptimizationProgress()
            told.CopyFrom(self._told)
            told.token_usage.CopyFrom(self._purse.usage)
            if self.best.score is not None:
                told.best_score = self.best.score
            return told

    def compiling(self, expected: Expectation, baseline: float) -> None:
        """The score before is known; the optimizer begins."""
        self._is_compiling, self._expected = True, expected
        with self._lock:
            self._told.baseline_score = baseline
        self._tell("bootstrap", "the optimizer begins", BASELINE_SHARE)

    def scoring(self) -> None:
        """The optimizer has ended."""
        self._is_compiling = False
        self._tell("score", "scoring the optimized program", 1 - SCORE_SHARE)

    def scored(self, done: int, of: int) -> None:
        """So many examples of the valset were scored."""
        is_before = self._told.phase == "baseline"
        begin, share = (0.0, BASELINE_SHARE) if is_before else (1 - SCORE_SHARE, SCORE_SHARE)
        program = "the program as it is" if is_before else "the optimized program"
        self._tell(
            self._told.phase,
            f"scoring {program}, {done} of {of} examples",
            begin + share * done / of,
        )

    def looked(self, score: float) -> None:
        """A metric has looked at an answer, for the optimizer."""
        with self._lock:
            self._scores += 1
            scores, program = self._scores, RAN.get()
            batch = self._batches.setdefault(program, []) if program and self._batch > 1 else []
            batch.append(score)
        if len(batch) == self._batch and program and not self._purse.is_spent():
            self.best.seen(program, sum(batch) / len(batch), len(batch))
        if self._expected.looks:
            whole = BASELINE_SHARE + (1 - BASELINE_SHARE - SCORE_SHARE) * min(
                1.0, scores / self._expected.looks
            )
            self._tell(self._told.phase, self._told.message, whole)

    def on_compile_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """An optimizer, or one that it uses, begins."""
        name = type(instance).__name__
        if name in ("BootstrapFewShot", "LabeledFewShot"):
            self._tell("bootstrap", "choosing demos")
        else:
            self._tell("bootstrap", f"{name} begins")

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """A module runs: the program's, a judge, or else one that the optimizer asks for advice."""
        callers = dspy.settings.caller_modules or []
        is_judge = getattr(instance, "signature", None) is ReasonedGrade
        if (
            self._is_compiling
            and not is_judge
            and not any(isinstance(one, Student) for one in [*callers, instance])
        ):
            self._tell("propose", "having a model propose changes")

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """A program is going to be scored."""
        examples = inputs.get("devset") or instance.devset
        with self._lock:
            self._candidates += 1
            self._evaluating[call_id] = (inputs["program"], len(examples))
        of = f" of {self._expected.candidates}" if self._expected.candidates else ""
        self._tell("search", f"trying candidate {self._candidates}{of}")

    def on_evaluate_end(
        self, call_id: str, outputs: Any, exception: Exception | None = None
    ) -> None:
        """It was."""
        program, examples = self._evaluating.pop(call_id)
        # What was scored without a model to ask has no score of its own.
        if outputs is not None and isinstance(program, Student) and not self._purse.is_spent():
            self.best.seen(program, float(outputs.score) / 100, examples)

    def _tell(self, phase: str, message: str, fraction: float | None = None) -> None:
        with self._lock:
            self._told.phase, self._told.message = phase, message
            if fraction is not None:
                self._told.fraction = max(fraction, self._told.fraction)


def metric_of(score: Callable[..., Any], progress: Progress) -> Callable[..., Any]:
    """A metric as optimizers call it, which tells of each look."""

    def metric(
        example: dspy.Example,
        prediction: Any,
        trace: Any = None,
        pred_name: Any = None,
        pred_trace: Any = None,
    ) -> Any:
        made = score(example, prediction)
        progress.looked(float(made))
        return made

    return metric
