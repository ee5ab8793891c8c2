"""The answer is found in what a model wrote: without drafts, wherever its headers stand."""

from functools import partial

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError
from linear_time import assert_linear

from dspy_sidecar.faults import OutputTruncatedError
from dspy_sidecar.models.adapters import ChatAdapter, JSONAdapter, SmallModelAdapter, XMLAdapter
from dspy_sidecar.models.reading import elements
from dspy_sidecar.models.reading.cut_off import cut_off
from dspy_sidecar.models.reading.drafts import TAGS

CHAT, JSON, XML = ChatAdapter(), JSONAdapter(), XMLAdapter()
NUMBER = dspy.Signature("question -> n: int")
TEXTS = dspy.Signature("question -> a, b")
FORMATS = {
    "chat": (CHAT, "[[ ## n ## ]]\n{}\n\n[[ ## completed ## ]]"),
    "json": (JSON, '{{"n": {}}}'),
    "xml": (XML, "<n>\n{}\n</n>"),
    "small model": (SmallModelAdapter(), '{{"n": {}}}'),
}


@pytest.mark.parametrize("opening", [*TAGS, "<THINK>", "[THINK]", "<|START_THINKING|>"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_draft_is_no_part_of_the_answer(name, opening):
    adapter, form = FORMATS[name]
    closing = TAGS[opening.lower()].upper() if opening.isupper() else TAGS[opening.lower()]
    draft, answer = form.format(41), form.format(42)
    for text in [
        f"{opening}\n{draft}\nno, a < b & {{c}}\n{closing}\n\n{answer}",
        f"\n {opening}{draft}{closing}{answer}",
        f"So:\n{opening}{draft}{closing}\n{opening}{draft}{closing}{answer}",
        f"{draft}\nno\n{closing}\n\n{answer}",
        f"I try {draft}\n{closing}\nI try {draft}\n{closing}{answer}",
        f"hm{closing}{answer}",
    ]:
        assert adapter.parse(NUMBER, text) == {"n": 42}, text


@pytest.mark.parametrize("name", FORMATS)
def test_a_draft_that_never_ends_holds_no_answer(name):
    adapter, form = FORMATS[name]
    with pytest.raises(AdapterParseError):
        adapter.parse(NUMBER, f"<think>\n{form.format(41)}\nno")


def test_an_answer_that_speaks_of_tags_keeps_them():
    for said in ["Use </think> to end it.", "First <think>, then </think>, so", "<think>x</think>"]:
        assert CHAT.parse(TEXTS, f"[[ ## a ## ]]\n{said}\n\n[[ ## b ## ]]\nx") == {
            "a": said if said[0] != "<" else "",
            "b": "x",
        }
        whole = f"[[ ## b ## ]]\nx\n[[ ## a ## ]]\n{said}\n\n[[ ## completed ## ]]"
        assert CHAT.parse(TEXTS, whole)["a"] == said
        assert JSON.parse(TEXTS, f'{{"a": "{said} {{", "b": "x"}}')["a"] == f"{said} {{"
        assert JSON.parse(TEXTS, f'Here: {{"a": "{said}", "b": "x"}}')["a"] == said


def test_a_draft_may_stand_at_the_beginning_of_a_field_and_before_the_next():
    draft = "<think>\nso [[ ## b ## ]] 1\n</think>"
    text = f"[[ ## a ## ]]\n{draft}\nParis\n{draft}\n[[ ## b ## ]]\n2\n[[ ## completed ## ]]"
    assert CHAT.parse(TEXTS, text) == {"a": "Paris", "b": "2"}
    assert CHAT.parse(TEXTS, f"[[ ## a ## ]]{draft}{draft}Paris\n[[ ## b ## ]]2")["a"] == "Paris"
    assert XML.parse(TEXTS, "<a><think>so</think>Paris</a><b>2</b>") == {"a": "Paris", "b": "2"}


def test_an_element_of_a_field_is_no_draft():
    reasoned = dspy.Signature("question -> reasoning, answer")
    answer = {"reasoning": "so", "answer": "Paris"}
    text = "<reasoning>so</reasoning><answer>Paris</answer>"
    assert XML.parse(reasoned, text) == answer
    assert XML.parse(reasoned, f"<think><answer>Rome</answer></think>{text}") == answer


@pytest.mark.parametrize(
    ("text", "a", "b"),
    [
        ("[[ ## a ## ]]\nParis.[[ ## b ## ]]\nno\n[[ ## completed ## ]]", "Paris.", "no"),
        ("[[ ## a ## ]] Paris. [[ ## b ## ]] no [[ ## completed ## ]] bye", "Paris.", "no"),
        ("  [[ ## a ## ]]\nParis.\n\t[[ ## b ## ]] no", "Paris.", "no"),
        ("Sure: [[ ## a ## ]]Paris.[[ ## b ## ]]no[[ ## question ## ]]?", "Paris.", "no"),
        ("[[ ## a ## ]]\nIt is [[ ## c ## ]].\n[[ ## b ## ]]\nno", "It is [[ ## c ## ]].", "no"),
        ("[[ ## a ## ]]\nSee `[[ ## b ## ]]`.\n[[ ## b ## ]]\nno", "See `[[ ## b ## ]]`.", "no"),
        ('[[ ## a ## ]]\nA "[[ ## b ## ]]"\n[[ ## b ## ]]\nno', 'A "[[ ## b ## ]]"', "no"),
        ("[[ ## a ## ]]\nx\n[[ ## b ## ]]\nnot [[ ## a ## ]] y", "x", "not [[ ## a ## ]] y"),
    ],
)
def test_a_header_is_one_wherever_it_stands(text, a, b):
    assert CHAT.parse(TEXTS, text) == {"a": a, "b": b}


def test_xml_may_hold_characters_that_are_not_escaped():
    said = "Tom & Jerry <3 &amp; a<b, AT&T &copy; ?x=1&copy=2 <br>"
    fields = XML.parse(TEXTS, f"<a>{said}</a>\nand <b>\n1 < 2\n</b>")
    assert fields == {"a": "Tom & Jerry <3 & a<b, AT&T © ?x=1&copy=2 <br>", "b": "1 < 2"}
    listed = dspy.Signature("question -> tags: list[str], m: dict[str, int]")
    text = '<tags><item>a & b</item><item>x < y</item></tags><m><entry key="k k">1</entry></m>'
    assert XML.parse(listed, text) == {"tags": ["a & b", "x < y"], "m": {"k k": 1}}


def test_markup_at_the_edge_of_a_piece_is_no_stray():
    markup, strays = f'<entry key="{"k" * 1_000}">&amp;</entry>', " & < <3 "
    for before in range(elements.PIECE - 1_100, elements.PIECE + 10, 7):
        text = "x" * before + markup + strays + markup
        assert elements.with_strays_escaped(text) == "".join(
            ["x" * before, markup, " &amp; &lt; &lt;3 ", markup]
        )


def test_texts_in_demos_of_xml_are_escaped_and_read_back():
    signature = dspy.Signature("question -> a: Literal['x & <y>', 'z'], b: Optional[str], c")
    outputs = {"a": "x & <y>", "b": "Tom & Jerry", "c": "<b> & so"}
    written = XML.format_assistant_message_content(signature, outputs)
    assert "x &amp; &lt;y>" in written and "Tom &amp; Jerry" in written
    assert XML.parse(signature, written) == outputs
    plain = {"a": "z", "b": None, "c": "so"}
    assert XML.format_assistant_message_content(
        signature, plain
    ) == dspy.XMLAdapter().format_assistant_message_content(signature, plain)


def test_of_two_elements_the_first_counts_but_a_list_takes_all():
    assert XML.parse(TEXTS, "<a>1</a><a>2</a><b/>") == {"a": "1", "b": ""}
    listed = dspy.Signature("question -> tags: list[str], a")
    assert XML.parse(listed, "<tags>x</tags><tags>y</tags><a/>")["tags"] == ["x", "y"]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_cut_off_is_read_only_if_all_fields_had_ended(reason):
    chat = "[[ ## a ## ]]\nParis\n\n[[ ## b ## ]]\nno"
    for adapter, whole in [
        (CHAT, f"{chat}\n\n[[ ## completed ## ]]"),
        (JSON, '{"a": "Paris", "b": "no"}'),
        (XML, "<a>Paris</a><b>no</b>"),
    ]:
        assert adapter.parse(TEXTS, cut_off(f"{whole} and", reason)) == {"a": "Paris", "b": "no"}
        for end in range(len(whole)):
            with pytest.raises(OutputTruncatedError):
                adapter.parse(TEXTS, cut_off(whole[:end], reason))
    with pytest.raises(OutputTruncatedError):
        CHAT.parse(TEXTS, cut_off(f"<think>{chat}\n[[ ## completed ## ]] but", reason))


@pytest.mark.parametrize("form", ["<think>", "</think>", "<think></think>", "\n<think>\n</think>x"])
def test_many_tags_take_linear_time(form):
    def refuse(adapter, text: str) -> None:
        with pytest.raises(AdapterParseError):
            adapter.parse(TEXTS, text)

    begins = ((CHAT, "[[ ## a ## ]]"), (JSON, '{"a": "'), (XML, "<a>"))
    for adapter, begin in [*begins, (CHAT, ""), (JSON, ""), (XML, "")]:
        assert_linear(
            partial(refuse, adapter), lambda size, begin=begin: begin + form * (size // len(form))
        )
