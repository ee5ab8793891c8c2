"""Answers of OpenAI-compatible servers that need no more reading than this."""

from typing import Any

import orjson
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy.clients.call_result import CallResult

MORE = ("reasoning_content", "reasoning", "refusal", "tool_calls")
"""What DSPy reads of a message besides its content."""


def plain(answer: HttpResponse) -> CallResult | None:
    """One whole text and the tokens it took; None of an answer that says more or something else, which DSPy must read."""
    try:
        read = orjson.loads(answer.body) if answer.status == 200 else None
    except orjson.JSONDecodeError:
        return None
    match read:
        case {"error": error} if error:
            return None
        case {
            "choices": [{"finish_reason": "stop", "message": {"content": str(text), **message}}],
            "usage": {"prompt_tokens": int(), "completion_tokens": int()} as usage,
        } if text and not any(map(message.get, MORE)) and counts_cached(usage):
            return CallResult(outputs=[text], usage=usage)
    return None


def counts_cached(usage: dict[str, Any]) -> bool:
    """Whether the tokens that came from the provider's cache are counted as usual, if at all."""
    match usage.get("prompt_tokens_details"):
        case None | {"cached_tokens": int() | None}:
            return True
    return False
