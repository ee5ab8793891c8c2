"""The markers that DSPy's adapters look for in a user message, as a secret of this process.

DSPy writes an image, a sound or a file into the prompt's text between two markers, and makes a part
of the request of it. DSPy's own markers are public: a text with them could name a part of the
request, such as an address that the provider fetches. The search for the second marker also takes
time by the square of the number of first markers. No text can hold secret markers.
"""

import secrets

from dspy.adapters import _legacy_type_markers
from dspy.adapters.types import base_type

SECRET = secrets.token_hex(16)
"""Made when a process starts. Workers share their parent's. Never sent."""


def install() -> None:
    """Replaces the markers in both modules that have them and look them up at each use."""
    for module in (base_type, _legacy_type_markers):
        module.CUSTOM_TYPE_START_IDENTIFIER = f"<<START-{SECRET}>>"
        module.CUSTOM_TYPE_END_IDENTIFIER = f"<<END-{SECRET}>>"
