"""What is read in linear time is what DSPy's own readers make of ordinary answers."""

import ast
import json
import random
import unicodedata
import xml.etree.ElementTree as ET

import json_repair
import pytest
import regex

from dspy_sidecar.models.reading import json_reading, xml_reading
from dspy_sidecar.scoring import combining_marks

WORDS = [
    "Paris",
    'say "hi"',
    "it's",
    "a\nb",
    "é😀",
    "<b>",
    "1",
    "null",
    "{x}",
    "[y]",
    "a, b",
    "k: v",
    "\\n",
    "",
]
CUTS = [
    '"',
    "'",
    ",",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\n",
    "\\",
    "```json\n",
    "```",
    "// so\n",
    "The answer: ",
    "(",
    ")",
    "“",
]


def value(random_: random.Random, depth: int = 0):
    kind = random_.randrange(7 if depth < 4 else 4)
    match kind:
        case 0 | 1:
            return " ".join(random_.choices(WORDS, k=random_.randrange(6)))
        case 2:
            return random_.choice([0, -7, 3.5, 1e-9, 12345678901234567890])
        case 3:
            return random_.choice([None, True, False])
        case 4 | 5:
            return [value(random_, depth + 1) for _ in range(random_.randrange(4))]
    return {
        random_.choice(["y", "note", "b c", "é"]): value(random_, depth + 1)
        for _ in range(random_.randrange(4))
    }


def answers(seed: int, count: int):
    """JSON as models write it: whole, cut off, with prose around it, quotes that are missing or too many, and Python's literals."""
    random_ = random.Random(seed)
    for _ in range(count):
        made = {"y": value(random_), "note": value(random_)}
        text = json.dumps(
            made, indent=random_.choice([None, 2]), ensure_ascii=random_.random() < 0.5
        )
        if random_.random() < 0.2:
            text = repr(made)
        for _ in range(random_.randrange(4)):
            at = random_.randrange(len(text) + 1)
            text = text[:at] + random_.choice(CUTS) + text[at + random_.randrange(3) :]
        if random_.random() < 0.3:
            text = text[: random_.randrange(len(text) + 1)]
        yield text


def outcome(read, *args) -> str:
    try:
        return repr(read(*args))
    except (ValueError, SyntaxError, ET.ParseError) as error:
        return type(error).__name__


@pytest.mark.parametrize("seed", range(4))
def test_json_is_repaired_as_json_repair_does(monkeypatch, seed):
    monkeypatch.setattr(json_reading, "SHORT", 0)
    for text in answers(seed, 500):
        assert outcome(json_reading.loads, text) == outcome(json_repair.loads, text), text


def test_a_long_answer_with_many_faults_is_repaired_as_json_repair_does():
    said = 'He said "hi there", and "bye", to "all" of them: "so".\n'
    for text in [
        '{"y": "' + said * 100 + '", "note": "n"}',
        "{'y': [True, None, " + "'it\\'s', " * 500 + "], 'note': 'n'",
        '{"y": [' + '{"a": 1 "b": "two",} ' * 200 + '] "note": "n"',
        "Here it is:\n```json\n" + json.dumps({"y": said * 100}) + "\n```",
        '{"y": "' + "word " * 2_000,
    ]:
        assert json_reading.loads(text) == json_repair.loads(text)
        assert isinstance(json_reading.loads(text), dict)


def test_the_first_object_of_a_very_long_answer_is_read_with_prose_around_it_and_cut_off():
    made = {"y": 'word "so"\n' * 20_000, "note": [1, {"a": None}]}
    whole = json.dumps(made)
    assert json_reading.loads(f"Here it is:\n```json\n{whole}\n```") == made
    assert json_reading.loads(json.dumps({"note": "n", "y": "word " * 40_000})[:-2]) == {
        "note": "n",
        "y": "word " * 40_000,
    }
    assert json_reading.loads("word " * 40_000) == ""


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        "[{" * 9_000,
        "(" * 9_000,
        "{" * 9_000,
        '" ' + '["]",' * 9_000,
    ],
)
def test_a_nest_that_is_too_deep_is_an_error_whatever_the_interpreters_limit_is(monkeypatch, text):
    import sys

    limit = sys.getrecursionlimit()
    try:
        # As in an optimization's process.
        sys.setrecursionlimit(100_000)
        with pytest.raises(ValueError):
            json_reading.loads(text)
    finally:
        sys.setrecursionlimit(limit)


def test_braces_are_found_as_dspys_pattern_finds_them():
    random_ = random.Random(0)
    for _ in range(3_000):
        text = "".join(random_.choices("{}{}ab\n", k=random_.randrange(14)))
        expected = regex.search(r"\{(?:[^{}]|(?R))*\}", text, regex.DOTALL)
        found = json_reading.braces(text)
        assert (found and found[0]) == (expected and expected[0]), text


def test_literals_are_pythons():
    for text in [
        "'a', 'b'",
        "1, 2",
        "{1: 'x'}",
        "(None, True)",
        "a",
        "",
        "1 +",
        "'" + "é" * 600 + "'",
        "b'x'",
        "-" * 9_000,
    ]:
        if len(text) < 9_000:
            assert outcome(json_reading.literal_eval, text) == outcome(ast.literal_eval, text)
        else:
            assert outcome(json_reading.literal_eval, text) == "TooMuchError"


def test_xml_in_pieces_is_xml(monkeypatch):
    texts = [
        "<r><y>1</y><note>é😀 &lt;b&gt; &#233;</note>\n tail</r>",
        '<r><entry key="b c">2</entry><y/></r>',
        *("<r><y>", "<r></y></r>", "<r>&nbsp;</r>", "", "<r>\x01</r>", "<r><![CDATA[<a>]]></r>"),
    ]
    expected = [
        outcome(lambda text: ET.tostring(ET.fromstring(text), "unicode"), text) for text in texts
    ]
    for piece in (1, 2, 7):
        monkeypatch.setattr(xml_reading, "PIECE", piece)
        assert [
            outcome(lambda text: ET.tostring(xml_reading.fromstring(text), "unicode"), text)
            for text in texts
        ] == expected
    assert outcome(xml_reading.fromstring, "<a>" * 300 + "</a>" * 300) == "ParseError"


def test_marks_are_put_in_order_as_unicode_has_it():
    random_ = random.Random(0)
    letters = [*"aé가", "\u0344", "\u0f73", *random_.sample(combining_marks.MARKS, 40)]
    for _ in range(300):
        text = "".join(random_.choices(letters, k=random_.randrange(20)))
        many = "a" + "".join(random_.choices(combining_marks.MARKS, k=200)) + text
        for some in (text, many):
            assert combining_marks.decomposed(some) == unicodedata.normalize("NFD", some)
    assert combining_marks.has_many(many) and not combining_marks.has_many(
        "é" * 99 + "a\u0301" * 99
    )
