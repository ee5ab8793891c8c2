"""Names of callers that the exported file, or Python, uses for something else."""

import ast

import dspy
import pytest
from field_types import FLOAT, INT, keyed, listed, literal, optional
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import FITS, STR, pipeline, program, signature, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.source.export import exported
from dspy_sidecar.programs.source.program import TAKEN
from dspy_sidecar.programs.source.signatures import reference

TYPES = {"a": STR, "b": optional(literal("x")), "c": listed(INT), "d": keyed(FLOAT)}
USED = ["dspy", "Literal", "str", "int", "float", "bool", "list", "dict"]


def notebook(made: pb.Program, handle: str = "sums") -> dict:
    """The names of the file, once it has run."""
    names: dict = {"__name__": "notebook"}
    exec(exported(made, handle)[0], names)
    return names


@pytest.mark.parametrize("name", USED)
def test_a_field_may_have_a_name_that_the_body_of_a_class_uses(name):
    sig = signature({name: STR, **TYPES}, {"answer": pb.Type(scalar=pb.SCALAR_BOOL)})
    sig.instructions, sig.inputs[0].description = 'Say "it".', "what it is"
    made, ours = notebook(program(sig))["Test"], signature_class(sig)
    assert (made.__name__, made.instructions) == ("Test", ours.instructions)
    assert str(made.fields) == str(ours.fields)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("->:,[]'\"\\x| ", max_size=8), min_size=1, unique=True))
def test_a_signature_without_a_name_may_have_any_literal(values):
    sig = signature({"question": STR}, {"answer": listed(literal(*values))})
    sig.is_unnamed = True
    made, ours = notebook(program(sig))["program"].signature, signature_class(sig)
    assert str(made.fields) == str(ours.fields)
    assert reference(sig).startswith('"') == (not any("->" in value for value in values))


@pytest.mark.parametrize(
    "name", [*sorted(TAKEN), "self", "__Foo", "_", "__", "__class__", "a_reward", "Sums"]
)
def test_a_signature_may_have_any_name(name):
    made = pipeline()
    reward = wrapped("BestOfN", "Predict", FITS)
    made.modules[1].CopyFrom(reward.modules[0])
    made.modules[1].name = made.outputs[0].module = "a"
    for module in (*made.modules, *made.modules[1].modules):
        module.signature.name = name
    ran = notebook(made)["program"]
    assert list(ran.think.predict.signature.output_fields) == ["reasoning", "draft"]
    assert list(ran.a.module.signature.output_fields) == ["answer"]
    assert ran.a.reward_fn({}, dspy.Prediction(answer="Paris")) == 1.0


class Told(dspy.Module):  # type: ignore[misc]
    """Answers with the inputs that it got."""

    def forward(self, **inputs):
        return dspy.Prediction(answer=inputs, draft="a draft")


@pytest.mark.parametrize("kind", ["Predict", "RLM"])
@pytest.mark.parametrize("name", ["hint", "inputs", "sources", "dspy", "given"])
def test_an_optional_input_may_be_left_out_of_a_notebooks_program(name, kind, monkeypatch):
    monkeypatch.setenv("SIGRUN_GENERATED_CODE", "on")
    made = pipeline()
    made.signature.inputs.add(name=name, type=optional(STR))
    first = made.modules[0]
    first.type, first.name = kind, "given"
    made.modules[1].wires[0].module = "given"
    first.signature.inputs.add(name="clue", type=optional(STR))
    first.wires.add(input="clue", field=name)
    del made.modules[1].wires[:]
    made.modules[1].wires.add(input="draft", module="given", field="answer")
    first.signature.outputs[0].name = "answer"
    ran = notebook(made)["program"]
    ran.given, ran.say = Told(), (lambda draft: dspy.Prediction(answer=draft))
    left_out = {"clue": None} if kind == "RLM" else {}
    assert ran(question="Why?").answer == {"question": "Why?", **left_out}
    assert ran(question="Why?", **{name: "So."}).answer == {"question": "Why?", "clue": "So."}


def test_a_program_without_optional_inputs_says_its_inputs():
    source, _ = exported(pipeline(), "sums")
    ast.parse(source)
    assert "def forward(self, question):" in source
