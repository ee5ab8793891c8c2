"""A program as one DSPy module, which optimizers run and change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import dspy
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs import states
from dspy_sidecar.programs.programs import LoadedProgram

RUNS: ContextVar[bool] = ContextVar("runs", default=False)
"""Whether this thread is inside a program's run."""

RAN: ContextVar["Student | None"] = ContextVar("ran", default=None)
"""The program that this thread ran last."""


class Student(dspy.Module):  # type: ignore[misc]
    """Runs modules in order, each on the program's inputs and the outputs of earlier modules."""

    def __init__(self, program: LoadedProgram, own: "OwnModels") -> None:
        super().__init__()
        for step in program.steps:
            setattr(self, step.name, step.module)
        self._own = own
        self._wiring = Wiring(program)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Runs each module on what it is wired to."""
        values = {"": inputs}
        with run_of(self):
            for step in self._wiring.steps:
                with self._own.around(step.name):
                    made = getattr(self, step.name)(**step.inputs_from(values))
                values[step.name] = dict(made.items())
        return filled(
            dspy.Prediction(),
            {name: values[module][field] for name, module, field in self._wiring.outputs},
        )

    def set_lm(self, lm: dspy.LM) -> None:
        """Gives its modules a model; a module with a model of its own gets a copy of that model."""
        drawn = {key: lm.kwargs[key] for key in ("rollout_id", "temperature") if key in lm.kwargs}
        for name in self._wiring.names:
            own = self._own.lm(name)
            getattr(self, name).set_lm(own.copy(**drawn) if own else lm)

    def get_lm(self) -> dspy.LM | None:
        """The model of its modules, less those that have one of their own."""
        lms = [
            getattr(self, name).get_lm() for name in self._wiring.names if not self._own.lm(name)
        ]
        return lms[0] if lms else None


class BareStudent(Student):
    """Runs a lone module as optimizers see the module itself.

    They show a model the names of its predictors and all that it predicts, such as reasoning.
    """

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """The module's own prediction."""
        (step,) = self._wiring.steps
        with run_of(self), self._own.around(step.name):
            return getattr(self, step.name)(**step.inputs_from({"": inputs}))

    def named_parameters(self) -> list[tuple[str, Any]]:
        """As the module has them."""
        return module_of(self).named_parameters()  # type: ignore[no-any-return]


# No methods: a module of the program may have their names.


def module_of(student: Student) -> dspy.Module:
    """The module that a state belongs to: the only one, or the student with several."""
    names = student._wiring.names
    return getattr(student, names[0]) if len(names) == 1 else student


def state_of(student: Student) -> str:
    """The JSON of DSPy's save()."""
    return states.dump(module_of(student))


@contextmanager
def run_of(student: Student) -> Iterator[None]:
    """Notes that this thread runs a program, and afterwards that it ran it."""
    running = RUNS.set(True)
    try:
        yield
    finally:
        RUNS.reset(running)
        RAN.set(student)


class Wiring:
    """The sources of the modules' inputs; copies of a program share it."""

    def __init__(self, program: LoadedProgram) -> None:
        self.steps = program.steps
        self.names = [step.name for step in program.steps]
        self.outputs = program.outputs

    def __deepcopy__(self, memo: Any) -> "Wiring":
        """The same object."""
        return self


class OwnModels:
    """The models and adapters of the modules with model settings of their own.

    All other modules use the model and adapter of the run.
    """

    def __init__(
        self,
        program: LoadedProgram,
        choose: Callable[..., tuple[dspy.LM, dspy.Adapter]],
    ) -> None:
        self._settings: dict[str, dict[str, Any]] = {}
        for step in program.steps:
            asked = pb.LmSettings()
            asked.CopyFrom(step.lm)
            asked.ClearField("adapter")
            lm, adapter = choose(step.lm)
            own: dict[str, Any] = {"lm": lm} if asked.ByteSize() > 0 else {}
            own["lms"] = {role: choose(step.lm, of_role)[0] for role, of_role in step.lms.items()}
            self._settings[step.name] = {**own, **({"adapter": adapter} if step.lm.adapter else {})}

    def __deepcopy__(self, memo: Any) -> "OwnModels":
        """The same object: copies of a program share it."""
        return self

    def lm(self, name: str) -> dspy.LM | None:
        """A module's own model; None if it uses the run's."""
        return self._settings[name].get("lm")

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """A DSPy context with a module's own model and adapter."""
        with dspy.context(**self._settings[name]):
            yield


def filled(empty: Any, values: dict[str, Any]) -> Any:
    """Sets fields of an empty example or prediction, and returns it.

    Their constructors would take a field called `base` for an object to copy.
    """
    for name, value in values.items():
        empty[name] = value
    return empty
