"""An OpenAI-compatible server that says what a test wants it to say."""

import asyncio
import json
from typing import Any

from aiohttp import web


class ScriptedModel:
    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.given_up = 0
        self.replies: list[Any] = []
        self.url = ""

    def script(self, *replies: Any) -> None:
        """A dict is the answer's fields, a str its text, a tuple (status, error, headers), None no answer at all."""
        self.replies = list(replies)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply is None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        if isinstance(reply, tuple):
            status, error, headers = reply
            return web.json_response({"error": error}, status=status, headers=headers)
        text = reply if isinstance(reply, str) else chat(reply)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
        return web.json_response(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice], "usage": usage}
        )

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner


def chat(fields: dict[str, Any]) -> str:
    def said(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    return "\n\n".join(
        [*(f"[[ ## {name} ## ]]\n{said(value)}" for name, value in fields.items()), "[[ ## completed ## ]]"]
    )
