import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from dspy_sidecar.faults import BuildFailedError
from dspy_sidecar.settings import SettingsError
from dspy_sidecar.tools.mcp_servers import Http, Stdio, read_servers
from dspy_sidecar.tools.tool_server import MAX_CHARACTERS
from dspy_sidecar.tools.tools import Toolbox

SERVER = str(Path(__file__).parents[1] / "mcp_server.py")


def stdio(**env: str) -> Stdio:
    return Stdio(command=sys.executable, args=[SERVER, "stdio"], env=env)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def listening(kind: str, port: int):
    """The server as a process of its own, at a port."""
    process = subprocess.Popen([sys.executable, SERVER, kind, str(port)], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def tools_of(servers: dict[str, Stdio | Http], call_s: float = 10):
    toolbox = Toolbox(servers, call_s)
    await toolbox.wait_for_servers()
    # On a machine that is busy a process may take longer to start than the sidecar waits for it.
    async with asyncio.timeout(60):
        while any(isinstance(servers[name], Stdio) for name in toolbox.unreachable()):
            await asyncio.sleep(0.05)
    try:
        yield toolbox
    finally:
        await toolbox.close()


async def is_here(toolbox: Toolbox) -> None:
    async with asyncio.timeout(30):
        while toolbox.unreachable():
            await asyncio.sleep(0.05)


async def test_lists_and_calls_the_tools_of_a_server_process():
    async with tools_of({"weather": stdio()}) as toolbox:
        assert [tool.name for tool in toolbox.all()][:2] == ["weather.forecast", "weather.slow"]
        forecast = toolbox.find("weather.forecast")
        assert forecast.desc == "What the weather will be."
        assert set(forecast.args) == {"city", "days"}
        assert await forecast.acall(city="Oslo", days=2) == "Oslo: rain for 2 day(s)"


@pytest.mark.parametrize(("kind", "path"), [("streamable-http", "mcp"), ("sse", "sse")])
async def test_lists_and_calls_the_tools_of_a_server_at_an_address(kind, path):
    port = free_port()
    with listening(kind, port):
        server = Http(
            url=f"http://127.0.0.1:{port}/{path}", type=kind, headers={"authorization": "Bearer x"}
        )
        async with tools_of({"weather": server}) as toolbox:
            await is_here(toolbox)
            assert (
                await toolbox.find("weather.forecast").acall(city="Oslo")
                == "Oslo: rain for 1 day(s)"
            )


async def test_an_optimizers_thread_calls_a_tool():
    async with tools_of({"weather": stdio()}) as toolbox:
        forecast = toolbox.find("weather.forecast")
        assert await asyncio.to_thread(lambda: forecast(city="Oslo")) == "Oslo: rain for 1 day(s)"


async def test_an_error_of_a_call_is_its_answer_in_one_sentence():
    async with tools_of({"weather": stdio()}) as toolbox:
        answers = [
            await toolbox.find("weather.broken").acall(),
            await toolbox.find("weather.forecast").acall(city="Oslo", days="many"),
            await toolbox.find("weather.forecast").acall(),
        ]
        assert [answer.startswith("Error: ") for answer in answers] == [True] * 3
        assert "no such place" in answers[0]
        assert "days" in answers[1]
        assert "city" in answers[2]
        assert "Traceback" not in str(answers)


async def test_a_long_answer_is_cut():
    async with tools_of({"weather": stdio()}) as toolbox:
        answer = await toolbox.find("weather.long").acall()
        assert len(answer) < MAX_CHARACTERS + 100
        assert answer.endswith("[cut here: 1000000 characters in all]")


async def test_a_call_that_times_out_is_cancelled_at_the_server(tmp_path):
    async with tools_of({"weather": stdio(MCP_TEST_DIR=str(tmp_path))}, call_s=0.3) as toolbox:
        assert (
            await toolbox.find("weather.slow").acall()
            == "Error: the tool did not answer within 0.3 s"
        )
        async with asyncio.timeout(10):
            while not (tmp_path / "cancelled").exists():
                await asyncio.sleep(0.02)


async def test_a_cancelled_call_is_cancelled_at_the_server(tmp_path):
    async with tools_of({"weather": stdio(MCP_TEST_DIR=str(tmp_path))}) as toolbox:
        call = asyncio.create_task(toolbox.find("weather.slow").acall())
        async with asyncio.timeout(10):
            while not (tmp_path / "started").exists():
                await asyncio.sleep(0.02)
            call.cancel()
            while not (tmp_path / "cancelled").exists():
                await asyncio.sleep(0.02)
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_server_that_dies_in_a_call_is_connected_again():
    async with tools_of({"weather": stdio()}) as toolbox:
        forecast = toolbox.find("weather.forecast")
        assert (await toolbox.find("weather.crash").acall()).startswith(
            "Error: the tool's call failed"
        )
        await is_here(toolbox)
        async with asyncio.timeout(30):
            while (await forecast.acall(city="Oslo")).startswith("Error"):
                await asyncio.sleep(0.05)
        assert toolbox.find("weather.forecast") is forecast


async def test_an_unreachable_server_is_retried_until_it_answers():
    port = free_port()
    async with tools_of({"weather": Http(url=f"http://127.0.0.1:{port}/mcp")}) as toolbox:
        assert toolbox.unreachable() == ["weather"]
        unknown = toolbox.find("weather.forecast")
        assert (
            await unknown.acall(city="Oslo")
            == "Error: the tool's server weather can't be reached right now"
        )
        with listening("streamable-http", port):
            await is_here(toolbox)
            forecast = toolbox.find("weather.forecast")
            assert forecast is not unknown
            assert await forecast.acall(city="Oslo") == "Oslo: rain for 1 day(s)"
            # What was found by name alone works too.
            assert await unknown.acall(city="Oslo") == "Oslo: rain for 1 day(s)"


async def test_refuses_an_unknown_tool_and_lists_the_known_ones():
    async with tools_of({"weather": stdio()}) as toolbox:
        for name in ("weather.nope", "news.today", "forecast"):
            with pytest.raises(
                BuildFailedError, match=rf"unknown tool {name}; expected one of weather\.forecast"
            ):
                toolbox.find(name)


async def test_a_server_gets_its_own_variables_and_none_of_the_sidecars(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with tools_of({"weather": stdio(OWN="1")}) as toolbox:
        names = (await toolbox.find("weather.environment").acall()).split()
    assert "OWN" in names
    assert "OPENAI_API_KEY" not in names


def processes() -> list[str]:
    """The servers that we have started and that are still there."""
    children = [
        pid
        for file in Path("/proc/self/task").glob("*/children")
        for pid in file.read_text().split()
    ]
    return [pid for pid in children if SERVER in Path(f"/proc/{pid}/cmdline").read_text()]


async def test_closing_ends_the_servers_process():
    async with tools_of({"weather": stdio()}):
        assert len(processes()) == 1
    assert processes() == []


def test_reads_the_format_that_mcp_clients_share(tmp_path):
    file = tmp_path / "mcp.json"
    servers = {
        "files": {"command": "mcp-files", "args": ["/srv"], "env": {"A": "b"}},
        "web": {
            "url": "http://127.0.0.1:1/mcp",
            "headers": {"Authorization": "Bearer x"},
            "autoApprove": [],
        },
        "off": {"command": "x", "disabled": True},
    }
    file.write_text(json.dumps({"mcpServers": servers}))
    read = read_servers({"SIGRUN_MCP_SERVERS": str(file)})
    assert read == {
        "files": Stdio(command="mcp-files", args=["/srv"], env={"A": "b"}),
        "web": Http(url="http://127.0.0.1:1/mcp", headers={"Authorization": "Bearer x"}),
    }
    assert read_servers({}) == read_servers({"SIGRUN_MCP_SERVERS": ""}) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "can't be read: No such file"),
        ("{", "is not JSON"),
        ("{}", "mcpServers: Field required"),
        ('{"mcpServers": {"a.b": {"command": "x"}}}', "mcpServers.a.b"),
        ('{"mcpServers": {"a": {"url": 1, "headers": {"k": "secret"}}}}', "mcpServers.a"),
    ],
)
def test_the_message_for_an_invalid_file_holds_none_of_its_values(tmp_path, text, says):
    file = tmp_path / "mcp.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError) as raised:
        read_servers({"SIGRUN_MCP_SERVERS": str(file)})
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_sidecar_does_not_start_with_an_invalid_file(tmp_path):
    command = [sys.executable, "-m", "dspy_sidecar", "--listen", f"unix:{tmp_path}/s.sock"]
    env = {**os.environ, "SIGRUN_LM": "openai/x", "SIGRUN_MCP_SERVERS": f"{tmp_path}/nowhere.json"}
    ended = subprocess.run(
        command, cwd=Path(SERVER).parent.parent, env=env, capture_output=True, timeout=60
    )
    assert ended.returncode == 2
    assert f"{tmp_path}/nowhere.json can't be read" in ended.stderr.decode()
