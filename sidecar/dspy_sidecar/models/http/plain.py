"""Answers of OpenAI-compatible servers that need no more reading than this."""

import orjson
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy._vendor.lm15.providers.openai_chat import _usage_from_chat
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
        case {"error": error} if error is not None:
            return None
        case {
            "choices": [{"finish_reason": "stop", "message": {"content": str(text), **message}}],
            **whole,
        }:
            return (
                counted(text, whole.get("usage"))
                if text and not any(map(message.get, MORE))
                else None
            )
    return None


def counted(text: str, usage: object) -> CallResult | None:
    """With the counts that DSPy takes; None where it would refuse them."""
    try:
        counts = _usage_from_chat(usage or {})
    except Exception:
        return None
    return CallResult(
        outputs=[text],
        usage={
            "prompt_tokens": counts.input_tokens,
            "completion_tokens": counts.output_tokens,
            "prompt_tokens_details": {"cached_tokens": counts.cache_read_tokens},
        },
    )
