"""Reads plain answers of OpenAI-compatible servers: one text, and the tokens that it took."""

import orjson
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy._vendor.lm15.providers.openai_chat import _usage_from_chat
from dspy.clients.call_result import CallResult

OTHER_PARTS = ("reasoning_content", "reasoning", "refusal", "tool_calls")
"""Parts of a message, besides its content, that DSPy reads."""


def read_plain(answer: HttpResponse) -> CallResult | None:
    """The text and the usage of an answer; None if the answer has other parts that DSPy reads."""
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
                with_usage(text, whole.get("usage"))
                if text and not any(map(message.get, OTHER_PARTS))
                else None
            )
    return None


def with_usage(text: str, usage: object) -> CallResult | None:
    """A result with the answer's token counts; None if DSPy would refuse the counts."""
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
