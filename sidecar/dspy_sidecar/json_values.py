"""Values as JSON."""

import json
from typing import Any

import orjson


def json_of(value: Any) -> bytes:
    """A value as JSON, whatever a model made of it: what JSON does not have is told as a text."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # An integer of more than 64 bits. The gateway refuses it for what it is.
        return json.dumps(value, default=str, ensure_ascii=False).encode()
