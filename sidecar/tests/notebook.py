"""Programs as a notebook makes them, and the prompts of DSPy itself."""

from pathlib import Path

import dspy
from outcomes import done
from programs import asked
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

QUESTION = {"question": "Capital of Spain?"}


class Pipeline(dspy.Module):
    """The same as `programs.pipeline`."""

    def __init__(self):
        super().__init__()
        self.think = dspy.ChainOfThought("question -> draft")
        self.say = dspy.Predict("draft -> answer")

    def forward(self, question):
        return self.say(draft=self.think(question=question).draft)


def saved_state(program: dspy.Module, folder: Path) -> str:
    program.save(folder / "x.json")
    return (folder / "x.json").read_text()


def prompts(model, before: int) -> list:
    return [request["messages"] for request in model.requests[before:]]


async def dspy_prompts(program: dspy.Module, model) -> list:
    """The prompts that DSPy itself makes."""
    before = len(model.requests)
    with dspy.context(
        lm=dspy.LM("openai/scripted", api_base=model.url, api_key="test", cache=False),
        disable_history=True,
    ):
        await dspy.asyncify(program)(**QUESTION)
    return prompts(model, before)


async def served_prompts(made: pb.Program, sidecar, model) -> list:
    """The prompts that a sidecar makes."""
    before = len(model.requests)
    await done(sidecar.run(asked(made, **QUESTION)))
    return prompts(model, before)
