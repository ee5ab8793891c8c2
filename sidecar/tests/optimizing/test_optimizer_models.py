import json

from optimizations import asked_about, optimized, request
from programs import pipeline
from teachable_model import teachable


async def test_an_optimizers_other_parts_ask_the_models_of_their_roles(sidecar, model):
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


async def test_a_module_with_a_model_of_its_own_keeps_it_whatever_the_optimizer_asks(
    sidecar, model
):
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


async def test_a_judge_scores_by_its_own_model_and_what_it_says_reaches_gepa(sidecar, model):
    def judging(asked: dict) -> str:
        if asked["model"] == "other":
            is_good = '{\\"answer\\":\\"dunno\\"}' not in json.dumps(
                asked["messages"][-1]["content"]
            )
            return f"[[ ## reason ## ]]\nToo vague by far.\n\n[[ ## score ## ]]\n{float(is_good)}\n\n[[ ## completed ## ]]"
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


async def test_metrics_say_to_gepa_what_was_expected(sidecar, model):
    model.script(teachable)
    before = len(model.requests)
    await optimized(sidecar, request("GEPA", max_metric_calls=40))
    said = [str(one["messages"]) for one in model.requests[before:]]
    assert any('got "dunno"' in one.replace("\\", "") and "answer: expected" in one for one in said)
