"""As LitServe's documentation has it for models behind an API: an async LitAPI."""

import os
from typing import Any

import dspy
import litserve
from program import language_model, program


class Answering(litserve.LitAPI):
    """Runs the program."""

    def setup(self, device: str) -> None:
        """Once in each worker."""
        dspy.configure(lm=language_model())
        self.program = program()

    async def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Takes the inputs as they are."""
        return request

    async def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Many at a time, as they wait for the model."""
        return (
            await self.program.acall(question=inputs["question"], context=inputs["context"])
        ).toDict()

    async def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Gives the outputs as they are."""
        return {"data": output}


if __name__ == "__main__":
    server = litserve.LitServer(Answering(enable_async=True), accelerator="cpu")
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        generate_client_file=False,
        log_level="warning",
    )
