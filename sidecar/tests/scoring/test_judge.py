import json

from outcomes import done
from programs import QUESTION, STR, asked, capital, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

JUDGED = {"N": 2, "threshold": 1.0, "reward_fn": "judge", "rubric": "It is a city."}
BY_INT = pb.Type(dict=pb.DictType(key=pb.SCALAR_INT, value=STR))
METRIC_FIELDS = """Your input fields are:
1. `rubric` (str): 
2. `question` (str): What was given, as JSON
3. `expected` (str): What a good answer may be, as JSON; {} where nobody said so
4. `answer` (str): What was answered, as JSON
Your output fields are:
1. `reason` (str): What is good and what is missing, in a sentence or two
2. `score` (float): From 0, not at all, to 1, in full
Constraints: greater than or equal to: 0, less than or equal to: 1
"""
REWARD_FIELDS = """Your input fields are:
1. `rubric` (str): 
2. `question` (str): What was given, as JSON
3. `answer` (str): What was answered, as JSON
Your output fields are:
1. `score` (float): From 0, not at all, to 1, in full
Constraints: greater than or equal to: 0, less than or equal to: 1
"""
OBJECTIVE = "your objective is: \n        Judge how well an answer meets the rubric."


def judged(output: pb.Type = STR) -> pb.Program:
    """BestOfN around Predict, over question -> answer, with a judge as its reward."""
    sig = signature({"question": STR}, {"answer": output})
    made = program(sig, "BestOfN")
    module = made.modules[0]
    module.params = json.dumps(JUDGED).encode()
    module.modules.add(name="inner", type="Predict", signature=sig, wires=module.wires)
    return made


async def test_the_metrics_prompt_shows_what_was_expected_and_asks_for_a_reason(sidecar, model):
    model.script({"answer": "Paris"}, {"reason": "It is right.", "score": 1})
    run = asked(capital(), **QUESTION)
    metric = pb.Metric(name="judge", params=b'{"rubric": "It is a city."}')
    run.scoring.CopyFrom(pb.Scoring(expected=b'{"answer": "Lyon"}', metrics=[metric]))
    await done(sidecar.run(run))
    system, user = (message["content"] for message in model.requests[-1]["messages"])
    assert system.startswith(METRIC_FIELDS) and system.endswith(OBJECTIVE)
    assert user.startswith(
        "[[ ## rubric ## ]]\nIt is a city.\n\n"
        '[[ ## question ## ]]\n{"question":"Capital of France?"}\n\n'
        '[[ ## expected ## ]]\n{"answer":"Lyon"}\n\n'
        '[[ ## answer ## ]]\n{"answer":"Paris"}\n\n'
    )


async def test_the_rewards_prompt_asks_for_a_score_alone(sidecar, model):
    model.script({"answer": "Paris"}, {"score": 1})
    await done(sidecar.run(asked(judged(), **QUESTION)))
    system, user = (message["content"] for message in model.requests[-1]["messages"])
    assert system.startswith(REWARD_FIELDS) and system.endswith(OBJECTIVE)
    assert user.startswith(
        "[[ ## rubric ## ]]\nIt is a city.\n\n"
        '[[ ## question ## ]]\n{"question":"Capital of France?"}\n\n'
        '[[ ## answer ## ]]\n{"answer":"Paris"}\n\n'
    )


async def test_a_reward_judges_answers_with_integer_keys(sidecar, model):
    model.script({"answer": {"1": "Paris"}}, {"score": 1})
    end = await done(sidecar.run(asked(judged(BY_INT), **QUESTION)))
    assert '{"answer":{"1":"Paris"}}' in model.requests[-1]["messages"][-1]["content"]
    assert json.loads(end.outputs) == {"answer": {"1": "Paris"}}


async def test_a_reward_takes_nan_for_a_failed_attempt(sidecar, model):
    # A score that the table refuses is asked for once more, in JSON.
    no_score = [{"score": "NaN"}, '{"score": NaN}']
    model.script({"answer": "Lyon"}, *no_score, {"answer": "Paris"}, {"score": 0.5})
    end = await done(sidecar.run(asked(judged(), **QUESTION)))
    assert json.loads(end.outputs) == {"answer": "Paris"}
