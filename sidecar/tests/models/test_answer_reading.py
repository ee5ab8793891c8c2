"""The readers of answers give the same values as the ones that DSPy uses."""

import ast
import json
import random
import unicodedata
import xml.etree.ElementTree as ET

import json_repair
import pytest
import regex

from dspy_sidecar import combining_marks
from dspy_sidecar.models.reading import json_answers, xml_answers

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
    """JSON as models write it: cut off, in prose, with wrong quotes, or as Python literals."""
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
def test_repairs_json_as_json_repair_does(monkeypatch, seed):
    monkeypatch.setattr(json_answers, "SHORT", 0)
    for text in answers(seed, 500):
        assert outcome(json_answers.loads, text) == outcome(json_repair.loads, text), text


def test_repairs_a_long_answer_with_many_errors_as_json_repair_does():
    said = 'He said "hi there", and "bye", to "all" of them: "so".\n'
    for text in [
        '{"y": "' + said * 100 + '", "note": "n"}',
        "{'y': [True, None, " + "'it\\'s', " * 500 + "], 'note': 'n'",
        '{"y": [' + '{"a": 1 "b": "two",} ' * 200 + '] "note": "n"',
        "Here it is:\n```json\n" + json.dumps({"y": said * 100}) + "\n```",
        '{"y": "' + "word " * 2_000,
    ]:
        assert json_answers.loads(text) == json_repair.loads(text)
        assert isinstance(json_answers.loads(text), dict)


def test_reads_the_first_object_of_a_very_long_answer_in_prose_or_cut_off():
    made = {"y": 'word "so"\n' * 20_000, "note": [1, {"a": None}]}
    whole = json.dumps(made)
    assert json_answers.loads(f"Here it is:\n```json\n{whole}\n```") == made
    assert json_answers.loads(json.dumps({"note": "n", "y": "word " * 40_000})[:-2]) == {
        "note": "n",
        "y": "word " * 40_000,
    }
    assert json_answers.loads("word " * 40_000) == ""


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
def test_nesting_too_deep_is_an_error_at_any_recursion_limit(monkeypatch, text):
    import sys

    limit = sys.getrecursionlimit()
    try:
        # The limit in an optimizer's process.
        sys.setrecursionlimit(100_000)
        with pytest.raises(ValueError):
            json_answers.loads(text)
    finally:
        sys.setrecursionlimit(limit)


def test_finds_the_same_braces_as_dspys_pattern():
    random_ = random.Random(0)
    for _ in range(3_000):
        text = "".join(random_.choices("{}{}ab\n", k=random_.randrange(14)))
        expected = regex.search(r"\{(?:[^{}]|(?R))*\}", text, regex.DOTALL)
        found = json_answers.first_braces(text)
        assert (found and found[0]) == (expected and expected[0]), text


def test_reads_the_literals_that_python_reads():
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
            assert outcome(json_answers.literal_eval, text) == outcome(ast.literal_eval, text)
        else:
            assert outcome(json_answers.literal_eval, text) == "TooComplexError"


def test_reads_xml_in_pieces_as_python_reads_it_whole(monkeypatch):
    texts = [
        "<r><y>1</y><note>é😀 &lt;b&gt; &#233;</note>\n tail</r>",
        '<r><entry key="b c">2</entry><y/></r>',
        *("<r><y>", "<r></y></r>", "<r>&nbsp;</r>", "", "<r>\x01</r>", "<r><![CDATA[<a>]]></r>"),
        # Of many elements few nest, and 200 levels may.
        "<r>" + "<a/><b>1</b><c />" * 300 + "</r>",
        "<r><![CDATA[" + "<a>" * 300 + "]]><!--" + "<a>" * 300 + "--></r>",
        "<r><?p " + "<a>" * 300 + "?></r>",
        "<a>" * 199 + "<b/><b></b>" * 9 + "</a>" * 199,
    ]
    expected = [
        outcome(lambda text: ET.tostring(ET.fromstring(text), "unicode"), text) for text in texts
    ]
    for piece in (1, 2, 7):
        monkeypatch.setattr(xml_answers, "PIECE", piece)
        assert [
            outcome(lambda text: ET.tostring(xml_answers.fromstring(text), "unicode"), text)
            for text in texts
        ] == expected
        for levels in (201, 300):
            nest = "<a>" * levels + "</a>" * levels
            assert outcome(xml_answers.fromstring, nest) == "ParseError"


def test_orders_combining_marks_as_unicode_does():
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
