"""Reads plain answers of OpenAI-compatible servers: one text, and the tokens that it took."""

import orjson
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy.clients.call_result import CallResult

from dspy_sidecar.models.http.usage import spent_tokens

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
            is_plain = text and not any(map(message.get, OTHER_PARTS))
            return with_usage(text, whole.get("usage")) if is_plain else None
    return None


def with_usage(text: str, usage: object) -> CallResult:
    """A result with the answer's token counts."""
    prompt, completion, cached = spent_tokens(usage)
    return CallResult(
        outputs=[text],
        usage={
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    )
