import json

import dspy
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from notebook import QUESTION, Pipeline, dspy_prompts, saved_state, served_prompts
from outcomes import done
from programs import asked, capital, pipeline
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.programs import states
from dspy_sidecar.programs.programs import build

TRAINSET = [
    dspy.Example(question=f"Capital of {country}?", answer=city).with_inputs("question")
    for country, city in [("France", "Paris"), ("Italy", "Rome")]
]


class One(dspy.Module):
    """A program of a notebook's with one module, named as the server's."""

    def __init__(self, only):
        super().__init__()
        self.only = only

    def forward(self, question):
        return self.only(question=question)


PROGRAMS = {
    "Predict": (lambda: dspy.Predict("question -> answer"), capital),
    "ChainOfThought": (
        lambda: dspy.ChainOfThought("question -> answer"),
        lambda: capital("ChainOfThought"),
    ),
    "Predict in a class": (lambda: One(dspy.Predict("question -> answer")), capital),
    "ChainOfThought in a class": (
        lambda: One(dspy.ChainOfThought("question -> answer")),
        lambda: capital("ChainOfThought"),
    ),
    "a pipeline": (Pipeline, pipeline),
}
REPLY = {"reasoning": "I know.", "draft": "a draft", "answer": "Paris"}


async def optimized(program: dspy.Module, model) -> dspy.Module:
    """The program with bootstrapped and labeled demos, new instructions and a new prefix."""
    optimizer = dspy.BootstrapFewShot(
        metric=lambda *_: True, max_bootstrapped_demos=1, max_labeled_demos=2
    )
    with dspy.context(
        lm=dspy.LM("openai/scripted", api_base=model.url, api_key="test", cache=False),
        disable_history=True,
    ):
        made = await dspy.asyncify(optimizer.compile)(program, trainset=TRAINSET)
    for predictor in made.predictors():
        last = list(predictor.signature.output_fields)[-1]
        signature = predictor.signature.with_instructions('Be "brief".\n\nSay naïve words.')
        predictor.signature = signature.with_updated_fields(
            last, prefix="So:", desc="as short as can be"
        )
    return made


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_a_state_saved_by_dspy_is_served_with_dspys_prompts(sidecar, model, tmp_path, kind):
    notebooks, ours = PROGRAMS[kind]
    model.script(REPLY)
    program = await optimized(notebooks(), model)
    made = ours()
    made.compiled_state = saved_state(program, tmp_path)
    expected = await dspy_prompts(program, model)
    assert await served_prompts(made, sidecar, model) == expected
    assert "Say naïve words." in str(expected)
    assert "Capital of France?" in str(expected)


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_a_served_program_is_saved_in_a_form_that_dspy_loads(sidecar, model, tmp_path, kind):
    notebooks, ours = PROGRAMS[kind]
    model.script(REPLY)
    made = ours()
    made.compiled_state = saved_state(await optimized(notebooks(), model), tmp_path)
    held = build(made)
    (tmp_path / "ours.json").write_text(states.dump(held.module))
    bare = notebooks().only if "class" in kind else notebooks()
    bare.load(tmp_path / "ours.json")
    assert await dspy_prompts(bare, model) == await served_prompts(made, sidecar, model)
    # DSPy, which loaded the state, saves it with the same bytes.
    assert saved_state(bare, tmp_path) == states.dump(held.module)


async def test_the_models_in_a_state_are_never_asked(sidecar, model, tmp_path):
    model.script(REPLY)
    program = dspy.Predict("question -> answer")
    program.set_lm(dspy.LM("openai/costly", temperature=0.9, api_base="http://127.0.0.1:1/v1"))
    made = capital()
    made.compiled_state = saved_state(program, tmp_path)
    assert "costly" in made.compiled_state
    await done(sidecar.run(asked(made, **QUESTION)))
    assert model.requests[-1]["model"] == "scripted"
    assert "temperature" not in model.requests[-1]
    # Not even a class of one's own, which DSPy would refuse.
    state = json.loads(made.compiled_state)
    state["lm"]["_dspy_lm_class"] = "os.system"
    made = capital(compiled_state=json.dumps(state))
    await done(sidecar.run(asked(made, **QUESTION)))


def changed(kind: str, change) -> pb.Program:
    """A program with a changed copy of its own state."""
    made = pipeline() if kind == "pipeline" else capital(kind)
    state = json.loads(states.dump(build(made).module))
    changed = change(state)
    made.compiled_state = json.dumps(state if changed is None else changed)
    return made


def put(state: dict, path: str, value) -> None:
    *parents, last = path.split("/")
    for key in parents:
        state = state[int(key) if key.isdigit() else key]
    if value is None:
        del state[last]
    else:
        state[last] = value


WRONG = [
    ("Predict", lambda s: ["x"], "the state must be a JSON object"),
    (
        "ChainOfThought",
        lambda s: put(s, "predict", None),
        "lacks the predictor predict; the program has predict",
    ),
    (
        "ChainOfThought",
        lambda s: put(s, "other", {}),
        "unknown predictor other in the state; expected one of predict",
    ),
    ("Predict", lambda s: {"other": s}, "lacks the predictor only; the program has only"),
    (
        "Predict",
        lambda s: {"only": s, "second": s},
        "unknown predictor second in the state; expected one of only",
    ),
    (
        "pipeline",
        lambda s: put(s, "say", None),
        "lacks the predictor say; the program has say, think.predict",
    ),
    ("pipeline", lambda s: put(s, "say", [1]), "the predictor say must be a JSON object"),
    (
        "pipeline",
        lambda s: put(s, "say/config", {"api_base": "http://x"}),
        "the predictor say has 'config'",
    ),
    ("pipeline", lambda s: put(s, "say/forward", "x"), "the predictor say has 'forward'"),
    (
        "pipeline",
        lambda s: put(s, "say/extended_signature", {}),
        "the predictor say has 'extended_signature'",
    ),
    (
        "pipeline",
        lambda s: put(s, "say/signature", None),
        "the predictor say must have a signature with instructions",
    ),
    (
        "pipeline",
        lambda s: put(s, "say/signature/instructions", 7),
        "the predictor say must have a signature with instructions",
    ),
    (
        "pipeline",
        lambda s: put(s, "say/signature/fields", []),
        "has 0 fields; expected the 2 fields draft, answer",
    ),
    (
        "pipeline",
        lambda s: s["say"]["signature"]["fields"].pop(),
        "has 1 fields; expected the 2 fields draft, answer",
    ),
    (
        "pipeline",
        lambda s: put(s, "say/signature/fields/1/prefix", None),
        "must have a prefix and a description for the field answer",
    ),
    (
        "pipeline",
        lambda s: put(s, "think.predict/demos", ["x"]),
        "the predictor think.predict must have a list of JSON objects as demos",
    ),
    (
        "pipeline",
        lambda s: put(s, "think.predict/demos", {}),
        "the predictor think.predict must have a list of JSON objects as demos",
    ),
]


@pytest.mark.parametrize(("kind", "change", "why"), WRONG)
async def test_refuses_a_state_of_another_program_and_names_the_predictor(
    sidecar, kind, change, why
):
    def keep(state):
        done = change(state)
        return (
            done
            if isinstance(done, list)
            or (isinstance(done, dict) and done.keys() & {"other", "only"})
            else None
        )

    made = changed(kind, keep)
    assert why in await refusal(sidecar, made)


async def test_refuses_a_state_that_is_not_json(sidecar):
    assert "the state must be JSON: " in await refusal(
        sidecar, capital(compiled_state="\x80\x04pickle")
    )


async def refusal(sidecar, made: pb.Program) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await sidecar.LoadProgram(pb.LoadProgramRequest(program=made))
    info = error_details_pb2.ErrorInfo()
    rpc_status.from_call(raised.value).details[0].Unpack(info)
    assert info.reason == "BUILD_FAILED"
    return raised.value.details()
