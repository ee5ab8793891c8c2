"""The Python in WebAssembly that runs what models write: DSPy's, on packages that are installed, bounded and killed with its run."""

import functools
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from dspy.primitives import python_interpreter
from dspy.primitives.python_interpreter import CodeInterpreterError, PythonInterpreter

from dspy_sidecar.log import logger

FOLDER = Path(__file__).parents[2] / "interpreter"
PYODIDE = FOLDER / "node_modules" / "pyodide"
RUNNER = Path(python_interpreter.__file__).with_name("runner.js")
PROCESS = Path(__file__).with_name("interpreter_process.py")
MOST_CHARACTERS = 1_000_000
"""Of one answer of the interpreter's. What it prints comes in one piece."""


class Interpreter(PythonInterpreter):  # type: ignore[misc]
    """One process, for one run. Its code has no network, no files, no environment and no processes: Deno gives it none."""

    def __init__(self) -> None:
        super().__init__(deno_command=command())
        self._is_killed = False
        if (run := RUN.get()) is not None:
            run.append(self)

    def start(self) -> None:
        """As DSPy's."""
        try:
            super().start()
        except CodeInterpreterError as error:
            if not self._is_killed:
                logger.error("the interpreter of generated code does not start", exc_info=error)
            raise
        finally:
            # It may have been killed while there was no process yet.
            if self._is_killed:
                self.kill()

    def kill(self) -> None:
        """Ends the process; whoever waits for it gets a fault. From any thread."""
        self._is_killed = True
        if process := self.deno_process:
            process.kill()
            process.wait()

    def shutdown(self) -> None:
        """DSPy's asks and waits, and code may have left something that goes on for ever."""
        self.kill()
        super().shutdown()

    def _read_response_line(self, context: str) -> str:
        # DSPy's reads a line of any length into our memory.
        line: str = self.deno_process.stdout.readline(MOST_CHARACTERS)
        if len(line) == MOST_CHARACTERS:
            self._raise_terminal_error(
                f"the code has printed more than {MOST_CHARACTERS} characters"
            )
        return line.strip() or super()._read_response_line(context)


RUN: ContextVar[list[Interpreter] | None] = ContextVar("run", default=None)


@contextmanager
def killed_at_the_end() -> Iterator[None]:
    """Kills every interpreter that is made inside, in whatever thread that has this context."""
    made: list[Interpreter] = []
    token = RUN.set(made)
    try:
        yield
    finally:
        RUN.reset(token)
        for interpreter in made:
            interpreter.kill()


def command() -> list[str]:
    """Starts Deno with DSPy's runner, which loads Pyodide and then gives up reading its files."""
    flags = [
        "--no-config",
        "--no-lock",
        "--no-remote",
        "--no-npm",
        "--no-prompt",
        "--node-modules-dir=none",
    ]
    own = [f"--import-map={FOLDER / 'imports.json'}", f"--allow-read={PYODIDE}"]
    runner = [str(RUNNER), "", f"--dspy-deno-dir={PYODIDE}"]
    return [
        sys.executable,
        "-I",
        "-S",
        str(PROCESS),
        str(os.getpid()),
        deno() or "deno",
        "run",
        *flags,
        *own,
        *runner,
    ]


@functools.cache
def deno() -> str | None:
    """The binary of the package deno, or one that is on the PATH."""
    beside = Path(sys.executable).with_name("deno")
    return str(beside) if beside.exists() else shutil.which("deno")


def refusal() -> str | None:
    """Why no code is run here; None where it is."""
    if os.environ.get("SIGRUN_GENERATED_CODE") != "on":
        return "the operator has not switched it on (SIGRUN_GENERATED_CODE)"
    if deno() is None:
        return "Deno is missing; install the sidecar's extra generated-code"
    if not PYODIDE.exists():
        return f"Pyodide is missing; run npm ci in {FOLDER.parent.name}/{FOLDER.name}"
    return None
