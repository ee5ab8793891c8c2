"""The sidecar's token, its addresses, and proxies."""

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager

import grpc
import pytest
from process import SIDECAR, running, scripted
from programs import QUESTION, asked, capital
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb
from sigrun.sidecar.v1 import sidecar_service_pb2_grpc as pb_grpc

from dspy_sidecar.proxies import except_loopback
from dspy_sidecar.serving.access import check_address
from dspy_sidecar.settings import Settings, SettingsError


@pytest.mark.parametrize("listen", ["0.0.0.0:50051", "[::]:50051", "10.0.0.1:1", "sidecar:50051"])
def test_without_a_token_an_address_that_others_can_reach_is_refused(listen):
    with pytest.raises(SettingsError, match="SIGRUN_SIDECAR_TOKEN"):
        check_address(listen, None)
    check_address(listen, "token")


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/run/x.sock"])
def test_an_address_of_this_machine_needs_no_token(listen):
    check_address(listen, None)


@pytest.mark.parametrize("key", ["sk-1\n", "sk 1", "sk-\r", "sk-ü", "\tsk"])
def test_a_key_that_no_header_holds_is_told_without_the_key(key):
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "SIGRUN_SIDECAR_TOKEN"):
        with pytest.raises(SettingsError, match=f"^{name} holds a blank") as told:
            Settings.read({name: key})
        assert key.strip() not in str(told.value)


@pytest.mark.parametrize("size", ["0", "-1", "32MB", "1.5MiB", "x", "32 MiB"])
def test_a_wrong_size_is_told(size):
    with pytest.raises(SettingsError, match="SIGRUN_LM_MAX_ANSWER"):
        Settings.read({"SIGRUN_LM_MAX_ANSWER": size})


@asynccontextmanager
async def on_tcp(env: dict[str, str], host: str = "127.0.0.1"):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dspy_sidecar", "--listen", f"{host}:{port}", "--exit-with-stdin"),
        cwd=SIDECAR,
        env={**os.environ, **env},
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process, port
    finally:
        process.stdin.close()
        await process.wait()


async def test_on_tcp_only_the_token_is_answered(model):
    async with on_tcp({**scripted(model.url), "SIGRUN_SIDECAR_TOKEN": "right"}, "0.0.0.0") as (
        _,
        port,
    ):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = pb_grpc.SidecarServiceStub(channel)
            for sent in ([], [("authorization", "Bearer wrong")], [("authorization", "right")]):
                with pytest.raises(grpc.aio.AioRpcError) as told:
                    await stub.ListPrograms(
                        pb.ListProgramsRequest(), wait_for_ready=True, metadata=sent
                    )
                assert told.value.code() is grpc.StatusCode.UNAUTHENTICATED
                session = stub.RunPrograms(metadata=sent)
                with pytest.raises(grpc.aio.AioRpcError) as told:
                    async for _ in session:
                        pass
                assert told.value.code() is grpc.StatusCode.UNAUTHENTICATED
            right = [("authorization", "Bearer right")]
            assert await stub.ListPrograms(pb.ListProgramsRequest(), metadata=right)


async def test_a_sidecar_that_others_can_reach_does_not_start_without_a_token(model):
    async with on_tcp(scripted(model.url), "0.0.0.0") as (process, _):
        assert await process.wait() == 2
        assert b"set SIGRUN_SIDECAR_TOKEN" in await process.stderr.read()


def test_loopback_is_reached_without_a_proxy_and_all_proxy_stands_in():
    environ = {"all_proxy": "http://proxy:1", "https_proxy": "http://other:2", "NO_PROXY": "a.test"}
    except_loopback(environ)
    assert environ["http_proxy"] == "http://proxy:1"
    assert environ["https_proxy"] == "http://other:2"
    assert environ["no_proxy"] == environ["NO_PROXY"] == "a.test,localhost,127.0.0.1,::1"


async def test_a_providers_address_goes_through_the_proxy():
    asked_for: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_for.append((await reader.readuntil(b"\r\n")).strip())
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running({**scripted("http://model.test/v1"), "all_proxy": proxy}) as sidecar:
        with pytest.raises(Exception, match="refuses"):
            async for _ in sidecar.run(asked(capital(), **QUESTION)):
                pass
    server.close()
    assert asked_for[0] == b"POST http://model.test/v1/chat/completions HTTP/1.1"
