"""What a run has done and spent so far, as it happens."""

import time
from collections.abc import Callable
from typing import Any

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.json_values import json_of


class Meter:
    """DSPy's usage tracker of a run. Our models tell it of the beginning and the end of each request as well.

    As DSPy's callback it would be called for each module, prompt and answer too, at 40 us each.

    Args:
        on_spent: Told before a further request is made, when there is something spent already.

    """

    def __init__(self, on_spent: Callable[[], None]) -> None:
        self._on_spent = on_spent
        self.trace = pb.Trace()
        """So far; to be copied where it is sent."""
        self._began = 0.0

    def begin(self, module: str) -> None:
        """A module begins."""
        self.trace.steps.add(module=module)
        self._began = time.monotonic()

    def end(self, outputs: dict[str, Any] | None) -> None:
        """The module that began last has ended, with outputs or without."""
        step = self.trace.steps[-1]
        step.duration_ms = round((time.monotonic() - self._began) * 1000)
        if outputs is not None:
            step.outputs = json_of(outputs)

    def asks(self, model: str) -> None:
        """A model is about to be asked."""
        if self.trace.token_usage.lm_calls > 0:
            self._on_spent()
        self.trace.model = model
        for usage in self._usages():
            usage.lm_calls += 1

    def answered(self, outputs: list[Any] | None) -> None:
        """The model has answered, or failed."""
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
