"""MIPROv2 and SIMBA make the requests that stock DSPy makes for the same program."""

import asyncio
import inspect
import json
import linecache
import sys
from pathlib import Path

import dspy
import pytest
from optimizations import optimized, request
from programs import capital, pipeline
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import CAPITALS, divided, teachable

from dspy_sidecar.optimizing.program_code import ProgramCode
from dspy_sidecar.optimizing.student import OwnModels
from dspy_sidecar.programs.programs import build
from dspy_sidecar.programs.reading import reads_as
from dspy_sidecar.programs.source.program import distinct, source_of
from dspy_sidecar.programs.wrapping import Comparison

STOCK = Path(__file__).parents[1] / "stock_optimizer.py"
EXAMPLES = [
    ({"question": f"Capital of {country}?"}, {"answer": city}) for country, city in CAPITALS.items()
]
TRAINSET, VALSET = EXAMPLES[:12], EXAMPLES[12:]


def example(inputs: dict, outputs: dict) -> pb.Example:
    return pb.Example(inputs=json.dumps(inputs).encode(), outputs=json.dumps(outputs).encode())


def unnamed(kind: str) -> pb.Program:
    made = capital(kind)
    for signature in (made.signature, made.modules[0].signature):
        signature.is_unnamed = True
    return made


def renamed(made: pb.Program) -> pb.Program:
    """A pipeline whose signatures have names, instructions and descriptions."""
    think, say = made.modules
    think.signature.name, say.signature.name = "Draft", "Say"
    say.signature.instructions = 'Say "it".\n\n  Shortly.'
    think.signature.outputs[0].description = "what comes to mind"
    return made


async def stock(
    made: pb.Program, optimizer: str, config: dict, model, tmp_path
) -> tuple[dict, set]:
    """The state that stock DSPy makes of a program's source, and the requests on the way."""
    source = tmp_path / "notebook.py"
    source.write_text(source_of(distinct(made, "sums"), "sums").text)
    before = len(model.requests)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(STOCK),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    asked = {
        "file": str(source),
        "seed": 7,
        "url": model.url,
        "trainset": TRAINSET,
        "optimizer": optimizer,
        "config": config,
    }
    _, told = await process.communicate(json.dumps(asked).encode())
    assert process.returncode == 0, told.decode()
    return json.loads(told.decode().splitlines()[-1]), bodies(model.requests[before:])


async def ours(made: pb.Program, optimizer: str, config: dict, sidecar, model) -> tuple[dict, set]:
    before = len(model.requests)
    asked = request(optimizer, made, **config)
    asked.handle, asked.seed = "sums", 7
    del asked.trainset[:], asked.valset[:]
    asked.trainset.extend(example(*one) for one in TRAINSET)
    asked.valset.extend(example(*one) for one in VALSET)
    result, _ = await optimized(sidecar, asked)
    state = json.loads(result.compiled_state)
    del state["metadata"]
    return state, bodies(model.requests[before:])


def bodies(requests: list) -> set[str]:
    """Each request once, without those of the scores before and after."""
    held = [text for example in VALSET for fields in example for text in fields.values()]
    seen = [request for request in requests if not any(text in str(request) for text in held)]
    return {json.dumps(request, sort_keys=True) for request in seen}


def named_as_types(made: pb.Program) -> pb.Program:
    """A pipeline whose module hands the next one a field called str."""
    think, say = made.modules
    think.signature.outputs[0].name = say.signature.inputs[0].name = "str"
    say.wires[0].input = say.wires[0].field = "str"
    return made


MIPRO = {"auto": None, "num_candidates": 3, "num_trials": 3, "minibatch": False}
SIMBA = {"bsize": 6, "max_steps": 2, "num_candidates": 4}
CASES = {
    "MIPROv2, a pipeline": ("MIPROv2", MIPRO, renamed(pipeline())),
    "MIPROv2, a Predict with a class": ("MIPROv2", MIPRO, capital()),
    "MIPROv2, a ChainOfThought of a text": ("MIPROv2", MIPRO, unnamed("ChainOfThought")),
    "MIPROv2, fields with the names of types": ("MIPROv2", MIPRO, named_as_types(pipeline())),
    "SIMBA, a pipeline": ("SIMBA", SIMBA, renamed(pipeline())),
    "SIMBA, a ChainOfThought with a class": ("SIMBA", SIMBA, capital("ChainOfThought")),
}


@pytest.mark.parametrize("case", CASES)
async def test_an_optimizer_makes_the_state_and_the_requests_that_stock_dspy_makes(
    sidecar, model, tmp_path, case
):
    optimizer, config, made = CASES[case]
    model.script(divided())
    state, requests = await stock(made, optimizer, config, model, tmp_path)
    model.script(divided())
    mine = await ours(made, optimizer, config, sidecar, model)
    assert mine == (state, requests)
    assert any("program_code" in request for request in requests)


async def test_a_module_may_have_the_name_of_a_method_of_the_sidecars(sidecar, model):
    made = pipeline()
    made.modules[0].name = made.modules[1].wires[0].module = "state"
    model.script(teachable)
    result, _ = await optimized(sidecar, request("LabeledFewShot", made, k=2))
    assert {"state.predict", "say"} < json.loads(result.compiled_state).keys()


def test_the_source_is_forgotten_when_it_is_done():
    made = distinct(pipeline(), "sums")
    before = dict(sys.modules), dict(linecache.cache), Comparison.__module__
    code = ProgramCode(source_of(made, "sums"))
    loaded = build(made)
    student = code.student(loaded, OwnModels(loaded, lambda *_: (None, None)))
    with code.registered():
        assert inspect.getsource(type(student)).startswith("class Sums(dspy.Module):")
    assert (dict(sys.modules), dict(linecache.cache), Comparison.__module__) == before
    with pytest.raises(TypeError, match="not found"):
        inspect.getsource(type(student))


def line(kind: type) -> str:
    """What stands at the line that Python looks at as of 3.13."""
    text = linecache.getlines(inspect.getfile(kind))
    return text[vars(kind)["__firstlineno__"] - 1]


def test_every_class_of_the_source_knows_its_line_there():
    made = distinct(renamed(pipeline()), "sums")
    code, loaded = ProgramCode(source_of(made, "sums")), build(made)
    with code.registered():
        student = code.student(loaded, OwnModels(loaded, lambda *_: (None, None)))
        assert line(type(student)) == "class Sums(dspy.Module):\n"
        assert line(student.say.signature) == "class Say(dspy.Signature):\n"


def test_a_class_that_reads_as_another_has_its_line():
    shown = type("Shown", (dspy.Module,), {"__firstlineno__": 7})
    kind = reads_as(shown)(type("Kind", (dspy.Module,), {"__firstlineno__": 8}))
    assert vars(kind)["__firstlineno__"] == 7
    loaded = build(capital())
    loaded.module.__class__ = shown
    code = ProgramCode(source_of(capital(), "sums"))
    student = code.student(loaded, OwnModels(loaded, lambda *_: (None, None)))
    assert vars(type(student))["__firstlineno__"] == 7


def test_a_text_is_no_class_of_the_programs():
    made = distinct(renamed(pipeline()), "string-signature")
    for signature in (made.modules[0].signature, made.signature):
        signature.name, signature.is_unnamed = "", True
    made.modules[0].signature.outputs[0].description = ""
    code, loaded = ProgramCode(source_of(made, "string-signature")), build(made)
    with code.registered():
        code.student(loaded, OwnModels(loaded, lambda *_: (None, None)))
        for _, predictor in loaded.steps[0].module.named_parameters():
            assert not inspect.getmodule(predictor.signature).__name__.startswith("sigrun")
