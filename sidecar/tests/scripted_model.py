"""An OpenAI-compatible server with a script of replies."""

import asyncio
import json
from typing import Any

from aiohttp import web

USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


def event(part: dict[str, Any]) -> bytes:
    whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "x", **part}
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


class ScriptedModel:
    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.given_up = 0
        self.replies: list[Any] = []
        self.url = ""
        self.piece = 7
        self.finish: str | None = "stop"
        self.pieces_sent = 0
        self.hold: asyncio.Event | None = None
        self.pause_s = 0.0
        """How long each answer takes."""
        self.open = 0
        """Requests without an answer now."""
        self.most_open = 0

    def script(self, *replies: Any) -> None:
        """Sets the replies, one for each request; the last one is repeated.

        A dict is the answer's fields, a str its text, bytes its body, a tuple (status, error,
        headers), None no answer at all. A function makes one of these of the request. An error of
        bytes is the whole body.
        """
        self.replies = list(replies)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self.reply(request)
        finally:
            self.open -= 1

    async def reply(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.requests.append(asked)
        self.bodies.append(await request.read())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if callable(reply):
            reply = reply(asked)
        if reply is None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        if self.hold:
            await self.hold.wait()
        if isinstance(reply, tuple):
            status, error, headers = reply
            if isinstance(error, bytes):
                return web.Response(status=status, body=error, headers=headers)
            return web.json_response({"error": error}, status=status, headers=headers)
        if isinstance(reply, bytes):
            return web.Response(body=reply, content_type="application/json")
        text = reply if isinstance(reply, str) else chat(reply)
        if asked.get("stream"):
            return await self.stream(request, text)
        choice = {
            "index": 0,
            "finish_reason": self.finish,
            "message": {"role": "assistant", "content": text},
        }
        return web.json_response(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "x",
                "choices": [choice],
                "usage": USAGE,
            }
        )

    async def stream(self, request: web.Request, text: str) -> web.StreamResponse:
        """The answer in pieces of `self.piece` characters, as server-sent events."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        pieces = [text[at : at + self.piece] for at in range(0, len(text) or 1, self.piece)]
        for number, piece in enumerate(pieces):
            finish = self.finish if number == len(pieces) - 1 else None
            choices = [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": piece},
                    "finish_reason": finish,
                }
            ]
            await response.write(event({"choices": choices}))
            self.pieces_sent += 1
        await response.write(event({"choices": [], "usage": USAGE}) + b"data: [DONE]\n\n")
        return response

    async def start(self) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 2**20)
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
        [
            *(f"[[ ## {name} ## ]]\n{said(value)}" for name, value in fields.items()),
            "[[ ## completed ## ]]",
        ]
    )
