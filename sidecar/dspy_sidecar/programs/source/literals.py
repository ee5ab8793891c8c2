"""Values as Python source."""

import inspect
import json
from typing import Any

import dspy


def literal(value: Any) -> str:
    """A JSON value as a literal of Python; texts in double quotes if nothing must be escaped.

    Whatever a caller's text holds, the literal is one token: it can't end early.
    """
    if isinstance(value, str) and value.isprintable():
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    return repr(value)


def docstring(text: str, indent: str) -> str:
    """A text as the docstring of a class, in triple quotes if the text needs no escapes."""
    lines = [f"{indent}{line}" if line else "" for line in text.split("\n")]
    value = "\n".join(lines).removeprefix(indent)
    is_plain = (
        all(line.isprintable() for line in lines)
        and not any(escaped in value for escaped in ('"""', "\\"))
        and not value.endswith('"')
    )
    # The indentation is the source's own only if DSPy takes it off again.
    if is_plain and inspect.cleandoc(value) == inspect.cleandoc(text):
        return f'"""{value}"""'
    return literal(text)


def arguments(**values: Any) -> str:
    """Keyword arguments as they stand in a call."""
    return ", ".join(f"{name}={literal(value)}" for name, value in values.items())


def member(owner: str, field: str) -> str:
    """A field of a prediction; by its key if it is hidden behind a method of predictions."""
    return f"{owner}[{literal(field)}]" if hasattr(dspy.Prediction, field) else f"{owner}.{field}"
