"""Patterns in RE2's syntax, which match in linear time."""

from collections.abc import Callable
from functools import lru_cache

import re2

MAX_PATTERNS = 1_024
MAX_MEMORY = 64 * 2**20
"""Bytes of a compiled pattern. RE2's default of 8 MiB is too little for some repetitions."""


@lru_cache(MAX_PATTERNS)
def compile_pattern(pattern: str) -> Callable[[str], bool] | None:
    """Tests whole strings; None if RE2 does not take the pattern."""
    options = re2.Options()
    options.never_capture, options.log_errors, options.max_mem = True, False, MAX_MEMORY
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return None
    return lambda text: compiled.fullmatch(text.encode()) is not None
