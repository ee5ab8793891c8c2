"""The server of DSPy's deployment tutorial.

BENCH_ACALL takes DSPy's newer async calls instead of asyncify's threads.
"""

import os
from typing import Any

import dspy
from fastapi import FastAPI, HTTPException
from program import language_model, program
from pydantic import BaseModel

app = FastAPI()


class Question(BaseModel):
    """Body of a request."""

    question: str
    context: str


dspy.configure(lm=language_model())
predict = program()
run = predict.acall if os.environ.get("BENCH_ACALL") else dspy.asyncify(predict)


@app.post("/predict")
async def answer(asked: Question) -> dict[str, Any]:
    """Runs the program."""
    try:
        result = await run(question=asked.question, context=asked.context)
    except Exception as error:
        raise HTTPException(status_code=500, detail=str(error)) from error
    return {"status": "success", "data": result.toDict()}
