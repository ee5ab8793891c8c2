"""Texts take linear time to read and to compare, and do not delay a worker's other runs."""

import asyncio
import json
import time
from contextlib import suppress

import pytest
from dspy.utils.exceptions import AdapterParseError
from field_types import listed
from programs import STR, asked, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import OutputUnreadableError
from dspy_sidecar.models import adapters
from dspy_sidecar.models.lm import Models
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.programs import build
from dspy_sidecar.runs import running
from dspy_sidecar.runs.chat_reader import ChatReader
from dspy_sidecar.runs.json_reader import JsonReader
from dspy_sidecar.runs.xml_reader import XmlReader
from dspy_sidecar.scoring import comparing
from dspy_sidecar.settings import Settings

KIB = 1_024
INTS = listed(pb.Type(scalar=pb.SCALAR_INT))
ADAPTERS = {
    "ChatAdapter": (adapters.ChatAdapter(), "[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"),
    "JSONAdapter": (adapters.JSONAdapter(), "{}"),
    "XMLAdapter": (adapters.XMLAdapter(), "<answer>{}</answer>"),
    "the local model's": (adapters.SmallModelAdapter(), "{}"),
}
# Beginnings, and what is said again after them.
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
    "marks on a letter": ("a", "\u0315\u0300"),
}


def text_of(name: str, size: int) -> str:
    begin, again = TEXTS[name]
    return begin + again * (size // len(again))


def spent(call, text: str) -> float:
    """The CPU time that it takes."""
    began = time.thread_time()
    try:
        call(text)
    except (AdapterParseError, ValueError):
        pass
    return time.thread_time() - began


def assert_linear(call, make) -> None:
    """Four times the length takes about four times as long; quadratic time would be 16 times."""
    size, before = 16 * KIB, 0.0
    while size <= 256 * KIB and before < 0.25:
        # What takes a few milliseconds may be noise, and so may be one time of three.
        now = min(spent(call, make(size)) for _ in range(3 if before > 0.02 else 1))
        assert before < 0.02 or now < 9 * before, (size, before, now)
        size, before = size * 4, now


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_reading_an_answer_takes_a_time_that_grows_with_its_length_alone(adapter, name):
    ours, around = ADAPTERS[adapter]
    for kind in (STR, INTS):
        made = signature_class(signature({"question": STR}, {"answer": kind}))
        assert_linear(
            lambda text, made=made: ours.parse(made, text),
            lambda size: around.replace("{}", text_of(name, size)),
        )


@pytest.mark.parametrize("name", TEXTS)
def test_so_does_reading_a_stream(name):
    def read(text: str) -> None:
        for reader in (ChatReader(), JsonReader(), XmlReader()):
            for begin in range(0, len(text), 16):
                list(reader.feed(text[begin : begin + 16]))

    for begin in ("[[ ## answer ## ]] ", "<answer>", '{"answer": "'):
        assert_linear(read, lambda size, begin=begin: begin + text_of(name, size // 8))


@pytest.mark.parametrize("name", TEXTS)
def test_so_do_a_prompt_and_a_comparison(name):
    made = signature_class(signature({"question": STR}, {"answer": STR}))

    def all_prompts(text: str) -> None:
        for ours, _ in ADAPTERS.values():
            ours.format(made, [], {"question": text})

    def all_metrics(text: str) -> None:
        for metric in ("exact_match", "contains", "token_f1"):
            comparing.COMPARISONS[metric](text, text + "b", STR, {})

    assert_linear(all_prompts, lambda size: text_of(name, size))
    assert_linear(all_metrics, lambda size: text_of(name, size))


async def held(task: asyncio.Task) -> float:
    """The most CPU time that the process took without a look at other tasks."""
    longest = 0.0
    while not task.done():
        began = time.process_time()
        await asyncio.sleep(0.01)
        longest = max(longest, time.process_time() - began)
    return longest


@pytest.mark.parametrize(
    "name",
    [
        "headers",
        "lines",
        "a list that is cut off",
        "a tuple",
        "elements that begin",
        "escaped quotes",
    ],
)
@pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter", "XMLAdapter"])
async def test_an_answer_of_4_mib_does_not_hold_other_runs(model, adapter, name):
    models = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    made = build(program(signature({"question": STR}, {"answer": INTS})))
    body = {
        "choices": [
            {
                "finish_reason": "stop",
                "message": {
                    "content": ADAPTERS[adapter][1].replace("{}", text_of(name, 4 * KIB * KIB))
                },
            }
        ]
    }
    model.script(
        json.dumps(body).encode(),
        b'{"choices": [{"finish_reason": "stop", "message": {"content": "no"}}]}',
    )
    run = asked(pb.Program(), pb.LmSettings(adapter=adapter), question="?")
    task = asyncio.create_task(running.run(made, models, run, running.Events(lambda _: None)))
    longest = await held(task)
    try:
        with suppress(OutputUnreadableError):
            await task
    finally:
        await models.close()
    # Before, the longest of these took minutes.
    assert longest < 0.5
