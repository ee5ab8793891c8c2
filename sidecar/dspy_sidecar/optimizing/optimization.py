"""One optimization from its scores before to its scores after."""

import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import dspy
import numpy as np
import orjson
from dspy.utils.exceptions import AdapterParseError, LMError
from dspy.utils.parallelizer import ParallelExecutor
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BudgetExceededError, OutputUnreadableError
from dspy_sidecar.models.lm import Models
from dspy_sidecar.optimizing.budget import BudgetSpentError, Purse
from dspy_sidecar.optimizing.forecast import expected
from dspy_sidecar.optimizing.optimizers import Tools, make
from dspy_sidecar.optimizing.progress import Progress, metric_of
from dspy_sidecar.optimizing.roles import Roles
from dspy_sidecar.optimizing.spending import EachItsOwn
from dspy_sidecar.optimizing.student import OwnModels, Student, filled
from dspy_sidecar.programs.programs import build
from dspy_sidecar.scoring.metrics import Metrics, Verdict
from dspy_sidecar.settings import is_embedded

THREADS = 8
NO_MOST_ERRORS = 10**9
SPARE = 1.5
"""How much longer than the scores before those after may take: prompts grow."""
ENDING = 0.2
"""Of the time, at least, is kept for the way from the end of the search to the last score."""


@dataclass(frozen=True)
class Scores:
    """Of a program on the valset."""

    mean: float
    faults: list[Exception]

    @property
    def is_whole(self) -> bool:
        """Whether the budget had room for every example."""
        return not any(caused(fault, BudgetSpentError) for fault in self.faults)


class Optimization:
    """What a request asks for, in this process."""

    def __init__(
        self, request: pb.OptimizeProgramRequest, models: Models, began: float, log_dir: str | None
    ) -> None:
        self._request, self._models, self._log_dir = request, models, log_dir
        self._config = orjson.loads(request.config or b"{}")
        self._purse = Purse(request.budget, began)
        self.progress = Progress(
            self._purse, self._config.get("bsize", 32) if request.optimizer == "SIMBA" else 0
        )

    def run(self) -> pb.OptimizationResult:
        """The optimized program's state, with its scores before and after."""
        self._set_up()
        student = self._student(self._request.program.compiled_state)
        before = student.state()
        began = time.monotonic()
        baseline = self._score(student)
        if not baseline.is_whole or self._purse.is_overdrawn:
            bound = self._purse.spent_on or "tokens"
            examples = len(self._request.valset)
            raise BudgetExceededError(
                f"the budget of {bound} is too small: the program as it is can't be scored on all {examples} held-out examples"
            )
        usage = self._purse.usage
        # An optimizer also takes a while to notice that there is nothing left for it.
        seconds = max(
            SPARE * (time.monotonic() - began), ENDING * self._request.budget.time_ms / 1000
        )
        self._purse.put_by(usage.lm_calls, self._purse.tokens, seconds)

        state, message = self._compiled(student, before, baseline.mean)
        # What was kept is for this.
        self._purse.put_by(0, 0, 0.0)
        if state == before:
            return self._result(before, baseline.mean, baseline.mean, message)
        self.progress.scoring()
        after = self._score(self._student(state))
        if not after.is_whole:
            why = f"the budget of {self._purse.spent_on} ended before the optimized program was scored"
            return self._result(
                before, baseline.mean, baseline.mean, f"{why}; the program is as it was"
            )
        return self._result(state, baseline.mean, after.mean, message)

    def _set_up(self) -> None:
        seed = self._seed
        random.seed(seed)
        np.random.seed(seed)
        self._roles = Roles(self._request, self._models, self._purse)
        self._judge = self._roles.of("judge") or self._roles.student
        self._metrics = Metrics(self._request.program.signature, self._request.metrics)
        dspy.configure(
            lm=self._roles.student,
            adapter=EachItsOwn(),
            callbacks=[self.progress],
            # The local model answers one at a time, and others want to ask it, too.
            num_threads=1 if is_embedded(self._roles.student.model) else THREADS,
            max_errors=NO_MOST_ERRORS,
            disable_history=True,
            trace=None,
        )

    @property
    def _seed(self) -> int:
        return self._request.seed % 2**32

    def _student(self, state: str) -> Student:
        program = pb.Program()
        program.CopyFrom(self._request.program)
        program.compiled_state = state
        loaded = build(program)
        return Student(loaded, OwnModels(loaded, self._roles.choose))

    def _compiled(self, student: Student, before: str, baseline: float) -> tuple[str, str]:
        """The state that the optimizer came to, and what there is to say of it."""
        name, trainset = self._request.optimizer, self._examples(self._request.trainset)
        size = len(student.predictors())
        self.progress.compiling(expected(name, self._config, len(trainset), size), baseline)
        self._purse.begin_phase()
        best = self.progress.best
        try:
            state = make(name, self._config, self._tools()).compile(student, trainset).state()
            message = ""
        except Exception as error:
            provider = caused(error, LMError)
            if not self._purse.is_spent() and provider:
                raise provider from error
            if not self._purse.is_spent() and best.state is None:
                raise (
                    OutputUnreadableError if caused(error, AdapterParseError) else error
                ) from error
            state, message = (
                best.state or before,
                "the optimizer broke off; this is the best program that it had scored",
            )
        if spent := self._purse.spent_on:
            # SIMBA scores all its candidates once more in the end, BetterTogether what each part came to: without
            # a budget for that they give the program back as it was.
            return (
                best.state or before
            ) if state == before else state, f"the budget of {spent} ended the search"
        if fault := self._purse.common_fault:
            raise fault
        return state, message

    def _tools(self) -> Tools:
        def score(example: dspy.Example, prediction: Any) -> float:
            return self._verdict(example, prediction).score

        def review(example: dspy.Example, prediction: Any) -> dspy.Prediction:
            verdict = self._verdict(example, prediction)
            return dspy.Prediction(score=verdict.score, feedback=verdict.feedback)

        return Tools(
            score=metric_of(score, self.progress),
            review=metric_of(review, self.progress),
            models=self._roles.arguments(),
            seed=self._seed,
            log_dir=self._log_dir,
            stop=lambda _: self._purse.is_spent(),
        )

    def _verdict(self, example: dspy.Example, prediction: Any) -> Verdict:
        outputs = dict(prediction.items()) if isinstance(prediction, dspy.Prediction) else {}
        # A judge's answer is no part of the program's run.
        with dspy.context(lm=self._judge, trace=None):
            inputs, expected = dict(example.inputs().items()), dict(example.labels().items())
            return self._metrics.mean(self._metrics(inputs, expected, outputs))

    def _score(self, student: Student) -> Scores:
        """On every example of the valset; what fails is 0. A fault of the provider's that all share is raised."""
        examples = self._examples(self._request.valset)
        faults: list[Exception] = []
        done, lock = 0, threading.Lock()

        def one(example: dspy.Example) -> float:
            nonlocal done
            try:
                return self._verdict(example, student(**example.inputs())).score
            except Exception as error:
                faults.append(error)
                return 0.0
            finally:
                with lock:
                    done += 1
                    self.progress.scored(done, len(examples))

        self._purse.begin_phase()
        executor = ParallelExecutor(disable_progress_bar=True, timeout=0)
        scores = executor.execute(one, examples)
        if len(faults) == len(examples) and (fault := self._purse.common_fault):
            raise fault
        return Scores(sum(scores) / len(scores), faults)

    def _examples(self, examples: Any) -> list[dspy.Example]:
        made = []
        for example in examples:
            inputs, outputs = orjson.loads(example.inputs), orjson.loads(example.outputs or b"{}")
            made.append(filled(dspy.Example(), {**inputs, **outputs}).with_inputs(*inputs))
        return made

    def _result(
        self, state: str, baseline: float, score: float, message: str
    ) -> pb.OptimizationResult:
        return pb.OptimizationResult(
            compiled_state=state,
            baseline_score=baseline,
            score=score,
            token_usage=self._purse.usage,
            message=message,
        )


def caused(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The exception of that kind which led to another, if any."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
