"""The markers of images and files in DSPy's user messages, replaced by a secret of this process.

DSPy writes an image, a sound or a file into the text of a prompt between two markers, and later
turns the text between the markers into a part of the request. DSPy's own markers are public: a
caller's text with markers in it would become a part of the request, for example an address that the
provider fetches. The search for the second marker also takes quadratic time if a text has many
first markers. Nobody can write a secret marker, so text stays text.
"""

import secrets

from dspy.adapters import _legacy_type_markers
from dspy.adapters.types import base_type

SECRET = secrets.token_hex(16)
"""Workers share it, because they are forked; an optimizer's process has another. Never sent."""


def install() -> None:
    """Replaces the markers in the two modules that have them and look them up at each use."""
    for module in (base_type, _legacy_type_markers):
        module.CUSTOM_TYPE_START_IDENTIFIER = f"<<START-{SECRET}>>"
        module.CUSTOM_TYPE_END_IDENTIFIER = f"<<END-{SECRET}>>"


def are_installed() -> bool:
    """Whether DSPy uses the secret markers."""
    return SECRET in base_type.CUSTOM_TYPE_START_IDENTIFIER
