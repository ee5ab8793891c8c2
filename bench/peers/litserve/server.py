"""An async LitAPI, as LitServe's documentation recommends for models behind an API."""

import os
from typing import Any

import dspy
import litserve
from program import language_model, program


class Answering(litserve.LitAPI):
    """Runs the program."""

    def setup(self, device: str) -> None:
        """Builds the program, once in each worker."""
        dspy.configure(lm=language_model())
        self.program = program()

    async def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Returns the inputs unchanged."""
        return request

    async def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Runs concurrently, because runs wait for the model."""
        return (
            await self.program.acall(question=inputs["question"], context=inputs["context"])
        ).toDict()

    async def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Returns the outputs unchanged."""
        return {"data": output}


if __name__ == "__main__":
    server = litserve.LitServer(Answering(enable_async=True), accelerator="cpu")
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        generate_client_file=False,
        log_level="warning",
    )
