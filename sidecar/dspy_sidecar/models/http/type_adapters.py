"""A cache of pydantic's TypeAdapters for DSPy, by type.

DSPy creates ten of them a run, which was a third of a run's time. DSPy has no setting for this and
no method to override, since it calls the functions that parse and write values by name. So the name
`TypeAdapter` is replaced in the two modules that use it in a run. TypeAdapters keep no values.
"""

from functools import lru_cache
from typing import Any

import dspy.adapters.utils
import dspy.adapters.xml_adapter
import pydantic

MAX_TYPES = 1_024


@lru_cache(MAX_TYPES)
def cached_type_adapter(annotation: Any, text: str) -> pydantic.TypeAdapter[Any]:
    """The TypeAdapter of an annotation.

    The text is a part of the key, since `int | str == str | int`, but pydantic tries them in order.
    """
    return pydantic.TypeAdapter(annotation)


def type_adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    """A shared `pydantic.TypeAdapter(annotation)`."""
    try:
        return cached_type_adapter(annotation, repr(annotation))
    except TypeError:
        # The annotation is not hashable, or pydantic refuses it and raises its own error here.
        return pydantic.TypeAdapter(annotation)


def install() -> None:
    """Makes DSPy's adapters use the cache."""
    for module in (dspy.adapters.utils, dspy.adapters.xml_adapter):
        module.TypeAdapter = type_adapter
