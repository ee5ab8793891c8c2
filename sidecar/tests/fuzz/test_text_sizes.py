"""Texts take linear time to read and to compare, and do not delay a worker's other runs."""

import asyncio
import itertools
import json
import time
from contextlib import suppress

import pytest
from field_types import keyed, listed
from linear_time import KIB, assert_linear
from programs import STR, asked, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.models import adapters
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.programs import build
from dspy_sidecar.runs import running
from dspy_sidecar.runs.chat_reader import ChatReader
from dspy_sidecar.runs.json_reader import JsonReader
from dspy_sidecar.runs.xml_reader import XmlReader
from dspy_sidecar.scoring import comparing
from dspy_sidecar.settings import Settings

INTS = listed(pb.Type(scalar=pb.SCALAR_INT))
ADAPTERS = {
    "ChatAdapter": (adapters.ChatAdapter(), "[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"),
    "JSONAdapter": (adapters.JSONAdapter(), "{}"),
    "XMLAdapter": (adapters.XMLAdapter(), "<answer>{}</answer>"),
    "the local model's": (adapters.SmallModelAdapter(), "{}"),
}
# The beginning of each text, and the part that is repeated after it.
TEXTS = {
    "openings of a part": ("", "<<CUSTOM-TYPE-START-IDENTIFIER>>"),
    "beginnings of headers": ("", "[[ ## "),
    "headers": ("", "[[ ## answer ## ]]\n"),
    "braces": ("", "{"),
    "brackets": ("", "["),
    "quotes": ("", '"'),
    "backslashes": ("", "\\"),
    "elements that begin": ("", "<a>"),
    "elements that end": ("", "</a>"),
    "blanks": ("", " "),
    "thoughts": ("", "<think>"),
    "ends of thoughts": ("", "</think>"),
    "thoughts after a header": ("[[ ## answer ## ]]", "\n<think>x</think>"),
    "a thought that never ends": ("<think>", "x<"),
    "headers in a line": ("", "x[[ ## answer ## ]]"),
    "one word": ("", "a"),
    "digits": ("", "1"),
    "empty lists": ("", "[]"),
    "lists of objects": ("", "[{"),
    "a nest": ("", '{"answer":'),
    "escaped emojis": ('{"answer": "', "\\ud83d\\ude00"),
    "lines": ("", "\n"),
    "a tuple": ("", "1,"),
    "a list that is cut off": ("[", "1,"),
    "parentheses": ("", "("),
    "signs": ("", "-"),
    "a text that is cut off": ('{"answer": "', "word "),
    "quotes in a text": ('{"answer": "', 'say "so", '),
    "escaped quotes": ('{"answer": "', '\\"'),
    "keys without values": ('{"answer": "', '",'),
    "comments": ("{", "/*"),
    "objects that are cut off": ("[", '{"name": "Ann", "age": 3}, '),
    "escaped quotes after many brackets": ("[]" * 201 + '"', '\\"'),
    "marks on a letter": ("a", "\u0315\u0300"),
}


def text_of(name: str, size: int) -> str:
    begin, again = TEXTS[name]
    return begin + again * (size // len(again))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("adapter", "kind"),
    [
        *itertools.product(("ChatAdapter", "JSONAdapter", "XMLAdapter"), ("text", "list")),
        # This adapter reads texts as JSONAdapter does; only numbers are changed afterwards.
        ("the local model's", "list"),
    ],
)
def test_reading_an_answer_takes_linear_time(adapter, kind, name):
    ours, around = ADAPTERS[adapter]
    outputs = {"answer": STR if kind == "text" else INTS}
    made = signature_class(signature({"question": STR}, outputs))
    assert_linear(
        lambda text: ours.parse(made, text), lambda size: around.replace("{}", text_of(name, size))
    )


@pytest.mark.parametrize("name", TEXTS)
def test_reading_a_stream_takes_linear_time(name):
    def read(text: str) -> None:
        for reader in (ChatReader(), JsonReader(), XmlReader()):
            for begin in range(0, len(text), 16):
                list(reader.feed(text[begin : begin + 16]))

    for begin in ("[[ ## answer ## ]] ", "<answer>", '{"answer": "'):
        assert_linear(read, lambda size, begin=begin: begin + text_of(name, size // 8))


@pytest.mark.parametrize("name", TEXTS)
def test_a_prompt_and_a_comparison_take_linear_time(name):
    made = signature_class(signature({"question": STR}, {"answer": STR}))

    def all_prompts(text: str) -> None:
        for ours, _ in ADAPTERS.values():
            ours.format(made, [], {"question": text})

    def all_metrics(text: str) -> None:
        for metric in ("exact_match", "contains", "token_f1"):
            comparing.COMPARISONS[metric](text, text + "b", STR, {})

    assert_linear(all_prompts, lambda size: text_of(name, size))
    assert_linear(all_metrics, lambda size: text_of(name, size))


def body_of(text: str) -> bytes:
    """The body of a model's answer."""
    choice = {"finish_reason": "stop", "message": {"content": text}}
    return json.dumps({"choices": [choice]}).encode()


async def held(task: asyncio.Task) -> float:
    """The longest CPU time, in seconds, for which a task kept the event loop from other tasks."""
    longest = 0.0
    while not task.done():
        began = time.process_time()
        await asyncio.sleep(0.01)
        longest = max(longest, time.process_time() - began)
    return longest


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        ("ChatAdapter", "headers"),
        ("ChatAdapter", "lines"),
        ("ChatAdapter", "a tuple"),
        ("ChatAdapter", "thoughts"),
        ("ChatAdapter", "a thought that never ends"),
        ("JSONAdapter", "a list that is cut off"),
        ("JSONAdapter", "escaped quotes"),
        ("XMLAdapter", "a list that is cut off"),
        ("XMLAdapter", "elements that begin"),
    ],
)
async def test_an_answer_of_4_mib_does_not_delay_other_runs(model, adapter, name):
    models = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    made = build(program(signature({"question": STR}, {"answer": INTS})))
    answer = ADAPTERS[adapter][1].replace("{}", text_of(name, 4 * KIB * KIB))
    model.script(body_of(answer), body_of("no"))
    run = asked(pb.Program(), pb.LmSettings(adapter=adapter), question="?")
    task = asyncio.create_task(running.run(made, models, run, running.Events(lambda _: None)))
    longest = await held(task)
    try:
        with suppress(OutputUnreadableError):
            await task
    finally:
        await models.close()
    # DSPy's own readers take minutes for some of these.
    assert longest < 0.5


@pytest.mark.parametrize(
    ("kind", "value"),
    [(INTS, [1] * 2_000_000), (keyed(INTS.list.element), {f"{n:06}": 1 for n in range(350_000)})],
    ids=["a list", "a dict"],
)
async def test_an_input_of_4_mib_does_not_hold_other_runs(model, kind, value):
    models = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    made = build(program(signature({"question": kind}, {"answer": STR})))
    model.script({"answer": "ok"})
    run = asked(pb.Program(), question=value)
    task = asyncio.create_task(running.run(made, models, run, running.Events(lambda _: None)))
    longest = await held(task)
    await models.close()
    assert json.loads((await task).outputs) == {"answer": "ok"}
    assert longest < 0.5
