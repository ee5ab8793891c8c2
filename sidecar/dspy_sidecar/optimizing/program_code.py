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
from dspy_sidecar.programs.reading import line_of, place
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
        if self._source.name:
            kind = type(self._source.name, (Student,), {})
            self._place(kind)
        else:
            shown = type(program.module)
            kind = type(shown.__qualname__, (BareStudent,), {})
            place(kind, shown.__module__, shown.__qualname__, line_of(shown))
        return kind(program, own)  # type: ignore[no-any-return]

    def _place(self, kind: type) -> None:
        line = self._source.lines.get(kind.__name__)
        if line is not None:
            place(kind, MODULE, kind.__name__, line)

    @contextlib.contextmanager
    def registered(self) -> Iterator[None]:
        """Has the source found as that of a module, which is never executed."""
        module = types.ModuleType(MODULE)
        module.__file__ = FILE
        text = self._source.text
        # inspect counts lines by \n alone; linecache keeps an entry without a time.
        lines = [f"{line}\n" for line in text.split("\n")]
        own = Comparison.__module__, Comparison.__qualname__, line_of(Comparison)
        sys.modules[MODULE] = module
        linecache.cache[FILE] = (len(text), None, lines, FILE)
        self._place(Comparison)
        grounded_proposer.get_dspy_source_code = program_code
        try:
            yield
        finally:
            grounded_proposer.get_dspy_source_code = PROPOSERS
            place(Comparison, *own)
            del linecache.cache[FILE], sys.modules[MODULE]


def program_code(program: dspy.Module) -> str:
    """DSPy's text of a program; of a lone module, as DSPy shows that module itself."""
    shown = module_of(program) if isinstance(program, BareStudent) else program
    # DSPy prints the classes that it finds.
    with contextlib.redirect_stdout(io.StringIO()):
        return PROPOSERS(shown)  # type: ignore[no-any-return]
