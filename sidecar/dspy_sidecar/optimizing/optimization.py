"""One optimization, from the score before to the score after."""

import random
import threading
import time
from typing import Any

import dspy
import numpy as np
import orjson
from dspy.utils.exceptions import AdapterParseError, LMError
from dspy.utils.parallelizer import ParallelExecutor
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BudgetExceededError, OutputTruncatedError, OutputUnreadableError
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.optimizing.budget import Budget
from dspy_sidecar.optimizing.forecast import forecast
from dspy_sidecar.optimizing.optimizers import OwnArguments, make
from dspy_sidecar.optimizing.program_code import ProgramCode
from dspy_sidecar.optimizing.progress import Progress, metric_of
from dspy_sidecar.optimizing.roles import Roles
from dspy_sidecar.optimizing.scores import Scores, caused
from dspy_sidecar.optimizing.spending import AdapterPerModel
from dspy_sidecar.optimizing.student import OwnModels, Student, filled, state_of
from dspy_sidecar.optimizing.verdicts import Verdicts
from dspy_sidecar.programs.programs import build
from dspy_sidecar.programs.source.program import distinct, source_of
from dspy_sidecar.scoring.metrics import Metrics
from dspy_sidecar.settings import is_embedded
from dspy_sidecar.values.checking import ValuesCheck
from dspy_sidecar.values.python_numbers import PythonNumbers

UNLIMITED_ERRORS = 10**9
SCORE_TIME_FACTOR = 1.5
"""How much longer than the score before the score after may take, since prompts grow."""
MIN_SCORE_TIME_SHARE = 0.2
"""The least share of the time limit that is reserved for the score after."""


class Optimization:
    """Runs the optimization of a request, in this process."""

    def __init__(
        self, request: pb.OptimizeProgramRequest, models: Models, began: float, log_dir: str | None
    ) -> None:
        self._request, self._models, self._log_dir = request, models, log_dir
        self._config = orjson.loads(request.config or b"{}")
        self._budget = Budget(request.budget, began)
        self.progress = Progress(
            self._budget, self._config.get("bsize", 32) if request.optimizer == "SIMBA" else 0
        )

    def run(self) -> pb.OptimizationResult:
        """The optimized program's state, with its scores before and after.

        Raises:
            BudgetExceededError: The budget is too small for the score before.
            BuildFailedError: DSPy can't build the program.
            LMError: The model's provider failed every request.
            OutputUnreadableError: No answer of a model could be parsed.
            OutputInvalidError: No answer fits the program's signature.

        """
        self._program = distinct(self._request.program, self._request.handle)
        self._code = ProgramCode(source_of(self._program, self._request.handle))
        with self._code.registered():
            return self._run()

    def _run(self) -> pb.OptimizationResult:
        self._set_up()
        student = self._student(self._request.program.compiled_state)
        before = state_of(student)
        began = time.monotonic()
        baseline = self._score(student)
        if not baseline.is_whole or self._budget.is_overdrawn:
            limit = self._budget.spent_limit or "tokens"
            examples = len(self._request.valset)
            raise BudgetExceededError(
                f"the budget of {limit} is too small: the program as it is "
                f"can't be scored on all {examples} held-out examples"
            )
        if baseline.common_fault:
            raise baseline.common_fault
        usage = self._budget.usage
        # An optimizer also takes a while to end after its budget is spent.
        seconds = max(
            SCORE_TIME_FACTOR * (time.monotonic() - began),
            MIN_SCORE_TIME_SHARE * self._request.budget.time_ms / 1000,
        )
        self._budget.reserve(usage.lm_calls, self._budget.tokens, seconds)

        state, message = self._compile(student, before, baseline.mean)
        # The score after may spend what was reserved for it.
        self._budget.reserve(0, 0, 0.0)
        if state == before:
            return self._result(before, baseline.mean, baseline.mean, message)
        self.progress.scoring()
        after = self._score(self._student(state))
        if not after.is_whole:
            message = (
                f"the budget of {self._budget.spent_limit} ended before the optimized program "
                "was scored; the program is unchanged"
            )
            return self._result(before, baseline.mean, baseline.mean, message)
        return self._result(state, baseline.mean, after.mean, message)

    def _set_up(self) -> None:
        seed = self._seed
        random.seed(seed)
        np.random.seed(seed)
        self._roles = Roles(self._request, self._models, self._budget)
        signature = self._request.program.signature
        self._verdicts = Verdicts(
            Metrics(signature, self._request.metrics),
            ValuesCheck(signature.outputs),
            self._roles.model_of("judge") or self._roles.student,
        )
        # The local model has few slots, which it shares with the runs that are served.
        default = 1 if is_embedded(self._roles.student.model) else dspy.settings.num_threads
        threads = self._request.threads or default
        self._budget.limit_requests(threads)
        dspy.configure(
            lm=self._roles.student,
            adapter=AdapterPerModel(),
            callbacks=[self.progress],
            num_threads=threads,
            max_errors=UNLIMITED_ERRORS,
            disable_history=True,
            trace=None,
        )

    @property
    def _seed(self) -> int:
        return self._request.seed % 2**32

    def _student(self, state: str) -> Student:
        program = pb.Program()
        program.CopyFrom(self._program)
        program.compiled_state = state
        loaded = build(program)
        return self._code.student(loaded, OwnModels(loaded, self._roles.choose))

    def _compile(self, student: Student, before: str, baseline: float) -> tuple[str, str]:
        """The optimized state, and a message for the caller, which may be empty."""
        name, trainset = self._request.optimizer, self._examples(self._request.trainset)
        size = len(student.predictors())
        self.progress.compiling(forecast(name, self._config, len(trainset), size), baseline)
        self._budget.begin_phase()
        best = self.progress.best
        try:
            optimizer = make(name, self._config, self._own_arguments())
            state = state_of(optimizer.compile(student, trainset))
            message = ""
        except Exception as error:
            provider = caused(error, LMError)
            if not self._budget.is_spent() and provider:
                raise provider from error
            if not self._budget.is_spent() and best.state is None:
                if caused(error, AdapterParseError):
                    raise OutputUnreadableError from error
                raise (caused(error, OutputTruncatedError) or error) from error
            state, message = (
                best.state or before,
                "the optimizer failed; this is the best program that it had scored",
            )
        if limit := self._budget.spent_limit:
            # SIMBA and BetterTogether score their candidates once more at the end. If the budget
            # has no room for that, they return the program unchanged.
            if state == before:
                state = best.state or before
            return state, f"the budget of {limit} ended the search"
        if fault := self._budget.common_fault:
            raise fault
        return state, message

    def _own_arguments(self) -> OwnArguments:
        def score(example: dspy.Example, prediction: Any) -> float:
            return self._verdicts.of(example, prediction).score

        def review(example: dspy.Example, prediction: Any) -> dspy.Prediction:
            verdict = self._verdicts.of(example, prediction)
            return dspy.Prediction(score=verdict.score, feedback=verdict.feedback)

        return OwnArguments(
            score=metric_of(score, self.progress),
            review=metric_of(review, self.progress),
            models=self._roles.arguments(),
            seed=self._seed,
            log_dir=self._log_dir,
            is_over=lambda _: self._budget.is_spent(),
        )

    def _score(self, student: Student) -> Scores:
        """The scores on the valset.

        Raises:
            LMError: Every example failed, and so did every request to the provider.

        """
        examples = self._examples(self._request.valset)
        faults: list[Exception] = []
        done, lock = 0, threading.Lock()

        def score_one(example: dspy.Example) -> float:
            nonlocal done
            try:
                prediction = student(**example.inputs())
                self._verdicts.outputs_of(prediction)
                return self._verdicts.of(example, prediction).score
            except Exception as error:
                faults.append(error)
                return 0.0
            finally:
                with lock:
                    done += 1
                    self.progress.scored(done, len(examples))

        self._budget.begin_phase()
        executor = ParallelExecutor(disable_progress_bar=True, timeout=0)
        scores = executor.execute(score_one, examples)
        if len(faults) == len(examples) and (fault := self._budget.common_fault):
            raise fault
        return Scores(sum(scores) / len(scores), faults, len(examples))

    def _examples(self, examples: Any) -> list[dspy.Example]:
        made = []
        signature = self._request.program.signature
        numbers = PythonNumbers([*signature.inputs, *signature.outputs])
        for example in examples:
            inputs = numbers.made_in(orjson.loads(example.inputs))
            outputs = numbers.made_in(orjson.loads(example.outputs or b"{}"))
            made.append(filled(dspy.Example(), {**inputs, **outputs}).with_inputs(*inputs))
        return made

    def _result(
        self, state: str, baseline: float, score: float, message: str
    ) -> pb.OptimizationResult:
        return pb.OptimizationResult(
            compiled_state=state,
            baseline_score=baseline,
            score=score,
            token_usage=self._budget.usage,
            message=message,
        )
