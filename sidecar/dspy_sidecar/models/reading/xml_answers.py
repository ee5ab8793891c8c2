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

TOO_DEEP = "elements nest too deep"


def fromstring(text: str) -> ET.Element:
    """The root element, as `ElementTree.fromstring` gives it.

    Raises:
        ParseError: The text is no XML, or its elements nest too deep.

    """
    if len(text) <= PIECE:
        root = ET.fromstring(text)
    else:
        root = from_pieces(text)
    if is_too_deep(root):
        raise ET.ParseError(TOO_DEEP)
    if root.tag == ROOT:
        for child in root:
            child.set(FIELD, "")
    return root


def from_pieces(text: str) -> ET.Element:
    """The root element of a long text.

    Stops at the first piece that nests too deep: a million elements in each other take the garbage
    collector, and whoever frees them, a quarter of a second each, while no other thread runs.
    """
    parser = ET.XMLParser()
    # Comments, CDATA and processing instructions may hold a `<` that begins no element.
    has_only_tags = "<!" not in text and "<?" not in text
    depth = 0
    for begin in range(0, len(text), PIECE):
        end = begin + PIECE
        parser.feed(text[begin:end])
        # Not less than these are open. A tag of two characters may begin at a piece's last one.
        depth += text.count("<", begin, end) - 2 * text.count("</", begin, end + 1)
        depth -= text.count("/>", begin, end + 1)
        if has_only_tags and depth > MAX_DEPTH + 1:
            raise ET.ParseError(TOO_DEEP)
    return parser.close()


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
