"""An answer that would fail a run scores 0 in an optimization and makes no demo."""

import json

import pytest
from optimizations import optimization_failure, optimized, request
from programs import capital
from scripted_model import chat
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from teachable_model import CAPITALS, fields_asked_for, teachable


def short_capital(longest: int = 6) -> pb.Program:
    made = capital()
    for sig in (made.signature, made.modules[0].signature):
        sig.outputs[0].constraints.max_length = longest
    return made


def asked_for(optimizer: str, made: pb.Program, metric: str = "contains", **config):
    asked = request(optimizer, made, **config)
    del asked.metrics[:]
    asked.metrics.add(name=metric, weight=1)
    return asked


def knowing(*, too_long: set[str]):
    """A model that knows every capital, and says some of them with too many words."""

    def answer(asked: dict) -> str:
        question = str(asked["messages"][-1]["content"])
        country = next(name for name in CAPITALS if f"Capital of {name}?" in question)
        said = f"{CAPITALS[country]}, of course" if country in too_long else CAPITALS[country]
        is_json = "JSON" in str(asked["messages"][0]["content"])
        return json.dumps({"answer": said}) if is_json else chat({"answer": said})

    return answer


async def test_an_answer_that_breaks_a_constraint_scores_nothing(sidecar, model):
    countries = list(CAPITALS)
    # Two of the six held-out capitals are too long for the field by themselves.
    valset = countries[10:16]
    fitting = [name for name in valset if len(CAPITALS[name]) <= 6]
    model.script(knowing(too_long=set(valset[:1])))
    result, _ = await optimized(sidecar, asked_for("LabeledFewShot", short_capital(), k=1))
    right = [name for name in fitting if name != valset[0]]
    assert result.baseline_score == pytest.approx(len(right) / len(valset))


@pytest.mark.parametrize("optimizer", ["BootstrapFewShot", "BootstrapFewShotWithRandomSearch"])
async def test_an_answer_that_breaks_a_constraint_makes_no_demo(sidecar, model, optimizer):
    countries = list(CAPITALS)
    model.script(knowing(too_long=set(countries[:9])))
    config = {"max_bootstrapped_demos": 4, "max_labeled_demos": 0}
    made = short_capital(8)
    result, _ = await optimized(sidecar, asked_for(optimizer, made, **config))
    demos = json.loads(result.compiled_state)["demos"]
    assert all(len(demo["answer"]) <= 8 for demo in demos)
    assert "of course" not in result.compiled_state


async def test_an_optimization_whose_baseline_fails_in_every_run_fails_with_their_reason(
    sidecar, model
):
    asked = asked_for("BootstrapFewShot", short_capital())
    model.script(knowing(too_long=set(CAPITALS)))
    _, reason, message, _ = await optimization_failure(sidecar.OptimizeProgram(asked))
    assert reason == "OUTPUT_INVALID"
    assert "answer: must have at most 6 characters" in message
    model.script("nothing to read")
    _, reason, message, _ = await optimization_failure(
        sidecar.OptimizeProgram(asked_for("BootstrapFewShot", capital()))
    )
    assert (reason, "can't be read" in message) == ("OUTPUT_INVALID", True)


async def test_a_model_that_reflects_reads_why_an_answer_was_refused(sidecar, model):
    knows = knowing(too_long=set(list(CAPITALS)[:9]))
    reflections = []

    def answer(asked: dict):
        if "answer" in fields_asked_for(str(asked["messages"][0]["content"])):
            return knows(asked)
        reflections.append(str(asked["messages"]))
        return teachable(asked)

    model.script(answer)
    await optimized(sidecar, asked_for("GEPA", short_capital(), max_metric_calls=30))
    assert any("must have at most 6 characters" in text for text in reflections)
