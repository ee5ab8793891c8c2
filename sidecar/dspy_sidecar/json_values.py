"""Values as JSON."""

import json
from typing import Any

import orjson


def json_of(value: Any) -> bytes:
    """A value as JSON. A value that has no form in JSON is written as its `str()`."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # orjson refuses integers beyond 64 bits and halves of characters. The gateway's validation
        # refuses them by name.
        return json.dumps(value, default=str).encode()
