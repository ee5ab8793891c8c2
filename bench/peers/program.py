"""The program that every contender serves, on the model that every contender asks."""

import os

import dspy

SIGNATURE = "question, context -> answer, confidence: float, sources: list[str]"


def language_model() -> dspy.LM:
    """The bench's model without DSPy's cache, because a cached answer would measure the cache."""
    return dspy.LM("openai/bench", api_base=os.environ["BENCH_MODEL"], api_key="none", cache=False)


def program() -> dspy.Predict:
    """The program, with the demos of the state if BENCH_STATE names one."""
    predict = dspy.Predict(SIGNATURE)
    if state := os.environ.get("BENCH_STATE"):
        predict.load(state)
    return predict
