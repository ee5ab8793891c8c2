"""The adapter for the embedded model: a short prompt, and a JSON schema that its answer can't leave."""

from typing import Any

import dspy
import pydantic
from dspy.adapters.utils import format_field_value

LONGEST_STRING = 200
MOST_ELEMENTS = 3
# Of the schema that pydantic writes, what a grammar has no use for.
IDLE_KEYS = ("__dspy_field_type", "prefix", "desc", "constraints", "title")


class SmallModelAdapter(dspy.JSONAdapter):  # type: ignore[misc]
    """Stock adapters' prompts are too long for 135 million parameters, and their answers do not parse."""

    def _prepare_response_format(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]
    ) -> None:
        fields = {
            name: (field.annotation, field) for name, field in signature.output_fields.items()
        }
        schema = pydantic.create_model("Answer", **fields).model_json_schema()  # type: ignore[call-overload]
        bound(schema)
        for field in schema["properties"].values():
            for key in IDLE_KEYS:
                field.pop(key, None)
        lm_kwargs["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "Answer", "schema": schema},
        }

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        """Says in three lines what stock DSPy says in twenty."""
        inputs = ", ".join(words(name, field) for name, field in signature.input_fields.items())
        outputs = ", ".join(words(name, field) for name, field in signature.output_fields.items())
        return f"{signature.instructions.strip()}\nYou get: {inputs}.\nAnswer with one JSON object that has: {outputs}."

    def format_user_message_content(
        self,
        signature: type[dspy.Signature],
        inputs: dict[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,
    ) -> str:
        """The inputs, one a line."""
        given = {name: field for name, field in signature.input_fields.items() if name in inputs}
        lines = [
            f"{name}: {format_field_value(field_info=field, value=inputs[name])}"
            for name, field in given.items()
        ]
        return "\n".join(filter(None, [prefix, *lines, suffix]))

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """As JSONAdapter's; a number out of its bounds, which a grammar can't hold, goes to the nearest one in them."""
        fields: dict[str, Any] = super().parse(signature, completion)
        return {name: clamp(value, signature.output_fields[name]) for name, value in fields.items()}


def words(name: str, field: Any) -> str:
    """A field's name, with its description where it has one of its own."""
    description = (field.json_schema_extra or {}).get("desc") or ""
    return name if not description or description.startswith("${") else f"{name} ({description})"


def bound(schema: Any) -> None:
    """Gives every string and list of a schema an end, so that no answer is cut off by max_tokens."""
    if isinstance(schema, list):
        for part in schema:
            bound(part)
    if not isinstance(schema, dict):
        return
    match schema.get("type"):
        case "string" if not {"enum", "const", "format", "pattern"} & schema.keys():
            schema["maxLength"] = min(schema.get("maxLength", LONGEST_STRING), LONGEST_STRING)
        case "array":
            schema["maxItems"] = max(
                schema.get("minItems", 0), min(schema.get("maxItems", MOST_ELEMENTS), MOST_ELEMENTS)
            )
        case "object" if schema.get("properties"):
            schema["required"] = list(schema["properties"])
            schema["additionalProperties"] = False
        case "object":
            schema["maxProperties"] = min(schema.get("maxProperties", MOST_ELEMENTS), MOST_ELEMENTS)
    for key, part in schema.items():
        if key not in ("enum", "const", "required"):
            bound(part)


def clamp(value: Any, field: Any) -> Any:
    """The number in a field's bounds that is nearest; any other value as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    lowest = [c.ge for c in field.metadata if getattr(c, "ge", None) is not None]
    highest = [c.le for c in field.metadata if getattr(c, "le", None) is not None]
    return min([max([value, *lowest]), *highest])
