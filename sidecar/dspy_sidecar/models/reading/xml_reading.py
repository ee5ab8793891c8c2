"""XML of any length, read in pieces, so that no reading holds the other runs of a worker."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import dspy.adapters.xml_adapter

PIECE = 32 * 1_024
DEEPEST = 200
"""Levels of elements. A value has 32 at most, and DSPy makes a call in a call for each."""


def fromstring(text: str) -> ET.Element:
    """As `ElementTree.fromstring`; ParseError of elements that nest too deep, too."""
    if len(text) <= PIECE:
        root = ET.fromstring(text)
    else:
        parser = ET.XMLParser()
        for begin in range(0, len(text), PIECE):
            parser.feed(text[begin : begin + PIECE])
        root = parser.close()
    if is_deep(root):
        raise ET.ParseError("elements nest too deep")
    return root


def is_deep(root: ET.Element) -> bool:
    """Whether there are more levels of elements than are read."""
    level = [root]
    for _ in range(DEEPEST):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True


def install() -> None:
    """Lets DSPy's XMLAdapter read by it."""
    dspy.adapters.xml_adapter.ET = SimpleNamespace(**{**vars(ET), "fromstring": fromstring})
