"""Takes the drafts of reasoning models out of answers.

Reasoning models write a draft between two tags before they answer, and some chat templates write
the opening tag into the prompt, so that the answer has the closing tag alone. A draft often tries
the answer's own format, which must not be taken for the answer.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

NAMES = ("think", "thinking", "thought", "reason", "reasoning", "reflection", "seed:think")
TAGS = {f"<{name}>": f"</{name}>" for name in NAMES} | {
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|channel|>analysis<|message|>": "<|end|>",
}
"""Closing tags by opening tag, in small letters; models write them in any case."""

MAX_TAG = max(map(len, [*TAGS, *TAGS.values()]))
PIECE = 64 * 1_024
"""Characters that are searched at once: no other thread runs during a search."""

MAX_TOKEN = 256
"""Maximum length of a tag or of a field's beginning: names have up to 63 characters."""

MAX_TOKENS = 10_000
"""Tags and fields of an answer that are looked at; no answer that makes sense has more."""

MAX_INDENT = 64
"""Blanks before a tag, or between a field's beginning and a tag, that are looked at."""

NOTHING = re.compile(r"\s*(?:\[\[ ## completed ## \]\]|</|\Z)")
MAX_PATTERNS = 1_024


def may_have_drafts(text: str, elements: tuple[str, ...] = ()) -> bool:
    """Whether a text could have a tag that is no element. Quick if it has none, as most answers."""
    return (
        ("<" in text and has_angle_tag(text, angle_tags(elements)))
        or "◁" in text
        or "THINK]" in text
        or "think]" in text
    )


def has_angle_tag(text: str, tags: re.Pattern[str]) -> bool:
    """Whether a text has a tag. Other threads get their turn after each piece of a long text."""
    return any(
        tags.search(text, begin, begin + PIECE + MAX_TAG) for begin in range(0, len(text), PIECE)
    )


def tags_without(names: Iterable[str]) -> dict[str, str]:
    """The tags less those that are elements of fields, as `<reasoning>` may be in XML."""
    taken = {f"<{name}>".lower() for name in names}
    return {opening: closing for opening, closing in TAGS.items() if opening not in taken}


@lru_cache(MAX_PATTERNS)
def angle_tags(elements: tuple[str, ...]) -> re.Pattern[str]:
    """Finds tags that begin with `<`, less those that are elements of fields."""
    tags = tags_without(elements)
    angles = [tag[1:] for tag in (*tags, *tags.values()) if tag[0] == "<"]
    return re.compile(f"<(?:{'|'.join(map(re.escape, angles))})", re.IGNORECASE)


@lru_cache(MAX_PATTERNS)
def pattern_of(mark: str, elements: tuple[str, ...]) -> re.Pattern[str]:
    """Finds tags, and the beginnings of fields, whose names are the group `field`."""
    tags = tags_without(elements)
    opening, closing = ("|".join(map(re.escape, some)) for some in (tags, tags.values()))
    return re.compile(f"(?P<open>(?i:{opening}))|(?P<close>(?i:{closing}))|{mark}")


def without_drafts(text: str, found: re.Pattern[str], is_plain: bool = True) -> str:
    """The answer without its drafts, in linear time.

    A draft is what stands
    - between two tags before the first field, if the opening one begins a line or follows a
      draft; an opening tag without a closing one begins a draft that never ends;
    - between two tags at the beginning of a field's text, or in lines of its own right before the
      next field (if `is_plain`);
    - before a closing tag without an opening one, if every field before that tag comes again
      after it.

    Args:
        text: The answer.
        found: The pattern of the tags and the fields.
        is_plain: Whether fields hold plain text, and not JSON.

    """
    tokens = list(islice(matches_of(found, text), MAX_TOKENS))
    if all(token.lastgroup == "field" for token in tokens):
        return text
    closings = next_closings(tokens)
    kept: list[tuple[int, int]] = []
    marks: dict[str, int] = {}
    lone_closings: list[re.Match[str]] = []
    begin, field_begin = 0, -1
    end = len(text)
    for number, token in enumerate(tokens):
        if token.start() < begin:
            continue
        if token.lastgroup == "field":
            marks[token["field"]] = token.start()
            field_begin = token.end()
        elif token.lastgroup == "close":
            lone_closings.append(token)
        elif field_begin < 0:
            is_next = begin > 0 and is_blank_between(text, begin, token.start())
            if is_next or begins_line(text, token.start()):
                closing = closings[number]
                kept.append((begin, token.start()))
                begin = closing.end() if closing else end
        elif is_plain and (closing := closings[number]):
            is_first = is_blank_between(text, field_begin, token.start())
            if (is_first and not NOTHING.match(text, closing.end())) or (
                begins_line(text, token.start()) and is_followed(text, closing, found)
            ):
                kept.append((begin, token.start()))
                begin = field_begin = closing.end()
    kept.append((begin, end))
    answer_begin = min(marks.values(), default=0)
    cut = max((one.end() for one in lone_closings if one.start() < answer_begin), default=0)
    return "".join(text[max(first, cut) : last] for first, last in kept if last > cut)


def matches_of(found: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches in a text, in its order. Other threads get their turn after each piece."""
    at = 0
    for end in range(PIECE, len(text) + PIECE, PIECE):
        for match in found.finditer(text, at, end + MAX_TOKEN):
            if match.start() >= end:
                break
            yield match
            at = match.end()
        at = max(at, end)


def next_closings(tokens: list[re.Match[str]]) -> list[re.Match[str] | None]:
    """For each token: the closing tag that comes next for it, if it is an opening one."""
    latest: dict[str, re.Match[str]] = {}
    found: list[re.Match[str] | None] = []
    for token in reversed(tokens):
        if token.lastgroup == "close":
            latest[token[0].lower()] = token
        is_opening = token.lastgroup == "open"
        found.append(latest.get(TAGS[token[0].lower()]) if is_opening else None)
    found.reverse()
    return found


def begins_line(text: str, index: int) -> bool:
    """Whether only blanks stand before an index in its line."""
    before = text[max(0, index - MAX_INDENT) : index].rstrip(" \t")
    return before.endswith(("\n", "\r")) or (not before and index <= MAX_INDENT)


def is_blank_between(text: str, begin: int, end: int) -> bool:
    """Whether nothing, or a few blanks, stand between two indexes."""
    return end - begin <= MAX_INDENT and not text[begin:end].strip()


def is_followed(text: str, closing: re.Match[str], found: re.Pattern[str]) -> bool:
    """Whether a field begins right after a closing tag."""
    end = closing.end()
    while end < len(text) and end - closing.end() < MAX_INDENT and text[end].isspace():
        end += 1
    after = found.match(text, end)
    return after is not None and after.lastgroup == "field"
