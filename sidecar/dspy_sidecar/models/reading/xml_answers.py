"""Reads XML of any length in pieces, so that other runs of the worker go on in between."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import dspy.adapters.xml_adapter

PIECE = 32 * 1_024
"""Characters that are parsed at once."""

ROOT = "dspy_root"
"""The element that DSPy puts around an answer."""

FIELD = "is-field"
"""An attribute of the elements in an answer's root: those of fields, and not of fields' values."""

MAX_DEPTH = 200
"""Levels of elements. The types of the API have at most 32, and DSPy recurses for each."""


def fromstring(text: str) -> ET.Element:
    """The root element, as `ElementTree.fromstring` gives it.

    Raises:
        ParseError: The text is no XML, or its elements nest too deep.

    """
    if len(text) <= PIECE:
        root = ET.fromstring(text)
    else:
        parser = ET.XMLParser()
        for begin in range(0, len(text), PIECE):
            parser.feed(text[begin : begin + PIECE])
        root = parser.close()
    if is_too_deep(root):
        raise ET.ParseError("elements nest too deep")
    if root.tag == ROOT:
        for child in root:
            child.set(FIELD, "")
    return root


def is_too_deep(root: ET.Element) -> bool:
    """Whether there are more than MAX_DEPTH levels of elements."""
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True


def install() -> None:
    """Makes DSPy's XMLAdapter use `fromstring`."""
    dspy.adapters.xml_adapter.ET = SimpleNamespace(**{**vars(ET), "fromstring": fromstring})
