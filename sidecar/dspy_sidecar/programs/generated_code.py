"""DSPy's modules that run code which the model writes."""

import concurrent.futures
import logging
from collections.abc import Callable, Iterable
from typing import Any

import dspy

from dspy_sidecar.faults import CodeFailedError, NotEnabledError
from dspy_sidecar.interpreter.interpreter import Interpreter, disabled_reason, killed_at_the_end
from dspy_sidecar.programs.code_tools import CodeTool
from dspy_sidecar.programs.react import is_current
from dspy_sidecar.programs.reading import reads_as
from dspy_sidecar.threads import in_thread
from dspy_sidecar.tools.tools import toolbox

MAX_RUNS = 4
"""Runs of such modules at the same time; further runs wait.

Each run has a process of its own, which takes 150 MB and some seconds to start."""

THREADS = concurrent.futures.ThreadPoolExecutor(MAX_RUNS, "generated code")

# This logger writes callers' inputs and models' answers.
logging.getLogger("dspy.predict.program_of_thought").disabled = True


async def run(call: Callable[[], dspy.Prediction]) -> dspy.Prediction:
    """The prediction of a module's blocking call, made in a thread.

    If the awaiting task is cancelled, the interpreter is killed and the request to the model is
    cancelled.

    Raises:
        CodeFailedError: The model's code failed in every attempt.

    """
    with killed_at_the_end():
        try:
            return await in_thread(call, THREADS)
        except RuntimeError as error:
            raise CodeFailedError from error


@reads_as(dspy.ProgramOfThought)
class ProgramOfThought(dspy.ProgramOfThought):  # type: ignore[misc]
    """DSPy's, but that it can be cancelled."""

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """As DSPy's forward."""
        return await run(lambda: self.forward(**inputs))

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs."""
        return self.generate_output


@reads_as(dspy.CodeAct)
class CodeAct(dspy.CodeAct):  # type: ignore[misc]
    """DSPy's, but that it can be cancelled."""

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """As DSPy's forward."""
        return await run(lambda: self.forward(**inputs))

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs."""
        return self.extractor


@reads_as(dspy.RLM)
class RLM(dspy.RLM):  # type: ignore[misc]
    """DSPy's, in a thread: its own async form runs the code on the event loop."""

    def __init__(
        self, signature: type[dspy.Signature], tools: Iterable[str], **params: Any
    ) -> None:
        self._found = {asked: toolbox().find(asked) for asked in tools}
        super().__init__(
            signature,
            tools=[CodeTool(tool) for tool in self._found.values()],
            interpreter_factory=Interpreter,
            **params,
        )

    @property
    def is_stale(self) -> bool:
        """Whether a server has changed or removed one of its tools since the module was built."""
        return any(not is_current(asked, tool) for asked, tool in self._found.items())

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """As DSPy's forward."""
        return await run(lambda: self.forward(**inputs))

    @property
    def sub_lm(self) -> dspy.LM | None:
        """The model that its code asks in this run; None if that is the module's own."""
        return (dspy.settings.get("lms") or {}).get("sub_lm")

    @sub_lm.setter
    def sub_lm(self, lm: None) -> None:
        """DSPy's constructor sets it; a module serves runs with different models."""

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs, where its code has not."""
        return self.extract


def code_module(
    kind: str,
    signature: type[dspy.Signature],
    params: dict[str, Any],
    tools: Iterable[str] = (),
) -> dspy.Module:
    """The module of a kind: ProgramOfThought, CodeAct or RLM, which alone takes tools.

    Raises:
        NotEnabledError: This sidecar runs no generated code.

    """
    if (reason := disabled_reason()) is not None:
        raise NotEnabledError(f"{kind} runs code that the model writes: {reason}")
    match kind:
        case "ProgramOfThought":
            return ProgramOfThought(signature, interpreter_factory=Interpreter, **params)
        case "CodeAct":
            return CodeAct(signature, tools=[], interpreter_factory=Interpreter, **params)
        case _:
            return RLM(signature, tools, **params)
