"""The program that every contender serves, on the model that every contender asks."""

import os

import dspy

SIGNATURE = "question, context -> answer, confidence: float, sources: list[str]"


def language_model() -> dspy.LM:
    """The bench's own model, without DSPy's cache: a cached answer would measure the cache."""
    return dspy.LM("openai/bench", api_base=os.environ["BENCH_MODEL"], api_key="none", cache=False)


def program() -> dspy.Predict:
    """Untouched, or with the demos of the state that BENCH_STATE names."""
    predict = dspy.Predict(SIGNATURE)
    if state := os.environ.get("BENCH_STATE"):
        predict.load(state)
    return predict
