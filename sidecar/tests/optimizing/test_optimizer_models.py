import json

from optimizations import asked_about, optimized, request
from programs import pipeline
from scripted_model import chat
from teachable_model import teachable


async def test_each_role_of_an_optimizer_asks_its_own_model(sidecar, model):
    model.script(teachable)
    asked = request("MIPROv2", num_candidates=2, num_trials=2, minibatch=False)
    asked.lms["prompt"].model = "openai/other"
    before = len(model.requests)
    result, _ = await optimized(sidecar, asked)
    assert result.score == 1
    by_model = {}
    for one in model.requests[before:]:
        kind = (
            "task"
            if "`answer`" in one["messages"][0]["content"].split("output fields")[1]
            else "proposal"
        )
        by_model.setdefault(one["model"], set()).add(kind)
    assert by_model == {"other": {"proposal"}, "scripted": {"task"}}

    asked = request("BootstrapFewShot", max_labeled_demos=2)
    asked.lms["teacher"].model = "openai/other"
    before = len(model.requests)
    await optimized(sidecar, asked)
    assert {"other", "scripted"} == {one["model"] for one in model.requests[before:]}
    taught = [one for one in model.requests[before:] if one["model"] == "other"]
    assert asked_about(model, before, asked.valset) + len(taught) == len(model.requests) - before


async def test_a_module_with_its_own_model_keeps_it_during_the_optimization(sidecar, model):
    model.script(teachable)
    made = pipeline()
    made.modules[1].lm.model = "openai/other"
    made.modules[1].lm.temperature = 0.3
    before = len(model.requests)
    for name, config in [
        ("SIMBA", {"bsize": 2, "max_steps": 1, "num_candidates": 2}),
        ("COPRO", {"breadth": 2, "depth": 1}),
    ]:
        await optimized(sidecar, request(name, made, **config))
    for one in model.requests[before:]:
        outputs = (
            one["messages"][0]["content"]
            .split("Your output fields are:")[1]
            .split("All interactions")[0]
        )
        if "`draft`" in outputs:
            assert one["model"] == "scripted"
        elif "`answer`" in outputs:
            assert one["model"] == "other"


async def test_a_judge_scores_by_its_own_model_and_its_feedback_reaches_gepa(sidecar, model):
    def judging(asked: dict) -> str:
        if asked["model"] == "other":
            is_good = '{\\"answer\\":\\"dunno\\"}' not in json.dumps(
                asked["messages"][-1]["content"]
            )
            return chat({"reason": "Too vague by far.", "score": float(is_good)})
        return teachable(asked)

    model.script(judging)
    asked = request("GEPA", max_metric_calls=40)
    asked.lms["judge"].model = "openai/other"
    asked.metrics.add(
        name="judge", weight=1, params=json.dumps({"rubric": "It is a capital."}).encode()
    )
    before = len(model.requests)
    result, _ = await optimized(sidecar, asked)
    assert (result.baseline_score, result.score) == (0, 1)
    reflections = [
        str(one["messages"])
        for one in model.requests[before:]
        if "new_instruction" in str(one["messages"])
    ]
    assert any(
        "Too vague by far." in one and "expected" in one and ("Paris" in one or "Rome" in one)
        for one in reflections
    )


async def test_the_metrics_feedback_tells_gepa_the_expected_outputs(sidecar, model):
    model.script(teachable)
    before = len(model.requests)
    await optimized(sidecar, request("GEPA", max_metric_calls=40))
    said = [str(one["messages"]) for one in model.requests[before:]]
    assert any('got "dunno"' in one.replace("\\", "") and "answer: expected" in one for one in said)
