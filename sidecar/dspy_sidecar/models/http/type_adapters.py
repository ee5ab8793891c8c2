"""pydantic's TypeAdapters for DSPy, made once a type.

DSPy makes ten of them in each run, which took a third of its time. DSPy has no setting for that
and no method to override. So the name `TypeAdapter` is replaced in the two modules that use it in
a run, by a function that gives the same objects again. The objects keep no values.
"""

from functools import lru_cache
from typing import Any

import dspy.adapters.utils
import dspy.adapters.xml_adapter
import pydantic

MOST = 1_024


@lru_cache(MOST)
def made(annotation: Any, text: str) -> pydantic.TypeAdapter[Any]:
    """Keyed by text too: `int | str == str | int`, but pydantic tries the types in order."""
    return pydantic.TypeAdapter(annotation)


def type_adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    """As `pydantic.TypeAdapter(annotation)`."""
    try:
        return made(annotation, repr(annotation))
    except TypeError:
        # Not hashable, or nothing that pydantic knows: its own error, then.
        return pydantic.TypeAdapter(annotation)


def install() -> None:
    """Lets DSPy's adapters use them."""
    for module in (dspy.adapters.utils, dspy.adapters.xml_adapter):
        module.TypeAdapter = type_adapter
