"""Programs as DSPy modules, and the cache of loaded programs."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import dspy
import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BuildFailedError, NotEnabledError, ProgramNotLoadedError
from dspy_sidecar.models.fast_path import FastPaths
from dspy_sidecar.programs import states
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.generated_code import code_module
from dspy_sidecar.programs.react import ReAct
from dspy_sidecar.programs.wrapping import BestOfN, Comparison, Refine
from dspy_sidecar.values.checking import ValuesCheck
from dspy_sidecar.values.python_numbers import PythonNumbers

MAX_PROGRAMS = 1_000
CODE_MODULES = (dspy.ProgramOfThought, dspy.CodeAct, dspy.RLM)


@dataclass(frozen=True)
class Step:
    """One module of a program, and the sources of its inputs."""

    name: str
    module: dspy.Module
    wires: tuple[tuple[str, str, str], ...]
    """(input, source module or "" for the program's inputs, source field)"""
    lm: pb.LmSettings
    lms: dict[str, pb.LmSettings]
    """Settings of further models by role."""
    fast_paths: FastPaths

    def inputs_from(self, values: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """The module's inputs, from values by module and field.

        An optional input that the caller left out stays so, as in a call of the module. Modules
        that run code want all their inputs.
        """
        if isinstance(self.module, CODE_MODULES):
            return {name: values[module].get(field) for name, module, field in self.wires}
        return {
            name: values[module][field]
            for name, module, field in self.wires
            if field in values[module]
        }


class Pipeline(dspy.Module):  # type: ignore[misc]
    """The modules of a program under their names, as DSPy's save() and load() see them."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        for step in steps:
            setattr(self, step.name, step.module)


@dataclass(frozen=True)
class LoadedProgram:
    """A program that is ready to run."""

    id: str
    type: str
    """The DSPy class: Predict, ChainOfThought, ..., or Pipeline for several modules."""
    signature: pb.Signature
    """The program's inputs and outputs."""
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, str, str], ...]
    """(output, source module, source field)"""
    check: ValuesCheck
    """The check of the outputs: what it refuses fails a run."""
    numbers: PythonNumbers
    """Makes the numbers of the inputs those of Python."""
    lm: pb.LmSettings
    module: dspy.Module
    """The module that states are loaded into: the only step's, or a Pipeline of all steps."""

    def output_names(self, step: str) -> dict[str, str]:
        """The names of the program's outputs that a module makes, by the module's own names."""
        return {field: output for output, module, field in self.outputs if module == step}

    @property
    def is_stale(self) -> bool:
        """Whether a tool's definition has changed since the program was built."""
        return any(getattr(step.module, "is_stale", False) for step in self.steps)


def build(program: pb.Program) -> LoadedProgram:
    """Builds the DSPy modules of a program and loads its state.

    Raises:
        BuildFailedError: DSPy can't build the program. The message has DSPy's reason.
        NotEnabledError: The program needs a feature that the operator has not switched on.

    """
    try:
        steps = [step_of(m) for m in program.modules]
        single = len(steps) == 1
        module = steps[0].module if single else Pipeline(steps)
        if program.compiled_state:
            states.load(module, program.compiled_state, steps[0].name if single else "")
    except (BuildFailedError, NotEnabledError):
        raise
    except Exception as error:
        raise BuildFailedError(f"{type(error).__name__}: {error}") from error
    kind = program.modules[0].type if single else "Pipeline"
    outputs = wires_of(program.outputs)
    return LoadedProgram(
        program.id,
        kind,
        program.signature,
        tuple(steps),
        outputs,
        ValuesCheck(program.signature.outputs),
        PythonNumbers(program.signature.inputs),
        program.lm,
        module,
    )


def step_of(module: pb.Module) -> Step:
    """A module of a program as a step."""
    made = module_of(module)
    wires = wires_of(module.wires)
    return Step(module.name, made, wires, module.lm, dict(module.lms), FastPaths(made))


def module_of(module: pb.Module) -> dspy.Module:
    """The DSPy module of a module's definition, with the modules that it wraps."""
    signature = signature_class(module.signature)
    params: dict[str, Any] = orjson.loads(module.params) if module.params else {}
    match module.type:
        case "Predict":
            return dspy.Predict(signature, **params)
        case "ChainOfThought":
            return dspy.ChainOfThought(signature, **params)
        case "BestOfN":
            return BestOfN(module_of(module.modules[0]), module.signature, params)
        case "Refine":
            return Refine(module_of(module.modules[0]), module.signature, params)
        case "MultiChainComparison":
            return Comparison(module_of(module.modules[0]), signature, params)
        case "ReAct":
            return ReAct(signature, module.tools, **params)
        case "ProgramOfThought" | "CodeAct" | "RLM":
            return code_module(module.type, signature, params, module.tools)
        case other:
            raise ValueError(f"this version of the sidecar has no module {other}")


def wires_of(wires: Any) -> tuple[tuple[str, str, str], ...]:
    """Wires as plain tuples, which Python reads faster than messages."""
    return tuple((wire.input, wire.module, wire.field) for wire in wires)


class Programs:
    """LRU cache of loaded programs. The gateway sends a program again if it was evicted."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, LoadedProgram] = OrderedDict()

    def get(self, program_id: str) -> LoadedProgram:
        """The program of an id.

        Raises:
            ProgramNotLoadedError: The cache lacks the program, or the program is stale.

        """
        held = self._held.get(program_id)
        if held is None or held.is_stale:
            raise ProgramNotLoadedError(program_id)
        self._held.move_to_end(program_id)
        return held

    def load(self, program: pb.Program) -> LoadedProgram:
        """Builds a program, unless the cache has it: its id is a hash of its content.

        Raises:
            BuildFailedError: As of `build`.
            NotEnabledError: As of `build`.

        """
        held = self._held.get(program.id)
        if held is None or held.is_stale:
            held = build(program)
        self._held[program.id] = held
        self._held.move_to_end(program.id)
        while len(self._held) > MAX_PROGRAMS:
            self._held.popitem(last=False)
        return held

    def all(self) -> list[LoadedProgram]:
        """The loaded programs, the most recently used at the end."""
        return list(self._held.values())
