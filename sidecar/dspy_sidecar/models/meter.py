"""The trace of a run so far: steps, usage and model."""

import time
from collections.abc import Callable
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.json_values import json_of


class Meter:
    """DSPy's usage tracker of a run. The sidecar's models also report each request's begin and end.

    A callback of DSPy's would be called for each module, prompt and answer too, at 40 us each.

    Args:
        on_spent: Called before each further request than the first.

    """

    def __init__(self, on_spent: Callable[[], None]) -> None:
        self._on_spent = on_spent
        self.trace = pb.Trace()
        """The trace so far; copy it to send it."""
        self._began = 0.0

    def begin(self, module: str) -> None:
        """Begins a module."""
        self.trace.steps.add(module=module)
        self._began = time.monotonic()

    def end(self, outputs: dict[str, Any] | None) -> None:
        """Ends the module that was begun last; `outputs` is None if it failed."""
        step = self.trace.steps[-1]
        step.duration_ms = round((time.monotonic() - self._began) * 1000)
        if outputs is not None:
            step.outputs = json_of(outputs)

    def asks(self, model: str) -> None:
        """Counts a request that is about to be made."""
        if self.trace.token_usage.lm_calls > 0:
            self._on_spent()
        self.trace.model = model
        for usage in self._usages():
            usage.lm_calls += 1

    def answered(self, outputs: list[Any] | None) -> None:
        """Notes a model's answer; None if the request failed."""
        if outputs and self.trace.steps:
            self.trace.steps[-1].raw_answer = text_of(outputs[0])

    def add_usage(self, lm: str, entry: dict[str, Any]) -> None:
        """DSPy's usage tracker's own method: what one request used, by the provider's word."""
        details = entry.get("prompt_tokens_details") or {}
        cached = (
            details.get("cached_tokens")
            if isinstance(details, dict)
            else getattr(details, "cached_tokens", 0)
        )
        for usage in self._usages():
            usage.input_tokens += entry.get("prompt_tokens") or 0
            usage.output_tokens += entry.get("completion_tokens") or 0
            usage.cached_tokens += cached or 0

    def _usages(self) -> list[pb.TokenUsage]:
        step = [self.trace.steps[-1].token_usage] if self.trace.steps else []
        return [self.trace.token_usage, *step]


def text_of(output: Any) -> str:
    """What a model wrote, as DSPy's LMs give it: plain, or beside its reasoning and the like."""
    text = output.get("text") if isinstance(output, dict) else output
    return text if isinstance(text, str) else ""
