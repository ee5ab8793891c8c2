"""Finds in a provider's error that the prompt is longer than the model's context window.

Each server says it in its own words, and most give no code for it. DSPy knows OpenAI's code alone,
and takes some rate limits of Anthropic and Gemini for long prompts.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

MAX_WORDS = 4_000
"""Characters of an error that are looked at. The words come first; a prompt may follow them."""

CODE = re.compile(
    r"context_?(length|window|size)_?(error|exceeded)|exceed_context_size|tokens_limit_reached"
    r"|(prompt|input)_too_long|contextwindowexceeded"
)
"""What the code or type of such an error holds, or the name of its class."""

WINDOW = r"context[ _-]?(?:length|window|size|limit)"
COMPARED = (
    r"exceed|overflow|longer|larger|greater|bigger|too (?:long|large|small|many)|maximum|limited"
    r"|not enough|only|reached|fits?\b|reduce|shorten"
)
NEAR = r"[^.;]{0,80}"
OTHER = (
    r"(?!\b(?:images?|pictures?|videos?|audio|files?|attachments?"
    r"|parameters?|arguments?|options?)\b)"
)
"""No such thing begins here; else the words may be of its size, or of its name."""

SAID = re.compile(
    "|".join(
        (
            # OpenAI, Azure, vLLM, SGLang, llama.cpp, LM Studio, Ollama, Mistral, Anthropic.
            rf"(?:{COMPARED})(?:{OTHER}.){{0,120}}{WINDOW}",
            rf"{WINDOW}(?:{OTHER}.){{0,120}}(?:{COMPARED})",
            r"context the overflow|overflows? the context|context overflow",
            # Anthropic, Bedrock, Fireworks, xAI.
            r"\b(?:prompt|input|messages?|conversation)\b"
            rf"(?:{OTHER}[^.:;]){{0,40}}\btoo (?:long|large)\b",
            r"messages?(?:\[\d+\])?\.content[^:]{0,20}: string too long",
            r"expected maxlength: \d+, actual",
            # Bedrock, Cohere.
            r"too many (?:input |prompt )?tokens",
            # Gemini, watsonx, Copilot.
            rf"(?:input|prompt) token count{NEAR}(?:exceed|but)",
            rf"(?:input|prompt|request|total){NEAR}\btokens?\b{NEAR}(?:exceed|more than)",
            rf"exceed{NEAR}(?:token limit|tokens limit|maximum input|max_model_len)",
            r"max(?:imum|\.)? (?:allowed )?(?:prompt|input|model|sequence) len(?:gth)?\b",
            # Text Generation Inference, Together, DashScope.
            r"\binputs?\b\W.{0,60}(?:must be <=|must have less than)",
            r"range of input length",
            # Groq, Cerebras, GitHub.
            r"(?:reduce|shorten)[^.]{0,40}(?:prompt|input|messages|conversation)",
            r"too large for [^.]{0,60}model[^;]{0,40}\btokens",
            # Zhipu.
            "prompt 超长|上下文.{0,20}超|超.{0,20}上下文",
        )
    )
)

# Of the answer's length, which a caller asks for, and not of the prompt's.
ANSWER = re.compile(r"max_?(?:completion_?|output_?|new_?)?tokens|(?:output|completion) tokens")
PROMPT = re.compile(r"input|prompt|messages|context")

RATE = re.compile(
    r"rate.?limit|per (?:minute|hour|day|second)\b|\b[tr]p[md]\b|quota|throttl|please wait"
)
"""Words of a rate limit, which may count tokens too."""


def says_context(words: Iterable[str]) -> bool:
    """Whether the code or the words of an error say that the prompt is too long."""
    for word in words:
        text = " ".join(word[:MAX_WORDS].lower().split())
        if CODE.search(text):
            return True
        if SAID.search(text) and not says_rate([text]):
            if ANSWER.search(text) and not PROMPT.search(ANSWER.sub("", text)):
                continue
            return True
    return False


def says_rate(words: Iterable[str]) -> bool:
    """Whether the words of an error speak of a rate limit."""
    return any(RATE.search(word[:MAX_WORDS].lower()) for word in words)


def words_of(body: str) -> list[str]:
    """The texts of an error's body in which servers say what is wrong.

    A body may also repeat the request, with texts of callers.
    """
    try:
        return list(said_in(orjson.loads(body)))
    except orjson.JSONDecodeError:
        return [body]


SPOKEN = ("error", "message", "detail", "msg", "code", "type", "error_type", "raw", "metadata")
"""Members of an error that hold what is wrong: OpenAI's, FastAPI's, OpenRouter's."""

MAX_DEPTH = 5


def said_in(part: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    """The texts of a decoded body."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list) and depth > 0:
        for element in part[:MAX_DEPTH]:
            yield from said_in(element, depth - 1)
    elif isinstance(part, dict) and depth > 0:
        for name in SPOKEN:
            yield from said_in(part.get(name), depth - 1)
