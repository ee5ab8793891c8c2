"""An optimization's progress, and the best program that it has scored so far."""

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import dspy
from dspy.utils.callback import BaseCallback
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.optimizing.budget import Budget
from dspy_sidecar.optimizing.forecast import Forecast
from dspy_sidecar.optimizing.student import RAN, Student, state_of
from dspy_sidecar.scoring.judge import ReasonedGrade

BASELINE_SHARE, SCORE_SHARE = 0.1, 0.1
"""The shares of the whole that the scores before and after take in `fraction`."""


class Best:
    """The best program among those that were scored on the most examples."""

    def __init__(self) -> None:
        self.state: str | None = None
        """As DSPy's save() writes it."""
        self.score: float | None = None
        self._examples = 0

    def consider(self, program: Student, score: float, examples: int) -> None:
        """Keeps a program if its score, on so many examples, makes it the best."""
        if examples < self._examples or (
            examples == self._examples and self.score is not None and score <= self.score
        ):
            return
        self.state, self.score, self._examples = state_of(program), score, examples


class Progress(BaseCallback):  # type: ignore[misc]
    """Follows an optimizer as a callback of DSPy's.

    Args:
        budget: Counts what was spent.
        batch: The number of examples that SIMBA scores a candidate on, without DSPy's Evaluate; 0
            for other optimizers.

    """

    def __init__(self, budget: Budget, batch: int) -> None:
        self.best = Best()
        self._budget = budget
        self._batch = batch
        self._progress = pb.OptimizationProgress(
            phase="baseline", message="scoring the program as it is"
        )
        self._is_compiling = False
        self._forecast = Forecast()
        self._scores = self._candidates = 0
        self._evaluating: dict[str, tuple[Any, int]] = {}
        self._batches: WeakKeyDictionary[Student, list[float]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def now(self) -> pb.OptimizationProgress:
        """The progress so far, as a copy."""
        with self._lock:
            progress = pb.OptimizationProgress()
            progress.CopyFrom(self._progress)
            progress.token_usage.CopyFrom(self._budget.usage)
            if self.best.score is not None:
                progress.best_score = self.best.score
            return progress

    def compiling(self, forecast: Forecast, baseline: float) -> None:
        """Begins the optimizer's phase, after the score before."""
        self._is_compiling, self._forecast = True, forecast
        with self._lock:
            self._progress.baseline_score = baseline
        self._set("bootstrap", "the optimizer begins", BASELINE_SHARE)

    def scoring(self) -> None:
        """Begins the phase of the score after."""
        self._is_compiling = False
        self._set("score", "scoring the optimized program", 1 - SCORE_SHARE)

    def scored(self, done: int, of: int) -> None:
        """Notes that `done` examples of the valset have been scored, of `of` in all."""
        is_before = self._progress.phase == "baseline"
        begin, share = (0.0, BASELINE_SHARE) if is_before else (1 - SCORE_SHARE, SCORE_SHARE)
        program = "the program as it is" if is_before else "the optimized program"
        self._set(
            self._progress.phase,
            f"scoring {program}, {done} of {of} examples",
            begin + share * done / of,
        )

    def metric_called(self, score: float) -> None:
        """Notes that the optimizer had an answer scored."""
        with self._lock:
            self._scores += 1
            scores, program = self._scores, RAN.get()
            batch = self._batches.setdefault(program, []) if program and self._batch > 1 else []
            batch.append(score)
        if len(batch) == self._batch and program and not self._budget.is_spent():
            self.best.consider(program, sum(batch) / len(batch), len(batch))
        if self._forecast.scores:
            search = 1 - BASELINE_SHARE - SCORE_SHARE
            fraction = BASELINE_SHARE + search * min(1.0, scores / self._forecast.scores)
            self._set(self._progress.phase, self._progress.message, fraction)

    def on_compile_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Notes that an optimizer begins, or one that it uses."""
        name = type(instance).__name__
        if name in ("BootstrapFewShot", "LabeledFewShot"):
            self._set("bootstrap", "choosing demos")
        else:
            self._set("bootstrap", f"{name} begins")

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Notes a module that proposes changes: neither the program's nor a judge."""
        callers = dspy.settings.caller_modules or []
        is_judge = getattr(instance, "signature", None) is ReasonedGrade
        if (
            self._is_compiling
            and not is_judge
            and not any(isinstance(caller, Student) for caller in [*callers, instance])
        ):
            self._set("propose", "having a model propose changes")

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Notes a candidate whose evaluation begins."""
        examples = inputs.get("devset") or instance.devset
        with self._lock:
            self._candidates += 1
            self._evaluating[call_id] = (inputs["program"], len(examples))
        of = f" of {self._forecast.candidates}" if self._forecast.candidates else ""
        self._set("search", f"trying candidate {self._candidates}{of}")

    def on_evaluate_end(
        self, call_id: str, outputs: Any, exception: Exception | None = None
    ) -> None:
        """Considers a candidate whose evaluation has ended."""
        program, examples = self._evaluating.pop(call_id)
        # A spent budget refuses requests, and the score counts those as wrong answers.
        if outputs is not None and isinstance(program, Student) and not self._budget.is_spent():
            self.best.consider(program, float(outputs.score) / 100, examples)

    def _set(self, phase: str, message: str, fraction: float | None = None) -> None:
        with self._lock:
            self._progress.phase, self._progress.message = phase, message
            if fraction is not None:
                self._progress.fraction = max(fraction, self._progress.fraction)


def metric_of(score: Callable[..., Any], progress: Progress) -> Callable[..., Any]:
    """A metric with the arguments that optimizers pass, which notes each call in the progress."""

    def metric(
        example: dspy.Example,
        prediction: Any,
        trace: Any = None,
        pred_name: Any = None,
        pred_trace: Any = None,
    ) -> Any:
        result = score(example, prediction)
        progress.metric_called(float(result))
        return result

    return metric
