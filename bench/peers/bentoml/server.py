"""A service with an async API, as BentoML's documentation recommends for calls that wait."""

from typing import Any

import bentoml
import dspy
from program import language_model, program


@bentoml.service(traffic={"timeout": 60})
class Answering:
    """Runs the program."""

    def __init__(self) -> None:
        dspy.configure(lm=language_model())
        self.program = program()

    @bentoml.api
    async def predict(self, question: str, context: str) -> dict[str, Any]:
        """Runs concurrently, because runs wait for the model."""
        return (await self.program.acall(question=question, context=context)).toDict()
