"""The elements of fields in answers in the format of XMLAdapter.

Models often write `&` and `<` as they are, which is no XML.
"""

import html
import re
from collections.abc import Iterable

import dspy
from dspy.adapters.xml_adapter import XMLAdapter

from dspy_sidecar.models.reading.drafts import may_have_drafts, pattern_of, without_drafts

REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
STRAY = re.compile(
    r"&(?!(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|lt|gt|amp|quot|apos);)"
    r"|<(?!/?[A-Za-z_][\w.-]{0,255}(?: key=\"[^\"<]{0,1000}\")? ?/?>)"
)
"""Characters that are no markup in an element of DSPy's nested XML."""

MAX_MARKUP = 1_280
"""Maximum length of the markup that STRAY looks at."""

PIECE = 64 * 1_024
"""Characters that are searched at once: no other thread runs during a search."""


def draft_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Finds the tags of drafts, and the elements of some fields."""
    fields = tuple(names)
    return pattern_of(rf"<(?P<field>{'|'.join(fields)})>", fields)


def plain(signature: type[dspy.Signature], completion: str) -> str:
    """The answer without drafts."""
    if not may_have_drafts(completion, tuple(signature.output_fields)):
        return completion
    return without_drafts(completion, draft_pattern(signature.output_fields))


def escaped(signature: type[dspy.Signature], text: str) -> str:
    """The elements of the outputs as XML, in which text is escaped. Nothing else is left."""
    elements = []
    for name, field in signature.output_fields.items():
        inner = inner_text(name, text)
        if inner is None:
            continue
        if XMLAdapter._uses_nested_xml(field.annotation):
            inner = with_strays_escaped(inner)
        else:
            inner = html.escape(unescaped(inner), quote=False)
        elements.append(f"<{name}>{inner}</{name}>")
    return "\n".join(elements)


def with_strays_escaped(text: str) -> str:
    """Nested XML in which the characters that are no markup are escaped."""
    parts, done = [], 0
    for begin in range(0, len(text), PIECE):
        for stray in STRAY.finditer(text, begin, begin + PIECE + MAX_MARKUP):
            if stray.start() >= begin + PIECE:
                break
            parts += [text[done : stray.start()], html.escape(stray[0])]
            done = stray.end()
    return "".join([*parts, text[done:]])


def inner_text(name: str, text: str) -> str | None:
    """What stands in the first element of a name; None if there is none that is closed."""
    begin = text.find(f"<{name}>")
    if begin < 0:
        return None
    begin += len(name) + 2
    end = text.find(f"</{name}>", begin)
    return text[begin:end] if end >= 0 else None


def unescaped(text: str) -> str:
    """A text whose references, as `&amp;`, are the characters that they stand for."""
    return REFERENCE.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def is_closed(signature: type[dspy.Signature], text: str) -> bool:
    """Whether the element of each output has its closing tag."""
    return all(
        inner_text(name, text) is not None or re.search(rf"<{name}\s?/>", text)
        for name in signature.output_fields
    )
