"""The modules of DSPy's that run code that the model writes."""

import concurrent.futures
import logging
from collections.abc import Callable
from typing import Any

import dspy

from dspy_sidecar.faults import CodeFailedError, NotEnabledError
from dspy_sidecar.interpreter.interpreter import Interpreter, killed_at_the_end, refusal
from dspy_sidecar.threads import in_thread

MOST = 4
"""Runs of such modules at the same time; further ones wait. Each has a process that takes 150 MB and seconds to start."""

THREADS = concurrent.futures.ThreadPoolExecutor(MOST, "generated code")

# It logs what callers sent and models wrote.
logging.getLogger("dspy.predict.program_of_thought").disabled = True


async def run(call: Callable[[], dspy.Prediction]) -> dspy.Prediction:
    """What a module makes in a thread. Cancelled, it kills the interpreter and cancels the request to the model."""
    with killed_at_the_end():
        try:
            return await in_thread(call, THREADS)
        except RuntimeError as error:
            raise CodeFailedError from error


class ProgramOfThought(dspy.ProgramOfThought):  # type: ignore[misc]
    """DSPy's, but that it can be cancelled."""

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """As DSPy's forward."""
        return await run(lambda: self.forward(**inputs))

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs."""
        return self.generate_output


class CodeAct(dspy.CodeAct):  # type: ignore[misc]
    """DSPy's, but that it can be cancelled."""

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """As DSPy's forward."""
        return await run(lambda: self.forward(**inputs))

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs."""
        return self.extractor


class RLM(dspy.RLM):  # type: ignore[misc]
    """DSPy's, in a thread: its own async form runs the code on the event loop."""

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """As DSPy's forward."""
        return await run(lambda: self.forward(**inputs))

    @property
    def answering(self) -> dspy.Module:
        """The part of it that makes the outputs, where its code has not."""
        return self.extract


def coding(kind: str, signature: type[dspy.Signature], params: dict[str, Any]) -> dspy.Module:
    """The module of that name; NotEnabledError where no code is run."""
    if (why := refusal()) is not None:
        raise NotEnabledError(f"{kind} runs code that the model writes: {why}")
    match kind:
        case "ProgramOfThought":
            return ProgramOfThought(signature, interpreter_factory=Interpreter, **params)
        case "CodeAct":
            return CodeAct(signature, tools=[], interpreter_factory=Interpreter, **params)
        case _:
            return RLM(signature, interpreter_factory=Interpreter, **params)
