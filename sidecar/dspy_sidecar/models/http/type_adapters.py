"""pydantic's TypeAdapters for DSPy, made once a type.

DSPy makes ten of them a run, which was a third of its time. It has no setting for that and no method to override: the
functions that parse and write values are called by name. So the name `TypeAdapter` is replaced in the two modules that
use it a run, by a function that gives the same objects again. They keep nothing of the values that they see.
"""

from functools import lru_cache
from typing import Any

import dspy.adapters.utils
import dspy.adapters.xml_adapter
import pydantic

MOST = 1_024


@lru_cache(MOST)
def made(annotation: Any, text: str) -> pydantic.TypeAdapter[Any]:
    """The text tells apart what is equal and not the same: `int | str == str | int`, but pydantic tries them in order."""
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
