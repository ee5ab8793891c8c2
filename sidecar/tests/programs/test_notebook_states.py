"""States as notebooks save them: nested modules, lists, other tools, other fields, models."""

import json

import dspy
import pytest
from notebook import QUESTION, saved_state
from outcomes import done
from programs import STR, asked, capital, pipeline, signature, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import BuildFailedError
from dspy_sidecar.programs import react
from dspy_sidecar.programs.annotations import signature_class
from dspy_sidecar.programs.foreign_states import refuse_foreign
from dspy_sidecar.programs.programs import build
from dspy_sidecar.tools import tools
from dspy_sidecar.tools.mcp_servers import Http

TOLD = "Said in a notebook."


class Held(dspy.Module):
    """A module that holds others."""

    def __init__(self, **held):
        super().__init__()
        for name, module in held.items():
            setattr(self, name, module)


def told(program: dspy.Module, folder) -> str:
    """The saved state of a program whose predictors all have another instruction."""
    for predictor in program.predictors():
        predictor.signature = predictor.signature.with_instructions(TOLD)
    return saved_state(program, folder)


def instructions(made: pb.Program, state: str) -> dict[str, bool]:
    """Whether each predictor of a program has the notebook's instruction after an import."""
    made.compiled_state = state
    refuse_foreign(made)
    module = build(made).module
    return {path: one.signature.instructions == TOLD for path, one in module.named_parameters()}


def refusal(made: pb.Program, state: str) -> str:
    made.compiled_state = state
    with pytest.raises(BuildFailedError) as raised:
        refuse_foreign(made)
    return str(raised.value)


TWO_HOPS = (
    signature({"question": STR}, {"draft": STR}),
    signature({"draft": STR}, {"answer": STR}),
)


def two_hops(kind: str) -> pb.Program:
    made = pipeline()
    made.modules[0].type = made.modules[1].type = kind
    return made


@pytest.mark.parametrize(
    ("program", "made"),
    [
        (lambda: Held(inner=Held(cot=dspy.ChainOfThought("question -> answer"))), "ChainOfThought"),
        (lambda: Held(steps=[dspy.ChainOfThought("question -> answer")]), "ChainOfThought"),
        (lambda: Held(inner=Held(qa=dspy.Predict("question -> answer"))), "Predict"),
    ],
)
def test_reads_the_state_of_a_lone_module_inside_others(tmp_path, program, made):
    assert all(instructions(capital(made), told(program(), tmp_path)).values())


@pytest.mark.parametrize("kind", ["Predict", "ChainOfThought"])
@pytest.mark.parametrize(
    "held", [lambda one, two: {"hops": [one, two]}, lambda one, two: {"a": Held(b=one), "c": [two]}]
)
def test_reads_the_state_of_modules_in_a_list_by_their_order(tmp_path, kind, held):
    one, two = (getattr(dspy, kind)(signature_class(sig)) for sig in TWO_HOPS)
    state = told(Held(**held(one, two)), tmp_path)
    assert "hops[0]" in state or "c[0]" in state
    assert all(instructions(two_hops(kind), state).values())


def test_refuses_a_list_of_modules_in_another_order(tmp_path):
    one, two = (dspy.ChainOfThought(signature_class(sig)) for sig in TWO_HOPS)
    why = refusal(two_hops("ChainOfThought"), told(Held(hops=[two, one]), tmp_path))
    assert why == "think.predict.signature.fields[0] is the field draft; expected question"


def test_reads_the_state_of_a_lone_multi_chain_comparison(tmp_path):
    made = wrapped("MultiChainComparison", "ChainOfThought", {"M": 2, "temperature": 0.5}, "")
    state = told(dspy.MultiChainComparison("question -> answer", M=2), tmp_path)
    assert instructions(made, state) == {"module.predict": False, "compare.predict": True}
    state = told(dspy.MultiChainComparison("question -> answer", M=3), tmp_path)
    assert "has 6 fields; expected the 5 fields" in refusal(made, state)


@pytest.mark.parametrize(
    ("notebook", "why"),
    [
        ("query -> answer", "fields[0] is the field query; expected question"),
        ("question -> result", "fields[1] is the field result; expected answer"),
        ("answer -> question", "fields[0] is the field answer; expected question"),
    ],
)
def test_refuses_a_state_of_other_fields_and_says_where(tmp_path, notebook, why):
    assert why in refusal(capital(), told(dspy.Predict(notebook), tmp_path))


def test_refuses_a_described_field_by_its_prefix_but_takes_a_new_prefix_of_the_last_output(
    tmp_path,
):
    state = json.loads(told(dspy.Predict("question -> answer"), tmp_path))
    question, answer = state["signature"]["fields"]
    answer["prefix"] = "So:"
    assert instructions(capital(), json.dumps(state)) == {"self": True}
    question.update(prefix="Query:", description="what is asked")
    assert refusal(capital(), json.dumps(state)) == (
        "only.signature.fields[0] has the prefix 'Query:'; "
        "expected 'Question:' of the field question"
    )


def notebooks_react(reasoning: str = "Reasoning:") -> str:
    """The state of a ReAct whose tool is a function get_weather."""

    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        return city

    state = dspy.ReAct("question -> answer", [get_weather]).dump_state()
    state["extract.predict"]["signature"]["fields"][2]["prefix"] = reasoning
    return json.dumps(state)


def acting(tool: str) -> pb.Program:
    made = capital("ReAct")
    made.modules[0].tools.append(tool)
    made.modules[0].params = b'{"max_iters": 5}'
    return made


@pytest.fixture
def kit(monkeypatch):
    box = tools.Toolbox({"kit": Http(url="http://127.0.0.1:9")})
    monkeypatch.setattr(react, "toolbox", lambda: box)


@pytest.mark.parametrize(
    "prefix", ["Reasoning:", "Reasoning: Let's think step by step in order to"]
)
def test_a_tool_may_have_the_name_that_it_has_in_the_notebook(kit, prefix):
    made = acting("kit.get_weather as get_weather")
    made.compiled_state = notebooks_react(prefix)
    refuse_foreign(made)
    module = build(made).module
    assert module.react.signature.fields["next_tool_name"].annotation.__args__ == (
        "get_weather",
        "finish",
    )
    assert "(1) get_weather, whose" in module.react.signature.instructions
    assert not build(made).is_stale


def test_refuses_a_state_of_other_tools_and_names_both(kit):
    assert refusal(acting("kit.get_weather"), notebooks_react()) == (
        "react.signature.instructions lists the tools get_weather, finish; expected "
        'kit.get_weather, finish. A module names a tool as a notebook does by "server.tool as name"'
    )


def test_takes_instructions_of_an_optimizer_that_list_no_tools(kit, tmp_path):
    state = json.loads(notebooks_react())
    state["react"]["signature"]["instructions"] = TOLD
    assert instructions(acting("kit.get_weather"), json.dumps(state))["react"]


async def test_the_sidecar_refuses_a_foreign_state_only_when_it_is_imported(
    sidecar, model, tmp_path
):
    """A revision that was imported before the check still runs."""
    made = capital(compiled_state=told(dspy.Predict("query -> answer"), tmp_path))
    with pytest.raises(Exception, match="is the field query; expected question"):
        await sidecar.LoadProgram(pb.LoadProgramRequest(program=made, is_import=True))
    model.script({"answer": "Paris"})
    await done(sidecar.run(asked(made, **QUESTION)))


def test_a_demo_keeps_the_objects_of_pydantic_that_it_was_saved_of(tmp_path):
    program = dspy.Predict("question -> answer")
    program.demos = [dspy.Example(question="q", answer=[{"a": 1, "b": "x"}])]
    made = capital(compiled_state=saved_state(program, tmp_path))
    made.modules[0].signature.outputs[0].type.list.element.dict.key = pb.SCALAR_STR
    made.modules[0].signature.outputs[0].type.list.element.dict.value.scalar = pb.SCALAR_STR
    refuse_foreign(made)
    assert build(made).module.demos == [{"question": "q", "answer": [{"a": 1, "b": "x"}]}]
