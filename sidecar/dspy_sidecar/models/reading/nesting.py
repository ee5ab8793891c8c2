"""The depth of JSON, measured without recursion."""

import re

MAX_DEPTH = 200
"""Levels of lists and objects. The types of the API have at most 32."""

# The closing quote is optional: else an unterminated string would be tried anew at each of its
# quotes.
STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class TooComplexError(ValueError):
    """Reading a text would take too long or recurse too deep.

    A ValueError, because json_repair and Python raise that for texts they can't read.
    """


def is_too_deep(text: str, begin: int = 0) -> bool:
    """Whether the JSON from index `begin` on has more than MAX_DEPTH levels.

    Must be known before Python's decoder reads the text, since that recurses for each level.
    """
    if text.count("[", begin) + text.count("{", begin) <= MAX_DEPTH:
        return False
    depth = 0
    for found in STRING_OR_BRACKET.finditer(text, begin):
        match found[0][0]:
            case "[" | "{":
                depth += 1
                if depth > MAX_DEPTH:
                    return True
            case "]" | "}":
                depth -= 1
    return False
