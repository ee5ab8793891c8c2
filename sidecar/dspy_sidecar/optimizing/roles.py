"""The models of an optimization by their roles, all paid from one purse."""

from typing import Any

import dspy
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.lm import Models
from dspy_sidecar.optimizing.budget import Purse
from dspy_sidecar.optimizing.spending import spending

# An optimizer runs the same prompts again and again; a caller may still say that nothing is kept.
CACHED = pb.LmSettings(cache=True)


class Roles:
    """The program's own model, and those that an optimizer uses for its other parts."""

    def __init__(self, request: pb.OptimizeProgramRequest, models: Models, purse: Purse) -> None:
        self._request = request
        self._models = models
        self._purse = purse
        self.student = self.choose()[0]

    def choose(self, *layers: pb.LmSettings) -> tuple[dspy.LM, dspy.Adapter]:
        """As `Models.choose`, over the program's own settings."""
        lm, adapter = self._models.choose(CACHED, self._request.program.lm, *layers)
        return spending(lm, adapter, self._purse), adapter

    def of(self, role: str) -> dspy.LM | None:
        """The model of a role; None where the request names none."""
        if role not in self._request.lms:
            return None
        return self.choose(self._request.lms[role])[0]

    def arguments(self) -> dict[str, Any]:
        """What optimizers call their models."""
        teacher = self.of("teacher")
        return {
            "teacher_settings": {"lm": teacher} if teacher else None,
            "prompt_model": self.of("prompt"),
            "task_model": self.of("task"),
            "reflection_lm": self.of("reflection") or self.student,
        }
