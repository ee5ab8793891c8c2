"""DSPy's interpreter of generated code: Python in WebAssembly, by Pyodide in Deno.

Its packages are installed with the sidecar: DSPy would download them during a run. The process has
limits, and is killed at the end of its run.
"""

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
MAX_CHARACTERS = 1_000_000
"""Maximum length of one answer of the interpreter, which holds all that the code printed."""


class Interpreter(PythonInterpreter):  # type: ignore[misc]
    """One process for one run.

    Deno gives the code no access to the network, files, environment variables or processes.
    """

    def __init__(self) -> None:
        super().__init__(deno_command=command())
        self._is_killed = False
        if (started := STARTED.get()) is not None:
            started.append(self)

    def start(self) -> None:
        """Starts the process."""
        try:
            super().start()
        except CodeInterpreterError as error:
            if not self._is_killed:
                logger.error("the interpreter of generated code does not start", exc_info=error)
            raise
        finally:
            # `kill` may have come before the process existed.
            if self._is_killed:
                self.kill()

    def kill(self) -> None:
        """Kills the process, from any thread; pending calls then fail."""
        self._is_killed = True
        if process := self.deno_process:
            process.kill()
            process.wait()

    def shutdown(self) -> None:
        """Kills the process: DSPy would ask it to end, and the code may still loop."""
        self.kill()
        super().shutdown()

    def _read_response_line(self, context: str) -> str:
        # DSPy would read a line of any length into memory, also after a blank one.
        line = "\n"
        while line and not line.strip():
            line = self.deno_process.stdout.readline(MAX_CHARACTERS)
        if len(line) == MAX_CHARACTERS:
            self._raise_terminal_error(
                f"the code has printed more than {MAX_CHARACTERS} characters"
            )
        return line.strip() or super()._read_response_line(context)


STARTED: ContextVar[list[Interpreter] | None] = ContextVar("started", default=None)
"""The interpreters of the current run."""


@contextmanager
def killed_at_the_end() -> Iterator[None]:
    """Kills on exit every interpreter made inside, in any thread with this context."""
    started: list[Interpreter] = []
    token = STARTED.set(started)
    try:
        yield
    finally:
        STARTED.reset(token)
        for interpreter in started:
            interpreter.kill()


def command() -> list[str]:
    """The command that starts Deno with DSPy's runner.

    The runner loads Pyodide and then gives up its permission to read Pyodide's files.
    """
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
    """Path of the package deno's binary, or of one on the PATH; None if there is neither."""
    packaged = Path(sys.executable).with_name("deno")
    return str(packaged) if packaged.exists() else shutil.which("deno")


def disabled_reason() -> str | None:
    """Why this sidecar runs no generated code; None if it does."""
    if os.environ.get("SIGRUN_GENERATED_CODE") != "on":
        return "the operator has not switched that on (SIGRUN_GENERATED_CODE=on)"
    if deno() is None:
        return "Deno is missing; install the sidecar's extra generated-code"
    if not PYODIDE.exists():
        return f"Pyodide is missing; run npm ci in {FOLDER.parent.name}/{FOLDER.name}"
    return None
