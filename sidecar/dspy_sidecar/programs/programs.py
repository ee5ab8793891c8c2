"""Programs as DSPy modules, held by their id."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import dspy
import orjson
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BuildFailedError, NotEnabledError, ProgramNotLoadedError
from dspy_sidecar.models.fast_path import Directs
from dspy_sidecar.programs import states
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.generated_code import coding
from dspy_sidecar.programs.react import ReAct
from dspy_sidecar.programs.wrapping import Comparison, Sampling

CAPACITY = 1_000


@dataclass(frozen=True)
class Step:
    """One module of a program, and where its inputs come from."""

    name: str
    module: dspy.Module
    wires: tuple[tuple[str, str, str], ...]
    """(input, module or "" for the program's own inputs, field)"""
    lm: pb.LmSettings
    directs: Directs


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
    signature: str
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, str, str], ...]
    lm: pb.LmSettings
    own: pb.Signature
    """Its own inputs and outputs."""
    module: dspy.Module
    """What DSPy's save() and load() see: the one module, or a pipeline of several."""

    @property
    def is_stale(self) -> bool:
        """Whether it would be built in another way today."""
        return any(getattr(step.module, "is_stale", False) for step in self.steps)


def build(program: pb.Program) -> LoadedProgram:
    """Makes DSPy modules of a definition; BuildFailedError with DSPy's reason where it can't."""
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
    own = program.signature
    return LoadedProgram(
        program.id, kind, own.name, tuple(steps), wires_of(program.outputs), program.lm, own, module
    )


def step_of(module: pb.Module) -> Step:
    """One step of a program."""
    made = module_of(module)
    return Step(module.name, made, wires_of(module.wires), module.lm, Directs(made))


def module_of(module: pb.Module) -> dspy.Module:
    """The DSPy module of one step."""
    signature = signature_class(module.signature)
    params: dict[str, Any] = orjson.loads(module.params) if module.params else {}
    match module.type:
        case "Predict":
            return dspy.Predict(signature, **params)
        case "ChainOfThought":
            return dspy.ChainOfThought(signature, **params)
        case "BestOfN":
            return Sampling(dspy.BestOfN, module_of(module.modules[0]), module.signature, params)
        case "Refine":
            return Sampling(dspy.Refine, module_of(module.modules[0]), module.signature, params)
        case "MultiChainComparison":
            return Comparison(module_of(module.modules[0]), signature, params)
        case "ReAct":
            return ReAct(signature, module.tools, **params)
        case "ProgramOfThought" | "CodeAct" | "RLM":
            return coding(module.type, signature, params)
        case other:
            raise ValueError(f"this version has no module {other}")


def wires_of(wires: Any) -> tuple[tuple[str, str, str], ...]:
    """Wires as plain tuples, which are quicker to read than messages."""
    return tuple((wire.input, wire.module, wire.field) for wire in wires)


class Programs:
    """The programs held in memory, those used longest ago given up first. The gateway sends them again when asked."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, LoadedProgram] = OrderedDict()

    def get(self, program_id: str) -> LoadedProgram:
        """ProgramNotLoadedError where it is not held."""
        held = self._held.get(program_id)
        if held is None or held.is_stale:
            raise ProgramNotLoadedError(program_id)
        self._held.move_to_end(program_id)
        return held

    def load(self, program: pb.Program) -> LoadedProgram:
        """Builds a program, unless it is held already: its id names its content."""
        held = self._held.get(program.id)
        if held is None or held.is_stale:
            held = build(program)
        self._held[program.id] = held
        self._held.move_to_end(program.id)
        while len(self._held) > CAPACITY:
            self._held.popitem(last=False)
        return held

    def all(self) -> list[LoadedProgram]:
        """Those held, the one used last at the end."""
        return list(self._held.values())
