"""json_repair's parser with a budget, so that its time is linear in the length of the text.

The parser of json_repair looks ahead again and again in a text that is no JSON, and recurses for
each level: 16 KB of `{` take it seconds. Here it counts the characters that it looks at, and gives
up once the budget is spent.
"""

from typing import Any

from json_repair.json_parser import JSONParser

from dspy_sidecar.models.reading.nesting import MAX_DEPTH, TooComplexError, is_too_deep

LOOKS, LOOKS_PER_CHARACTER = 40_000, 10
"""The budget: how often the parser may look at a character.

An answer that is cut off or has too many quotes takes up to 5 looks per character.
"""

CHARACTERS_PER_LOOK = 64
"""A slice of so many characters counts as one look more."""


class CountedText(str):
    """A text whose reads are counted against a budget, which it shares with its repaired copies."""

    budget: list[int]
    """One element: the looks that are left."""

    def __getitem__(self, key: Any) -> str:
        """A character or a slice, as of a str.

        Raises:
            TooComplexError: The budget is spent.

        """
        found = str.__getitem__(self, key)
        budget = self.budget
        budget[0] -= 1 + len(found) // CHARACTERS_PER_LOOK
        if budget[0] < 0:
            raise TooComplexError("the text is too tangled")
        return found


class BoundedParser(JSONParser):
    """json_repair's parser, limited by the budget and by MAX_DEPTH.

    Its methods raise TooComplexError beyond the limits.
    """

    def __init__(self, text: str) -> None:
        self._budget = [LOOKS + LOOKS_PER_CHARACTER * len(text)]
        self._depth = 0
        super().__init__(text, None, False, try_valid_json_suffix=True)

    @property
    def json_str(self) -> str:
        """The text. The parser replaces it by a copy at each repair."""
        return self._text

    @json_str.setter
    def json_str(self, text: str) -> None:
        self._text = CountedText(text)
        self._text.budget = self._budget

    def _try_parse_valid_json_value(self) -> tuple[bool, Any]:
        # Only at the top level, as json_repair itself: if the depth were measured at each bracket,
        # a long answer would take the square of its length.
        if (
            self.context.empty
            and not self.has_tried_valid_json_suffix
            and is_too_deep(self.json_str, self.index)
        ):
            self.has_tried_valid_json_suffix = True
        return super()._try_parse_valid_json_value()

    def _try_parse_missing_opening_object(self, delimiter: str) -> tuple[bool, Any]:
        if is_too_deep("{" + self.json_str):
            return (False, "")
        return super()._try_parse_missing_opening_object(delimiter)

    def parse_json(self, *args: Any, **kwargs: Any) -> Any:
        """Parses a value; calls itself for each level."""
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                raise TooComplexError("the nest is too deep")
            return super().parse_json(*args, **kwargs)
        finally:
            self._depth -= 1
