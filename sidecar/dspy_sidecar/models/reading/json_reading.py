"""What json_repair, Python's literals and a pattern of DSPy's make of a text, in a time that grows with its length alone.

DSPy reads values by `json_repair.loads`, which looks ahead again and again in a text that is no JSON, and makes a call in a
call for each level of a nest: 16 KB of `{` take it seconds. Here the same parser counts what it looks at and gives up in
the end. What it gives up can't be read, as other texts that are no values.
"""

import ast
import json
import re
from types import SimpleNamespace
from typing import Any

import dspy.adapters.json_adapter
import dspy.adapters.utils
import jiter
import json_repair
from json_repair.json_parser import JSONParser

from dspy_sidecar.scoring.combining_marks import has_many

SHORT = 512
"""Characters that take json_repair few milliseconds, whatever they are."""

LONGEST_REPAIR = 128 * 1_024
"""Characters. The parser writes a string anew for each character that it adds."""

LOOKS, LOOKS_A_CHARACTER = 40_000, 10
"""How often the parser may look at a character. Answers that are cut off, or have quotes too many, take it up to 5 for each."""

SLICE = 64
"""Characters of a part of the text that cost as much as one look."""

DEEPEST = 200
"""Levels of a nest. A value has 32 at most."""

LONGEST_LITERAL = 64 * 1_024
"""Characters. Python reads a literal in one go, in which no other run of the worker goes on."""

STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
BRACES = re.compile(r"[{}]")


class TooMuchError(ValueError):
    """There is more to do than the length of the text allows. A ValueError, as json_repair's own."""


def loads(text: str) -> Any:
    """As `json_repair.loads`; ValueError of a text that is too deep or too tangled."""
    if len(text) <= SHORT:
        return within_depth(json_repair.loads, text)
    if is_deep(text):
        raise TooMuchError("the nest is too deep")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > LONGEST_REPAIR:
        return first_object(text)
    return within_depth(BoundedParser(text).parse)


def first_object(text: str) -> Any:
    """The first object of a long text, which may be cut off in its last string; "" where there is none, as json_repair says."""
    begin = text.find("{")
    if begin < 0:
        return ""
    if is_deep(text, begin):
        raise TooMuchError("the nest is too deep")
    try:
        return json.JSONDecoder().raw_decode(text, begin)[0]
    except (ValueError, RecursionError):
        pass
    # A ValueError of its own where that is none either.
    return jiter.from_json(text[begin:].encode(), partial_mode="trailing-strings")


def within_depth(read: Any, *args: Any) -> Any:
    """What a reader gives; ValueError where it ends in a nest that is too deep for it."""
    try:
        return read(*args)
    except RecursionError as error:
        raise TooMuchError("the nest is too deep") from error


def is_deep(text: str, begin: int = 0) -> bool:
    """Whether the JSON that begins there nests more levels than are read. Python's own decoder is a call in a call for each."""
    if text.count("[", begin) + text.count("{", begin) <= DEEPEST:
        return False
    depth = 0
    for found in STRING_OR_BRACKET.finditer(text, begin):
        match found[0][0]:
            case "[" | "{":
                depth += 1
                if depth > DEEPEST:
                    return True
            case "]" | "}":
                depth -= 1
    return False


class Looked(str):
    """A text that counts how often it is looked at, together with what was made of it."""

    left: list[int]

    def __getitem__(self, key: Any) -> str:
        """As str's."""
        found = str.__getitem__(self, key)
        left = self.left
        left[0] -= 1 + len(found) // SLICE
        if left[0] < 0:
            raise TooMuchError("the text is too tangled")
        return found


class BoundedParser(JSONParser):
    """json_repair's, which gives up."""

    def __init__(self, text: str) -> None:
        self._left = [LOOKS + LOOKS_A_CHARACTER * len(text)]
        self._depth = 0
        super().__init__(text, None, False, try_valid_json_suffix=True)

    @property
    def json_str(self) -> str:
        """The text, which the parser writes anew when it mends it."""
        return self._text

    @json_str.setter
    def json_str(self, text: str) -> None:
        self._text = Looked(text)
        self._text.left = self._left

    def _try_parse_valid_json_value(self) -> tuple[bool, Any]:
        if not self.has_tried_valid_json_suffix and is_deep(self.json_str, self.index):
            self.has_tried_valid_json_suffix = True
        return super()._try_parse_valid_json_value()

    def _try_parse_missing_opening_object(self, delimiter: str) -> tuple[bool, Any]:
        is_too_deep = is_deep("{" + self.json_str)
        return (False, "") if is_too_deep else super()._try_parse_missing_opening_object(delimiter)

    def parse_json(self, *args: Any, **kwargs: Any) -> Any:
        """As json_repair's."""
        self._depth += 1
        try:
            if self._depth > DEEPEST:
                raise TooMuchError("the nest is too deep")
            return super().parse_json(*args, **kwargs)
        finally:
            self._depth -= 1


def literal_eval(text: str) -> Any:
    """As `ast.literal_eval`; ValueError of a text that is too deep, too long or has too many marks, which Python puts in order."""
    if len(text) > LONGEST_LITERAL or has_many(text):
        raise TooMuchError("the literal is too long")
    try:
        return ast.literal_eval(text)
    except (RecursionError, MemoryError) as error:
        raise TooMuchError("the nest is too deep") from error


def braces(text: str) -> re.Match[str] | None:
    """The first part of a text that begins with a brace and ends with the one that closes it."""
    opened: list[int] = []
    first: tuple[int, int] | None = None
    for brace in BRACES.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            begin = opened.pop()
            # Of the pairs in another the outer one ends last.
            if first is None or begin < first[0]:
                first = (begin, brace.end())
            if not opened:
                break
    return re.compile(".*", re.DOTALL).match(text, *first) if first else None


def install() -> None:
    """Lets DSPy's adapters read by these. They call them by the names of the modules."""
    for module in (dspy.adapters.utils, dspy.adapters.json_adapter):
        module.json_repair = SimpleNamespace(loads=loads)
    dspy.adapters.utils.ast = SimpleNamespace(literal_eval=literal_eval)
    dspy.adapters.json_adapter.regex = SimpleNamespace(
        search=lambda _, text, flags: braces(text), DOTALL=re.DOTALL
    )
