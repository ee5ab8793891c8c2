"""The markers that DSPy's adapters look for in a user message, as a secret of this process.

DSPy writes an image, a sound or a file into the prompt's text, between two markers, and turns what stands between them
into a part of the request. Its own markers are public: a text that holds them would name a part of the request, such as
an address that the provider fetches. The search for the second marker also takes the square of the number of the first.
No text can hold a marker that nobody knows, so text stays text.
"""

import secrets

from dspy.adapters import _legacy_type_markers
from dspy.adapters.types import base_type

SECRET = secrets.token_hex(16)
"""Made when the sidecar starts; its workers share it, and an optimization's process makes another. Never sent."""


def install() -> None:
    """Replaces the markers in both modules that have them. Both look them up by name at each use."""
    for module in (base_type, _legacy_type_markers):
        module.CUSTOM_TYPE_START_IDENTIFIER = f"<<START-{SECRET}>>"
        module.CUSTOM_TYPE_END_IDENTIFIER = f"<<END-{SECRET}>>"
