"""Paths of a value's parts, as the gateway writes them: `sources[2]`, `scores["a b"]`."""

import json
import re

MAX_KEY_LENGTH = 100
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
SURROGATE = re.compile("[\ud800-\udfff]")
HALF_AT_END = re.compile("[\ud800-\udbff]$")


def path_to(parent: str, key: str | int) -> str:
    """The path of a list's element or an object's member."""
    if isinstance(key, int):
        return f"{parent}[{key}]"
    if not NAME.fullmatch(key):
        text = json.dumps(shortened(key), ensure_ascii=False)
        return f"{parent}[{SURROGATE.sub(escaped, text)}]"
    return f"{parent}.{key}" if parent else key


def path_under(parent: str, path: str) -> str:
    """A path inside a value, put after the path of that value."""
    return parent + path if not parent or not path or path[0] in "[." else f"{parent}.{path}"


def shortened(key: str) -> str:
    """The beginning of a long key, counted in UTF-16 as the gateway counts.

    Half of a character is left out at the cut.
    """
    units = key.encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * MAX_KEY_LENGTH:
        return key
    begin = units[: 2 * MAX_KEY_LENGTH].decode("utf-16-le", "surrogatepass")
    return HALF_AT_END.sub("", begin) + "…"


def escaped(surrogate: re.Match[str]) -> str:
    """A lone surrogate as JSON writes it."""
    return f"\\u{ord(surrogate[0]):04x}"
