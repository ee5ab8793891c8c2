import json

import dspy
import pytest
from outcomes import done, failure
from programs import STR, asked, capital, program, signature
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.scoring.metrics import Metrics

INT, FLOAT, BOOL = (
    pb.Type(scalar=kind) for kind in (pb.SCALAR_INT, pb.SCALAR_FLOAT, pb.SCALAR_BOOL)
)
SIGNS = pb.Type(literal=pb.LiteralType(values=["+", "-", "the"]))
STRS = pb.Type(list=pb.ListType(element=STR))
BY_INT = pb.Type(dict=pb.DictType(key=pb.SCALAR_INT, value=STR))
MAYBE = pb.Type(optional=pb.OptionalType(of=FLOAT))


def metric(name: str, field: str = "", weight: float = 1.0, **params) -> pb.Metric:
    return pb.Metric(
        name=name, field=field, weight=weight, params=json.dumps(params).encode() if params else b""
    )


def score(name: str, tree: pb.Type, got, expected, **params) -> float:
    metrics = Metrics(signature({"q": STR}, {"a": tree}), [metric(name, **params)])
    return metrics({"q": "?"}, {"a": expected}, {"a": got})[0].score


@pytest.mark.parametrize(
    ("name", "tree", "got", "expected", "is_scored"),
    [
        ("exact_match", STR, "The  Eiffel Tower!", "eiffel tower", 1),
        ("exact_match", STR, "Paris", "Lyon", 0),
        ("exact_match", STR, "+", "-", 0),
        ("exact_match", STR, "the", "a", 0),
        ("exact_match", SIGNS, "+", "-", 0),
        ("exact_match", SIGNS, "the", "the", 1),
        ("exact_match", INT, 3, 3, 1),
        ("exact_match", FLOAT, 3.0, 3, 1),
        ("exact_match", BOOL, True, True, 1),
        ("exact_match", FLOAT, 1.0, True, 0),
        ("exact_match", STRS, ["A cat", "dog"], ["cat", "dog."], 1),
        ("exact_match", STRS, ["dog", "cat"], ["cat", "dog"], 0),
        ("exact_match", BY_INT, {1: "The one"}, {"1": "one"}, 1),
        ("exact_match", MAYBE, None, None, 1),
        ("exact_match", MAYBE, 1.0, None, 0),
        ("exact_match", STR, ["Paris"], "Paris", 0),
        ("contains", STR, "It is Paris, of course.", "paris", 1),
        ("contains", STR, "Parisian", "Paris", 0),
        ("contains", pb.Type(optional=pb.OptionalType(of=STR)), None, "Paris", 0),
        ("token_f1", STR, "the Eiffel Tower is in Paris", "Paris", pytest.approx(1 / 3)),
        ("token_f1", STR, "The", "the", 1),
        ("token_f1", STR, "a b", "x", 0),
        ("numeric", FLOAT, 0.1 + 0.2, 0.3, 1),
        ("numeric", FLOAT, 0.31, 0.3, 0),
        ("numeric", INT, 10, 11, 0),
        ("numeric", MAYBE, None, 1.0, 0),
        ("numeric", MAYBE, None, None, 1),
        ("numeric", FLOAT, "many", 1.0, 0),
        pytest.param("numeric", INT, 10**30, 1.5, 0, id="beyond 64 bits"),
        pytest.param("numeric", INT, 10**400, 1.5, 0, id="beyond floats"),
        pytest.param("exact_match", INT, 10**400, 1, 0, id="beyond floats, to be the same"),
        ("list_f1", STRS, ["a cat", "dog", "dog"], ["Dog", "bird"], pytest.approx(2 / 5)),
        ("list_f1", STRS, [], [], 1),
        ("list_f1", STRS, [], ["x"], 0),
        ("list_f1", STRS, 7, ["x"], 0),
    ],
)
def test_each_comparison_scores_its_examples(name, tree, got, expected, is_scored):
    assert score(name, tree, got, expected) == is_scored


def test_texts_are_compared_as_dspy_does():
    for got, expected in [
        ("An apple", "apple"),
        ("U.S.A.", "usa"),
        ("Café", "cafe"),
        ("two  words", "Two Words"),
    ]:
        own = dspy.evaluate.metrics.EM(got, [expected])
        assert score("exact_match", STR, got, expected) == own
        assert score("token_f1", STR, got, expected) == dspy.evaluate.metrics.F1(got, [expected])


def test_numbers_may_differ_by_the_larger_tolerance():
    def near(got: float, **params) -> float:
        metrics = Metrics(signature({"q": STR}, {"a": FLOAT}), [metric("numeric", **params)])
        return metrics({}, {"a": 100}, {"a": got})[0].score

    assert near(104, tolerance=5, relative_tolerance=0.01) == 1
    assert near(104, tolerance=1, relative_tolerance=0.05) == 1
    assert near(104, tolerance=1, relative_tolerance=0.01) == 0


def test_a_metric_without_a_field_is_the_mean_over_what_was_expected():
    sig = signature({"q": STR}, {"a": STR, "b": STR, "c": STR})
    metrics = Metrics(sig, [metric("exact_match"), metric("exact_match", "a")])
    whole, one = metrics({}, {"a": "x", "b": "y"}, {"a": "x", "b": "z", "c": "?"})
    assert (whole.score, one.score) == (0.5, 1)
    assert whole.feedback == 'a is right.\nb: expected "y", got "z".'


def test_a_metric_without_any_expected_output_is_an_error_and_no_score():
    metrics = Metrics(signature({"q": STR}, {"a": STR}), [metric("exact_match")])
    with pytest.raises(ValueError, match="no expected output"):
        metrics({}, {}, {"a": "x"})


def test_several_metrics_give_a_weighted_mean_with_all_feedback():
    sig = signature({"q": STR}, {"a": STR, "n": INT})
    metrics = Metrics(sig, [metric("exact_match", "a", weight=3), metric("numeric", "n", weight=1)])
    mean = metrics.mean(metrics({}, {"a": "x", "n": 1}, {"a": "x", "n": 2}))
    assert mean.score == 0.75
    assert "a is right." in mean.feedback
    assert "n: expected 1, got 2." in mean.feedback


def scored(made: pb.Program, expected: dict, *metrics: pb.Metric, **inputs) -> pb.Run:
    request = asked(made, **inputs)
    request.scoring.CopyFrom(pb.Scoring(expected=json.dumps(expected).encode(), metrics=metrics))
    return request


async def test_a_run_with_metrics_has_a_score_for_each(sidecar, model):
    model.script({"answer": "Paris, France", "people": 2})
    made = program(signature({"question": STR}, {"answer": STR, "people": INT}))
    metrics = [
        metric("exact_match"),
        metric("contains", "answer"),
        metric("numeric", "people", tolerance=1),
    ]
    expected = {"answer": "Paris", "people": 3}
    end = await done(sidecar.run(scored(made, expected, *metrics, question="Capital?")))
    assert list(end.metric_scores) == [0, 1, 1]
    assert json.loads(end.outputs) == {"answer": "Paris, France", "people": 2}
    assert end.trace.token_usage.lm_calls == 1


async def test_a_judges_prompt_has_the_rubric_and_its_tokens_count(sidecar, model):
    model.script({"answer": "Paris"}, {"reason": "It is right.", "score": 0.75})
    request = scored(
        capital(), {"answer": "Lyon"}, metric("judge", rubric="It is a city."), question="Where?"
    )
    end = await done(sidecar.run(request))
    assert list(end.metric_scores) == [0.75]
    assert end.trace.token_usage.lm_calls == 2
    assert [(step.module, step.token_usage.lm_calls) for step in end.trace.steps] == [
        ("only", 1),
        ("(metrics)", 1),
    ]
    prompt = str(model.requests[-1]["messages"])
    for part in ("It is a city.", "Where?", "Paris", "Lyon"):
        assert part in prompt


async def test_a_judge_asks_the_programs_model_and_not_the_runs(sidecar, model):
    model.script({"answer": "Paris"}, {"reason": "", "score": 1.5})
    request = scored(capital(), {}, metric("judge", rubric="x"), question="Where?")
    request.lm.model = "openai/other"
    end = await done(sidecar.run(request))
    assert list(end.metric_scores) == [1]
    assert [asked["model"] for asked in model.requests[-2:]] == ["other", "scripted"]


async def test_a_failed_judge_fails_the_run_with_its_reason(sidecar, model):
    request = scored(capital(), {}, metric("judge", rubric="x"), question="Where?")
    model.script({"answer": "Paris"}, (401, {"message": "no"}, {}))
    _, reason, *_, seen = await failure(sidecar.run(request))
    assert reason == "LM_AUTH_FAILED"
    assert json.loads(seen[-1].steps[0].outputs) == {"answer": "Paris"}
    for verdict in ("no verdict", {"reason": "", "score": "NaN"}):
        model.script({"answer": "Paris"}, verdict)
        _, reason, *_ = await failure(sidecar.run(request))
        assert reason == "OUTPUT_INVALID"
