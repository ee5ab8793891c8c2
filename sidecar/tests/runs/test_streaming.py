import html
import json
import logging
import random

import dspy
import pytest
from outcomes import chunk_texts, streamed
from programs import QUESTION, STR, asked, capital, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models.adapters import ChatAdapter, JSONAdapter, SmallModelAdapter, XMLAdapter
from dspy_sidecar.models.reading.headers import known_names
from dspy_sidecar.runs.chat_reader import ChatReader
from dspy_sidecar.runs.json_reader import JsonReader
from dspy_sidecar.runs.streaming import Streaming
from dspy_sidecar.runs.xml_reader import XmlReader

ANSWER = (
    "Paris, on the Seine.\n\n"
    'It has [[brackets]], # signs and "quotes" <b>&amp;</b>.\n[ not a header'
)


def with_chunks(made: pb.Program, lm: pb.LmSettings | None = None) -> pb.Run:
    request = asked(made, lm, **QUESTION)
    request.chunks = True
    return request


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 50, 10_000])
async def test_the_chunks_of_a_text_field_add_up_to_its_value_however_the_answer_is_cut(
    sidecar, model, piece
):
    model.piece = piece
    model.script({"reasoning": "I think.", "answer": ANSWER})
    events, done = await streamed(sidecar.run(with_chunks(capital("ChainOfThought"))))
    assert json.loads(done.outputs) == {"answer": ANSWER}
    assert chunk_texts(events) == {"reasoning": "I think.", "answer": ANSWER}
    assert not any(event.HasField("reset") for event in events)
    if piece < 10:
        assert sum(event.HasField("chunk") for event in events) > 5
    assert done.trace.token_usage.output_tokens == 12


@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_the_chunks_add_up_in_json_and_in_xml_too(sidecar, model, piece):
    model.piece = piece
    text = 'Paris, "on" the Seine.\nÉté 😀 \\'
    model.script(json.dumps({"answer": text}))
    events, done = await streamed(
        sidecar.run(with_chunks(capital(), pb.LmSettings(adapter="JSONAdapter")))
    )
    assert json.loads(done.outputs) == {"answer": text} == chunk_texts(events)
    model.script("<answer>Paris &amp; the Seine</answer>")
    events, done = await streamed(
        sidecar.run(with_chunks(capital(), pb.LmSettings(adapter="XMLAdapter")))
    )
    assert json.loads(done.outputs) == chunk_texts(events)


async def test_a_second_request_of_a_module_resets_its_chunks(sidecar, model):
    model.piece = 7
    model.script("[[ ## answr ## ]]\nnothing to read here", json.dumps({"answer": "Paris"}))
    events, done = await streamed(sidecar.run(with_chunks(capital())))
    assert json.loads(done.outputs) == {"answer": "Paris"} == chunk_texts(events)
    resets = [event.reset for event in events if event.HasField("reset")]
    assert [(reset.module, reset.attempt) for reset in resets] == [("only", 2)]


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("adapter", "text", "resets"),
    [
        ("", "<think>[[ ## answer ## ]]\nRome</think>\n[[ ## answer ## ]]\nParis", 0),
        ("", "[[ ## answer ## ]]\nRome\n</think>\n[[ ## answer ## ]]\nParis", 1),
        ("", "Hm. [[ ## answer ## ]]Paris[[ ## completed ## ]] bye", 0),
        ("JSONAdapter", '{"answer": "Rome", "answer": "Paris"}', 1),
        ("JSONAdapter", '<think>{"answer": "Rome"}</think>{"answer": "Paris"}', 0),
        ("XMLAdapter", "<answer>Paris</answer><answer>Rome</answer>", 0),
        ("XMLAdapter", "<answer>Rome</answer></think><answer>Paris</answer>", 1),
    ],
)
async def test_the_chunks_are_those_of_the_answer_and_not_of_a_draft(
    sidecar, model, adapter, text, resets, piece
):
    model.piece = piece
    model.script(text)
    request = with_chunks(capital(), pb.LmSettings(adapter=adapter))
    events, done = await streamed(sidecar.run(request))
    assert json.loads(done.outputs) == {"answer": "Paris"} == chunk_texts(events)
    assert sum(event.HasField("reset") for event in events) == resets


async def test_a_server_may_send_a_long_answer_in_one_event(sidecar, model):
    model.piece = 10**9
    text = "word " * 200_000 + "."
    model.script({"answer": text})
    events, _ = await streamed(sidecar.run(with_chunks(capital())))
    model.piece = 7
    assert chunk_texts(events) == {"answer": text}


async def test_only_text_fields_are_sent_as_chunks(sidecar, model):
    sig = signature({"question": STR}, {"count": pb.Type(scalar=pb.SCALAR_INT), "answer": STR})
    model.script({"count": 3, "answer": "Paris"})
    events, _ = await streamed(sidecar.run(with_chunks(program(sig))))
    assert chunk_texts(events) == {"answer": "Paris"}


async def test_a_cached_answer_is_sent_as_chunks_too(sidecar, model):
    model.script({"answer": "Paris"})
    request = with_chunks(capital(), pb.LmSettings(cache=True, temperature=0.25))
    asked_before = len(model.requests)
    first, _ = await streamed(sidecar.run(request))
    second, done = await streamed(sidecar.run(request))
    assert len(model.requests) == asked_before + 1
    assert (
        chunk_texts(first) == chunk_texts(second) == {"answer": "Paris"} == json.loads(done.outputs)
    )


@pytest.mark.parametrize("adapter", [ChatAdapter, JSONAdapter, XMLAdapter, SmallModelAdapter])
def test_every_adapters_callback_selects_its_parser(adapter, caplog):
    log = logging.getLogger("dspy.utils.callback")
    log.addHandler(caplog.handler)
    streaming = Streaming(send_chunk=None, tell=None)
    streaming.begin("only", ["answer"])
    try:
        with dspy.context(callbacks=[streaming]):
            adapter().format(dspy.Signature("question -> answer"), [], QUESTION)
    finally:
        log.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize(
    ("reader", "text", "field"),
    [
        (ChatReader, f"[[ ## answer ## ]] {ANSWER}\n[[ ## completed ## ]]", ANSWER),
        (JsonReader, "Sure! " + json.dumps({"answer": ANSWER, "x": [1]}), ANSWER),
        (XmlReader, "<x>1</x><answer>a &lt; b &amp; c</answer>", "a < b & c"),
    ],
)
def test_what_is_read_of_an_answer_adds_up_however_it_is_cut(reader, text, field):
    for piece in (1, 2, 5, len(text)):
        assert read(reader(), text, piece)["answer"] == field


def read(reader, text: str, piece: int) -> dict[str, str]:
    """What the pieces of an answer add up to."""
    fields: dict[str, str] = {}
    for begin in range(0, len(text), piece):
        for name, new in reader.feed(text[begin : begin + piece]):
            fields[name] = fields.get(name, "") + new
    return fields


def test_a_long_first_piece_of_a_line_is_given_before_the_line_ends():
    reader = ChatReader()
    text = "x" * 10_000
    assert dict(reader.feed(f"[[ ## answer ## ]]\n{text}")) == {"answer": text}
    assert dict(reader.feed(text)) == {"answer": text}


def test_headers_are_understood_as_the_adapter_understands_them():
    adapter = ChatAdapter()
    signature = dspy.Signature("question -> y, note")
    known = known_names(signature)
    random_ = random.Random(0)
    parts = [
        "[[ ## y ## ]]",
        "[[ ## note ## ]]",
        "[[ ## ",
        "[[",
        "]]",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\u2028",
        "word",
        "`",
        "y",
        " ## ]]",
        "\t",
    ]
    for _ in range(3_000):
        text = (
            "[[ ## note ## ]]\nn\n"
            + "".join(random_.choices(parts, k=random_.randrange(12)))
            + "\n[[ ## y ## ]]\n"
        )
        expected = {name: value for name, value in adapter.parse(signature, text).items() if value}
        for piece in (1, 3, 100):
            found = read(ChatReader(known), text, piece)
            assert {name: found[name] for name in found if name in ("y", "note")} == expected, (
                text,
                piece,
            )


def test_texts_in_json_and_in_xml_are_those_of_the_answer():
    random_ = random.Random(0)
    parts = [
        '"',
        "\\",
        "\n",
        "é",
        "😀",
        "<b>",
        "</y>",
        "&",
        "&amp;",
        "&x",
        "a;",
        "{",
        "]",
        ",",
        ":",
        " ",
        "word",
        "\u2028",
    ]
    for _ in range(1_000):
        y, note = ("".join(random_.choices(parts, k=random_.randrange(9))) for _ in "12")
        fields = {name: value for name, value in (("y", y), ("note", note)) if value}
        nested = {"a": [y, {"b": note}], "c": 1.5}
        whole = json.dumps({"y": y, "x": nested, "note": note}, ensure_ascii=random_.random() < 0.5)
        xml = "".join(
            f"<{name}>{html.escape(value, quote=False)}</{name}>\n"
            for name, value in fields.items()
        )
        for piece in (1, 3, 200):
            assert read(JsonReader(), f"So: {whole} and {{", piece) == fields
            stripped = {name: value.strip() for name, value in fields.items() if value.strip()}
            assert read(XmlReader(), xml, piece) == stripped
