"""The trace and the token usage of a run, kept up to date while it runs."""

import time
from collections.abc import Callable
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.json_values import json_of
from dspy_sidecar.models.http.usage import spent_tokens
from dspy_sidecar.values.texts import replaced_surrogates


class Meter:
    """DSPy's usage tracker of a run; the sidecar's LMs also report each request to it.

    It is no callback of DSPy, because DSPy also calls a callback for each module, prompt and
    answer, which takes 40 us each.

    Args:
        on_spent: Called before each request but the first, when the trace already has usage.

    """

    def __init__(self, on_spent: Callable[[], None]) -> None:
        self._on_spent = on_spent
        self.trace = pb.Trace()
        """The trace so far. It goes on changing: whoever keeps it must copy it."""
        self._began = 0.0

    def begin(self, module: str) -> None:
        """Begins the step of a module, and its clock."""
        self.trace.steps.add(module=module)
        self._began = time.monotonic()

    def end(self, outputs: dict[str, Any] | None) -> None:
        """Ends the step that began last; `outputs` is None if the module failed."""
        step = self.trace.steps[-1]
        step.duration_ms = round((time.monotonic() - self._began) * 1000)
        if outputs is not None:
            step.outputs = json_of(outputs)

    def request_began(self, model: str) -> None:
        """Counts a request to `model`, as provider/model, that is about to be sent."""
        if self.trace.token_usage.lm_calls > 0:
            self._on_spent()
        self.trace.model = model
        for usage in self._usages():
            usage.lm_calls += 1

    def answer_ended(self, finish_reason: str) -> None:
        """Keeps how the model ended its last answer, in OpenAI's words; "" if unknown."""
        if self.trace.steps:
            self.trace.steps[-1].finish_reason = finish_reason

    def request_ended(self, outputs: list[Any] | None) -> None:
        """Keeps the raw answer; `outputs` is None if the request failed."""
        if outputs and self.trace.steps:
            self.trace.steps[-1].raw_answer = replaced_surrogates(answer_text(outputs[0]))

    def add_usage(self, lm: str, entry: dict[str, Any]) -> None:
        """Adds the token counts that the provider reports for a request. DSPy calls this method."""
        prompt, completion, cached = spent_tokens(entry)
        for usage in self._usages():
            usage.input_tokens += prompt
            usage.output_tokens += completion
            usage.cached_tokens += cached

    def _usages(self) -> list[pb.TokenUsage]:
        step = [self.trace.steps[-1].token_usage] if self.trace.steps else []
        return [self.trace.token_usage, *step]


def answer_text(output: Any) -> str:
    """The text in an output of a DSPy LM: a plain str, or a dict with "text" and other parts.

    "" if the output has no text.
    """
    text = output.get("text") if isinstance(output, dict) else output
    return text if isinstance(text, str) else ""
