"""Whatever a model writes, a run ends in order, and its chunks add up to its outputs."""

import json
import os

import pytest
from field_types import INT, keyed, listed, optional
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st
from programs import STR, asked, program, signature
from scripted_model import ScriptedModel, chat
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import failure_of
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.programs.programs import build
from dspy_sidecar.runs import running
from dspy_sidecar.settings import Settings
from dspy_sidecar.values.texts import replaced_surrogates

EXAMPLES = int(os.environ.get("SIGRUN_FUZZ_ANSWERS", "240"))
SEED = int(os.environ.get("SIGRUN_FUZZ_SEED", "1"))
OUTPUTS = [
    {"answer": STR, "note": STR},
    {"answer": STR, "n": INT},
    {"tags": listed(STR), "answer": STR},
    {"m": keyed(STR), "answer": STR, "maybe": optional(STR)},
]
PROGRAMS = {
    tuple(outputs): build(program(signature({"question": STR}, outputs))) for outputs in OUTPUTS
}
FIELDS = ["answer", "note", "n", "tags", "m", "maybe"]
PARTS = [
    *(f"[[ ## {name} ## ]]" for name in [*FIELDS, "question", "completed", "other"]),
    *(f"<{name}>" for name in FIELDS),
    *(f"</{name}>" for name in FIELDS),
    *(f'"{name}": ' for name in FIELDS),
    *("<think>", "</think>", "[THINK]", "[/THINK]", "<reasoning>", "</reasoning>"),
    *("{", "}", "[", "]", ",", '"', "'", "`", "\\", "\\n", '\\"', "\n", "\r\n", "\r", " ", "\t"),
    *("[[ ##", " ## ]]", "[[", "<", "&", "&amp;", "&lt;", "&#0;", "<item>", "</item>", "<a/>"),
    *("\0", "\\u0000", "\x0b", "\x1b", "\u2028", "\x85", "é", "😀", "\ufeff", "\u0301" * 70),
    *("\ud83d", "\ude00", "\ud83d\ude00", "\\ud83d", "\\ude00", "\\ud83d\\ude00", "\\x00"),
    *("null", "None", "true", "NaN", "Infinity", "1e999", "9" * 40, "42", "-0", "word", "a: b"),
    *("[" * 250, "{" * 250, "[" * 3_000, '{"a":' * 300, "<a>" * 250, "(" * 100, "```json\n"),
]
TEXT = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=4)), max_size=8).map("".join)
VALUES = st.recursive(
    st.one_of(TEXT, st.integers(), st.floats(), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
MEMBERS = st.dictionaries(st.sampled_from(FIELDS), VALUES)


def xml(members: dict) -> str:
    return "\n".join(f"<{name}>{value}</{name}>" for name, value in members.items())


def written(members: dict) -> str:
    return chat(
        {name: value if isinstance(value, str) else str(value) for name, value in members.items()}
    )


ANSWERS = st.one_of(
    TEXT,
    st.tuples(
        st.one_of(st.just(""), TEXT.map(lambda draft: f"<think>{draft}</think>"), TEXT),
        st.one_of(
            MEMBERS.map(written),
            MEMBERS.map(json.dumps),
            MEMBERS.map(lambda made: json.dumps(made, ensure_ascii=False)),
            MEMBERS.map(xml),
        ),
        TEXT,
    ).map("".join),
)


@pytest.fixture
async def models(model, monkeypatch):
    made = Models(Settings("openai/scripted", ("openai/scripted",), model.url), None)
    yield made
    model.finish, model.piece = "stop", 7
    await made.close()


async def outcome(models: Models, outputs: dict, adapter: str, chunks: bool) -> tuple:
    """The reason of the failure or "", the outputs, the texts of the chunks, the last trace."""
    events: list[pb.RunEvent] = []
    sent: dict[str, str] = {}

    def tell(event: pb.RunEvent) -> None:
        events.append(event)
        # As over the wire: a text that is no Unicode can't be written.
        pb.RunEvent.FromString(event.SerializeToString())
        if event.HasField("reset"):
            sent.clear()
        if event.HasField("chunk"):
            sent[event.chunk.field] = sent.get(event.chunk.field, "") + event.chunk.text

    request = asked(pb.Program(), pb.LmSettings(adapter=adapter), question="?")
    request.chunks = chunks
    ends = running.Events(tell)
    ends.acknowledge(10**9)
    try:
        done = await running.run(PROGRAMS[tuple(outputs)], models, request, ends)
    except Exception as error:
        return failure_of(error).reason, None, sent, events[-1].trace
    return "", json.loads(done.outputs), sent, done.trace


@pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter", "XMLAdapter"])
@seed(SEED)
@settings(
    max_examples=max(1, EXAMPLES // 3),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    text=ANSWERS,
    outputs=st.sampled_from(OUTPUTS),
    piece=st.integers(1, 40),
    finish=st.sampled_from(["stop", "stop", "stop", "length", "content_filter", None]),
)
async def test_any_answer_is_read_or_output_invalid_and_its_chunks_add_up(
    model: ScriptedModel, models, adapter, text, outputs, piece, finish
):
    note(f"SIGRUN_FUZZ_SEED={SEED}")
    model.script(text)
    model.piece, model.finish = piece, finish
    seen = []
    for chunks in (False, True):
        reason, values, sent, trace = await outcome(models, outputs, adapter, chunks)
        assert reason in ("", "OUTPUT_INVALID", "OUTPUT_TRUNCATED"), (SEED, text)
        assert trace.steps[0].raw_answer == replaced_surrogates(text), (SEED, text)
        if values is not None and chunks:
            texts = {name for name, kind in outputs.items() if kind is STR}
            expected = {name: replaced_surrogates(values[name]) for name in texts if values[name]}
            assert sent == expected, (SEED, text)
        seen.append((reason, json.dumps(values)))
    assert seen[0] == seen[1], (SEED, text)
