import json

import dspy
import pytest
from notebook import Pipeline, dspy_prompts, saved_state, served_prompts
from optimizations import asked_about, optimized, request
from programs import FITS, STR, capital, pipeline, signature, wrapped
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import ADVICE, teachable, wavering

OPTIMIZERS = [
    ("LabeledFewShot", {"k": 4}),
    ("BootstrapFewShot", {"max_bootstrapped_demos": 2, "max_labeled_demos": 4}),
    ("BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 2}),
    ("MIPROv2", {"auto": "light"}),
    ("MIPROv2", {"num_candidates": 3, "num_trials": 4, "minibatch_size": 4}),
    ("MIPROv2", {"max_bootstrapped_demos": 0, "max_labeled_demos": 0}),
    ("COPRO", {"breadth": 3, "depth": 2}),
    ("GEPA", {"max_metric_calls": 60}),
    ("InferRules", {"num_candidates": 2}),
    (
        "BetterTogether",
        {
            "optimizers": {
                "p": {"name": "BootstrapFewShot", "config": {"max_bootstrapped_demos": 2}},
                "q": {"name": "GEPA", "config": {"max_metric_calls": 20}},
                "r": {
                    "name": "MIPROv2",
                    "config": {"num_candidates": 2, "num_trials": 2, "minibatch": False},
                },
            },
            "strategy": "p -> q -> r -> p",
        },
    ),
]
IDS = [f"{name} {number}" for number, (name, _) in enumerate(OPTIMIZERS)]


@pytest.mark.parametrize(("name", "config"), OPTIMIZERS, ids=IDS)
async def test_an_optimizer_finds_the_prompt_that_teaches_the_model(
    sidecar, model, tmp_path, name, config
):
    model.script(teachable)
    before, model.most_open, model.pause_s = len(model.requests), 0, 0.01
    asked = request(name, **config)
    asked.threads = 3
    result, progress = await optimized(sidecar, asked)
    assert model.most_open <= asked.threads
    model.pause_s = 0.0
    assert (result.baseline_score, result.score, result.message) == (0, 1, "")
    made = len(model.requests) - before
    usage = result.token_usage
    assert (usage.lm_calls, usage.input_tokens, usage.output_tokens) == (made, 30 * made, 12 * made)
    # The optimizer saw no example of the valset: each was asked for the two scores alone.
    assert asked_about(model, before, asked.valset) == 2 * len(asked.valset)
    fractions = [one.fraction for one in progress]
    assert fractions == sorted(fractions)
    assert progress[-1].token_usage.lm_calls == made
    assert progress[-1].baseline_score == 0
    # DSPy itself loads the state, and the sidecar serves it with the same prompts as DSPy.
    served_program = capital(compiled_state=result.compiled_state)
    (tmp_path / "made.json").write_text(result.compiled_state)
    notebook = dspy.Predict("question -> answer")
    notebook.load(tmp_path / "made.json")
    prompts = await served_prompts(served_program, sidecar, model)
    assert prompts == await dspy_prompts(notebook, model)
    assert "careful" in str(prompts) or "assistant" in str(prompts)
    assert result.compiled_state == saved_state(notebook, tmp_path)


async def test_simba_learns_from_better_and_worse_runs(sidecar, model):
    model.script(wavering())
    model.most_open, model.pause_s = 0, 0.01
    asked = request("SIMBA", bsize=5, max_steps=2, num_candidates=4)
    asked.threads = 3
    result, _ = await optimized(sidecar, asked)
    assert model.most_open <= asked.threads
    model.pause_s = 0.0
    assert (result.baseline_score, result.score) == (0, 1)
    state = json.loads(result.compiled_state)
    assert state["demos"] or ADVICE in state["signature"]["instructions"]


async def test_a_pipeline_is_optimized_under_the_names_of_its_modules(sidecar, model, tmp_path):
    model.script(teachable)
    result, _ = await optimized(
        sidecar, request("BootstrapFewShot", pipeline(), max_bootstrapped_demos=2)
    )
    # Labeled demos teach the teacher, which has a draft in none of them.
    assert json.loads(result.compiled_state).keys() == {"think.predict", "say", "metadata"}
    result, _ = await optimized(sidecar, request("COPRO", pipeline(), breadth=2, depth=1))
    assert (result.baseline_score, result.score) == (0, 1)
    (tmp_path / "made.json").write_text(result.compiled_state)
    notebook = Pipeline()
    notebook.load(tmp_path / "made.json")
    ours = pipeline()
    ours.compiled_state = result.compiled_state
    assert await dspy_prompts(notebook, model) == await served_prompts(ours, sidecar, model)


async def test_an_optimized_program_is_optimized_again_from_its_state(sidecar, model):
    model.script(teachable)
    first, _ = await optimized(
        sidecar, request("COPRO", capital("ChainOfThought"), breadth=2, depth=1)
    )
    again = request(
        "LabeledFewShot", capital("ChainOfThought", compiled_state=first.compiled_state), k=2
    )
    second, _ = await optimized(sidecar, again)
    assert (first.score, second.baseline_score, second.score) == (1, 1, 1)
    predict = json.loads(second.compiled_state)["predict"]
    assert predict["signature"]["instructions"] == ADVICE
    assert len(predict["demos"]) == 2


@pytest.mark.parametrize(
    ("kind", "inner", "params"),
    [
        ("BestOfN", "ChainOfThought", FITS),
        ("Refine", "Predict", FITS),
        ("MultiChainComparison", "ChainOfThought", {"M": 2, "temperature": 0.5}),
    ],
)
async def test_modules_that_wrap_another_are_optimized(sidecar, model, kind, inner, params):
    model.script(teachable)
    made = wrapped(kind, inner, params, pattern=".*")
    result, _ = await optimized(sidecar, request("COPRO", made, breadth=2, depth=1))
    assert (result.baseline_score, result.score) == (0, 1)
    made.compiled_state = result.compiled_state
    await sidecar.LoadProgram(pb.LoadProgramRequest(program=made))
    plain_kind = {"BestOfN": dspy.BestOfN, "Refine": dspy.Refine}.get(kind)
    if plain_kind:
        module = getattr(dspy, inner)("question -> answer")
        notebook = plain_kind(module=module, N=3, reward_fn=lambda args, pred: 1.0, threshold=1.0)
        notebook.load_state(json.loads(result.compiled_state))
        assert any(
            ADVICE in predictor.signature.instructions for predictor in notebook.predictors()
        )


async def test_an_optimizer_that_changes_nothing_skips_the_score_after(sidecar, model):
    model.script({"answer": "dunno"})
    asked = request("BootstrapFewShot", max_labeled_demos=0)
    result, _ = await optimized(sidecar, asked)
    assert (result.baseline_score, result.score) == (0, 0)
    assert result.token_usage.lm_calls == len(asked.valset) + len(asked.trainset)
    held = capital(compiled_state=result.compiled_state)
    await sidecar.LoadProgram(pb.LoadProgramRequest(program=held))


async def test_the_same_request_gives_the_same_result(sidecar, model):
    model.script(teachable)
    made = capital()
    states = set()
    for _ in range(2):
        asked = request("MIPROv2", made, num_candidates=4, num_trials=3, minibatch=False)
        asked.seed = -7
        result, _ = await optimized(sidecar, asked)
        states.add(result.compiled_state)
    assert len(states) == 1


async def test_progress_is_sent_every_second_and_names_the_phase(sidecar, model):
    silent = True

    def slow_to_propose(asked: dict):
        return (
            None
            if silent and "proposed_instruction" in str(asked["messages"])
            else teachable(asked)
        )

    model.script(slow_to_propose)
    told = []
    call = sidecar.OptimizeProgram(request("COPRO", breadth=4, depth=2))
    async for event in call:
        told.append((event.progress.phase, event.progress.message))
        # The model does not answer, and the progress is repeated all the same.
        if told.count(("propose", event.progress.message)) == 3:
            break
    call.cancel()

    silent = False
    told = [
        (event.progress.phase, event.progress.message)
        async for event in sidecar.OptimizeProgram(request("COPRO", breadth=4, depth=2))
    ]
    assert told[-2] == ("score", "scoring the optimized program, 6 of 6 examples")


async def test_a_failed_example_scores_0(sidecar, model):
    def failing(asked: dict):
        return "nothing to read" if "Togo" in str(asked["messages"][-1]) else teachable(asked)

    model.script(failing)
    result, _ = await optimized(sidecar, request("LabeledFewShot"))
    assert result.score == pytest.approx(5 / 6)


async def test_a_field_may_have_the_name_of_a_keyword_of_dspys(sidecar, model):
    sig = signature({"base": STR}, {"answer": STR})
    made = capital()
    made.signature.CopyFrom(sig)
    made.modules[0].signature.CopyFrom(sig)
    made.modules[0].wires[0].input = made.modules[0].wires[0].field = "base"
    asked = request("LabeledFewShot", made)
    for example in [*asked.trainset, *asked.valset]:
        example.inputs = json.dumps({"base": json.loads(example.inputs)["question"]}).encode()
    model.script(teachable)
    result, _ = await optimized(sidecar, asked)
    assert (result.baseline_score, result.score) == (0, 1)
