"""The models of an optimization by their roles, all on one budget."""

from typing import Any

import dspy
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.choosing import Models
from dspy_sidecar.optimizing.budget import Budget
from dspy_sidecar.optimizing.spending import budgeted

# Optimizers run the same prompts again and again. A caller's settings can still switch caching off.
CACHED = pb.LmSettings(cache=True)


class Roles:
    """The program's own model, and the models of an optimizer's other parts."""

    def __init__(self, request: pb.OptimizeProgramRequest, models: Models, budget: Budget) -> None:
        self._request = request
        self._models = models
        self._budget = budget
        self.student = self.choose()[0]

    def choose(self, *layers: pb.LmSettings) -> tuple[dspy.LM, dspy.Adapter]:
        """The model and adapter of the program's settings with further layers over them.

        Raises:
            ModelNotAllowedError: As of `Models.choose`.

        """
        lm, adapter = self._models.choose(CACHED, self._request.program.lm, *layers)
        return budgeted(lm, adapter, self._budget), adapter

    def model_of(self, role: str) -> dspy.LM | None:
        """The model of a role; None if the request names none."""
        if role not in self._request.lms:
            return None
        return self.choose(self._request.lms[role])[0]

    def arguments(self) -> dict[str, Any]:
        """The models by the names of the optimizers' arguments."""
        teacher = self.model_of("teacher")
        return {
            "teacher_settings": {"lm": teacher} if teacher else None,
            "prompt_model": self.model_of("prompt"),
            "task_model": self.model_of("task"),
            "reflection_lm": self.model_of("reflection") or self.student,
        }
