"""What DSPy's own readers of errors make of the words of providers."""

import json

import pytest
from dspy import lm15
from dspy._vendor.lm15.providers.anthropic import AnthropicLM
from dspy._vendor.lm15.providers.gemini import GeminiLM
from dspy.clients.errors import error_boundary
from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMAuthError,
    LMInvalidRequestError,
    LMRateLimitError,
)


def anthropic(status, kind, message):
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return AnthropicLM(api_key="key").normalize_error(status, json.dumps(body))


def gemini(status, kind, message):
    body = {"error": {"code": status, "message": message, "status": kind}}
    return GeminiLM(api_key="key").normalize_error(status, json.dumps(body))


PER_MINUTE = "This request would exceed your organization's rate limit of 30,000 tokens per minute."
QUOTA = "You exceeded your current quota: free_tier_input_token_count, limit: 250000"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            anthropic(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
            ContextWindowExceededError,
        ),
        (anthropic(429, "rate_limit_error", PER_MINUTE), LMRateLimitError),
        (anthropic(400, "invalid_request_error", "unknown field"), LMInvalidRequestError),
        (
            gemini(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum (8)."),
            ContextWindowExceededError,
        ),
        (gemini(429, "RESOURCE_EXHAUSTED", QUOTA), LMRateLimitError),
        (
            lm15.InvalidRequestError("BedrockException - Input is too long for requested model."),
            ContextWindowExceededError,
        ),
        (lm15.RateLimitError("Too many tokens, please wait"), LMRateLimitError),
        (lm15.ContextLengthError("Too many tokens, please wait"), LMRateLimitError),
        (lm15.AuthError("the prompt is too long", status=401), LMAuthError),
    ],
)
def test_a_long_prompt_is_told_from_a_rate_limit(error, kind):
    with pytest.raises(Exception) as raised, error_boundary("any/model"):
        raise error
    assert type(raised.value) is kind


def test_an_error_keeps_what_the_provider_said_beside_its_words():
    error = lm15.InvalidRequestError(
        "prompt is too long", provider="p", provider_code="c", status=400, request_id="r"
    )
    with pytest.raises(ContextWindowExceededError) as raised, error_boundary("any/model"):
        raise error
    made = raised.value
    assert (made.message, made.model, made.provider, made.provider_code, made.request_id) == (
        "prompt is too long",
        "any/model",
        "p",
        "c",
        "r",
    )
