"""Makes Python's `inspect` find the source of the program, which MIPROv2 and SIMBA show a model."""

import contextlib
import io
import linecache
import sys
import types
from collections.abc import Iterator

import dspy
from dspy.propose import grounded_proposer

from dspy_sidecar.optimizing.student import BareStudent, OwnModels, Student, module_of
from dspy_sidecar.programs.programs import LoadedProgram
from dspy_sidecar.programs.source.program import Source
from dspy_sidecar.programs.wrapping import Comparison

MODULE, FILE = "sigrun_program", "<program>"
PROPOSERS = grounded_proposer.get_dspy_source_code


class ProgramCode:
    """The students of a program whose source is found, while `registered` lasts."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def student(self, program: LoadedProgram, own: OwnModels) -> Student:
        """A student with the class that a notebook's program has."""
        for _, predictor in program.module.named_parameters():
            self._place(predictor.signature)
        base, shown = Student, (MODULE, self._source.name)
        if not self._source.name:
            module = type(program.module)
            base, shown = BareStudent, (module.__module__, module.__qualname__)
        kind = type(shown[1], (base,), {"__module__": shown[0], "__qualname__": shown[1]})
        return kind(program, own)  # type: ignore[no-any-return]

    def _place(self, kind: type) -> None:
        if kind.__name__ in self._source.classes:
            kind.__module__, kind.__qualname__ = MODULE, kind.__name__

    @contextlib.contextmanager
    def registered(self) -> Iterator[None]:
        """Has the source found as that of a module, which is never executed."""
        module = types.ModuleType(MODULE)
        module.__file__ = FILE
        text = self._source.text
        # inspect counts lines by \n alone; linecache keeps an entry without a time.
        lines = [f"{line}\n" for line in text.split("\n")]
        own = Comparison.__module__
        sys.modules[MODULE] = module
        linecache.cache[FILE] = (len(text), None, lines, FILE)
        self._place(Comparison)
        grounded_proposer.get_dspy_source_code = program_code
        try:
            yield
        finally:
            grounded_proposer.get_dspy_source_code = PROPOSERS
            Comparison.__module__ = own
            del linecache.cache[FILE], sys.modules[MODULE]


def program_code(program: dspy.Module) -> str:
    """DSPy's text of a program; of a lone module, as DSPy shows that module itself."""
    shown = module_of(program) if isinstance(program, BareStudent) else program
    # DSPy prints the classes that it finds.
    with contextlib.redirect_stdout(io.StringIO()):
        return PROPOSERS(shown)  # type: ignore[no-any-return]
