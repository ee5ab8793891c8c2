"""What becomes of a field's text: DSPy's parsing first, then the table of values."""

import json
from typing import Any

import pytest
from dspy.utils.exceptions import AdapterParseError
from field_types import BOOL, FLOAT, INT, keyed, listed, literal, optional
from outcomes import done, failure
from programs import STR, asked, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.adapters import ChatAdapter, JSONAdapter, SmallModelAdapter, XMLAdapter
from dspy_sidecar.programs.annotations import signature_class

REFUSED = "refused"
INT_KEYS = keyed(STR, pb.SCALAR_INT)

# A field's type, its bare text in an answer, and its value.
TEXTS: list[tuple[pb.Type, str, Any]] = [
    (INT, " 42 ", 42),
    (INT, "+7", 7),
    (INT, "42.0", 42),
    (INT, '"42"', 42),
    (INT, "true", REFUSED),
    (INT, "0x10", REFUSED),
    (INT, "1_000", REFUSED),
    (INT, "9007199254740993", REFUSED),
    (FLOAT, "1e3", 1000.0),
    (FLOAT, "NaN", REFUSED),
    (FLOAT, "1e999", REFUSED),
    (BOOL, "True", True),
    (BOOL, "FALSE", False),
    (BOOL, "yes", REFUSED),
    (BOOL, "1", REFUSED),
    (literal("1", "2"), "1", "1"),
    (literal("a", "b"), "'a'", "a"),
    (literal("a", "b"), "A", REFUSED),
    (STR, "None", "None"),
    (STR, "9007199254740993", "9007199254740993"),
    (listed(STR), "[1, 2.5, true]", ["1", "2.5", "true"]),
    (listed(STR), "[9007199254740993]", REFUSED),
    (listed(STR), '["smile \\ud83d\\ude00",]', ["smile 😀"]),
    (listed(STR), '["half \\ud83d"]', REFUSED),
    (listed(INT), "(1, 2)", [1, 2]),
    (listed(INT), "[0x10]", REFUSED),
    (listed(INT), "[true]", REFUSED),
    (listed(FLOAT), "[NaN]", REFUSED),
    (listed(optional(FLOAT)), "[NaN]", REFUSED),
    (listed(optional(FLOAT)), "[Infinity]", REFUSED),
    (listed(optional(INT)), "[9007199254740993]", REFUSED),
    (listed(optional(STR)), "[null, 'None']", [None, "None"]),
    (keyed(INT), '{"a": "1"}', {"a": 1}),
    (INT_KEYS, '{"7": "x", "-1": "y"}', {7: "x", -1: "y"}),
    (INT_KEYS, "{7: 'x'}", {7: "x"}),
    (INT_KEYS, '{"1": "x", "01": "y"}', REFUSED),
    (INT_KEYS, "{1: 'x', '1': 'y'}", REFUSED),
    (keyed(STR), "{1: 'x', '1': 'y'}", REFUSED),
    (keyed(listed(STR)), "{'a': [{1: 'x', '1': 'y'}]}", REFUSED),
    (optional(STR), "None", None),
    (optional(STR), "null", None),
    (optional(STR), '"None"', '"None"'),
    (optional(INT), "None", None),
    (optional(literal("None", "a")), "None", "None"),
    (optional(FLOAT), "NaN", REFUSED),
    (optional(INT), "9007199254740993", REFUSED),
]
# A field's type, its value in a JSON answer, and what becomes of it.
MEMBERS: list[tuple[pb.Type, str, Any]] = [
    (STR, "1", "1"),
    (STR, "true", "true"),
    (STR, "null", REFUSED),
    (STR, '["x", true]', REFUSED),
    (STR, "9007199254740993", REFUSED),
    (literal("1", "2"), "1", "1"),
    (literal("9007199254740992"), "9007199254740992", REFUSED),
    (optional(STR), "null", None),
    (optional(STR), '"None"', "None"),
    (INT, "true", REFUSED),
    (INT, '"0x10"', REFUSED),
    (INT, '" 42 "', 42),
    (BOOL, "1", REFUSED),
    (FLOAT, "NaN", REFUSED),
    (optional(FLOAT), "-Infinity", REFUSED),
    (keyed(optional(FLOAT)), '{"a": 1e999}', REFUSED),
    (listed(INT), '"[1, 2]"', [1, 2]),
    (INT_KEYS, '{"1": "x", "01": "y"}', REFUSED),
]


def fields(kind: pb.Type) -> pb.Signature:
    return signature({"x": STR}, {"y": kind, "note": STR})


def outcome(adapter: Any, kind: pb.Type, answer: str) -> Any:
    try:
        return adapter.parse(signature_class(fields(kind)), answer)["y"]
    except AdapterParseError:
        return REFUSED


@pytest.mark.parametrize(("kind", "text", "value"), TEXTS)
def test_a_bare_text_is_what_the_table_makes_of_it(kind, text, value):
    chat = f"[[ ## y ## ]]\n{text}\n\n[[ ## note ## ]]\nn\n\n[[ ## completed ## ]]"
    got = outcome(ChatAdapter(), kind, chat)
    assert (got, type(got)) == (value, type(value))
    # To the XMLAdapter, a text that does not begin with "[" is a list's one element.
    if not text.startswith("("):
        assert outcome(XMLAdapter(), kind, f"<y>{text}</y><note>n</note>") == value


@pytest.mark.parametrize(("kind", "text", "value"), MEMBERS)
@pytest.mark.parametrize("adapter", [JSONAdapter(), SmallModelAdapter()])
def test_a_member_of_a_json_answer_is_what_the_table_makes_of_it(adapter, kind, text, value):
    got = outcome(adapter, kind, f'{{"y": {text}, "note": "n"}}')
    assert (got, type(got)) == (value, type(value))


def test_an_emoji_in_json_that_needs_repair_is_one_character():
    answer = '{"y": "line1\nline2 \\ud83d\\ude00", "note": "n"}'
    assert outcome(JSONAdapter(), STR, answer) == "line1\nline2 😀"
    assert outcome(JSONAdapter(), keyed(STR), '{"y": {"\\ud83d\\ude00": "a",}, "note": "n"}') == {
        "😀": "a"
    }


def test_xml_elements_are_what_the_table_makes_of_them():
    def y(kind: pb.Type, inner: str) -> Any:
        return outcome(XMLAdapter(), kind, f"<y>{inner}</y><note>n</note>")

    assert y(listed(INT), "<item>1</item><item> 2 </item>") == [1, 2]
    assert y(listed(INT), "<item>0x10</item>") == REFUSED
    assert y(listed(optional(STR)), "<item>None</item><item>a</item>") == [None, "a"]
    assert y(INT_KEYS, '<entry key="1">a</entry><entry key="01">b</entry>') == REFUSED
    assert y(keyed(BOOL), "<a>True</a>") == {"a": True}


@pytest.mark.parametrize(
    ("adapter", "answer"),
    [
        ("ChatAdapter", "Sorry, I can not do that."),
        ("ChatAdapter", "[[ ## other ## ]]\n1"),
        ("JSONAdapter", '{"other": 1}'),
        ("JSONAdapter", "{}"),
        ("XMLAdapter", "<other>1</other>"),
    ],
)
async def test_an_answer_without_any_field_fails_a_run_whose_outputs_are_all_optional(
    sidecar, model, adapter, answer
):
    made = program(signature({"x": STR}, {"a": optional(INT), "b": optional(STR)}))
    model.script(answer)
    run = asked(made, pb.LmSettings(adapter=adapter), x="q")
    _, reason, _, _, traces = await failure(sidecar.run(run))
    assert reason == "OUTPUT_INVALID"
    assert traces[-1].steps[-1].raw_answer == answer
    model.script(json.dumps({"b": "yes"}))
    end = await done(sidecar.run(asked(made, pb.LmSettings(adapter="JSONAdapter"), x="q")))
    assert json.loads(end.outputs) == {"a": None, "b": "yes"}


@pytest.mark.parametrize("settings", [{}, {"cache": True}, {"adapter": "XMLAdapter"}])
async def test_a_refused_value_is_asked_for_again_in_json(sidecar, model, settings):
    made = program(signature({"x": STR}, {"n": INT}))
    text = "<n>0x10</n>" if "adapter" in settings else "[[ ## n ## ]]\n0x10"
    model.script(text, '{"n": 16}')
    before = len(model.requests)
    end = await done(sidecar.run(asked(made, pb.LmSettings(**settings), x=str(settings))))
    assert json.loads(end.outputs) == {"n": 16}
    assert len(model.requests) == before + 2
