"""A model's answer beyond SIGRUN_LM_MAX_ANSWER ends its request and fails its run."""

import asyncio
import contextlib
import gzip

import grpc
import httpx
import pytest
from dspy import lm15
from dspy._vendor.lm15 import transports
from dspy._vendor.lm15.transports import TransportRequest
from process import running, scripted
from programs import QUESTION, asked, capital
from worker import RunFailed

from dspy_sidecar.faults import AnswerTooLargeError
from dspy_sidecar.models.http import answer_size
from dspy_sidecar.models.http.transport import Transport

MAXIMUM = 100_000


@pytest.fixture(autouse=True)
def maximum(monkeypatch):
    monkeypatch.setattr(answer_size.Limit, "bytes", MAXIMUM)


class Flood:
    """A server that sends a head, and then a piece again and again until the client leaves."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self.head, self.piece = head, piece
        self.sent = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.head)
        with contextlib.suppress(OSError):
            while self.piece:
                writer.write(self.piece)
                await writer.drain()
                self.sent += len(self.piece)
        self.left.set()
        writer.close()

    @contextlib.asynccontextmanager
    async def started(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            server.close()


OK = b"HTTP/1.1 200 OK\r\n"
JSON = OK + b"content-type: application/json\r\n\r\n"
EVENTS = OK + b"content-type: text/event-stream\r\n\r\n"
ZIPPED = OK + b"content-encoding: gzip\r\n\r\n"
FLOODS = {
    "a body": (JSON, b" " * 65_536),
    "gzip": (ZIPPED, gzip.compress(b" " * 1_000_000)),
    "events": (EVENTS, b'data: {"choices": []}\n\n' * 1_000),
    "an event without an end": (EVENTS, b"data: x\n" * 1_000),
    "a line without an end": (EVENTS, b"x" * 65_536),
    "headers": (OK, b"x-more: y\r\n" * 1_000),
    "a header without an end": (OK + b"x-more: ", b"y" * 65_536),
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("way", ["post", "stream"])
async def test_a_flood_ends_the_request_and_its_connection(flood, way):
    server = Flood(*FLOODS[flood])
    transport = Transport()
    async with server.started() as url, asyncio.timeout(20):
        request = TransportRequest("POST", url, [], b"{}")
        with pytest.raises((AnswerTooLargeError, lm15.TransportError, transports.TransportError)):
            if way == "post":
                await transport.prepare_post(request).send(b"{}")
            else:
                async with transport.stream(request) as response:
                    async for _ in response:
                        pass
        await server.left.wait()
    assert server.sent < 30 * 2**20
    await transport.close()


async def test_an_answer_of_the_maximum_is_read_whole():
    body = b"x" * MAXIMUM
    head = OK + b"content-length: %d\r\n\r\n" % len(body)
    async with Flood(head + body, b"").started() as url:
        transport = Transport()
        answer = await transport.prepare_post(TransportRequest("POST", url, [], b"")).send(b"")
        assert answer.body == body
        await transport.close()


@pytest.mark.parametrize("flood", ["a body", "gzip", "an event without an end"])
async def test_httpx_is_bounded_too_which_litellm_and_mcp_use(flood):
    server = Flood(*FLOODS[flood])
    async with server.started() as url, httpx.AsyncClient() as client, asyncio.timeout(20):
        with pytest.raises(AnswerTooLargeError):
            await client.post(url, json={})


async def test_a_stream_of_events_may_go_on_for_ever(monkeypatch):
    server = Flood(*FLOODS["events"])
    async with server.started() as url, httpx.AsyncClient() as client, asyncio.timeout(20):
        size = 0
        async with client.stream("POST", url) as response:
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > 10 * MAXIMUM:
                    break
    assert size > 10 * MAXIMUM


async def test_a_run_fails_with_the_setting_and_without_a_retry(model):
    model.script("x" * 200_000)
    settings = {**scripted(model.url), "SIGRUN_LM_MAX_ANSWER": "100KiB"}
    async with running(settings) as sidecar:
        for chunks in (False, True):
            model.requests.clear()
            request = asked(capital(), **QUESTION)
            request.chunks = chunks
            with pytest.raises(RunFailed) as told:
                async for _ in sidecar.run(request):
                    pass
            assert told.value.failure.reason == "TOO_LARGE"
            assert told.value.failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            assert "102400 bytes" in told.value.failure.message
            assert len(model.requests) == 1
