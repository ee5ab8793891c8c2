"""A program as optimizers run it takes the inputs that a run of the program takes."""

import dataclasses
from typing import Any

import dspy
import pytest
from field_types import optional
from programs import STR, program, signature

from dspy_sidecar.optimizing.student import BareStudent, OwnModels, Student
from dspy_sidecar.programs.programs import LoadedProgram, build


class Answering(dspy.Module):  # type: ignore[misc]
    """Answers with the inputs that it got."""

    def forward(self, **inputs: Any) -> dspy.Prediction:
        return dspy.Prediction(answer=inputs)


class AnsweringByCode(Answering, dspy.RLM):  # type: ignore[misc]
    """The same, as a module that runs code."""

    def __init__(self) -> None:
        dspy.Module.__init__(self)


def loaded(module: dspy.Module) -> LoadedProgram:
    """A program with an optional input, whose only module is the given one."""
    made = build(program(signature({"question": STR, "hint": optional(STR)}, {"answer": STR})))
    steps = tuple(dataclasses.replace(step, module=module) for step in made.steps)
    return dataclasses.replace(made, steps=steps, module=module)


@pytest.mark.parametrize("kind", [Student, BareStudent])
@pytest.mark.parametrize("module", [Answering(), AnsweringByCode()])
def test_an_optional_input_that_an_example_leaves_out_reaches_a_module_as_in_a_run(kind, module):
    made = loaded(module)
    student = kind(made, OwnModels(made, lambda *_: (None, None)))
    given = {"question": "Why?"}
    (step,) = made.steps
    assert student(**given).answer == step.inputs_from({"": given})
    assert ("hint" in student(**given).answer) == isinstance(module, dspy.RLM)
