"""An answer whose type is refused is told by the paths of the outputs, without the values."""

import json

import pytest
from programs import STR, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from worker import RunFailed

FLOAT, INT = pb.Type(scalar=pb.SCALAR_FLOAT), pb.Type(scalar=pb.SCALAR_INT)
FIELDS = {
    "scores": pb.Type(list=pb.ListType(element=FLOAT)),
    "mood": pb.Type(literal=pb.LiteralType(values=["glad", "sad"])),
    "count": INT,
    "answer": STR,
}
WRONG = {"scores": [1, "x"], "mood": "secret", "count": 1.5, "answer": "fine"}


async def refused(sidecar, model, made: pb.Program, adapter: str, text: str, chunks: bool):
    model.script(text)
    lm = pb.LmSettings(adapter=adapter)
    run = pb.Run(program=made, inputs=b'{"question": "q"}', lm=lm, chunks=chunks)
    with pytest.raises(RunFailed) as raised:
        [event async for event in sidecar.run(run)]
    return raised.value.failure


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("kind", ["Predict", "ChainOfThought"])
@pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter", "XMLAdapter"])
async def test_every_refused_output_is_told_by_its_path(sidecar, model, adapter, kind, chunks):
    made = program(signature({"question": STR}, FIELDS), kind)
    # ChatAdapter and XMLAdapter can't read it, and their retry in JSON can but for the types.
    failure = await refused(sidecar, model, made, adapter, json.dumps(WRONG), chunks)
    assert failure.reason == "OUTPUT_INVALID"
    assert [(one.path, one.reason) for one in failure.refusals] == [
        ("scores[1]", "type"),
        ("mood", "literal"),
        ("count", "type"),
    ]
    assert "secret" not in failure.message and "scores[1]: must be a finite" in failure.message


async def test_an_output_of_a_module_is_told_by_the_programs_name(sidecar, model):
    made = program(signature({"question": STR}, {"count": INT}))
    made.signature.outputs[0].name = made.outputs[0].input = "total"
    failure = await refused(sidecar, model, made, "JSONAdapter", '{"count": "many"}', False)
    assert [one.path for one in failure.refusals] == ["total"]


async def test_an_answer_without_any_field_has_no_paths(sidecar, model):
    made = program(signature({"question": STR}, {"count": INT}))
    failure = await refused(sidecar, model, made, "ChatAdapter", "I would rather not.", False)
    assert (failure.reason, list(failure.refusals)) == ("OUTPUT_INVALID", [])
