"""Writes the program's state with demos, as an optimizer does: `python state.py 16 state.json`."""

import sys

import dspy
from program import program

count, path = int(sys.argv[1]), sys.argv[2]
predict = program()
predict.demos = [
    dspy.Example(
        question=f"What is the capital of country number {n}?",
        context=f"Country number {n} lies by the sea. " * 8,
        answer=f"Its capital is town number {n}.",
        confidence=0.9,
        sources=["atlas", f"almanac of {1900 + n}"],
    ).with_inputs("question", "context")
    for n in range(count)
]
predict.save(path)
