"""Stock DSPy in a process of its own: optimizes the program of a source file, as a notebook does.

Reads a JSON object from stdin, and prints the optimized program's state.
"""

import inspect
import json
import random
import sys

import dspy
import numpy as np


def score(example, prediction, trace=None):
    return float(prediction is not None and example.answer == prediction.get("answer"))


def review(example, prediction):
    told = json.dumps(example.answer), json.dumps(prediction.get("answer"))
    is_right = score(example, prediction)
    said = "answer is right." if is_right else "answer: expected {}, got {}.".format(*told)
    return dspy.Prediction(score=is_right, feedback=said)


def main() -> None:
    asked = json.load(sys.stdin)
    notebook: dict = {"__name__": "notebook"}
    file = asked["file"]
    with open(file) as opened:
        exec(compile(opened.read(), file, "exec"), notebook)
    # As if the file had been imported: inspect looks its classes up in sys.modules.
    sys.modules["notebook"] = type(sys)("notebook")
    sys.modules["notebook"].__file__ = file
    random.seed(asked["seed"])
    np.random.seed(asked["seed"])
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    lm = dspy.LM("openai/scripted", api_base=asked["url"], api_key="test")
    dspy.configure(lm=lm, num_threads=8)
    trainset = [
        dspy.Example(**inputs, **outputs).with_inputs(*inputs)
        for inputs, outputs in asked["trainset"]
    ]
    kind, seed = getattr(dspy, asked["optimizer"]), asked["seed"]
    metric = {"MIPROv2": score, "SIMBA": review}[asked["optimizer"]]
    at_init = inspect.signature(kind.__init__).parameters
    arguments = {"metric": metric, "seed": seed, **asked["config"]}
    optimizer = kind(**{key: value for key, value in arguments.items() if key in at_init})
    rest = {key: value for key, value in arguments.items() if key not in at_init}
    state = optimizer.compile(notebook["program"], trainset=trainset, **rest).dump_state()
    print(json.dumps(state, default=str), file=sys.__stderr__)


if __name__ == "__main__":
    main()
