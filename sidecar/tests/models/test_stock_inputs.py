"""A run's prompt is what stock DSPy sends for the same Python values."""

import json

import dspy
import pytest
from optimizations import optimized, request
from outcomes import done
from programs import STR, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import constraints, signature_class

INT, FLOAT = pb.Type(scalar=pb.SCALAR_INT), pb.Type(scalar=pb.SCALAR_FLOAT)


def optional(of: pb.Type) -> pb.Type:
    return pb.Type(optional=pb.OptionalType(of=of))


def listed(element: pb.Type) -> pb.Type:
    return pb.Type(list=pb.ListType(element=element))


def mapped(value: pb.Type, key: pb.Scalar = pb.SCALAR_STR) -> pb.Type:
    return pb.Type(dict=pb.DictType(key=key, value=value))


# The type, the value as the gateway sends it, and as a Python program has it.
VALUES = {
    "a whole float": (FLOAT, "3", 3.0),
    "a fraction": (FLOAT, "2.5", 2.5),
    "a large float": (FLOAT, "10000000000000000", 1e16),
    "a huge float": (FLOAT, "1e+300", 1e300),
    "a negative zero": (FLOAT, "-0.0", -0.0),
    "an integer": (INT, "3", 3),
    "a list of floats": (listed(FLOAT), "[1, 2.5]", [1.0, 2.5]),
    "a dict of floats": (mapped(FLOAT), '{"a": 1, "b": 2.5}', {"a": 1.0, "b": 2.5}),
    "lists in a dict": (mapped(listed(FLOAT)), '{"a": [1]}', {"a": [1.0]}),
    "an optional float": (optional(FLOAT), "3", 3.0),
    "a null": (optional(FLOAT), "null", None),
    "nulls in a list": (listed(optional(FLOAT)), "[1, null]", [1.0, None]),
    "keys like numbers": (mapped(INT), '{"b": 1, "10": 2, "2": 3}', {"b": 1, "10": 2, "2": 3}),
    "keys that are numbers": (mapped(INT, pb.SCALAR_INT), '{"10": 2, "2": 3}', {10: 2, 2: 3}),
    "a long list": (listed(FLOAT), json.dumps([1] * 5_000), [1.0] * 5_000),
}
ADAPTERS = {
    "ChatAdapter": (dspy.ChatAdapter, "[[ ## answer ## ]]\nParis"),
    "JSONAdapter": (dspy.JSONAdapter, '{"answer": "Paris"}'),
    "XMLAdapter": (dspy.XMLAdapter, "<answer>Paris</answer>"),
}


async def by_stock(model, made: pb.Program, adapter: str, **inputs) -> list:
    """The messages that stock DSPy sends."""
    lm = dspy.LM("openai/scripted", api_base=model.url, cache=False)
    with dspy.context(lm=lm, adapter=ADAPTERS[adapter][0](), warn_on_type_mismatch=False):
        await dspy.Predict(signature_class(made.signature)).acall(**inputs)
    return model.requests[-1]["messages"]


async def by_a_run(sidecar, model, made: pb.Program, adapter: str, sent: str, chunks: bool) -> list:
    """The messages that a run sends."""
    lm = pb.LmSettings(adapter=adapter)
    await done(sidecar.run(pb.Run(program=made, inputs=sent.encode(), lm=lm, chunks=chunks)))
    return model.requests[-1]["messages"]


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("name", VALUES)
async def test_an_input_is_shown_as_stock_shows_it(sidecar, model, name, adapter, chunks):
    kind, sent, value = VALUES[name]
    model.script(ADAPTERS[adapter][1])
    made = program(signature({"value": kind}, {"answer": STR}))
    ours = await by_a_run(sidecar, model, made, adapter, f'{{"value": {sent}}}', chunks)
    assert ours == await by_stock(model, made, adapter, value=value)


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_optional_input_that_is_left_out_has_no_section(sidecar, model, adapter, chunks):
    model.script(ADAPTERS[adapter][1])
    made = program(signature({"question": STR, "note": optional(STR)}, {"answer": STR}))
    ours = await by_a_run(sidecar, model, made, adapter, '{"question": "q"}', chunks)
    assert ours == await by_stock(model, made, adapter, question="q")
    assert "None" not in ours[-1]["content"]


async def test_a_later_module_gets_no_input_that_was_left_out(sidecar, model):
    made = program(signature({"question": STR, "note": optional(STR)}, {"answer": STR}))
    first = pb.Module(name="first", type="Predict", signature=made.signature)
    first.wires.extend(made.modules[0].wires)
    second = made.modules[0]
    del second.wires[0]
    second.wires.add(input="question", module="first", field="answer")
    made.modules.insert(0, first)
    model.script(ADAPTERS["ChatAdapter"][1])
    messages = await by_a_run(sidecar, model, made, "ChatAdapter", '{"question": "q"}', False)
    assert "Paris" in messages[-1]["content"] and "note" not in messages[-1]["content"]


async def test_demos_of_an_optimization_show_floats_as_floats(sidecar, model):
    model.script({"answer": "3"})
    made = program(signature({"value": FLOAT}, {"answer": FLOAT}))
    to_optimize = request("LabeledFewShot", made, k=4)
    del to_optimize.trainset[:], to_optimize.valset[:]
    for number in range(4):
        example = pb.Example(inputs=b'{"value": %d}' % number, outputs=b'{"answer": 3}')
        to_optimize.trainset.append(example)
        to_optimize.valset.append(example)
    result, _ = await optimized(sidecar, to_optimize)
    demos = json.loads(result.compiled_state)["demos"]
    assert [json.dumps(demo["answer"]) for demo in demos] == ["3.0"] * 4
    assert {json.dumps(demo["value"]) for demo in demos} == {"0.0", "1.0", "2.0", "3.0"}


@pytest.mark.parametrize("kind", [INT, optional(INT)])
def test_a_constraint_of_an_int_is_told_as_an_int(kind):
    field = pb.Field(name="n", type=kind, constraints=pb.Constraints(min=1, max=2.5, gt=0))
    assert {name: repr(limit) for name, limit in constraints(field).items()} == {
        "ge": "1",
        "le": "2.5",
        "gt": "0",
    }


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_signature_without_inputs_is_asked_as_by_stock(sidecar, model, adapter, chunks):
    model.script(ADAPTERS[adapter][1])
    made = program(signature({}, {"answer": STR}))
    ours = await by_a_run(sidecar, model, made, adapter, "{}", chunks)
    assert ours == await by_stock(model, made, adapter)
