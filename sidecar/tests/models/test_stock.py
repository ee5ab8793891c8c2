"""Prompts, requests and parsed answers are those of stock DSPy, byte for byte."""

import itertools
import json
from contextlib import contextmanager

import dspy
import dspy.adapters.chat_adapter
import dspy.adapters.json_adapter
import dspy.adapters.utils
import dspy.adapters.xml_adapter
import pydantic
import pytest
from dspy.utils.exceptions import AdapterParseError
from field_types import (
    MALFORMED_ANSWERS,
    TYPES,
    demos_of,
)
from programs import STR
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.models import adapters, small_model_adapter
from dspy_sidecar.models.choosing import register_embedded
from dspy_sidecar.models.http import type_adapters
from dspy_sidecar.models.http.engine import Engines
from dspy_sidecar.models.lm import LM
from dspy_sidecar.models.reading import field_values
from dspy_sidecar.programs.annotations import signature_class

PAIRS = {
    "chat": (adapters.ChatAdapter(), dspy.ChatAdapter()),
    "json": (adapters.JSONAdapter(), dspy.JSONAdapter()),
    "xml": (adapters.XMLAdapter(), dspy.XMLAdapter()),
}


DEPARTURES = {
    # In JSON a null, a list or an object is no text.
    ("str", "json", '{"y": null, "note": "n"}'),
    ("str", "json", '{"y": [1, "a"], "note": "n"}'),
    ("str", "json", '{"y": {"1": "a"}, "note": "n"'),
    # 1 is no boolean.
    ("bool", "json", '{"y": "1", "note": 2}'),
    ("bool", "xml", "<y>1</y><note>n</note>"),
    ("list[bool]", "xml", "<y>1</y><note>n</note>"),
    # A number has one text.
    ("list[str]", "json", '{"y": [1, "a"], "note": "n"}'),
    # A bare None is no text if the type is optional.
    ("Optional[str]", "chat", "[[ ## y ## ]]\nNone\n[[ ## note ## ]] 1"),
    (
        "Optional[str]",
        "chat",
        "[[ ## y ## ]]\nNone\n\n[[ ## note ## ]]\né\n\n[[ ## completed ## ]]\n",
    ),
    ("Optional[str]", "xml", "<y>\nNone\n</y>\n\n<note>\né\n</note>"),
}
"""Type, adapter and answer of every difference that the table of values makes here."""


@contextmanager
def stock():
    """DSPy with its own TypeAdapters, and its own reading of values."""
    parsers = (
        dspy.adapters.chat_adapter,
        dspy.adapters.json_adapter,
        dspy.adapters.xml_adapter,
    )
    for module in (dspy.adapters.utils, dspy.adapters.xml_adapter):
        assert module.TypeAdapter is type_adapters.type_adapter
        module.TypeAdapter = pydantic.TypeAdapter
    for module in parsers:
        assert module.parse_value is not field_values.parse_by_pydantic
        module.parse_value = field_values.parse_by_pydantic
        module.apply_output_field_defaults = field_values.fill_defaults
    try:
        yield
    finally:
        type_adapters.install()
        field_values.install()


def signature_of(kind: pb.Type, described: bool, constrained: bool) -> type[dspy.Signature]:
    fields = [
        pb.Field(name="x", type=kind),
        pb.Field(name="y", type=kind),
        pb.Field(name="note", type=STR),
    ]
    if described:
        for field in fields:
            field.description = f"what {field.name} is: “so”\nand so"
    if constrained:
        fields[0].constraints.pattern = "[a-z]+"
        fields[1].constraints.min, fields[1].constraints.max = -10, 10
        fields[2].constraints.max_length = 99
    instructions = "Do it:\n  well, ünd  \n\tquickly." if described else ""
    return signature_class(
        pb.Signature(name="Odd", instructions=instructions, inputs=fields[:1], outputs=fields[1:])
    )


def test_dspy_is_the_version_that_the_fast_paths_were_compared_with():
    parts = (
        "type_adapters.py (DSPy's calls of TypeAdapter), "
        "memo.py (what adapters format, and when), "
        "json_answers.py and xml_answers.py (adapters/utils.py, json_adapter.py, xml_adapter.py), "
        "lm.py (dspy/clients/execution.py: aexecute; capabilities.py: prepare_async), "
        "engine.py (lm15's router and transports), "
        "fast_path.py (predict.py, adapters/base.py and chat_adapter.py), "
        "plain.py (openai_chat.py: _response_from_chat_body)"
    )
    assert dspy.__version__ == "3.4.1", (
        f"compare these files with DSPy, then run the tests: {parts}"
    )


@pytest.mark.parametrize("adapter", PAIRS)
@pytest.mark.parametrize("name", TYPES)
def test_prompts_and_parsed_answers_are_those_of_stock_dspy_but_for_the_table(adapter, name):
    kind, values = TYPES[name]
    ours, theirs = PAIRS[adapter]
    departures = set()
    for described, constrained, count in itertools.product(
        (False, True), (False, True), (0, 1, 5, 16)
    ):
        signature, demos = signature_of(kind, described, constrained), demos_of(values, count)
        for value in [*values, *values]:
            written = ours.format(signature, demos, {"x": value})
            with stock():
                assert json.dumps(written) == json.dumps(
                    theirs.format(signature, demos, {"x": value})
                )
        for completion in [*MALFORMED_ANSWERS, *answers(theirs, signature, values)]:
            parsed = outcome(ours, signature, completion)
            with stock():
                if parsed != outcome(theirs, signature, completion):
                    departures.add((name, adapter, completion))
    assert departures == {one for one in DEPARTURES if one[:2] == (name, adapter)}


def answers(adapter, signature, values) -> list[str]:
    """Answers in the adapter's format."""
    return [
        adapter.format_assistant_message_content(signature, {"y": value, "note": "é"})
        for value in values
    ]


def outcome(adapter, signature, completion) -> str:
    """The parsed values as text, since `1 == True`."""
    try:
        return repr(adapter.parse(signature, completion))
    except AdapterParseError:
        return "unreadable"


@pytest.mark.parametrize("adapter", PAIRS)
async def test_sends_the_request_that_stock_dspy_sends(model, adapter):
    ours, theirs = PAIRS[adapter]
    engines = Engines()
    settings = [
        {},
        {"temperature": 0.3, "max_tokens": 77, "stop": ["x", "y"], "seed": 3, "top_p": 0.5},
        {"presence_penalty": 0.5, "frequency_penalty": -1.0},
        # A setting that the fast engine leaves to DSPy.
        {"reasoning_effort": "low"},
    ]
    cases = [
        *itertools.product(TYPES, (0, 5), settings[:1]),
        *itertools.product(["str", "dict[str, int]"], [5], settings),
    ]
    for name, count, own_settings in cases:
        kind, values = TYPES[name]
        predict = dspy.Predict(signature_of(kind, True, True))
        predict.demos = demos_of(values, count)
        model.script(answers(theirs, predict.signature, values)[0])
        common = {"api_base": model.url, "cache": False}
        ours_lm = LM("openai/scripted", engines=engines, **own_settings, **common)
        outputs, sent = [], []
        for lm, adapter in (
            (ours_lm, ours),
            (ours_lm, ours),
            (dspy.LM("openai/scripted", **own_settings, **common), theirs),
        ):
            with dspy.context(lm=lm, adapter=adapter, disable_history=True, trace=None):
                outputs.append(repr((await predict.acall(x=values[-1])).toDict()))
            sent.append(json.dumps(model.requests[-1]))
        assert sent[0] == sent[1] == sent[2]
        assert outputs[0] == outputs[1] == outputs[2]
    await engines.transport.close()


def test_equal_annotations_in_another_order_have_separate_type_adapters():
    assert (int | str) == (str | int)
    assert (
        type_adapters.type_adapter(float | str).core_schema
        != type_adapters.type_adapter(str | float).core_schema
    )
    assert type_adapters.type_adapter(list[str]) is type_adapters.type_adapter(list[str])


async def test_sends_the_embedded_model_the_request_that_stock_dspy_sends(model):
    register_embedded(model.url)
    engines = Engines()
    kind, values = TYPES["list[str]"]
    predict = dspy.Predict(signature_of(kind, True, True))
    model.script('{"y": ["a"], "note": "n"}')
    ours_lm = LM("embedded/smollm2", engines=engines, cache=False, temperature=0.0, max_tokens=99)
    assert ours_lm.fast_engine is not None
    sent = []
    for lm, adapter in (
        (ours_lm, adapters.SmallModelAdapter()),
        (ours_lm, adapters.SmallModelAdapter()),
        (
            dspy.LM("embedded/smollm2", cache=False, temperature=0.0, max_tokens=99),
            small_model_adapter.SmallModelAdapter(),
        ),
    ):
        with dspy.context(lm=lm, adapter=adapter, disable_history=True, trace=None):
            assert (await predict.acall(x=values[-1])).y == ["a"]
        sent.append(json.dumps(model.requests[-1]))
    assert sent[0] == sent[1] == sent[2]
    assert "json_schema" in sent[0]
    await engines.transport.close()
