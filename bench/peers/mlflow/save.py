"""Saves the program as a model for `mlflow models serve`: `python save.py folder`."""

import sys

import dspy
import mlflow
from program import language_model, program

dspy.configure(lm=language_model())
example = {
    "question": "What is the capital of France?",
    "context": "France is a country in Europe.",
}
mlflow.dspy.save_model(program(), sys.argv[1], input_example=example)
