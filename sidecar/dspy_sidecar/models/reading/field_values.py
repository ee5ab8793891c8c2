"""Makes a field's value of what an answer has for it: parses as DSPy does, then asks the table.

DSPy asks pydantic, which takes values that the table refuses ("0x10" and true as an int, NaN), and
refuses values that it takes (numbers as elements of `list[str]`).
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import dspy.adapters.chat_adapter
import dspy.adapters.json_adapter
import dspy.adapters.utils
import dspy.adapters.xml_adapter
import dspy.predict.rlm
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.reading import json_answers
from dspy_sidecar.models.reading.nesting import TooComplexError, is_too_deep
from dspy_sidecar.values.coercion import coercion_of, key_text, to_str
from dspy_sidecar.values.trees import MAX_ANNOTATIONS, tree_of
from dspy_sidecar.values.violations import RefusedError, refused

NULLS = ("None", "null")
"""The texts that a model writes for a null, without quotes."""

NO_FIELDS = "the answer has none of the output fields"

parse_by_pydantic = dspy.adapters.utils.parse_value
fill_defaults = dspy.adapters.utils.apply_output_field_defaults


def read_text(text: Any, annotation: Any) -> Any:
    """The value of a field that a text adapter found as bare text, or as XML elements.

    Raises:
        ValueError: The table refuses the value.

    """
    if annotation is str and type(text) is str:
        return to_str(text)
    reading = reading_of(annotation)
    return reading.of_text(text) if reading else parse_by_pydantic(text, annotation)


def read_json(value: Any, annotation: Any) -> Any:
    """The value of a member of a JSON answer. Texts in it were in quotes, so "None" is a text.

    Raises:
        ValueError: The table refuses the value.

    """
    reading = reading_of(annotation)
    return reading.of_json(value) if reading else parse_by_pydantic(value, annotation)


def reading_of(annotation: Any) -> "Reading | None":
    """The reading of an annotation's values; None if the table has no such type."""
    try:
        return cached_reading(annotation)
    except TypeError:
        # The annotation is not hashable.
        return None


@lru_cache(MAX_ANNOTATIONS)
def cached_reading(annotation: Any) -> "Reading | None":
    """The reading of a hashable annotation's values, from the cache."""
    tree = tree_of(annotation)
    return Reading(tree) if tree else None


class Reading:
    """Reads values of one type."""

    def __init__(self, tree: pb.Type) -> None:
        self._tree = tree
        self._coerce = coercion_of(tree)
        inner = tree.optional.of if tree.HasField("optional") else tree
        self._takes_text = not (inner.HasField("list") or inner.HasField("dict"))
        self._choices = inner.literal.values if inner.HasField("literal") else ()
        self._has_nulls = has_optional(tree)

    def of_text(self, text: Any) -> Any:
        """The value of a bare text, or of XML elements."""
        return self.of_json(with_nulls(text, self._tree) if self._has_nulls else text)

    def of_json(self, value: Any) -> Any:
        """The value of a JSON value; a text that the table refuses is parsed as DSPy does first."""
        if not isinstance(value, str):
            return self._coerce(value)
        if self._takes_text:
            try:
                return self._coerce(value)
            except RefusedError:
                pass
        return self._coerce(parsed_text(value, self._choices))


def with_nulls(value: Any, tree: pb.Type) -> Any:
    """A value in which a bare `None` or `null` is a null if its type is optional."""
    match tree.WhichOneof("kind"):
        case "optional":
            of = tree.optional.of
            if isinstance(value, str) and value.strip() in NULLS:
                return value if value.strip() in of.literal.values else None
            return with_nulls(value, of)
        case "list" if isinstance(value, list):
            return [with_nulls(part, tree.list.element) for part in value]
        case "dict" if isinstance(value, dict):
            return {key: with_nulls(part, tree.dict.value) for key, part in value.items()}
    return value


def has_optional(tree: pb.Type) -> bool:
    """Whether a part of a type is optional."""
    match tree.WhichOneof("kind"):
        case "optional":
            return True
        case "list":
            return has_optional(tree.list.element)
        case "dict":
            return has_optional(tree.dict.value)
    return False


def parsed_text(text: str, choices: Sequence[str]) -> Any:
    """The value that DSPy parses out of a text; the text itself if there is none.

    Args:
        text: The text.
        choices: The texts of a Literal, which may stand without quotes.

    Raises:
        ValueError: The text nests too deep, or two keys of a Python dict in it are the same text.

    """
    if choices:
        text = unquoted_literal(text)
        if text in choices:
            return text
    if is_too_deep(text):
        raise TooComplexError("the nest is too deep")
    try:
        return json.loads(text)
    except ValueError:
        pass
    repaired = json_answers.loads(text)
    if repaired != "" and "{" not in text:
        return repaired
    try:
        literal = json_answers.literal_eval(text)
    except (ValueError, SyntaxError):
        literal = text
    plain = json_values(literal)
    if repaired != "":
        return repaired
    # The table has refused 0x10 and 1_000 as texts.
    return text if isinstance(plain, int | float) and not isinstance(plain, bool) else plain


def unquoted_literal(text: str) -> str:
    """A choice without what models write around it: blanks, quotes, `Literal[...]`."""
    inner = text.strip()
    if inner.startswith(("Literal[", "str[")) and inner.endswith("]"):
        inner = inner[inner.find("[") + 1 : -1]
    if len(inner) > 1 and inner[0] == inner[-1] and inner[0] in "\"'":
        inner = inner[1:-1]
    return inner


def json_values(literal: Any) -> Any:
    """A Python literal with lists in place of tuples and sets.

    Raises:
        RefusedError: Two keys of a dict are the same text, so that one entry would be lost.

    """
    if isinstance(literal, list | tuple | set | frozenset):
        return [json_values(part) for part in literal]
    if not isinstance(literal, dict):
        return literal
    made = {key if isinstance(key, str) else key_text(key): part for key, part in literal.items()}
    if len(made) < len(literal):
        raise refused("two keys of the object are the same", "type")
    return {key: json_values(part) for key, part in made.items()}


def with_defaults(signature: type[dspy.Signature], fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an answer, with nulls for the optional ones that it left out.

    Raises:
        ValueError: The answer has none of the fields, so that it is no answer at all.

    """
    completed = fill_defaults(signature, fields)
    if not fields and completed.keys() == signature.output_fields.keys():
        raise ValueError(NO_FIELDS)
    return completed  # type: ignore[no-any-return]


def install() -> None:
    """Makes DSPy's adapters and RLM use these functions, which they call by names."""
    dspy.adapters.chat_adapter.parse_value = read_text
    dspy.adapters.xml_adapter.parse_value = read_text
    dspy.adapters.json_adapter.parse_value = read_json
    dspy.predict.rlm.parse_value = read_json
    adapters = dspy.adapters
    for module in (adapters.chat_adapter, adapters.json_adapter, adapters.xml_adapter):
        module.apply_output_field_defaults = with_defaults
