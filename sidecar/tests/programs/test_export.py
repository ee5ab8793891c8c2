"""An exported program runs with stock DSPy, and makes the requests that the sidecar makes."""

import ast
import asyncio
import json
import sys
import threading
from pathlib import Path

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import done
from programs import FITS, STR, asked, capital, pipeline, signature, wrapped
from scripted_model import chat
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import fields_asked_for

from dspy_sidecar.programs import states
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.programs import build
from dspy_sidecar.programs.source.export import exported
from dspy_sidecar.programs.source.modules import ModuleSource
from dspy_sidecar.programs.source.signatures import class_text
from dspy_sidecar.serving import servicer

STOCK = Path(__file__).parents[1] / "stock_runs.py"
SAYS: dict = {"advice": {"self": "Begin with a capital letter."}, "score": 0.5, "answer": "paris"}


def reply(request: dict) -> str:
    """An answer to any prompt, which misses the pattern of `wrapped`."""
    system = str(request["messages"][0]["content"])
    said = {name: SAYS.get(name, f"some {name}") for name in fields_asked_for(system)}
    return json.dumps(said) if "JSON" in system else chat(said)


def with_state(made: pb.Program) -> pb.Program:
    """The program with another instruction and a demo in each predictor."""
    module = build(made).module
    for predictor in module.predictors():
        predictor.signature = predictor.signature.with_instructions('Say "it",\nas ever.')
        fields = predictor.signature.fields
        predictor.demos = [dspy.Example(**dict.fromkeys(fields, "a demo"))]
    made.compiled_state = states.dump(module)
    return made


def with_settings(made: pb.Program) -> pb.Program:
    made.lm.temperature, made.lm.adapter = 0.5, "JSONAdapter"
    made.modules[-1].lm.max_tokens = 77
    made.modules[-1].lm.params = b'{"top_p": 0.25}'
    return made


def odd_names() -> pb.Program:
    """Fields and modules with the names of what a source uses itself."""
    made = pipeline()
    made.signature.outputs[0].name = made.outputs[0].input = "base"
    think, say = made.modules
    think.name = say.wires[0].module = "question"
    think.signature.outputs[0].name = say.wires[0].field = "keys"
    think.signature.name = "dspy"
    del say.signature.inputs[:]
    say.signature.inputs.add(name="draft", type=STR)
    return made


def other_inputs() -> pb.Program:
    """One module, whose input has another name than the program's."""
    made = capital("ChainOfThought")
    made.signature.inputs[0].name = made.modules[0].wires[0].field = "country"
    return made


def unnamed() -> pb.Program:
    made = with_settings(capital("ChainOfThought"))
    for one in (made.signature, made.modules[0].signature):
        one.is_unnamed, one.instructions = True, "Say \\ where."
    return made


def optional_input() -> pb.Program:
    """A pipeline with an optional input, which the runs leave out."""
    made = pipeline()
    optional = pb.Type(optional=pb.OptionalType(of=STR))
    made.signature.inputs.add(name="hint", type=optional)
    made.modules[0].signature.inputs.add(name="hint", type=optional)
    made.modules[0].wires.add(input="hint", field="hint")
    return made


JUDGED = {**FITS, "reward_fn": "judge", "rubric": 'Is it "right"?'}
PROGRAMS = {
    "a Predict": lambda: with_state(capital()),
    "a ChainOfThought of a text": unnamed,
    "other inputs": lambda: with_state(other_inputs()),
    "a pipeline": lambda: with_settings(with_state(pipeline())),
    "odd names": odd_names,
    "an optional input": optional_input,
    "BestOfN": lambda: with_state(wrapped("BestOfN", "ChainOfThought", FITS)),
    "a judge": lambda: wrapped("BestOfN", "Predict", JUDGED),
    "Refine": lambda: wrapped("Refine", "Predict", FITS),
    "MultiChainComparison": lambda: with_state(
        wrapped("MultiChainComparison", "ChainOfThought", {"M": 2, "temperature": 0.5}, ".*")
    ),
}


async def test_an_exported_program_makes_the_same_requests_with_stock_dspy(
    sidecar, model, tmp_path
):
    model.script(reply)
    asked_for, served = [], {}
    for number, (name, make) in enumerate(PROGRAMS.items()):
        made = make()
        field = made.signature.inputs[0]
        inputs = {field.name: f"Capital of Spain, for the {number}. time?"}
        before = len(model.requests)
        await done(sidecar.run(asked(made, **inputs)))
        served[name] = bodies(model.requests[before:])
        answer = await sidecar.ExportProgram(pb.ExportProgramRequest(program=made, handle="sums"))
        assert bool(answer.compiled_state) == bool(made.compiled_state)
        file, state = tmp_path / f"{number}.py", tmp_path / f"{number}.json"
        file.write_text(answer.source)
        state.write_text(answer.compiled_state)
        saved = str(state) if answer.compiled_state else None
        asked_for.append({"file": str(file), "state": saved, "inputs": inputs})
    before = len(model.requests)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        STOCK,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    request = {"url": model.url, "programs": asked_for}
    _, told = await process.communicate(json.dumps(request).encode())
    assert process.returncode == 0, told.decode()
    theirs = model.requests[before:]
    for number, name in enumerate(PROGRAMS):
        mark = f"for the {number}. time"
        ours = served[name]
        assert [one for one in bodies(theirs) if mark in one] == [
            one for one in ours if mark in one
        ], name
    assert len(theirs) == sum(map(len, served.values()))


def bodies(requests: list) -> list[str]:
    return sorted(json.dumps(request, sort_keys=True) for request in requests)


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_no_text_of_a_caller_becomes_code(instructions, description, choice):
    sig = signature({"question": STR}, {"answer": pb.Type(literal=pb.LiteralType(values=[choice]))})
    sig.instructions, sig.inputs[0].description = instructions, description
    text = class_text(sig)
    (kind,) = ast.parse(text).body
    assert isinstance(kind, ast.ClassDef)
    assert [type(part) for part in kind.body if not isinstance(part, ast.Expr)] == [
        ast.AnnAssign
    ] * 2
    notebook: dict = {}
    exec(f"import dspy\nfrom typing import Literal\n{text}", notebook)
    made, ours = notebook["Test"], signature_class(sig)
    assert made.instructions == ours.instructions
    assert str(made.fields) == str(ours.fields)


def test_a_pipeline_may_have_no_inputs_and_an_rlm_a_model_for_its_code():
    made = pipeline()
    del made.signature.inputs[:], made.modules[0].signature.inputs[:], made.modules[0].wires[:]
    source, _ = exported(made, "jokes")
    assert "    def forward(self):\n        think = self.think()\n" in source
    code = capital("RLM").modules[0]
    code.lms["sub_lm"].model, code.lms["sub_lm"].temperature = "openai/small", 0.5
    expected = 'dspy.RLM(Test, sub_lm=dspy.LM("openai/small", temperature=0.5))'
    assert ModuleSource().expression(code) == expected


@pytest.mark.parametrize("length", [0, 1_000_000])
async def test_a_program_with_a_long_state_is_exported_in_a_thread(length, monkeypatch):
    threads = []

    def noted(*_):
        threads.append(threading.current_thread())
        return "", ""

    monkeypatch.setattr(servicer, "exported", noted)
    request = pb.ExportProgramRequest(program=pb.Program(compiled_state="x" * length))
    await servicer.Servicer.ExportProgram(None, request, None)
    (ran,) = threads
    assert (ran is threading.current_thread()) == (length == 0)


def test_two_signatures_of_one_name_are_two_classes():
    made = pipeline()
    source, state = exported(made, "tool-program")
    assert "class Test(dspy.Signature)" in source and "class Test_2(dspy.Signature)" in source
    assert "self.say = dspy.Predict(Test_2)" in source
    assert state == ""


@pytest.mark.parametrize("handle", ["program", "grade", "dspy", "a-2b-c", "none", "true", "false"])
def test_the_class_of_a_program_has_a_name_of_its_own(handle):
    source, _ = exported(pipeline(), handle)
    ast.parse(source)
    name = source.strip().splitlines()[-1].removeprefix("program = ").removesuffix("()")
    assert source.count(f"class {name}(dspy.Module)") == 1
