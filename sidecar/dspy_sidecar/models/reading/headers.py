"""The headers of fields in answers in the format of ChatAdapter.

For DSPy a header stands at the beginning of a line. Models also write one right after a text
("Paris.[[ ## note ## ]]"), and some indent it.
"""

import re
from collections.abc import Collection, Iterable, Iterator

import dspy

from dspy_sidecar.models.reading.drafts import may_have_drafts, pattern_of, without_drafts

HEADER = re.compile(r"\[\[ ## (\w+) ## \]\]")
HEADER_BEGIN = "[[ ## "
COMPLETED = "completed"
"""The name of the header after the last field."""

QUOTES = {"`": "`", '"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "«": "»"}
LINE_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
MAX_BEFORE = 64
"""Characters before a header that are looked at: a longer indentation is text."""


def begins_line(before: str) -> bool:
    """Whether the text before a header, of at most MAX_BEFORE characters, ends an indentation."""
    bare = before.rstrip()
    after = before[len(bare) :]
    return not LINE_BREAKS.isdisjoint(after) or (not bare and len(before) < MAX_BEFORE)


def is_header(
    name: str, before: str, after: str, known: Collection[str], seen: Collection[str]
) -> bool:
    """Whether a header is one, and not a part of a field's text.

    It is one at the beginning of a line. Elsewhere it is one if the signature has a field of its
    name that has not begun yet, unless it stands in quotes or backticks.
    """
    if begins_line(before):
        return True
    is_quoted = QUOTES.get(before[-1:]) == after and after != ""
    return name in known and name not in seen and not is_quoted


def known_names(signature: type[dspy.Signature]) -> set[str]:
    """The names that make a header one in the middle of a line."""
    return {COMPLETED, *signature.input_fields, *signature.output_fields}


def headers(text: str, signature: type[dspy.Signature]) -> Iterator[re.Match[str]]:
    """The headers of an answer, in its order."""
    known: set[str] | None = None
    seen: set[str] = set()
    for found in HEADER.finditer(text):
        begin, end = found.span()
        if begin > 0 and text[begin - 1] not in LINE_BREAKS:
            known = known or known_names(signature)
            before = text[max(0, begin - MAX_BEFORE) : begin]
            if not is_header(found[1], before, text[end : end + 1], known, seen):
                continue
        seen.add(found[1])
        yield found


def are_at_line_breaks(text: str) -> bool:
    """Whether every header follows a line break. Quick, for this holds for most answers."""
    return text.count(HEADER_BEGIN) == text.count(f"\n{HEADER_BEGIN}") + text.startswith(
        HEADER_BEGIN
    )


def draft_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Finds the tags of drafts, and the headers of some fields."""
    return pattern_of(rf"\[\[ ## (?P<field>{'|'.join(names)}) ## \]\]", ())


def plain(signature: type[dspy.Signature], completion: str) -> str:
    """The answer as DSPy reads it: without drafts, and each header at the beginning of a line."""
    text = completion
    if are_at_line_breaks(text) and not may_have_drafts(text):
        return text
    if may_have_drafts(text):
        text = without_drafts(text, draft_pattern(signature.output_fields))
    pieces: list[str] = []
    at = 0
    for header in headers(text, signature):
        begin = header.start()
        if begin > 0 and text[begin - 1] not in LINE_BREAKS:
            pieces += [text[at:begin].rstrip(), "\n"]
            at = begin
    return "".join([*pieces, text[at:]]) if pieces else text


def is_closed(signature: type[dspy.Signature], text: str) -> bool:
    """Whether each output of a plain answer is followed by a header."""
    names = [header[1] for header in headers(text, signature)]
    outputs = signature.output_fields
    return (COMPLETED in names and COMPLETED not in outputs) or outputs.keys() <= set(names[:-1])
