"""How a model ended an answer, and answers that were cut off."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dspy._vendor.lm15.providers import openai_chat
from dspy.clients.call_result import CallResult
from dspy.clients.legacy_outputs import value

CUT = ("length", "content_filter")
"""The finish reasons of an answer that the model did not end itself."""

WORDS = {
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "length",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
}
"""OpenAI's words for those of other providers, and of DSPy."""


class CutOff(str):
    """The text of an answer that was cut off, for instance at max_tokens."""

    finish_reason: str


def cut_off(text: str, finish_reason: str) -> CutOff:
    """The text as one that was cut off."""
    made = CutOff(text)
    made.finish_reason = finish_reason
    return made


def finish_reasons(result: CallResult) -> list[str]:
    """How the model ended each output, in OpenAI's words; "" if the provider does not say."""
    if result.responses:
        return [reason_of(response) for response in result.responses]
    choices = value(result.raw, "choices", None) or [] if result.raw is not None else []
    return [word(value(choice, "finish_reason", None)) for choice in choices]


def reason_of(response: Any) -> str:
    """How the model ended one answer.

    DSPy takes words that it does not know, and no word at all, for "stop", so that the provider's
    own word comes first.
    """
    data = response.provider_data
    choices = data.get("choices") if isinstance(data, dict) else None
    if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict):
        return word(choices[0].get("finish_reason"))
    return word(response.finish_reason)


def word(reason: Any) -> str:
    """A finish reason in OpenAI's words."""
    return WORDS.get(reason, reason) if isinstance(reason, str) else ""


def marked(outputs: list[Any], reasons: list[str]) -> list[Any]:
    """The outputs of a request; the texts of those that were cut off are marked as such."""
    if not any(reason in CUT for reason in reasons):
        return outputs
    return [
        with_text(output, partial(cut_off, finish_reason=reason)) if reason in CUT else output
        for output, reason in zip(outputs, reasons, strict=False)
    ]


def with_text(output: Any, made: Callable[[str], str]) -> Any:
    """An output of a DSPy LM with another text: a text, or a dict that has one."""
    if isinstance(output, dict):
        return {**output, "text": made(output.get("text") or "")}
    return made(output or "")


def install() -> None:
    """Makes DSPy take other providers' words for an answer that was cut off, also in streams."""
    for name in ("max_tokens", "model_length"):
        openai_chat._FINISH_REASON_MAP[name] = "length"
