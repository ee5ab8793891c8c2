"""Token counts that providers report, made of whatever they report.

DSPy refuses an answer whose counts are fractions, texts or negative. A count is never worth an
answer: one that makes no sense counts as not reported.
"""

from typing import Any

from dspy._vendor.lm15.providers import openai_chat
from dspy.lm15 import Usage

MAX_TOKENS = 10**12
"""Maximum of one count. A larger one is no count of tokens, and sums of them would not be exact."""

COUNTS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)

_check = Usage.__post_init__
_usage_from_chat = openai_chat._usage_from_chat


def token_count(value: Any) -> int | None:
    """A count as a whole number; None if it is none from 0 to the maximum."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= MAX_TOKENS else None


def spent_tokens(entry: Any) -> tuple[int, int, int]:
    """The input, output and cached tokens of a usage in OpenAI's form; 0 if not reported."""
    members = members_of(entry)
    details = members.get("prompt_tokens_details")
    cached = members_of(details).get("cached_tokens", getattr(details, "cached_tokens", None))
    return (
        token_count(members.get("prompt_tokens")) or 0,
        token_count(members.get("completion_tokens")) or 0,
        token_count(cached) or 0,
    )


def members_of(part: Any) -> dict[str, Any]:
    """A part of an answer that should be an object; empty if it is none."""
    return part if isinstance(part, dict) else {}


def usage_from_chat(usage: Any) -> Usage:
    """DSPy's usage of an answer in OpenAI's form."""
    details = ("prompt_tokens_details", "completion_tokens_details")
    members = members_of(usage)
    return _usage_from_chat(
        {**members, **{name: members_of(members.get(name)) for name in details}}
    )


def check(usage: Usage) -> None:
    """What DSPy does with a new usage, after its counts have been made whole numbers."""
    for name in COUNTS:
        object.__setattr__(usage, name, token_count(getattr(usage, name)))
    _check(usage)


def install() -> None:
    """Makes DSPy take every usage."""
    Usage.__post_init__ = check
    openai_chat._usage_from_chat = usage_from_chat
