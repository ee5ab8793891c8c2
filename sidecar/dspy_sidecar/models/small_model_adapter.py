"""The embedded model's adapter: short prompts, and a JSON schema that constrains the answer."""

from typing import Any

import dspy
import pydantic
from dspy.adapters.utils import format_field_value

MAX_STRING_LENGTH = 200
"""Characters of a string in an answer."""

MAX_ELEMENTS = 3
"""Elements of a list, or members of an object, in an answer."""

# Members of pydantic's schemas that no grammar uses.
UNUSED_KEYS = ("__dspy_field_type", "prefix", "desc", "constraints", "title")


class SmallModelAdapter(dspy.JSONAdapter):  # type: ignore[misc]
    """Replaces DSPy's prompts, which are too long for a model of 135 million parameters."""

    def _prepare_response_format(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]
    ) -> None:
        fields = {
            name: (field.annotation, field) for name, field in signature.output_fields.items()
        }
        schema = pydantic.create_model("Answer", **fields).model_json_schema()  # type: ignore[call-overload]
        limit_sizes(schema)
        for field in schema["properties"].values():
            for key in UNUSED_KEYS:
                field.pop(key, None)
        lm_kwargs["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "Answer", "schema": schema},
        }

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        """The instructions and the fields, in three lines; DSPy's has twenty."""
        inputs = ", ".join(described(name, field) for name, field in signature.input_fields.items())
        outputs = ", ".join(
            described(name, field) for name, field in signature.output_fields.items()
        )
        instructions = signature.instructions.strip()
        return (
            f"{instructions}\nYou get: {inputs}.\nAnswer with one JSON object that has: {outputs}."
        )

    def format_user_message_content(
        self,
        signature: type[dspy.Signature],
        inputs: dict[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,
    ) -> str:
        """The inputs, one in each line; inputs that are missing are left out."""
        present = {name: field for name, field in signature.input_fields.items() if name in inputs}
        lines = [
            f"{name}: {format_field_value(field_info=field, value=inputs[name])}"
            for name, field in present.items()
        ]
        return "\n".join(filter(None, [prefix, *lines, suffix]))

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """The outputs by name; numbers out of bounds become the nearest bound.

        A grammar can't express the bounds of numbers.

        Raises:
            AdapterParseError: The answer is not an object with all outputs.

        """
        fields: dict[str, Any] = super().parse(signature, completion)
        return {name: clamp(value, signature.output_fields[name]) for name, value in fields.items()}


def described(name: str, field: Any) -> str:
    """A field's name, with its description if the signature has one.

    DSPy's default description is "${name}".
    """
    description = (field.json_schema_extra or {}).get("desc") or ""
    return name if not description or description.startswith("${") else f"{name} ({description})"


def limit_sizes(schema: Any) -> None:
    """Limits every string, list and object of a JSON schema, in place.

    Without limits max_tokens would cut answers off.
    """
    if isinstance(schema, list):
        for part in schema:
            limit_sizes(part)
    if not isinstance(schema, dict):
        return
    match schema.get("type"):
        case "string" if not {"enum", "const", "format", "pattern"} & schema.keys():
            schema["maxLength"] = min(schema.get("maxLength", MAX_STRING_LENGTH), MAX_STRING_LENGTH)
        case "array":
            schema["maxItems"] = max(
                schema.get("minItems", 0), min(schema.get("maxItems", MAX_ELEMENTS), MAX_ELEMENTS)
            )
        case "object" if schema.get("properties"):
            schema["required"] = list(schema["properties"])
            schema["additionalProperties"] = False
        case "object":
            schema["maxProperties"] = min(schema.get("maxProperties", MAX_ELEMENTS), MAX_ELEMENTS)
    for key, part in schema.items():
        if key not in ("enum", "const", "required"):
            limit_sizes(part)


def clamp(value: Any, field: Any) -> Any:
    """The number within a field's bounds that is nearest; other values are returned unchanged."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    lowest = [c.ge for c in field.metadata if getattr(c, "ge", None) is not None]
    highest = [c.le for c in field.metadata if getattr(c, "le", None) is not None]
    return min([max([value, *lowest]), *highest])
